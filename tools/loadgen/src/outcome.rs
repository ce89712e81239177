//! What became of the numbers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What the load prints at its end, as JSON. Times are milliseconds; those of a moment count from the start, but for
/// `started` itself.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Outcome {
    /// The moment of the start, since 1970.
    pub started: f64,
    /// The numbers from `first` on, as many as `total`, were asked; each once.
    pub first: u64,
    pub total: u64,
    pub gets: u64,
    pub posts: u64,
    /// Those that had exactly one answer, the right one.
    pub answered: u64,
    /// All others.
    pub losses: Vec<Loss>,
    /// Requests that were due while too many were in flight; they have no number.
    pub unoffered: u64,
    /// How late the load itself was, at worst, with a request that was due.
    pub lag: f64,
    /// Right answers by replica.
    pub replicas: BTreeMap<String, u64>,
    /// Right answers by version.
    pub versions: BTreeMap<String, Seen>,
    /// From the sending to the end of the answer; right answers only.
    pub get_times: Times,
    pub post_times: Times,
    /// Every right answer, if a trace was asked for.
    pub trace: Vec<Answered>,
}

/// One right answer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Answered {
    pub number: u64,
    /// When it was sent, and how long the answer took.
    pub at: f64,
    pub after: f64,
    /// Who answered, if it said so.
    pub replica: Option<String>,
}

/// A number whose answer is missing, wrong, or came twice.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Loss {
    pub number: u64,
    pub method: String,
    /// What happened instead.
    pub what: String,
    /// The status of the answer, if there was one.
    pub status: Option<u16>,
    /// When it was sent, and how long it took to be lost.
    pub at: f64,
    pub after: f64,
    /// Who answered, if it said so.
    pub replica: Option<String>,
    /// Whether the connection had served a request before.
    pub reused: bool,
}

/// The answers of one version.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Seen {
    pub answers: u64,
    pub first: f64,
    pub last: f64,
}

/// Percentiles.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Times {
    pub p50: f64,
    pub p99: f64,
    pub p99_9: f64,
    pub max: f64,
}

impl Times {
    /// Of times in microseconds.
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
