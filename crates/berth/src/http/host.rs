//! Allowed hosts: is the request's host one that this service answers for?
//!
//! Two questions, because they have different answers for the client:
//!
//! 1. **Is the value of Host well-formed?** [`Authority::parse`] is `uri-host [ ":" port ]` of
//!    RFC 9110 §7.2, that is RFC 3986 §3.2.2 and §3.2.3. RFC 9112 §3.2 wants a `400` if it is not.
//! 2. **Is the host allowed?** [`AllowedHosts::allows`] is Django's `ALLOWED_HOSTS` to the
//!    letter: `split_domain_port` (a narrower grammar, lower case, one trailing dot removed), then
//!    `validate_host` and `is_same_domain`. Like Django it compares text: `[::1]` is not `[0::1]`.
//!
//! In one thing a list here is kinder than Django's: one trailing dot of a pattern is removed, as
//! of a host. Django keeps it, so that its `example.com.` never matches `example.com.`.

use std::fmt;
use std::net::Ipv6Addr;
use std::str::FromStr;

/// The port that a URL of this scheme has if it names none (RFC 9110 §4.2.1, §4.2.2), as it is written behind a host.
pub fn default_port(scheme: &str) -> Option<&'static str> {
    match scheme {
        "http" => Some(":80"),
        "https" => Some(":443"),
        _ => None,
    }
}

/// Whether the authority of a target and the value of Host are the same, but for the scheme's own port (RFC 9110 §4.2.3). Only
/// targets of http and https have one that counts.
pub fn agree(scheme: &str, target: &[u8], host: &[u8]) -> bool {
    default_port(scheme).is_some_and(|port| {
        let without_port = |it| <[u8]>::strip_suffix(it, port.as_bytes()).unwrap_or(it);
        without_port(target).eq_ignore_ascii_case(without_port(host))
    })
}

/// A well-formed value of Host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a> {
    host: &'a str,
    port: Option<&'a str>,
}

/// The value of Host is not `host [ ":" port ]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed;

impl<'a> Authority<'a> {
    /// Well-formed are also the wholly empty value (RFC 9110 §7.2: a target without authority) and
    /// an empty port. Malformed are an empty host with a port (RFC 9110 §4.2.1), userinfo (§4.2.4)
    /// and, beyond the grammar, a port that no socket can have.
    pub fn parse(value: &'a (impl AsRef<[u8]> + ?Sized)) -> Result<Self, Malformed> {
        let value = str::from_utf8(value.as_ref()).map_err(|_| Malformed)?;
        // The colons inside of brackets belong to the address.
        let end_of_literal = if value.starts_with('[') {
            value.find(']').ok_or(Malformed)?
        } else {
            0
        };
        let (host, port) = match value[end_of_literal..].find(':') {
            Some(colon) => {
                let (host, port) = value.split_at(end_of_literal + colon);
                (host, Some(&port[1..]))
            }
            None => (value, None),
        };
        let well_formed = match host.strip_prefix('[') {
            Some(literal) => literal.strip_suffix(']').is_some_and(is_ip_literal),
            None => is_reg_name(host) && (port.is_none() || !host.is_empty()),
        };
        if well_formed && port.is_none_or(is_port) {
            Ok(Self { host, port })
        } else {
            Err(Malformed)
        }
    }

    /// The host as it was sent; an IP literal with its brackets.
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// What follows the colon, if there is one.
    pub fn port(&self) -> Option<&'a str> {
        self.port
    }

    /// The host as Django compares it, but for the case; none if Django's grammar has no such host.
    fn domain(&self) -> Option<&'a str> {
        let in_grammar = match self.host.strip_prefix('[') {
            Some(literal) => !literal.starts_with(['v', 'V']),
            None => self.host.bytes().all(|byte| is_label(byte) || byte == b'.'),
        };
        let domain = self.host.strip_suffix('.').unwrap_or(self.host);
        (in_grammar && !domain.is_empty() && self.port != Some("")).then_some(domain)
    }
}

/// `IPv6address / IPvFuture`
fn is_ip_literal(literal: &str) -> bool {
    let is_future = |(version, address): (&str, &str)| {
        !version.is_empty()
            && version.bytes().all(|byte| byte.is_ascii_hexdigit())
            && !address.is_empty()
            && address.bytes().all(|byte| is_name(byte) || byte == b':')
    };
    literal.parse::<Ipv6Addr>().is_ok()
        || (literal.strip_prefix(['v', 'V']))
            .is_some_and(|v| v.split_once('.').is_some_and(is_future))
}

/// `*( unreserved / pct-encoded / sub-delims )`; an IPv4 address is a special case.
fn is_reg_name(host: &str) -> bool {
    let mut parts = host.split('%');
    let is_text = |text: &str| text.bytes().all(is_name);
    let is_after_percent = |part: &str| {
        part.len() >= 2
            && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit())
            && is_text(part)
    };
    parts.next().is_some_and(is_text) && parts.all(is_after_percent)
}

/// `*DIGIT`, at most 65535.
fn is_port(port: &str) -> bool {
    port.is_empty() || port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// `unreserved / sub-delims`
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte)
}

/// What Django accepts between two dots.
fn is_label(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// The hosts that this service answers to: a comma-separated list of names and addresses,
/// `.example.com` for a domain with its subdomains, `*` for every host of Django's grammar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHosts(Vec<Pattern>);

/// One entry, in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Pattern {
    Any,
    Exact(String),
    /// With its leading dot.
    Domain(String),
}

impl AllowedHosts {
    /// Whether the host is in the list; its case, one trailing dot and its port do not matter.
    pub fn allows(&self, authority: &Authority) -> bool {
        (authority.domain()).is_some_and(|host| self.0.iter().any(|pattern| pattern.matches(host)))
    }

    /// The entries in lower case: `example.com`, `.example.com` with its subdomains, or `*`.
    pub fn patterns(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(Pattern::as_str)
    }

    /// Adds a host; false if it was allowed already.
    ///
    /// # Errors
    /// If it is not the name of one host.
    pub fn and(&mut self, host: &str) -> Result<bool, Malformed> {
        let pattern @ Pattern::Exact(_) = Pattern::read(host).ok_or(Malformed)? else {
            return Err(Malformed);
        };
        let is_new = !self.0.iter().any(|known| known.matches(pattern.as_str()));
        if is_new {
            self.0.push(pattern);
        }
        Ok(is_new)
    }
}

impl Pattern {
    fn matches(&self, host: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(name) => host.eq_ignore_ascii_case(name),
            Self::Domain(dotted) => {
                let tail = host.len().saturating_sub(dotted.len());
                host[tail..].eq_ignore_ascii_case(dotted) || host.eq_ignore_ascii_case(&dotted[1..])
            }
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Any => "*",
            Self::Exact(text) | Self::Domain(text) => text,
        }
    }

    /// Only what some host can match: a pattern that never does is a mistake.
    fn read(entry: &str) -> Option<Self> {
        let entry = entry.to_ascii_lowercase();
        if entry == "*" {
            return Some(Self::Any);
        }
        let name = entry.strip_suffix('.').unwrap_or(&entry);
        let (labels, pattern) = match name.strip_prefix('.') {
            Some(labels) => (labels, Self::Domain(name.to_owned())),
            None => (name, Self::Exact(name.to_owned())),
        };
        let can_match = is_bracketed_ipv6(&entry)
            || (labels.split('.')).all(|label| !label.is_empty() && label.bytes().all(is_label));
        can_match.then_some(pattern)
    }
}

fn is_bracketed_ipv6(host: &str) -> bool {
    let literal = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    literal.is_some_and(|literal| literal.parse::<Ipv6Addr>().is_ok())
}

impl FromStr for AllowedHosts {
    type Err = String;

    /// Names every mistake in the list, not only the first one.
    fn from_str(list: &str) -> Result<Self, String> {
        let (mut patterns, mut mistakes) = (Vec::new(), Vec::new());
        let entries = list.split(',').map(str::trim);
        for entry in entries.filter(|entry| !entry.is_empty()) {
            match Pattern::read(entry) {
                Some(pattern) => patterns.push(pattern),
                None => mistakes.push(mistake(entry)),
            }
        }
        if !mistakes.is_empty() {
            Err(mistakes.join("; "))
        } else if patterns.is_empty() {
            let default = Self::default();
            Err(format!(
                "names no host and would refuse everyone: leave it unset for {default}, \
                 or name the hosts, as in \"example.com,.example.org\""
            ))
        } else {
            Ok(Self(patterns))
        }
    }
}

/// What is wrong with an entry, and what to write instead.
fn mistake(entry: &str) -> String {
    let host = bare_host(entry);
    let is_cure = host != entry && Pattern::read(&host).is_some();
    let why = if entry.contains("://") {
        "is a URL, not a host".to_owned()
    } else if entry.contains('/') {
        "has a path".to_owned()
    } else if entry.starts_with('*') {
        "has a * that is not alone".to_owned()
    } else if entry.parse::<Ipv6Addr>().is_ok() {
        "is an IPv6 address without brackets".to_owned()
    } else if is_cure && entry[host.len()..].starts_with(':') {
        "has a port (leave it out: any port is allowed)".to_owned()
    } else if entry.starts_with('[') {
        "is not an IPv6 address in brackets".to_owned()
    } else if !entry.is_ascii() {
        "is not in ASCII (write the name's xn-- form)".to_owned()
    } else if let Some(c) = entry.chars().find(|c| !is_label(*c as u8) && *c != '.') {
        format!("has {c:?} (only letters, digits, dots and hyphens can match)")
    } else {
        "has a dot with no name beside it".to_owned()
    };
    let remedy = if is_cure {
        format!("write {host:?}")
    } else {
        "write a host as \"example.com\", a domain with its subdomains as \".example.com\", \
         or \"*\" for every host"
            .to_owned()
    };
    format!("{entry:?} {why}: {remedy}")
}

/// The entry without scheme, path, port and `*`, and with the brackets that it lacks.
pub(crate) fn bare_host(entry: &str) -> String {
    let host = entry.split_once("://").map_or(entry, |(_, rest)| rest);
    let host = host.split_once('/').map_or(host, |(host, _)| host);
    if host.parse::<Ipv6Addr>().is_ok() {
        return format!("[{host}]");
    }
    let end = if host.starts_with('[') {
        host.find(']').map(|bracket| bracket + 1)
    } else {
        host.find(':')
    };
    host[..end.unwrap_or(host.len())]
        .trim_start_matches('*')
        .to_owned()
}

impl Default for AllowedHosts {
    fn default() -> Self {
        let hosts = ["127.0.0.1", "localhost", "[::1]"];
        Self(hosts.map(|host| Pattern::Exact(host.to_owned())).into())
    }
}

/// As one would write the list.
impl fmt::Display for AllowedHosts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entries: Vec<_> = self.patterns().collect();
        f.write_str(&entries.join(","))
    }
}
