//! Log lines: text or JSON, one line each. Control characters and other scripts are escaped.

use std::{
    borrow::Cow,
    fmt::{self, Display},
    io::{self, Write},
    str::FromStr,
    sync::LazyLock,
};

use chrono::{SecondsFormat, Utc};
use env_logger::fmt::Formatter;
use log::{
    Record,
    kv::{self, Key, Value, VisitSource},
};

/// This replica's name: the host's, which in a container is the container's id unless it is set.
pub static REPLICA: LazyLock<String> = LazyLock::new(|| {
    let name = gethostname::gethostname();
    printable(&name.to_string_lossy()).into_owned()
});

/// The format of log lines.
#[derive(Clone, Copy, Debug)]
pub enum LogFormat {
    /// `key=value`, for people.
    Text,
    /// One JSON object a line, for machines.
    Json,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("not a format; set it to text or json".into()),
        }
    }
}

impl Display for LogFormat {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => "text".fmt(out),
            Self::Json => "json".fmt(out),
        }
    }
}

/// Writes a record as `time LEVEL target message key=value…`.
pub fn text(out: &mut Formatter, record: &Record) -> io::Result<()> {
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

/// Writes a record as a JSON object.
pub fn json(out: &mut Formatter, record: &Record) -> io::Result<()> {
    let mut fields = JsonFields(serde_json::Map::from_iter([
        ("time".to_owned(), now().into()),
        ("level".to_owned(), record.level().as_str().into()),
        ("logger".to_owned(), record.target().into()),
        ("message".to_owned(), message(record).into()),
    ]));
    let _ = record.key_values().visit(&mut fields);
    writeln!(out, "{}", serde_json::Value::from(fields.0))
}

/// The time, in UTC with milliseconds (RFC 3339).
pub fn now() -> String {
    Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn message(record: &Record) -> String {
    printable(&record.args().to_string()).into_owned()
}

/// Escapes all but printable ASCII: what could end a line, move a terminal's cursor or look like another character.
pub fn printable(text: &str) -> Cow<'_, str> {
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

/// A field's value, in quotes if it is empty or has a space or a quote.
pub fn quoted(value: &str) -> Cow<'_, str> {
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
