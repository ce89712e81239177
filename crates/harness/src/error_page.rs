//! Checks of error responses.

use std::net::SocketAddr;

use crate::wire::{self, Reply};

/// The response to a request line and an Accept.
pub fn ask(address: SocketAddr, request: &str, accept: &str) -> Reply {
    let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n");
    wire::ask(address, format!("{head}Connection: close\r\n\r\n"))
}

/// Checks both forms of an error response: the page for browsers and the text for other clients, with `headers`.
#[track_caller]
pub fn assert_error_page(
    address: SocketAddr,
    request: &str,
    status: u16,
    (html, text): (String, String),
    headers: &[(&str, &str)],
) {
    let forms = [
        ("text/html", html, "text/html; charset=utf-8"),
        ("*/*", text, "text/plain; charset=utf-8"),
    ];
    for (accept, body, kind) in forms {
        let reply = ask(address, request, accept);
        assert_eq!((reply.status, reply.text()), (status, body), "{request}");
        assert_eq!(reply.header("content-type"), Some(kind));
        assert_eq!(reply.header("vary"), Some("Accept"));
        assert_eq!(reply.header("cache-control"), Some("no-store"));
        for (name, value) in headers {
            assert_eq!(reply.header(name), Some(*value), "{request}");
        }
    }
}
