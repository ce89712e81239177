//! From SIGTERM to the end, with nothing lost. Each step is a line of the log:
//!
//! 1. The signal. Readiness fails at once, every answer is the last of its connection, and the [`front`], if one is
//!    configured, is told to send nothing more. Requests are served as ever, for [`Config::drain_seconds`] and until
//!    there have been none for a while.
//! 2. The listener closes, and as nobody asks any more, nobody is refused. Requests in flight have what is left of
//!    [`Config::shutdown_seconds`] to finish.
//! 3. The end, with exit code 0.
//!
//! A replica never refuses a request that it has accepted, so that no answer has to be sent in place of a handler's.
//!
//! [`Config::drain_seconds`]: crate::config::Config::drain_seconds
//! [`Config::shutdown_seconds`]: crate::config::Config::shutdown_seconds

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::{Duration, Instant},
};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    rt::{
        signal::unix::{Signal, SignalKind, signal},
        time::sleep,
    },
    web::Data,
};

use crate::{config::Config, front};

/// So long nobody must have asked before the listener closes.
pub const QUIET: Duration = Duration::from_millis(500);
/// Of the time to shut down, so much is left to requests in flight even if the front never stops to ask.
pub const RESERVE: Duration = Duration::from_secs(1);
/// Between two looks at whether it is quiet.
const LOOK: Duration = Duration::from_millis(50);

/// Whether the process has been asked to stop; shared by all workers.
#[derive(Clone, Debug, Default)]
pub struct Drain(Arc<State>);

#[derive(Debug, Default)]
struct State {
    begun: AtomicBool,
    /// When the last request came since then.
    last_request: Mutex<Option<Instant>>,
    /// What [`front`] waits to see come back from which address; taken out when it has.
    tickets: Mutex<Vec<(String, SocketAddr)>>,
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

    fn last_request(&self) -> MutexGuard<'_, Option<Instant>> {
        let last = self.0.last_request.lock();
        last.unwrap_or_else(PoisonError::into_inner)
    }

    fn is_quiet(&self) -> bool {
        self.last_request()
            .is_none_or(|last| last.elapsed() > QUIET)
    }

    /// Waits for this front to send a readiness probe with this query, which nobody else can guess.
    pub fn expect(&self, ticket: String, front: SocketAddr) {
        self.tickets().push((ticket, front));
    }

    /// Notes that a probe with this query has been told that the replica is not ready.
    pub fn refused_probe(&self, query: &str) {
        self.tickets().retain(|(ticket, _)| ticket != query);
    }

    /// Whether this front has sent no such probe yet.
    pub fn still_expects(&self, front: SocketAddr) -> bool {
        self.tickets().iter().any(|(_, address)| *address == front)
    }

    fn tickets(&self) -> MutexGuard<'_, Vec<(String, SocketAddr)>> {
        let tickets = self.0.tickets.lock();
        tickets.unwrap_or_else(PoisonError::into_inner)
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

    /// The name of the next one.
    pub async fn next(&mut self) -> &'static str {
        poll_fn(|cx| {
            let mut signals = self.0.iter_mut();
            let come =
                signals.find_map(|(name, signal)| signal.poll_recv(cx).is_ready().then_some(*name));
            come.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }

    /// Resolves when the drain is over and the server may close its listener, with what is left of the time to shut
    /// down. Some platforms signal twice, so a second signal changes nothing.
    pub async fn drained(mut self, drain: Drain, config: Config) -> Duration {
        let wait = Duration::from(config.drain_seconds);
        let shutdown = Duration::from(config.shutdown_seconds);
        let name = self.next().await;
        drain.begin();
        log::info!("{name}: draining for {} s", wait.as_secs_f32());
        let end = Instant::now() + wait + shutdown;
        let latest = end - RESERVE.min(shutdown);
        front::leave(config.front, &drain);
        sleep(wait).await;
        while !drain.is_quiet() && Instant::now() < latest {
            sleep(LOOK).await;
        }
        if drain.is_quiet() {
            log::info!("drained: nobody asks, listening no more");
        } else {
            log::warn!(
                "not drained, but out of time: listening no more; whoever still asks is refused"
            );
        }
        for (_, front) in drain.tickets().iter() {
            log::warn!(
                "{front} has not asked for readiness: it may still send requests, and lose them"
            );
        }
        end.saturating_duration_since(Instant::now())
    }
}

/// Notes when a request comes during the drain.
pub async fn note<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let drain = Drain::of(&request);
    if drain.has_begun() {
        *drain.last_request() = Some(Instant::now());
    }
    next.call(request).await
}
