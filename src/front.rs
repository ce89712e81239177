//! Tells the nginx in front that this replica is about to stop listening.
//!
//! nginx tries another replica when one answers its readiness probe with 503, and then leaves that one alone for the
//! `fail_timeout` of nginx/conf.d/upstream.conf. A probe through nginx goes to whichever replica is next, so a draining
//! one asks nginx for readiness until nginx has asked *it*. Nothing but the probe is refused for this, so no request
//! has to be repeated, and no answer of the service can be mistaken for a draining replica's.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    thread,
    time::Duration,
};

use crate::{config::Front, drain::Drain, health::READY};

/// nginx keeps an idle connection for so long; the `keepalive_timeout` of nginx/conf.d/upstream.conf.
pub const IDLE: Duration = Duration::from_secs(20);

/// Time for an answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two probes once nginx knows, for a reload makes it forget.
const PAUSE: Duration = Duration::from_millis(50);
/// Until then there is no pause at first, and then one that grows by this to the same.
const STEP: Duration = Duration::from_micros(100);

/// Starts to tell every address of the front, on threads of its own, which go on until the process ends.
pub fn leave(front: Front, drain: &Drain) {
    let Front(Some(front)) = front else { return };
    let drain = drain.clone();
    thread::spawn(move || match front.to_socket_addrs() {
        Ok(addresses) => {
            for address in addresses {
                let drain = drain.clone();
                thread::spawn(move || tell(address, &drain));
            }
        }
        Err(error) => {
            log::warn!("{front} can't be told: {error}; is FRONT right, and is it running?")
        }
    });
}

fn tell(front: SocketAddr, drain: &Drain) {
    let ticket = format!("leaving={:016x}", fastrand::u64(..));
    drain.expect(ticket.clone(), front);
    let (mut told, mut pause) = (false, Duration::ZERO);
    loop {
        let asked = probe(front, &ticket);
        if !told && !drain.still_expects(front) {
            told = true;
            log::info!("{front} knows, and sends its requests elsewhere");
        }
        thread::sleep(pause);
        pause = if told || asked.is_err() {
            PAUSE
        } else {
            PAUSE.min(pause + STEP)
        };
    }
}

/// `GET /health/ready?TICKET`, whatever the answer.
fn probe(front: SocketAddr, ticket: &str) -> io::Result<()> {
    let mut socket = TcpStream::connect(front)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    write!(
        socket,
        "GET {READY}?{ticket} HTTP/1.0\r\nUser-Agent: berth\r\n\r\n"
    )?;
    socket.read_to_end(&mut Vec::new()).map(drop)
}
