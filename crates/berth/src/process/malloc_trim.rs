//! Returns free memory to the system (malloc_trim(3)). glibc itself returns only the end of its heaps: after ten thousand
//! connections have closed it would keep nearly all.

use std::time::Duration;

use actix_web::rt::time::sleep;

/// Between two calls; one takes some microseconds where nothing is free.
const INTERVAL: Duration = Duration::from_secs(1);

/// Trims from time to time.
pub async fn trim_forever() {
    loop {
        sleep(INTERVAL).await;
        trim();
    }
}

#[cfg(target_env = "gnu")]
#[expect(unsafe_code, reason = "std has no function for it")]
fn trim() {
    // SAFETY: it takes no pointer, and locks each heap (malloc_trim(3)).
    unsafe { libc::malloc_trim(0) };
}

/// Other allocators return memory by themselves, or have no such function.
#[cfg(not(target_env = "gnu"))]
fn trim() {}
