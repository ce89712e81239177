//! The request id, and the access log: a line for every request but a probe.
//!
//! The id goes back to the client as `X-Request-Id`. Access lines outnumber all others, so they reach the [`Queue`]
//! directly: env_logger would ask for a record's fields one by one.

use std::{array, net::IpAddr, sync::LazyLock, time::Instant};

use actix_web::{
    dev::ServiceRequest,
    http::{
        Method, Uri,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    web::Bytes,
};
use itoa::Buffer;
use log::Level;
use serde::{Serialize, Serializer};

use super::client_ip::ClientIp;
use crate::{
    http::forwarded::{Client, Scheme},
    log::{
        line::{LogFormat, REPLICA, now, printable, quoted},
        pending,
        queue::Queue,
        start::Log,
    },
};

/// Takes the request's id back to the client.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Names the replica, where `SERVED_BY` is on.
pub const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");
/// The status of a request whose client left before there was a response, as nginx logs it.
const CLIENT_CLOSED_REQUEST: u16 = 499;
/// The target of these lines in `RUST_LOG`.
const LOGGER: &str = "berth::access";
const LEVEL: Level = Level::Info;
const MESSAGE: &str = "request";

/// A request's id.
#[derive(Clone, Debug)]
pub struct RequestId(HeaderValue);

impl RequestId {
    /// The id that a trusted proxy sent in `header`, if it is well-formed: 1 to 128 letters, digits and `._-=;:/`, which
    /// traces have. Else a new one of 32 hexadecimal digits, as nginx's `$request_id`.
    pub fn of(request: &ServiceRequest, header: Option<&HeaderName>, client: &ClientIp) -> Self {
        let well_formed = |id: &&HeaderValue| {
            let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-=;:/".contains(byte);
            (1..=128).contains(&id.len()) && id.as_bytes().iter().all(plain)
        };
        header
            .and_then(|header| request.headers().get(header))
            .filter(|_| client.trusts_peer(request))
            .filter(well_formed)
            .map_or_else(Self::random, |id| Self(id.clone()))
    }

    /// A new one.
    pub fn random() -> Self {
        let random = fastrand::u128(..).to_le_bytes();
        let digits: [u8; 32] = array::from_fn(|at| {
            b"0123456789abcdef"[usize::from(random[at / 2] >> (4 * (at % 2)) & 15)]
        });
        let digits = Bytes::copy_from_slice(&digits);
        Self(HeaderValue::from_maybe_shared(digits).expect("hexadecimal digits"))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        self.0.to_str().expect("ASCII")
    }

    /// Adds it to a response.
    pub fn add_to(&self, headers: &mut HeaderMap) {
        headers.insert(REQUEST_ID, self.0.clone());
    }
}

/// The value of `X-Served-By`: the replica's name.
pub static SERVED_BY_VALUE: LazyLock<HeaderValue> =
    LazyLock::new(|| HeaderValue::from_str(&REPLICA).expect("printable ASCII"));

/// Writes the access lines; cheap to clone.
#[derive(Clone)]
pub struct AccessLog {
    format: LogFormat,
    queue: Queue,
}

impl AccessLog {
    /// The access log of this log; none if `RUST_LOG` leaves its lines out.
    pub fn new(log: &Log) -> Option<Self> {
        let direct = log.direct(LOGGER, LEVEL, MESSAGE);
        direct.map(|(format, queue)| Self { format, queue })
    }

    /// The line of a request.
    pub fn line(&self, request: &ServiceRequest, id: &RequestId, client: Client) -> Line {
        pending::add();
        Line {
            log: self.clone(),
            id: id.clone(),
            client: client.addr,
            scheme: client.scheme,
            method: request.method().clone(),
            target: request.uri().clone(),
            status: CLIENT_CLOSED_REQUEST,
            bytes: 0,
            since: Instant::now(),
        }
    }
}

/// An access line, written when it is dropped: also if the client leaves half-way.
pub struct Line {
    log: AccessLog,
    id: RequestId,
    client: Option<IpAddr>,
    scheme: Scheme,
    method: Method,
    target: Uri,
    /// Of the response.
    pub status: u16,
    /// Bytes of the body that were sent.
    pub bytes: u64,
    since: Instant,
}

impl Drop for Line {
    fn drop(&mut self) {
        let target = self.target.to_string();
        let fields = Fields {
            time: &now(),
            level: LEVEL.as_str(),
            logger: LOGGER,
            message: MESSAGE,
            request_id: self.id.as_str(),
            client: &self.client.map_or("-".to_owned(), |it| it.to_string()),
            scheme: self.scheme.as_str(),
            method: self.method.as_str(),
            target: &printable(&target),
            status: self.status,
            bytes: self.bytes,
            duration_ms: Micros(self.since.elapsed().as_micros() as u64),
            replica: &REPLICA,
        };
        let line = match self.log.format {
            LogFormat::Text => fields.text(),
            LogFormat::Json => fields.json(),
        };
        self.log.queue.put(line.as_bytes());
        pending::remove();
    }
}

/// The fields of a line, in their order.
#[derive(Serialize)]
struct Fields<'a> {
    time: &'a str,
    level: &'a str,
    logger: &'a str,
    message: &'a str,
    request_id: &'a str,
    client: &'a str,
    scheme: &'a str,
    method: &'a str,
    target: &'a str,
    status: u16,
    bytes: u64,
    duration_ms: Micros,
    replica: &'a str,
}

impl Fields<'_> {
    /// Without `format!`, which takes as long for this as the sample service for its response.
    fn text(&self) -> String {
        let Micros(micros) = self.duration_ms;
        [
            self.time,
            " ",
            self.level,
            "  ",
            self.logger,
            " ",
            self.message,
            " request_id=",
            &quoted(self.request_id),
            " client=",
            self.client,
            " scheme=",
            self.scheme,
            " method=",
            &quoted(self.method),
            " target=",
            &quoted(self.target),
            " status=",
            Buffer::new().format(self.status),
            " bytes=",
            Buffer::new().format(self.bytes),
            " duration_ms=",
            Buffer::new().format(micros / 1000),
            ".",
            // With its leading zeros.
            &Buffer::new().format(1000 + micros % 1000)[1..],
            " replica=",
            &quoted(self.replica),
            "\n",
        ]
        .concat()
    }

    fn json(&self) -> String {
        serde_json::to_string(self).expect("text and numbers") + "\n"
    }
}

/// Microseconds, written in milliseconds.
#[derive(Clone, Copy)]
struct Micros(u64);

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e3)
    }
}
