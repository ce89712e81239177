//! From SIGTERM to the end: readiness fails at once, requests are served for [`Config::drain_seconds`], then the server
//! stops accepting and gives those in flight [`Config::shutdown_seconds`] to finish.
//!
//! [`Config::drain_seconds`]: crate::config::Config::drain_seconds
//! [`Config::shutdown_seconds`]: crate::config::Config::shutdown_seconds

use std::{
    future::poll_fn,
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use actix_web::rt::{
    signal::unix::{Signal, SignalKind, signal},
    time::sleep,
};

/// Whether the process has been asked to stop; shared by all workers.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<AtomicBool>);

impl Drain {
    /// True from the signal on.
    pub fn has_begun(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    fn begin(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The signals that ask the process to stop: SIGTERM from a platform, SIGINT from a terminal.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Listens from now on: a signal that comes before [`StopSignals::drained`] is polled is not lost.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) -> &'static str {
        poll_fn(|cx| {
            if self.terminate.poll_recv(cx).is_ready() {
                Poll::Ready("SIGTERM")
            } else if self.interrupt.poll_recv(cx).is_ready() {
                Poll::Ready("SIGINT")
            } else {
                Poll::Pending
            }
        })
        .await
    }

    /// Resolves when the drain is over and the server may stop. Some platforms signal twice, so a second signal
    /// changes nothing.
    pub async fn drained(mut self, drain: Drain, wait: Duration) {
        let name = self.next().await;
        drain.begin();
        log::info!("{name}: draining for {} s", wait.as_secs_f32());
        sleep(wait).await;
        log::info!("drained: waiting for requests in flight, then stopping");
    }
}
