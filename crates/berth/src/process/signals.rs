//! The signals that ask the process to stop.

use std::{future::poll_fn, io, task::Poll};

use actix_web::rt::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM from most platforms, SIGINT from some and from a terminal, SIGQUIT from those made for nginx.
pub struct StopSignals([(&'static str, Signal); 3]);

impl StopSignals {
    /// Listens from now on: a signal that comes before [`StopSignals::next`] is polled is not lost.
    ///
    /// # Errors
    /// If the system refuses a handler.
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
            let received =
                signals.find_map(|(name, signal)| signal.poll_recv(cx).is_ready().then_some(*name));
            received.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
