//! The state of the drain: from the stop signal on, readiness fails, every response closes its connection, and requests
//! are served as before. [`crate::process::shutdown`] runs it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Notify;

/// Whether the process drains; shared by all workers.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<State>);

#[derive(Debug, Default)]
struct State {
    begun: AtomicBool,
    /// No request comes any more: what has no end of its own should end.
    ending: AtomicBool,
    /// Wakes those that wait for that.
    told: Notify,
    /// The time of the last request since then.
    last_request: Mutex<Option<Instant>>,
    /// Queries of the readiness probes that are expected through these proxies; each is removed when it has come.
    pending_probes: Mutex<Vec<(String, SocketAddr)>>,
}

impl Drain {
    /// True from the stop signal on.
    pub fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::Relaxed)
    }

    /// Begins the drain.
    pub fn begin(&self) {
        self.0.begun.store(true, Ordering::Relaxed);
    }

    /// Ends it: proxies have had their time, and send new requests elsewhere.
    pub fn end(&self) {
        self.0.ending.store(true, Ordering::SeqCst);
        self.0.told.notify_waiters();
    }

    /// Waits for its end. A stream or a WebSocket should end then: its client connects again, to another replica.
    pub async fn ended(&self) {
        let told = self.0.told.notified();
        if !self.0.ending.load(Ordering::SeqCst) {
            told.await;
        }
    }

    /// Records the time of a request, during the drain.
    pub fn record_request(&self) {
        if self.has_begun() {
            *self.last_request() = Some(Instant::now());
        }
    }

    fn last_request(&self) -> MutexGuard<'_, Option<Instant>> {
        let last = self.0.last_request.lock();
        last.unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the last request came longer ago than `time`.
    pub fn is_idle_for(&self, time: Duration) -> bool {
        self.last_request().is_none_or(|last| last.elapsed() > time)
    }

    /// Expects a readiness probe with this query through this proxy. No client can guess the query.
    pub fn await_probe(&self, query: String, proxy: SocketAddr) {
        self.lock_pending().push((query, proxy));
    }

    /// Records that a probe with this query was answered with "not ready".
    pub fn acknowledge(&self, query: &str) {
        self.lock_pending().retain(|(pending, _)| pending != query);
    }

    /// The proxies whose probe has not come.
    pub fn pending_probes(&self) -> Vec<SocketAddr> {
        self.lock_pending()
            .iter()
            .map(|(_, proxy)| *proxy)
            .collect()
    }

    fn lock_pending(&self) -> MutexGuard<'_, Vec<(String, SocketAddr)>> {
        let pending = self.0.pending_probes.lock();
        pending.unwrap_or_else(PoisonError::into_inner)
    }
}
