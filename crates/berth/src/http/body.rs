//! What a request's head says about its body (RFC 9112 §6), and about another protocol after it (RFC 9110 §7.8).

use actix_web::{
    dev::RequestHead,
    http::{
        Method, Version,
        header::{CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE},
    },
};

/// Whether a WebSocket is asked for, which can only be by GET in HTTP/1.1 with `Connection: upgrade` (RFC 6455 §4.1). actix
/// reads chunks as such, so none can follow a head that announces them.
pub fn asks_for_websocket(head: &RequestHead) -> bool {
    names_websocket(head)
        && head.method == Method::GET
        && !head.headers().contains_key(TRANSFER_ENCODING)
        && head.version == Version::HTTP_11
        && head.upgrade()
}

/// Whether an `Upgrade` names WebSockets, as actix looks for it.
pub fn names_websocket(head: &RequestHead) -> bool {
    let mut lines = head.headers().get_all(UPGRADE);
    lines.any(|protocol| {
        let protocol = protocol.as_bytes().trim_ascii();
        protocol.eq_ignore_ascii_case(b"websocket")
    })
}

/// Whether what follows is no body: a tunnel's or a WebSocket's. Reading it as a body waits forever.
pub fn has_no_end(head: &RequestHead) -> bool {
    head.method == Method::CONNECT || names_websocket(head)
}

/// The value of Content-Length in bytes, 0 without one. actix has checked that it is a number.
pub fn content_length(head: &RequestHead) -> u64 {
    let length = head.headers().get(CONTENT_LENGTH);
    length
        .and_then(|length| length.to_str().ok()?.trim().parse().ok())
        .unwrap_or(0)
}
