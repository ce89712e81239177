//! Gives back to the system the memory that a load has left. glibc does so by itself only with what lies at the end of its
//! heaps: of ten thousand connections that have closed it would keep nearly all, for ever.

use std::time::Duration;

use actix_web::rt::time::sleep;

/// Between two looks at what is free; one takes some microseconds where nothing is.
const LOOK: Duration = Duration::from_secs(1);

/// Does so from time to time.
pub async fn give_back() {
    loop {
        sleep(LOOK).await;
        trim();
    }
}

#[cfg(target_env = "gnu")]
#[expect(
    unsafe_code,
    reason = "the one function of the allocator that std does not have"
)]
fn trim() {
    // SAFETY: it takes no pointer, and locks each heap while it looks (malloc_trim(3)).
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators give back by themselves, or have no way to be told.
#[cfg(not(target_env = "gnu"))]
fn trim() {}
