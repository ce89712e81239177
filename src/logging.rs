//! What the process says, on standard error: env_logger's lines as text or JSON, one line each, whatever is in them.
//!
//! Nobody waits for a log that takes no lines ([`queue`]).
//!
//! Every request but a probe gets one line ([`access`]).

pub mod access;
pub mod queue;

use std::{
    borrow::Cow,
    io::{self, Write},
    panic,
    sync::LazyLock,
};

use chrono::{SecondsFormat, Utc};
use env_logger::{Target, fmt::Formatter};
use log::{
    LevelFilter, Record,
    kv::{self, Key, Value, VisitSource},
};

use self::queue::Queue;
use crate::config::{Config, LogFormat};

/// This replica's name: the host's, which in a container is the container's id unless told otherwise.
pub static REPLICA: LazyLock<String> = LazyLock::new(|| {
    let name = gethostname::gethostname();
    printable(&name.to_string_lossy()).into_owned()
});

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
    let logger = env_logger::Builder::new()
        .target(Target::Pipe(Box::new(queue.clone())))
        // What it says of its own start is said better in main.rs.
        .filter_module("actix_server", LevelFilter::Warn)
        .parse_filters(&config.rust_log.to_string())
        .format(format)
        .build();
    if access::is_wanted(|record| logger.matches(record)) {
        access::start(config.log_format, queue.clone());
    }
    log::set_max_level(logger.filter());
    log::set_boxed_logger(Box::new(logger)).expect("the log is started once");
    // A panic is a line like any other, and ends no more than its request.
    panic::set_hook(Box::new(|panic| log::error!("{panic}")));
    Ok(Log(queue))
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
    if text.bytes().all(|byte| plain(byte.into())) {
        return text.into();
    }
    let escape = |c: char| match c {
        c if plain(c) => c.to_string(),
        c => c.escape_default().to_string(),
    };
    text.chars().map(escape).collect::<String>().into()
}

/// A field's value: in quotes where it would not end at a space.
fn quoted(value: &str) -> Cow<'_, str> {
    if !value.is_empty() && !value.contains([' ', '"']) {
        return value.into();
    }
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"").into()
}

struct TextFields<'a>(&'a mut Formatter, io::Result<()>);

impl<'kvs> VisitSource<'kvs> for TextFields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let value = match value.to_f64().filter(|_| value.to_u64().is_none()) {
            Some(number) => format!("{number:.3}"),
            None => value.to_string(),
        };
        self.1 = write!(self.0, " {key}={}", quoted(&value));
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
