//! The access log: a line for every request but a probe, with the request's id, which goes back to the client as
//! `X-Request-Id`.
//!
//! There are more of these lines than of all others, so they go their own, shorter way to the [`Queue`]: not as a record
//! whose fields env_logger would have to be asked for one by one.

use std::{
    array,
    net::IpAddr,
    pin::Pin,
    rc::Rc,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpMessage,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, Uri,
        header::{HeaderName, HeaderValue},
    },
    middleware::Next,
    rt::time::sleep,
    web::Bytes,
};
use itoa::Buffer;
use log::{Level, Record};
use serde::{Serialize, Serializer};

use super::{Queue, REPLICA, now, printable, quoted};
use crate::{
    config::{Config, LogFormat},
    proxies::{Client, Scheme, peer},
};

/// Takes the request's id back to the client.
pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Names the replica that answered, where `SERVED_BY` is on.
pub const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");
/// The status of a request whose client went away before there was one, as nginx logs it.
const CLIENT_CLOSED_REQUEST: u16 = 499;
/// What `RUST_LOG` knows these lines by.
const LOGGER: &str = "berth::access";
const LEVEL: Level = Level::Info;
const MESSAGE: &str = "request";

/// Where the lines go, and how; none if they are not asked for.
static LOG: OnceLock<(LogFormat, Queue)> = OnceLock::new();

/// Lines that are still to be written.
static OPEN: AtomicUsize = AtomicUsize::new(0);

/// Returns when every request has its line.
pub async fn all_written() {
    while OPEN.load(Ordering::Relaxed) > 0 {
        sleep(Duration::from_millis(5)).await;
    }
}

/// A request's id, among its extensions.
#[derive(Clone, Debug)]
pub struct RequestId(pub Rc<str>);

/// Whether access lines are to be written, as far as `wants` says of records.
pub(super) fn is_wanted(wants: impl FnOnce(&Record) -> bool) -> bool {
    let mut record = Record::builder();
    record.target(LOGGER).level(LEVEL);
    wants(&record.args(format_args!("{MESSAGE}")).build())
}

/// Has lines written from now on.
pub(super) fn start(format: LogFormat, queue: Queue) {
    LOG.get_or_init(|| (format, queue));
}

/// Gives a request its id and its client's address, and writes its line once the answer has gone out.
pub async fn line<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BodyWithLine>, Error> {
    let config = Config::of(&request);
    let client = Client::of(&request);
    let id = request_id(&request, config);
    let names_replica = config.served_by.0;
    let mut line = LOG.get().map(|_| {
        OPEN.fetch_add(1, Ordering::Relaxed);
        Line {
            id: Rc::clone(&id),
            client: client.addr,
            scheme: client.scheme,
            method: request.method().clone(),
            target: request.uri().clone(),
            status: CLIENT_CLOSED_REQUEST,
            bytes: 0,
            since: Instant::now(),
        }
    });
    request.extensions_mut().insert(RequestId(Rc::clone(&id)));

    let is_head = request.method() == Method::HEAD;
    let answered = next.call(request).await;
    if let Some(line) = &mut line {
        let status = match &answered {
            Ok(answer) => answer.status(),
            Err(error) => error.as_response_error().status_code(),
        };
        line.status = status.as_u16();
    }
    let mut answer = answered?;
    let headers = answer.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::from_str(&id)?);
    if names_replica {
        headers.insert(SERVED_BY, HeaderValue::from_str(&REPLICA)?);
    }
    Ok(answer
        .map_into_boxed_body()
        .map_body(|_, body| BodyWithLine {
            body,
            is_head,
            line,
        }))
}

/// The id that a trusted proxy sent if it is well-formed (1 to 128 letters, digits and `._-=;:/`, which traces have), else a
/// new one of 32 hexadecimal digits, as nginx's `$request_id`.
fn request_id(request: &ServiceRequest, config: &Config) -> Rc<str> {
    let well_formed = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-=;:/".contains(&byte);
        (1..=128).contains(&id.len()) && id.bytes().all(plain)
    };
    let header = config.request_id_header.0.as_ref();
    header
        .filter(|_| config.trusted_proxies.trusts(peer(request)))
        .and_then(|header| request.headers().get(header.name()))
        .and_then(|id| id.to_str().ok())
        .filter(well_formed)
        .map_or_else(new_id, Rc::from)
}

fn new_id() -> Rc<str> {
    let random = fastrand::u128(..);
    let digits: [u8; 32] =
        array::from_fn(|at| b"0123456789abcdef"[(random >> (4 * at)) as usize % 16]);
    str::from_utf8(&digits).expect("ASCII").into()
}

/// An access line, written when it is dropped: so it is there even if the client goes away half-way.
struct Line {
    id: Rc<str>,
    client: Option<IpAddr>,
    scheme: Scheme,
    method: Method,
    target: Uri,
    status: u16,
    bytes: u64,
    since: Instant,
}

impl Drop for Line {
    fn drop(&mut self) {
        let Some((format, queue)) = LOG.get() else {
            return;
        };
        let target = self.target.to_string();
        let fields = Fields {
            time: &now(),
            level: LEVEL.as_str(),
            logger: LOGGER,
            message: MESSAGE,
            request_id: &self.id,
            client: &self.client.map_or("-".to_owned(), |it| it.to_string()),
            scheme: self.scheme.as_str(),
            method: self.method.as_str(),
            target: &printable(&target),
            status: self.status,
            bytes: self.bytes,
            duration_ms: Micros(self.since.elapsed().as_micros() as u64),
            replica: &REPLICA,
        };
        let line = match format {
            LogFormat::Text => fields.text(),
            LogFormat::Json => fields.json(),
        };
        queue.put(line.as_bytes());
        OPEN.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a line says, in the order in which it does.
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
    /// Without `format!`, which takes as long for this as the service for its answer.
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

/// Microseconds, told in milliseconds.
#[derive(Clone, Copy)]
struct Micros(u64);

impl Serialize for Micros {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e3)
    }
}

/// A body that counts what it sends, and takes the access line with it when it is done.
pub struct BodyWithLine {
    body: BoxBody,
    /// Then nothing is sent, so that nothing has to be read.
    is_head: bool,
    line: Option<Line>,
}

impl MessageBody for BodyWithLine {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        if self.is_head {
            return Poll::Ready(None);
        }
        let chunk = Pin::new(&mut self.body).poll_next(cx);
        if let (Poll::Ready(Some(Ok(bytes))), Some(line)) = (&chunk, &mut self.line) {
            line.bytes += bytes.len() as u64;
        }
        chunk
    }
}
