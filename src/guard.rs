//! Refuses what no HTTP server may accept, and hosts that are not ours, before anything else looks at a request.
//!
//! actix refuses malformed framing by itself. What it lets through, and RFC 9110 and 9112 do not, is refused here:
//! malformed Hosts, targets that name nothing, heads of a size that nginx would not pass on, and bodies that turn out
//! malformed when nobody wanted them. How large a body may be, and how slow, is for [`crate::body`] to say.

use std::borrow::Cow;

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{Payload, RequestHead, ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE},
    },
    middleware::Next,
};
use futures_util::StreamExt;
use percent_encoding::percent_decode_str;

use crate::{
    config::Config,
    hosts::Authority,
    refusal::{closing, refuse},
};

/// Bytes that a request line or a header line may have, as nginx's `large_client_header_buffers`.
pub const MAX_LINE: usize = 16 * 1024;
/// Header lines that a request may have, as nginx's `max_headers`.
pub const MAX_HEADERS: usize = 80;

/// Why a request goes no further.
enum Verdict {
    /// It is no request that HTTP allows, or one past our limits.
    Unacceptable(StatusCode),
    /// It is a good one, but for a host that is not ours, or for a tunnel.
    Stranger,
}

/// Refuses a request or hands it on.
pub async fn check<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let refused = match judge(&request) {
        Ok(()) if !brings_unwanted_body(request.head()) => None,
        Ok(()) => {
            let body = request.take_payload();
            discard(request.head(), body).await.err()
        }
        Err(Verdict::Stranger) => {
            let body = request.take_payload();
            Some(refuse(request.head(), body).await)
        }
        Err(Verdict::Unacceptable(status)) => Some(closing(status)),
    };
    Ok(match refused {
        Some(answer) => request.into_response(answer).map_into_right_body(),
        None => next.call(request).await?.map_into_left_body(),
    })
}

/// Reads a body to its end and drops it, so that its faults are seen whoever answers.
///
/// # Errors
/// The answer to give instead: 400 to a malformed body.
pub async fn discard(head: &RequestHead, mut body: Payload) -> Result<(), HttpResponse> {
    if ends_with_the_connection(head) {
        return Ok(());
    }
    while let Some(chunk) = body.next().await {
        chunk.map_err(|_| closing(StatusCode::BAD_REQUEST))?;
    }
    Ok(())
}

fn judge(request: &ServiceRequest) -> Result<(), Verdict> {
    let head = request.head();
    within_limits(head)?;
    let malformed = Verdict::Unacceptable(StatusCode::BAD_REQUEST);
    // The asterisk is a target for OPTIONS alone, and so is no path at all for CONNECT (RFC 9112 §3.2.3, §3.2.4).
    let has_form = match head.uri.path() {
        "*" => head.method == Method::OPTIONS,
        "" => head.method == Method::CONNECT,
        _ => true,
    };
    if !has_form || names_nothing(head.uri.path()) {
        return Err(malformed);
    }
    let Some(Ok(authority)) = authority(head).map(Authority::parse) else {
        return Err(malformed);
    };
    // A service that waits for the end of such a body waits for ever; WebSockets begin with GET (RFC 6455 §4.1).
    let endless = ends_with_the_connection(head) && head.method != Method::GET;
    if endless || !Config::of(request).allowed_hosts.allows(&authority) {
        return Err(Verdict::Stranger);
    }
    Ok(())
}

/// Whom the request is for: the target's authority if it has one, else the Host; both, if sent, must be the same
/// (RFC 9112 §3.2: a client "MUST send a Host header field … identical to that authority component").
/// HTTP/1.0 knows no Host; without one the request is for this machine.
fn authority(head: &RequestHead) -> Option<&[u8]> {
    let host = head.headers().get(HOST).map(|value| value.as_bytes());
    let target = match head.uri.authority() {
        Some(authority) if head.method != Method::CONNECT => Some(authority.as_str().as_bytes()),
        _ => None,
    };
    match (target, host) {
        (Some(target), Some(host)) if !target.eq_ignore_ascii_case(host) => None,
        (Some(authority), _) | (None, Some(authority)) => Some(authority),
        (None, None) => Some(b"127.0.0.1"),
    }
}

fn within_limits(head: &RequestHead) -> Result<(), Verdict> {
    // METHOD SP target SP HTTP/1.1 CRLF
    let target = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    if head.method.as_str().len() + target + 12 > MAX_LINE {
        return Err(Verdict::Unacceptable(StatusCode::URI_TOO_LONG));
    }
    let mut lines = 0;
    for (name, value) in head.headers() {
        lines += 1;
        // name ":" SP value CRLF
        if lines > MAX_HEADERS || name.as_str().len() + value.len() + 4 > MAX_LINE {
            return Err(Verdict::Unacceptable(
                StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            ));
        }
    }
    Ok(())
}

/// Whether a path can't be the name of anything: broken percent-encoding or an encoded NUL (RFC 3986 §2.1), or
/// segments that climb above the root (§5.2.4).
fn names_nothing(path: &str) -> bool {
    let mut rest = path.as_bytes();
    while let Some(at) = rest.iter().position(|&byte| byte == b'%') {
        match rest.get(at + 1..at + 3) {
            Some(hex) if hex.iter().all(u8::is_ascii_hexdigit) && hex != b"00" => {
                rest = &rest[at + 3..];
            }
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

/// Content of a GET or HEAD "has no generally defined semantics" (RFC 9110 §9.3.1): no service asks for it.
fn brings_unwanted_body(head: &RequestHead) -> bool {
    (head.method == Method::GET || head.method == Method::HEAD)
        && (head.headers().contains_key(TRANSFER_ENCODING)
            || head.headers().contains_key(CONTENT_LENGTH))
}

/// What actix takes for a body that lasts as long as the connection; reading one waits for ever.
pub fn ends_with_the_connection(head: &RequestHead) -> bool {
    head.method == Method::CONNECT
        || head.headers().get(UPGRADE).is_some_and(|protocol| {
            protocol
                .as_bytes()
                .trim_ascii()
                .eq_ignore_ascii_case(b"websocket")
        })
}
