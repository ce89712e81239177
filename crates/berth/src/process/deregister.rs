//! Takes this replica out of nginx's turn before it stops listening.
//!
//! nginx asks another replica when one answers its readiness probe with 503, and then leaves that one out of turn for the
//! `fail_timeout` of its upstream. A probe through nginx reaches whichever replica is next, so a draining replica asks nginx
//! for readiness until nginx has asked the replica itself. Only the probe is refused: no request is repeated, and no response
//! of the service can look like a draining replica's.

use std::{
    net::{SocketAddr, ToSocketAddrs},
    thread,
    time::Duration,
};

use super::probe;
use crate::{http::health_paths::READY, middleware::drain::Drain, settings::values::Address};

/// Of one probe, for each of its steps.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Between two probes once nginx knows, since a reload makes it forget.
const MAX_BACKOFF: Duration = Duration::from_millis(50);
/// The pause starts at zero and grows by this up to `MAX_BACKOFF`.
const BACKOFF_STEP: Duration = Duration::from_micros(100);

/// Starts to probe every address of `nginx` (`host:port`), on threads of their own that run until the process ends.
pub fn deregister(nginx: String, drain: &Drain) {
    let drain = drain.clone();
    thread::spawn(move || match nginx.to_socket_addrs() {
        Ok(addresses) => {
            for address in addresses {
                let drain = drain.clone();
                thread::spawn(move || probe_until_seen(address, &drain));
            }
        }
        Err(error) => {
            log::warn!("{nginx} can't be told: {error}; is NGINX_ADDRESS right, and is it running?")
        }
    });
}

/// Goes on at a slower pace once nginx has asked this replica.
fn probe_until_seen(nginx: SocketAddr, drain: &Drain) {
    let query = format!("leaving={:016x}", fastrand::u64(..));
    drain.await_probe(query.clone(), nginx);
    let target = format!("{READY}?{query}");
    let (mut seen, mut pause) = (false, Duration::ZERO);
    loop {
        let asked = probe::status_line(&Address::Tcp(nginx), &target, TIMEOUT);
        if !seen && !drain.pending_probes().contains(&nginx) {
            seen = true;
            log::info!("{nginx} knows, and sends its requests elsewhere");
        }
        thread::sleep(pause);
        pause = if seen || asked.is_err() {
            MAX_BACKOFF
        } else {
            MAX_BACKOFF.min(pause + BACKOFF_STEP)
        };
    }
}
