//! What the program prints at its end, as JSON.

use std::{
    collections::BTreeMap,
    fmt::{self, Display},
    time::Duration,
};

use serde::{Deserialize, Serialize};

/// The [`Loss::method`] of a stream of events.
pub const STREAM: &str = "stream";
/// The [`Loss::method`] of a WebSocket.
pub const SOCKET: &str = "WebSocket";

/// The beginning of a [`Loss::what`] of a stream or WebSocket that was opened, and broke without its end.
pub const CUT: &str = "cut";

/// The outcome of a run. All times are milliseconds; except for `started`, moments count from the start.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Outcome {
    /// The time of the start, since 1970.
    pub started: f64,
    /// The first number. The numbers from here on were requested, each once.
    pub first: u64,
    /// How many numbers were requested.
    pub total: u64,
    /// How many of them by GET.
    pub gets: u64,
    /// How many of them by POST.
    pub posts: u64,
    /// How many of them by PUT.
    pub puts: u64,
    /// How many had exactly one answer, the correct one.
    pub answered: u64,
    /// All others.
    pub losses: Vec<Loss>,
    /// Requests that were due while too many were in flight. They have no number.
    pub unoffered: u64,
    /// The longest delay between the time when a request was due and when the load generator sent it.
    pub lag: f64,
    /// Correct answers by replica.
    pub replicas: BTreeMap<String, u64>,
    /// Correct answers by version.
    pub versions: BTreeMap<String, Seen>,
    /// Times of correct answers to GET requests, until the end of the body.
    pub get_times: Times,
    /// Times of correct answers to POST requests, until the end of the body.
    pub post_times: Times,
    /// Times of correct answers to PUT requests, until the end of the body.
    pub put_times: Times,
    /// The streams of events.
    pub streams: Held,
    /// The WebSockets.
    pub sockets: Held,
    /// Every correct answer, with `--trace`.
    pub trace: Vec<Answered>,
}

/// One correct answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Answered {
    /// The number.
    pub number: u64,
    /// When the request was sent.
    pub at: f64,
    /// How long the answer took.
    pub after: f64,
    /// The replica, if the answer names it.
    pub replica: Option<String>,
}

/// Connections of one kind that were open all the time.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Held {
    /// How many were opened.
    pub opened: u64,
    /// How many the service ended in order: a stream with its last chunk, a WebSocket with the close code 1001.
    pub ended: u64,
    /// Events, or echoes.
    pub received: u64,
    /// All that ended otherwise, or were not opened.
    pub losses: Vec<Loss>,
}

impl Held {
    /// Adds the connections of another client.
    pub fn add(&mut self, other: Self) {
        self.opened += other.opened;
        self.ended += other.ended;
        self.received += other.received;
        self.losses.extend(other.losses);
    }
}

impl Display for Held {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            opened,
            ended,
            losses,
            ..
        } = self;
        write!(out, "{opened} opened, {ended} ended, {} lost", losses.len())
    }
}

/// A number whose answer is missing, wrong, or came twice; or a stream or WebSocket that is not served as it should be.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Loss {
    /// The number, or that of the client which held the connection.
    pub number: u64,
    /// The request's method, [`STREAM`] or [`SOCKET`].
    pub method: String,
    /// What happened instead.
    pub what: String,
    /// The answer's status, if there was an answer.
    pub status: Option<u16>,
    /// When the request was sent.
    pub at: f64,
    /// How long it took until the request was lost.
    pub after: f64,
    /// The replica, if the answer names it.
    pub replica: Option<String>,
    /// Whether the connection had served a request before.
    pub reused: bool,
}

/// The answers of one version.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Seen {
    /// How many there were.
    pub answers: u64,
    /// When the first came.
    pub first: f64,
    /// When the last came.
    pub last: f64,
}

/// Percentiles.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Times {
    /// The median.
    pub p50: f64,
    /// 99 % took at most this long.
    pub p99: f64,
    /// 99.9 % took at most this long.
    pub p99_9: f64,
    /// The longest.
    pub max: f64,
}

impl Times {
    /// The percentiles of times in microseconds.
    pub fn of(mut times: Vec<u32>) -> Self {
        times.sort_unstable();
        let share = |share: f64| {
            let at = (share * times.len() as f64).ceil() as usize;
            let time = times.get(at.saturating_sub(1)).copied().unwrap_or(0);
            f64::from(time) / 1000.0
        };
        Self {
            p50: share(0.5),
            p99: share(0.99),
            p99_9: share(0.999),
            max: share(1.0),
        }
    }
}

/// Milliseconds, to a tenth.
pub(crate) fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}
