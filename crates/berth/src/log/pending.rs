//! Counts the access lines that are still to be written, so that the process can wait for them before it ends.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use actix_web::rt::time::sleep;

static PENDING: AtomicUsize = AtomicUsize::new(0);
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Counts one line more.
pub fn add() {
    PENDING.fetch_add(1, Ordering::Relaxed);
}

/// Counts one line less.
pub fn remove() {
    PENDING.fetch_sub(1, Ordering::Relaxed);
}

/// Returns when no line is pending.
pub async fn none_left() {
    while PENDING.load(Ordering::Relaxed) > 0 {
        sleep(POLL_INTERVAL).await;
    }
}
