//! Rejects what no HTTP server may accept, and hosts that are not allowed.
//!
//! actix rejects malformed framing. The rest of RFC 9110 and 9112 is checked here: malformed Hosts, invalid targets, heads
//! larger than nginx passes on, and methods that no service can implement.

use std::borrow::Cow;

use actix_web::{
    dev::RequestHead,
    http::{
        Method, StatusCode,
        header::{CONTENT_LENGTH, EXPECT, HOST},
    },
};
use percent_encoding::percent_decode_str;

use crate::http::host::{AllowedHosts, Authority, agree};

/// Bytes of a request line or a header line, as nginx's `large_client_header_buffers`.
pub const MAX_LINE: usize = 16 * 1024;
/// Header lines of a request, as nginx's `max_headers`.
pub const MAX_HEADERS: usize = 80;
/// Bytes of the whole head. nginx has buffers for more, and leaves larger ones to the app.
const MAX_HEAD: usize = 32 * 1024;
/// Lines and bytes that proxies may add to a client's.
const LINES_OF_PROXIES: usize = 10;
const BYTES_OF_PROXIES: usize = 4 * 1024;

/// Why a request goes no further.
#[derive(Debug)]
pub enum Rejection {
    /// HTTP does not allow it, or it exceeds a limit: this status, and the connection closes.
    Invalid(StatusCode),
    /// A method that nginx does not pass on: 501.
    NotImplemented,
    /// Its host is not allowed.
    HostNotAllowed,
}

/// Checks a request's head. A proxy may have added some lines to it.
///
/// # Errors
/// The first check that fails.
pub fn validate(
    head: &RequestHead,
    allowed: &AllowedHosts,
    is_from_proxy: impl Fn() -> bool,
) -> Result<(), Rejection> {
    check_headers(head, is_from_proxy)?;
    let malformed = Rejection::Invalid(StatusCode::BAD_REQUEST);
    // "*" is a target for OPTIONS only, and an empty path one for CONNECT only (RFC 9112 §3.2.3, §3.2.4).
    let has_form = match head.uri.path() {
        "*" => head.method == Method::OPTIONS,
        "" => head.method == Method::CONNECT,
        _ => true,
    };
    if !has_form || is_invalid_path(head.uri.path()) {
        return Err(malformed);
    }
    let Some(Ok(authority)) = authority(head).map(Authority::parse) else {
        return Err(malformed);
    };
    if head.uri.path() == "*" || !is_known_form(&head.method) {
        return Err(Rejection::NotImplemented);
    }
    if !allowed.allows(&authority) {
        return Err(Rejection::HostNotAllowed);
    }
    Ok(())
}

/// Whether nginx passes the method on: it knows none in lower case, and refuses TRACE and CONNECT.
fn is_known_form(method: &Method) -> bool {
    !matches!(*method, Method::TRACE | Method::CONNECT)
        && method
            .as_str()
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || b"_-".contains(&byte))
}

/// The authority of the target, else the Host. If both are sent they must be the same (RFC 9112 §3.2: a client "MUST send a
/// Host header field … identical to that authority component"), but for the scheme's own port (RFC 9110 §4.2.3). HTTP/1.0 has
/// no Host; the request is then for this machine.
fn authority(head: &RequestHead) -> Option<&[u8]> {
    let host = head.headers().get(HOST).map(|value| value.as_bytes());
    if head.method == Method::CONNECT {
        return host;
    }
    let Some(target) = head.uri.authority() else {
        return Some(host.unwrap_or(b"127.0.0.1"));
    };
    let target = target.as_str().as_bytes();
    let scheme = head.uri.scheme_str().unwrap_or_default();
    agree(scheme, target, host.unwrap_or(target)).then_some(target)
}

/// The limits of the head, and the headers that have rules of their own: one pass over all of them.
fn check_headers(head: &RequestHead, is_from_proxy: impl Fn() -> bool) -> Result<(), Rejection> {
    // METHOD SP target SP HTTP/1.1 CRLF
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let mut bytes = head.method.as_str().len() + target + 12;
    if bytes > MAX_LINE {
        return Err(Rejection::Invalid(StatusCode::URI_TOO_LONG));
    }
    let too_large = Rejection::Invalid(StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE);
    let mut lines = 0;
    for (name, value) in head.headers() {
        // name ":" SP value CRLF
        let line = name.as_str().len() + value.len() + 4;
        if line > MAX_LINE {
            return Err(too_large);
        }
        lines += 1;
        bytes += line;
        // A leading zero means nothing, but some servers take such a number for an octal one.
        if name == CONTENT_LENGTH && value.len() > 1 && value.as_bytes().starts_with(b"0") {
            return Err(Rejection::Invalid(StatusCode::BAD_REQUEST));
        }
        // RFC 9110 §10.1.1.
        if name == EXPECT && !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(Rejection::Invalid(StatusCode::EXPECTATION_FAILED));
        }
    }
    let is_within = |lines_more, bytes_more| {
        lines <= MAX_HEADERS + lines_more && bytes <= MAX_HEAD + bytes_more
    };
    if is_within(0, 0) || is_within(LINES_OF_PROXIES, BYTES_OF_PROXIES) && is_from_proxy() {
        Ok(())
    } else {
        Err(too_large)
    }
}

/// Whether a path is invalid: broken percent-encoding (RFC 3986 §2.1), a NUL or a line's end in it, a backslash, or segments
/// that climb above the root (§5.2.4).
fn is_invalid_path(path: &str) -> bool {
    if path.contains('\\') {
        return true;
    }
    if !path.contains('%') && !path.contains("/.") {
        return false;
    }
    let mut rest = path.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        match rest.get(at + 1..at + 3) {
            Some(b"00" | b"0A" | b"0a" | b"0D" | b"0d") => return true,
            Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) => rest = &rest[at + 3..],
            _ => return true,
        }
    }
    let mut depth = 0;
    for segment in Cow::from(percent_decode_str(path)).split(|&byte| byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." if depth == 0 => return true,
            b".." => depth -= 1,
            _ => depth += 1,
        }
    }
    false
}
