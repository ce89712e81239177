//! What the process says, on standard error: env_logger's lines as text or JSON, one line each, whatever is in them.
//!
//! Nobody waits for a log that takes no lines ([`queue`]).
//!
//! Every request but a probe gets one line with its id, which goes back to the client as `X-Request-Id`.

pub mod queue;

use std::{
    borrow::Cow,
    io::{self, Write},
    panic,
    pin::Pin,
    sync::LazyLock,
    task::{Context, Poll},
    time::Instant,
};

use actix_web::{
    Error, HttpMessage,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderName, HeaderValue},
    middleware::Next,
    web::Bytes,
};
use chrono::{SecondsFormat, Utc};
use env_logger::{Target, fmt::Formatter};
use log::{
    LevelFilter, Record,
    kv::{self, Key, Value, VisitSource},
};

use self::queue::Queue;
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

/// This replica's name: the host's, which in a container is the container's id unless told otherwise.
pub static REPLICA: LazyLock<String> = LazyLock::new(|| {
    let name = gethostname::gethostname();
    printable(&name.to_string_lossy()).into_owned()
});

/// A request's id, among its extensions.
#[derive(Clone, Debug)]
pub struct RequestId(pub String);

/// The log while the process lives; dropped at its end, it waits a moment for the last lines to be written.
#[must_use = "without it the last lines are lost"]
pub struct Log(Queue);

impl Drop for Log {
    fn drop(&mut self) {
        self.0.drain();
    }
}

/// Starts the log.
///
/// # Errors
/// If there can't be a thread for it.
pub fn start(config: &Config) -> io::Result<Log> {
    let format = match config.log_format {
        LogFormat::Text => text,
        LogFormat::Json => json,
    };
    let queue = Queue::start()?;
    env_logger::Builder::new()
        .target(Target::Pipe(Box::new(queue.clone())))
        // What it says of its own start is said better in main.rs.
        .filter_module("actix_server", LevelFilter::Warn)
        .parse_filters(&config.rust_log.to_string())
        .format(format)
        .init();
    // A panic is a line like any other; the process survives it, and only the connection ends.
    panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    Ok(Log(queue))
}

/// Gives a request its id and its client's address, and writes its line once the answer has gone out.
pub async fn access_line<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<BodyWithLine>, Error> {
    let config = Config::of(&request);
    let client = Client::of(&request);
    let id = request_id(&request, config);
    let names_replica = config.served_by.0;
    let mut line = Line {
        id: id.clone(),
        client: client.addr.map_or("-".to_owned(), |addr| addr.to_string()),
        scheme: client.scheme,
        method: request.method().to_string(),
        target: printable(&request.uri().to_string()).into_owned(),
        status: CLIENT_CLOSED_REQUEST,
        bytes: 0,
        since: Instant::now(),
    };
    request.extensions_mut().insert(client);
    request.extensions_mut().insert(RequestId(id.clone()));

    let mut answer = next.call(request).await?;
    line.status = answer.status().as_u16();
    let headers = answer.headers_mut();
    headers.insert(REQUEST_ID, HeaderValue::try_from(id)?);
    if names_replica {
        headers.insert(SERVED_BY, HeaderValue::from_str(&REPLICA)?);
    }
    Ok(answer
        .map_into_boxed_body()
        .map_body(|_, body| BodyWithLine { body, line }))
}

/// The id that a trusted proxy sent if it is well-formed (1 to 128 letters, digits and `._-=;:/`, which traces have), else a
/// new one of 32 hexadecimal digits, as nginx's `$request_id`.
fn request_id(request: &ServiceRequest, config: &Config) -> String {
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
        .map_or_else(|| format!("{:032x}", fastrand::u128(..)), str::to_owned)
}

/// An access line, written when it is dropped: so it is there even if the client goes away half-way.
struct Line {
    id: String,
    client: String,
    scheme: Scheme,
    method: String,
    target: String,
    status: u16,
    bytes: u64,
    since: Instant,
}

impl Drop for Line {
    fn drop(&mut self) {
        log::info!(
            target: "berth::access",
            request_id = self.id,
            client = self.client,
            scheme:% = self.scheme,
            method = self.method,
            target = self.target,
            status = self.status,
            bytes = self.bytes,
            duration_ms = self.since.elapsed().as_secs_f64() * 1e3,
            replica = REPLICA.as_str();
            "request"
        );
    }
}

/// A body that counts what it sends, and takes the access line with it when it is done.
pub struct BodyWithLine {
    body: BoxBody,
    line: Line,
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
        let chunk = Pin::new(&mut self.body).poll_next(cx);
        if let Poll::Ready(Some(Ok(bytes))) = &chunk {
            self.line.bytes += bytes.len() as u64;
        }
        chunk
    }
}

fn text(out: &mut Formatter, record: &Record) -> io::Result<()> {
    write!(
        out,
        "{} {:<5} {} {}",
        now(),
        record.level(),
        record.target(),
        message(record)
    )?;
    let mut fields = TextFields(out, Ok(()));
    let _ = record.key_values().visit(&mut fields);
    fields.1?;
    writeln!(out)
}

fn json(out: &mut Formatter, record: &Record) -> io::Result<()> {
    let mut fields = JsonFields(serde_json::Map::from_iter([
        ("time".to_owned(), now().into()),
        ("level".to_owned(), record.level().as_str().into()),
        ("logger".to_owned(), record.target().into()),
        ("message".to_owned(), message(record).into()),
    ]));
    let _ = record.key_values().visit(&mut fields);
    writeln!(out, "{}", serde_json::Value::from(fields.0))
}

fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn message(record: &Record) -> String {
    printable(&record.args().to_string()).into_owned()
}

/// Text in which nothing can end a line, move a terminal's cursor or look like another character.
fn printable(text: &str) -> Cow<'_, str> {
    let plain = |c: char| c == ' ' || c.is_ascii_graphic();
    if text.chars().all(plain) {
        return text.into();
    }
    let escape = |c: char| match c {
        c if plain(c) => c.to_string(),
        c => c.escape_default().to_string(),
    };
    text.chars().map(escape).collect::<String>().into()
}

struct TextFields<'a>(&'a mut Formatter, io::Result<()>);

impl<'kvs> VisitSource<'kvs> for TextFields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = match value.to_f64().filter(|_| value.to_u64().is_none()) {
            Some(number) => format!("{number:.3}"),
            None => value.to_string(),
        };
        self.1 = match value.contains([' ', '"']) || value.is_empty() {
            true => write!(
                self.0,
                " {key}=\"{}\"",
                value.replace('\\', "\\\\").replace('"', "\\\"")
            ),
            false => write!(self.0, " {key}={value}"),
        };
        self.1
            .as_ref()
            .map(drop)
            .map_err(|_| kv::Error::msg("the log is closed"))
    }
}

struct JsonFields(serde_json::Map<String, serde_json::Value>);

impl<'kvs> VisitSource<'kvs> for JsonFields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = match (value.to_u64(), value.to_f64()) {
            (Some(number), _) => number.into(),
            (_, Some(number)) => ((number * 1e3).round() / 1e3).into(),
            _ => value.to_string().into(),
        };
        self.0.insert(key.to_string(), value);
        Ok(())
    }
}
