//! What the program prints at its end, as JSON.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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

/// A number whose answer is missing, wrong, or came twice.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Loss {
    /// The number.
    pub number: u64,
    /// The request's method.
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
