//! The signals that ask the process to stop.

use std::{future::poll_fn, io, task::Poll};

use actix_web::rt::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM from most platforms, SIGINT from some and from a terminal, SIGQUIT from those made for nginx.
pub struct StopSignals {
    stop: [(&'static str, Signal); 3],
    /// SIGUSR1: nginx, in front of this process, takes no more requests. This process goes on until a stop signal.
    drained: Signal,
}

impl StopSignals {
    /// Listens from now on: a signal that comes before [`StopSignals::next`] is polled is not lost.
    ///
    /// # Errors
    /// If the system refuses a handler.
    pub fn listen() -> io::Result<Self> {
        Ok(Self {
            stop: [
                ("SIGTERM", signal(SignalKind::terminate())?),
                ("SIGINT", signal(SignalKind::interrupt())?),
                ("SIGQUIT", signal(SignalKind::quit())?),
            ],
            drained: signal(SignalKind::user_defined1())?,
        })
    }

    /// The name of the next one. Calls `drained` if nginx has drained meanwhile.
    pub async fn next(&mut self, drained: impl Fn()) -> &'static str {
        poll_fn(|cx| {
            while self.drained.poll_recv(cx).is_ready() {
                drained();
            }
            let mut signals = self.stop.iter_mut();
            let received =
                signals.find_map(|(name, signal)| signal.poll_recv(cx).is_ready().then_some(*name));
            received.map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}
