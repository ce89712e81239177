//! What to ask, how often and how: the options of the load, and which number is asked in which way.

use serde::{Deserialize, Serialize};

/// Given as `name=value` arguments; all but `target` have a default.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// `http://HOST:PORT`; the name is looked up once, at the start.
    pub target: String,
    /// The Host header.
    pub host: String,
    /// Requests per second, whether answers are quick or late.
    pub rate: u32,
    /// Requests in flight at most. A request that is due while there are as many is not offered, and counted as such.
    pub in_flight: usize,
    /// Percent of the requests that are POSTs.
    pub posts: u8,
    /// Percent of the requests that have a connection to themselves; the others share kept-alive ones.
    pub fresh: u8,
    /// Bytes of a POST's body.
    pub body: usize,
    /// Milliseconds over which a POST's body is spread.
    pub upload: u64,
    /// Milliseconds that the service is asked to take for an answer.
    pub wait: u64,
    /// Microseconds of a processor's time that the service is asked to spend on an answer to a GET.
    pub work: u64,
    /// Seconds of silence after each second of load.
    pub silence: u64,
    /// Seconds that an answer may take.
    pub patience: u64,
    /// The status that the service is asked to answer with.
    pub status: u16,
    /// The first number.
    pub first: u64,
    /// Stops after as many requests.
    pub requests: u64,
    /// Whether the outcome has every right answer by itself.
    pub trace: bool,
    /// Stops after as many seconds. SIGTERM and SIGINT stop it at once; what is in flight is waited for always.
    pub seconds: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            target: String::new(),
            host: "localhost".into(),
            rate: 1000,
            in_flight: 500,
            posts: 50,
            fresh: 20,
            body: 100,
            upload: 0,
            wait: 0,
            work: 0,
            silence: 0,
            patience: 30,
            status: 200,
            first: 0,
            requests: u64::MAX,
            trace: false,
            seconds: 3600,
        }
    }
}

impl Options {
    /// Reads `name=value` arguments.
    pub fn parse(arguments: impl IntoIterator<Item = String>) -> Result<Self, String> {
        let pair = |argument: String| match argument.split_once('=') {
            Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
            None => Err(format!("{argument:?} is no name=value")),
        };
        let pairs = arguments
            .into_iter()
            .map(pair)
            .collect::<Result<Vec<_>, _>>()?;
        let options: Self = envy::from_iter(pairs).map_err(|error| error.to_string())?;
        if options.rate == 0 || !options.target.starts_with("http://") {
            return Err("target=http://HOST:PORT is needed, and a rate above 0".into());
        }
        Ok(options)
    }

    /// The number's method. Both answers depend on the number alone, so that they can be told afterwards.
    pub fn is_post(&self, number: u64) -> bool {
        fastrand::Rng::with_seed(number).u8(..100) < self.posts
    }

    /// Whether the number has a connection to itself.
    pub fn is_fresh(&self, number: u64) -> bool {
        fastrand::Rng::with_seed(!number).u8(..100) < self.fresh
    }

    /// The path and query to ask for.
    pub fn path(&self, number: u64) -> String {
        let path = match self.status {
            200 => format!("/number/{number}"),
            status => format!("/status/{status}/{number}"),
        };
        match (self.wait, self.work) {
            (0, 0) => path,
            (wait, work) => format!("{path}?wait={wait}&work={work}"),
        }
    }
}
