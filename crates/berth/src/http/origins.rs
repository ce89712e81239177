//! Origins of other sites that may read responses (`CORS_ORIGINS`).

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use actix_web::http::header::HeaderValue;

use super::host::{Authority, default_port};

/// Whose scripts may read responses across origins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum CorsOrigins {
    /// The service decides.
    #[default]
    Unset,
    /// `*`: all, without credentials.
    Any,
    /// These, as browsers write them in `Origin`.
    Listed(Vec<HeaderValue>),
}

impl CorsOrigins {
    /// The origins of the list; none if there is no list.
    pub fn listed(&self) -> impl Iterator<Item = &str> {
        let list = match self {
            Self::Listed(list) => list.as_slice(),
            Self::Unset | Self::Any => &[],
        };
        list.iter().filter_map(|origin| origin.to_str().ok())
    }
}

impl FromStr for CorsOrigins {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let entries = text.split(',').map(str::trim);
        let entries: Vec<_> = entries.filter(|entry| !entry.is_empty()).collect();
        match entries[..] {
            [] => Ok(Self::Unset),
            ["*"] => Ok(Self::Any),
            _ if entries.contains(&"*") => {
                Err("* beside others; write * alone, or name each origin".into())
            }
            _ => {
                let origins = entries.into_iter().map(origin);
                origins.collect::<Result<_, _>>().map(Self::Listed)
            }
        }
    }
}

impl Display for CorsOrigins {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => "*".fmt(out),
            _ => self.listed().collect::<Vec<_>>().join(",").fmt(out),
        }
    }
}

/// An origin in the form that browsers send, `scheme "://" host [ ":" port ]` (RFC 6454 §7.1): in lower case, and without the
/// scheme's default port.
fn origin(entry: &str) -> Result<HeaderValue, String> {
    let lower = entry.to_ascii_lowercase();
    let no_origin = |write: &str| format!("{entry:?} is no origin; write {write:?}");
    let Some((scheme, rest)) = lower.split_once("://") else {
        return Err(no_origin("https://app.example"));
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let host = default_port(scheme).and_then(|port| authority.strip_suffix(port));
    let authority = host.unwrap_or(authority);
    if !is_scheme(scheme) || !is_host_and_port(authority) {
        return Err(no_origin("https://app.example"));
    }
    let origin = format!("{scheme}://{authority}");
    if !path.is_empty() || origin != lower {
        return Err(no_origin(&origin));
    }
    HeaderValue::try_from(origin).map_err(|_| no_origin("https://app.example"))
}

/// RFC 3986 §3.1, in lower case.
fn is_scheme(text: &str) -> bool {
    let is_plain =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte);
    text.starts_with(|first: char| first.is_ascii_lowercase()) && text.bytes().all(is_plain)
}

/// A host without characters that browsers percent-encode or refuse, and a port as they write it.
fn is_host_and_port(text: &str) -> bool {
    let Ok(authority) = Authority::parse(text) else {
        return false;
    };
    let host = authority.host();
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
    let is_port = |port: &str| port.parse::<u16>().is_ok_and(|it| it.to_string() == port);
    !host.is_empty() && host.bytes().all(is_plain) && authority.port().is_none_or(is_port)
}
