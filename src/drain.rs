//! From SIGTERM to the end, with nothing lost. Each step is a line of the log:
//!
//! 1. The signal. Readiness fails at once, every answer is the last of its connection, and the [`front`], if one is
//!    configured, is told to send nothing more. Requests are served as ever, for [`Config::drain_seconds`].
//! 2. The listener closes. Behind our front nobody notices: it has been sending its requests elsewhere. Requests in
//!    flight have [`Config::shutdown_seconds`] to finish.
//! 3. The end, with exit code 0.
//!
//! A replica never refuses a request that it has accepted, so that no answer has to be sent in place of a handler's.
//!
//! [`Config::drain_seconds`]: crate::config::Config::drain_seconds
//! [`Config::shutdown_seconds`]: crate::config::Config::shutdown_seconds

use std::{
    future::poll_fn,
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use actix_web::{
    dev::ServiceRequest,
    rt::{
        signal::unix::{Signal, SignalKind, signal},
        time::sleep,
    },
    web::Data,
};

use crate::{config::Front, front};

/// Whether the process has been asked to stop; shared by all workers.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<State>);

#[derive(Debug, Default)]
struct State {
    begun: AtomicBool,
    /// What [`front`] waits to see come back; taken out when it has.
    tickets: Mutex<Vec<String>>,
}

impl Drain {
    /// The one that the server handed to a request.
    pub fn of(request: &ServiceRequest) -> &Self {
        let drain = request.app_data::<Data<Self>>();
        drain.expect("the server hands it to every request")
    }

    /// True from the signal on.
    pub fn has_begun(&self) -> bool {
        self.0.begun.load(Ordering::Relaxed)
    }

    fn begin(&self) {
        self.0.begun.store(true, Ordering::Relaxed);
    }

    /// Waits for a readiness probe with this query, which nobody else can guess.
    pub fn expect(&self, ticket: String) {
        self.tickets(|tickets| tickets.push(ticket));
    }

    /// Notes that a probe with this query has been told that the replica is not ready.
    pub fn refused_probe(&self, query: &str) {
        self.tickets(|tickets| tickets.retain(|ticket| ticket != query));
    }

    /// Whether no such probe has come yet.
    pub fn still_expects(&self, ticket: &str) -> bool {
        self.tickets(|tickets| tickets.iter().any(|expected| expected == ticket))
    }

    fn tickets<T>(&self, of: impl FnOnce(&mut Vec<String>) -> T) -> T {
        of(&mut self
            .0
            .tickets
            .lock()
            .unwrap_or_else(PoisonError::into_inner))
    }
}

/// The signals that ask the process to stop: SIGTERM from most platforms, SIGINT from some and from a terminal,
/// SIGQUIT from those who know nginx.
pub struct StopSignals([(&'static str, Signal); 3]);

impl StopSignals {
    /// Listens from now on: a signal that comes before [`StopSignals::drained`] is polled is not lost.
    pub fn listen() -> io::Result<Self> {
        Ok(Self([
            ("SIGTERM", signal(SignalKind::terminate())?),
            ("SIGINT", signal(SignalKind::interrupt())?),
            ("SIGQUIT", signal(SignalKind::quit())?),
        ]))
    }

    async fn next(&mut self) -> &'static str {
        poll_fn(|cx| {
            let mut signals = self.0.iter_mut();
            let come =
                signals.find_map(|(name, signal)| signal.poll_recv(cx).is_ready().then_some(*name));
            come.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Resolves when the drain is over and the server may close its listener. Some platforms signal twice, so a second
    /// signal changes nothing.
    pub async fn drained(mut self, drain: Drain, wait: Duration, front: Front, shutdown: Duration) {
        let name = self.next().await;
        drain.begin();
        log::info!("{name}: draining for {} s", wait.as_secs_f32());
        front::leave(front, &drain, wait);
        sleep(wait).await;
        log::info!(
            "drained: listening no more; requests in flight have {} s",
            shutdown.as_secs_f32()
        );
    }
}
