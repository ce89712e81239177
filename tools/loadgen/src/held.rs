//! A client that has one connection open all the time, a stream or a WebSocket: when to leave, and what is recorded.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use crate::{
    client::Fault,
    options::Options,
    outcome::{Held, Loss, millis},
};

/// Time between two events or messages on one connection.
pub const PAUSE: Duration = Duration::from_millis(100);
/// The milliseconds for which a client that leaves by itself keeps a connection.
const STAY: std::ops::Range<u64> = 1000..5000;

/// The end of a connection that was not lost.
pub enum End {
    /// The client left.
    Left,
    /// The service ended it in order.
    Ended,
}

/// One client.
pub struct Holder {
    pub address: SocketAddr,
    pub host: String,
    /// For each step of the server.
    pub timeout: Duration,
    /// What is known of the current connection.
    pub fault: Fault,
    pub held: Held,
    kind: &'static str,
    number: u64,
    start: Instant,
    began: Instant,
    leaves: Option<Instant>,
    is_stopped: Arc<AtomicBool>,
}

impl Holder {
    /// The client of that number and kind. Moments count from `start`.
    pub fn new(
        options: &Options,
        address: SocketAddr,
        (kind, number): (&'static str, u64),
        start: Instant,
        is_stopped: Arc<AtomicBool>,
    ) -> Self {
        Self {
            address,
            host: options.host.clone(),
            timeout: Duration::from_secs(options.timeout),
            fault: Fault::default(),
            held: Held::default(),
            kind,
            number,
            start,
            began: start,
            leaves: None,
            is_stopped,
        }
    }

    /// Whether no other connection shall be opened.
    pub fn is_stopped(&self) -> bool {
        self.is_stopped.load(Ordering::Relaxed)
    }

    /// Begins a connection. Every other client stays as long as the server lets it. The others come and go, so that new
    /// replicas have connections, too.
    pub fn begin(&mut self) {
        self.began = Instant::now();
        let stay = || Duration::from_millis(fastrand::u64(STAY));
        self.leaves = (!self.number.is_multiple_of(2)).then(|| self.began + stay());
        self.fault = Fault::default();
    }

    /// Records the response to the connection's request.
    pub fn answered(&mut self, status: u16, replica: Option<&str>) {
        self.fault.status = Some(status);
        self.fault.replica = replica.map(str::to_owned);
    }

    /// Whether it is time to leave.
    pub fn is_over(&self) -> bool {
        self.is_stopped() || self.leaves.is_some_and(|time| time <= Instant::now())
    }

    /// Records the connection's end, or what went wrong.
    pub fn end(&mut self, end: Result<End, String>) {
        match end {
            Ok(End::Left) => {}
            Ok(End::Ended) => self.held.ended += 1,
            Err(what) => self.held.losses.push(Loss {
                number: self.number,
                method: self.kind.into(),
                what,
                status: self.fault.status,
                at: millis(self.began - self.start),
                after: millis(self.began.elapsed()),
                replica: self.fault.replica.take(),
                reused: false,
            }),
        }
    }
}
