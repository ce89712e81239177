//! The types of variables. Each is parsed from text, with an error that says what would be right, and shown as text that
//! parses to the same.

use std::{
    fmt::{self, Display},
    net::{Ipv6Addr, SocketAddr},
    num::{NonZeroU16, NonZeroU64, NonZeroUsize},
    path::{Path, PathBuf},
    str::FromStr,
    thread::available_parallelism,
    time::Duration,
};

use actix_web::http::header::HeaderName;

pub use crate::log::line::LogFormat;

/// Where the server listens.
#[derive(Clone, Debug, PartialEq)]
pub enum Address {
    /// An IP address and port.
    Tcp(SocketAddr),
    /// The path of a Unix socket.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("unix:") {
            Some(path) if Path::new(path).is_absolute() => Ok(Self::Unix(path.into())),
            Some(_) => Err("not an absolute path; write unix:/path, such as unix:/tmp/berth.sock".into()),
            None => text.parse().map(Self::Tcp).map_err(|_| {
                "not an IP address and port; write one such as 127.0.0.1:8080, [::]:8080 for every address, \
                 or unix:/path"
                    .into()
            }),
        }
    }
}

impl Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(out),
            Self::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

/// A TCP port, or none.
#[derive(Clone, Debug)]
pub struct Port(pub Option<NonZeroU16>);

impl FromStr for Port {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        text.parse().map(|port| Self(Some(port))).map_err(|_| {
            match text.contains("://") {
                true => {
                    "not a port but an address, as links between containers inject it; \
                         set PORT itself, to a number from 1 to 65535"
                }
                false => "not a port; set it to a number from 1 to 65535",
            }
            .into()
        })
    }
}

impl Display for Port {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |port| port.fmt(out))
    }
}

/// `host:port`, or none.
#[derive(Clone, Debug)]
pub struct HostAndPort(pub Option<String>);

impl FromStr for HostAndPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.rsplit_once(':') {
            None if text.is_empty() => Ok(Self(None)),
            Some((host, port)) if is_host(host) && port.parse::<NonZeroU16>().is_ok() => {
                Ok(Self(Some(text.to_owned())))
            }
            _ => Err("not a host and a port; write one such as nginx:8080".into()),
        }
    }
}

/// A name or an address, an IPv6 one in brackets.
fn is_host(text: &str) -> bool {
    let bare = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let ipv6 = text
        .strip_prefix('[')
        .and_then(|text| text.strip_suffix(']'));
    match ipv6 {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => !text.is_empty() && text.chars().all(bare),
    }
}

impl Display for HostAndPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|it| it.fmt(out))
    }
}

/// The name of a header.
#[derive(Clone, Debug)]
pub struct Header {
    text: String,
    name: HeaderName,
}

impl Header {
    /// The name, to look it up.
    pub fn name(&self) -> &HeaderName {
        &self.name
    }
}

impl FromStr for Header {
    type Err = String;

    /// Narrower than RFC 9110 §5.1: nginx drops headers with other characters in their names.
    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let fits = text.len() <= 64 && text.bytes().all(plain);
        match HeaderName::try_from(text) {
            Ok(name) if fits => Ok(Self {
                text: text.to_owned(),
                name,
            }),
            _ => Err(
                "not the name of a header; write one of letters, digits and hyphens, such as X-Real-IP"
                    .into(),
            ),
        }
    }
}

impl Display for Header {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(out)
    }
}

/// The name of a header that may be missing: `none` is no header.
#[derive(Clone, Debug)]
pub struct OptionalHeader(pub Option<Header>);

impl FromStr for OptionalHeader {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            _ => match text.parse() {
                Ok(header) => Ok(Self(Some(header))),
                Err(error) => Err(format!("{error}, or none")),
            },
        }
    }
}

impl Display for OptionalHeader {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(header) => header.fmt(out),
            None => "none".fmt(out),
        }
    }
}

/// A number of worker threads.
#[derive(Clone, Debug)]
pub struct Workers(NonZeroUsize);

impl FromStr for Workers {
    type Err = String;

    /// `auto` asks the system, which knows the CPU quota of the process's cgroup.
    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("auto", _) => Ok(Self(available_parallelism().unwrap_or(NonZeroUsize::MIN))),
            (_, Ok(number)) if number <= Self::MAX => Ok(Self(number)),
            _ => Err(format!(
                "not a number of threads; set it to one from 1 to {}, or to auto",
                Self::MAX
            )),
        }
    }
}

impl Workers {
    /// As many as actix starts.
    const MAX: NonZeroUsize = NonZeroUsize::new(512).expect("512 is not zero");
}

impl From<Workers> for usize {
    fn from(workers: Workers) -> Self {
        workers.0.get()
    }
}

impl Display for Workers {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A whole number from 1 to `MAX`.
#[derive(Clone, Copy, Debug)]
pub struct Bounded<const MAX: u32>(u32);

impl<const MAX: u32> FromStr for Bounded<MAX> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(number @ 1..) if number <= MAX && !text.starts_with('+') => Ok(Self(number)),
            _ => Err(format!("not a number; set it to one from 1 to {MAX}")),
        }
    }
}

impl<const MAX: u32> Bounded<MAX> {
    /// The number.
    pub fn count(self) -> usize {
        self.0 as usize
    }

    /// As seconds.
    pub fn seconds(self) -> Duration {
        Duration::from_secs(self.0.into())
    }
}

impl<const MAX: u32> Display for Bounded<MAX> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// A number of bytes, as nginx writes it: `512`, `64k`, `10m`, `1g`.
#[derive(Clone, Debug)]
pub struct Size {
    text: String,
    bytes: NonZeroU64,
}

impl Size {
    /// Digits that a number may have: with `g` behind it, it fits into 63 bits.
    const DIGITS: usize = 9;

    /// How many bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let lower = text.to_ascii_lowercase();
        let (digits, unit) = match lower.trim_end_matches(['k', 'm', 'g']) {
            digits if digits.len() + 1 == lower.len() => (digits, &lower[digits.len()..]),
            _ => (lower.as_str(), ""),
        };
        let shift = match unit {
            "k" => 10,
            "m" => 20,
            "g" => 30,
            _ => 0,
        };
        let plain = digits.len() <= Self::DIGITS && digits.bytes().all(|it| it.is_ascii_digit());
        match digits.parse::<NonZeroU64>() {
            Ok(number) if plain => Ok(Self {
                text: lower.clone(),
                bytes: number.saturating_mul(NonZeroU64::MIN.saturating_add((1 << shift) - 1)),
            }),
            _ => Err(
                "not a size; set it to bytes such as 512, or to one such as 64k, 10m or 1g".into(),
            ),
        }
    }
}

impl Display for Size {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(out)
    }
}

/// The folder of the static files, without symbolic links in its path.
#[derive(Clone, Debug)]
pub struct StaticDir(pub PathBuf);

impl FromStr for StaticDir {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let readable = |error| {
            format!("{text} can't be read ({error}); set it to the folder of the site's files")
        };
        let folder = Path::new(text).canonicalize().map_err(readable)?;
        folder.read_dir().map_err(readable)?;
        Ok(Self(folder))
    }
}

impl Display for StaticDir {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.display().fmt(out)
    }
}

/// The path below which the files appear: `/` or `/name`, without a slash at its end.
#[derive(Clone, Debug)]
pub struct StaticPrefix(String);

impl StaticPrefix {
    /// It, empty for `/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for StaticPrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        let prefix = text.strip_suffix('/').unwrap_or(text);
        match prefix.is_empty() || prefix.starts_with('/') {
            true if text.starts_with('/')
                && prefix.chars().all(plain)
                && !prefix.contains("//")
                && !prefix.ends_with('/') =>
            {
                Ok(Self(prefix.to_owned()))
            }
            _ => Err(
                "not a path; write / or one such as /static, of letters, digits, - and _".into(),
            ),
        }
    }
}

impl Display for StaticPrefix {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_str() {
            "" => "/".fmt(out),
            prefix => prefix.fmt(out),
        }
    }
}

/// A time in seconds.
#[derive(Clone, Copy, Debug)]
pub struct Seconds(Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const DAY: f64 = 86_400.0;
        match text.parse() {
            Ok(seconds @ 0.0..=DAY) => Ok(Self(Duration::from_secs_f64(seconds))),
            _ => Err("not a time; set it to seconds from 0 to 86400, such as 5 or 2.5".into()),
        }
    }
}

impl From<Seconds> for Duration {
    fn from(seconds: Seconds) -> Self {
        seconds.0
    }
}

impl Display for Seconds {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_secs_f64().fmt(out)
    }
}

/// What to log, in `RUST_LOG`'s own language.
#[derive(Clone, Debug)]
pub struct LogFilter(String);

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match env_filter::Builder::new().try_parse(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(error) => Err(format!(
                "{error}; set it to off, error, warn, info, debug or trace, or to pairs such as warn,berth=debug"
            )),
        }
    }
}

impl Display for LogFilter {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

/// On or off.
#[derive(Clone, Copy, Debug)]
pub struct OnOff(pub bool);

impl FromStr for OnOff {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "on" => Ok(Self(true)),
            "off" => Ok(Self(false)),
            _ => Err("neither on nor off; set it to one of them".into()),
        }
    }
}

impl Display for OnOff {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 { "on" } else { "off" }.fmt(out)
    }
}

/// A time zone that the system knows. chrono treats an unknown one as UTC without an error, so it is looked up here.
#[derive(Clone, Debug)]
pub struct TimeZone(String);

impl FromStr for TimeZone {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || tz::TimeZone::from_posix_tz(text).is_ok() {
            return Ok(Self(text.to_owned()));
        }
        Err(
            "no such time zone; set it to one such as Europe/Berlin, or to UTC; \
             zones are looked up in /usr/share/zoneinfo (package tzdata)"
                .into(),
        )
    }
}

impl Display for TimeZone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}
