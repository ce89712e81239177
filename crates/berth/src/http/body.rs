//! What a request's head says about its body (RFC 9112 §6).

use actix_web::{
    dev::RequestHead,
    http::{
        Method,
        header::{CONTENT_LENGTH, UPGRADE},
    },
};

/// Whether actix reads the body until the connection closes: after CONNECT, and after `Upgrade: websocket`. Reading such a
/// body waits forever.
pub fn body_until_close(head: &RequestHead) -> bool {
    head.method == Method::CONNECT
        || head.headers().get(UPGRADE).is_some_and(|protocol| {
            protocol
                .as_bytes()
                .trim_ascii()
                .eq_ignore_ascii_case(b"websocket")
        })
}

/// The value of Content-Length in bytes, 0 without one. actix has checked that it is a number.
pub fn content_length(head: &RequestHead) -> u64 {
    let length = head.headers().get(CONTENT_LENGTH);
    length
        .and_then(|length| length.to_str().ok()?.trim().parse().ok())
        .unwrap_or(0)
}
