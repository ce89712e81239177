//! The command line, and how each number is requested.

use clap::Parser;
use hyper::Method;
use serde::Serialize;

/// Bytes of a PUT request's body. nginx passes on what is longer than 10,000 while it arrives.
pub(crate) const LARGE_BODY: usize = 50_000;
/// Milliseconds over which a PUT request's body is spread.
pub(crate) const LARGE_UPLOAD: u64 = 500;

/// Requests numbers at a steady rate, each once, and reports every lost request
#[derive(Clone, Debug, Parser, Serialize)]
#[command(name = "loadgen")]
pub struct Options {
    /// `http://HOST:PORT`; the name is resolved once, at the start
    #[arg(long)]
    pub target: String,
    /// The Host header
    #[arg(long, default_value = "localhost")]
    pub host: String,
    /// Requests per second, independent of the answers
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub rate: u32,
    /// The most requests in flight. A request that is due beyond that is not sent, and counted as not offered
    #[arg(long, default_value_t = 500)]
    pub in_flight: usize,
    /// Percentage of POST requests
    #[arg(long, default_value_t = 50)]
    pub posts: u8,
    /// Percentage of PUT requests: large uploads, every other one in chunks
    #[arg(long, default_value_t = 0)]
    pub puts: u8,
    /// Percentage of requests with a connection of their own; the others share kept-alive connections
    #[arg(long, default_value_t = 20)]
    pub fresh: u8,
    /// Bytes of a POST request's body
    #[arg(long, default_value_t = 100)]
    pub body: usize,
    /// Milliseconds over which a POST request's body is spread
    #[arg(long, default_value_t = 0)]
    pub upload: u64,
    /// Streams of events that are open all the time, at `/events`
    #[arg(long, default_value_t = 0)]
    pub streams: u64,
    /// WebSockets that are open all the time, at `/socket`
    #[arg(long, default_value_t = 0)]
    pub sockets: u64,
    /// Milliseconds that the service shall wait before an answer
    #[arg(long, default_value_t = 0)]
    pub wait: u64,
    /// Microseconds of processor time that the service shall spend on an answer to a GET request
    #[arg(long, default_value_t = 0)]
    pub work: u64,
    /// Seconds of silence after each second of load
    #[arg(long, default_value_t = 0)]
    pub silence: u64,
    /// Seconds until a request without an answer is lost
    #[arg(long, default_value_t = 30)]
    pub timeout: u64,
    /// The status that the service shall answer with
    #[arg(long, default_value_t = 200)]
    pub status: u16,
    /// The first number
    #[arg(long, default_value_t = 0)]
    pub first: u64,
    /// Stops after this many requests
    #[arg(long, default_value_t = u64::MAX, hide_default_value = true)]
    pub requests: u64,
    /// Lists every correct answer in the outcome
    #[arg(long)]
    pub trace: bool,
    /// Stops after this many seconds. SIGTERM and SIGINT stop it at once. Requests in flight are always waited for
    #[arg(long, default_value_t = 3600)]
    pub seconds: u64,
}

impl Default for Options {
    /// The defaults of the command line, with an empty target.
    fn default() -> Self {
        Self::parse_from(["loadgen", "--target", ""])
    }
}

impl Options {
    /// The arguments of `loadgen` that give these options.
    pub fn arguments(&self) -> Vec<String> {
        let fields = serde_json::to_value(self).expect("plain values");
        let argument = |(name, value): (&String, &serde_json::Value)| {
            let name = name.replace('_', "-");
            match value {
                serde_json::Value::Bool(is_set) => is_set.then(|| format!("--{name}")),
                serde_json::Value::String(text) => Some(format!("--{name}={text}")),
                number => Some(format!("--{name}={number}")),
            }
        };
        let fields = fields.as_object().expect("a struct");
        fields.iter().filter_map(argument).collect()
    }

    /// The number's method. It depends on the number alone, so that it is known afterwards.
    pub fn method(&self, number: u64) -> Method {
        let drawn = fastrand::Rng::with_seed(number).u8(..100);
        if drawn < self.posts {
            Method::POST
        } else if drawn < self.posts + self.puts {
            Method::PUT
        } else {
            Method::GET
        }
    }

    /// Whether the number has a connection of its own. It depends on the number alone, too.
    pub fn is_fresh(&self, number: u64) -> bool {
        fastrand::Rng::with_seed(!number).u8(..100) < self.fresh
    }

    /// The bytes of the number's body, and the milliseconds over which it is spread.
    pub fn body(&self, number: u64) -> (usize, u64) {
        match self.method(number) {
            Method::POST => (self.body, self.upload),
            Method::PUT => (LARGE_BODY, LARGE_UPLOAD),
            _ => (0, 0),
        }
    }

    /// The path and query of the number's request.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_give_the_same_options_again() {
        let options = Options {
            target: "http://127.0.0.1:8000".into(),
            in_flight: 7,
            trace: true,
            ..Options::default()
        };
        let arguments = [vec!["loadgen".to_owned()], options.arguments()].concat();
        let again = Options::try_parse_from(arguments).unwrap();
        assert_eq!(again.arguments(), options.arguments());
    }

    #[test]
    fn a_rate_of_zero_is_an_error() {
        let options = Options::try_parse_from(["loadgen", "--target=http://x", "--rate=0"]);
        assert!(options.is_err());
    }
}
