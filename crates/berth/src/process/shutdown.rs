//! From SIGTERM to the end without losing a request. Each step is a line of the log:
//!
//! 1. The signal. Readiness fails at once, every response closes its connection, and the replica asks the nginx in front
//!    to take it out of turn ([`super::deregister`]). Requests are served as before, for `DRAIN_SECONDS`. Then streams and
//!    WebSockets are told to end, and the listener waits until no request has come for [`QUIET`].
//! 2. The listener closes. Requests in flight have what is left of `SHUTDOWN_SECONDS` to finish.
//! 3. The end, with exit code 0.
//!
//! A replica never refuses a request that it has accepted, so no response replaces a handler's.

use std::time::{Duration, Instant};

use actix_web::rt::time::sleep;

use super::{deregister, signals::StopSignals};
use crate::middleware::drain::Drain;

/// The listener closes only after this long without a request.
pub const QUIET: Duration = Duration::from_millis(500);
/// Requests in flight have at least this much of the time to shut down, even if requests keep coming.
pub const RESERVE: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// How long each step takes, and which nginx to leave.
#[derive(Clone, Debug)]
pub struct Shutdown {
    /// Serving on after the signal.
    pub drain_time: Duration,
    /// For requests in flight, from then on.
    pub shutdown_time: Duration,
    /// `host:port` of the nginx in front.
    pub nginx: Option<String>,
}

impl Shutdown {
    /// Waits for a stop signal and drains. Returns when the server may close its listener, with the time that is left.
    /// Some platforms signal twice, so a second signal changes nothing.
    pub async fn drained(self, mut signals: StopSignals, drain: Drain) -> Duration {
        let name = signals.next(|| drain.end()).await;
        drain.begin();
        log::info!("{name}: draining for {} s", self.drain_time.as_secs_f32());
        let end = Instant::now() + self.drain_time + self.shutdown_time;
        let latest = end - RESERVE.min(self.shutdown_time);
        let is_behind_nginx = self.nginx.is_some();
        if let Some(nginx) = self.nginx {
            deregister::deregister(nginx, &drain);
        }
        sleep(self.drain_time).await;
        drain.end();
        if is_behind_nginx {
            // While this replica had the most streams and WebSockets, nginx may have sent it neither a request nor a probe.
            drain.record_request();
        }
        while !drain.is_idle_for(QUIET) && Instant::now() < latest {
            sleep(POLL_INTERVAL).await;
        }
        if drain.is_idle_for(QUIET) {
            log::info!("drained: no more requests, closing the listener");
        } else {
            log::warn!(
                "not drained, but out of time: closing the listener; new requests are refused"
            );
        }
        for proxy in drain.pending_probes() {
            log::warn!(
                "{proxy} has not asked for readiness: it may still send requests, and lose them"
            );
        }
        end.saturating_duration_since(Instant::now())
    }
}
