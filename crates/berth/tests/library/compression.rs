//! Compression of a service's responses: which ones, for which clients, and their headers.

use std::net::SocketAddr;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::HeaderName},
    web::{self, Bytes},
};
use berth::middleware::compression::is_compressible;
use futures_util::stream;
use harness::wire::{self, Reply};

use crate::service::{Values, serve};

const TEXT: &str = "The quick brown fox jumps over the lazy dog.\n";

fn text(bytes: usize) -> String {
    TEXT.chars().cycle().take(bytes).collect()
}

fn service(app: &mut web::ServiceConfig) {
    app.route("/text/{bytes}", web::get().to(answer))
        .route("/stream", web::get().to(streams))
        .route("/random", web::get().to(random))
        .route("/empty", web::get().to(HttpResponse::NotFound));
}

/// A text with the headers that the request wishes for: `x-NAME: value` is `NAME: value` of the response.
async fn answer(request: HttpRequest, bytes: web::Path<usize>) -> HttpResponse {
    let mut response = HttpResponse::Ok();
    response.content_type("text/plain");
    for (name, value) in request.headers() {
        match name.as_str().strip_prefix("x-") {
            Some("status") => {
                let status = StatusCode::from_bytes(value.as_bytes()).unwrap();
                response.status(status);
            }
            Some(name) => {
                let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
                response.insert_header((name, value.clone()));
            }
            None => {}
        }
    }
    response.body(text(*bytes))
}

async fn streams() -> HttpResponse {
    let parts = [text(2_000), text(2_000)].map(|part| Ok::<_, actix_web::Error>(Bytes::from(part)));
    HttpResponse::Ok()
        .content_type("text/plain")
        .streaming(stream::iter(parts))
}

/// Calls itself a text, and can't be made smaller.
async fn random() -> HttpResponse {
    let mut state = 1_u64;
    let bytes = (0..5_000).map(|_| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        state.to_be_bytes()[0]
    });
    HttpResponse::Ok()
        .content_type("text/plain")
        .body(bytes.collect::<Vec<_>>())
}

fn ask(app: SocketAddr, request: &str, headers: &[&str]) -> Reply {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\n{headers}");
    wire::ask(app, format!("{head}Connection: close\r\n\r\n"))
}

const BOTH: &str = "Accept-Encoding: gzip, deflate, br, zstd";

#[track_caller]
fn assert_coding(reply: &Reply, coding: Option<&str>, bytes: usize) {
    assert_eq!(reply.header("content-encoding"), coding);
    let plain = match coding {
        Some("br") => {
            let mut plain = Vec::new();
            brotli::BrotliDecompress(&mut &reply.body[..], &mut plain).unwrap();
            plain
        }
        Some(_) => {
            let mut plain = flate2::write::GzDecoder::new(Vec::new());
            std::io::Write::write_all(&mut plain, &reply.body).unwrap();
            plain.finish().unwrap()
        }
        None => reply.body.clone(),
    };
    assert!(plain == text(bytes).as_bytes(), "another text");
    assert_eq!(reply.body.len() < bytes, coding.is_some());
}

#[test]
fn the_client_chooses() {
    let app = serve(Values::default(), service);
    for (accepted, coding) in [
        (BOTH, Some("br")),
        ("Accept-Encoding: gzip", Some("gzip")),
        ("Accept-Encoding: br;q=0.1, gzip;q=0.2", Some("gzip")),
        ("Accept-Encoding: br;q=0, gzip;q=0.001", Some("gzip")),
        ("Accept-Encoding: gzip;q=0.5, identity", None),
        ("Accept-Encoding: gzip;q=0, br;q=0", None),
        ("Accept-Encoding: gzip;q=0, identity;q=0", None),
        ("Accept-Encoding: zstd", None),
        ("Accept-Encoding:", None),
        ("Accept-Encoding: ;;;", None),
        ("Accept: */*", None),
    ] {
        for bytes in [1_024, 60_000, 600_000] {
            let reply = ask(app, &format!("GET /text/{bytes}"), &[accepted]);
            assert_coding(&reply, coding, bytes);
            assert_eq!(reply.header("vary"), Some("Accept-Encoding"), "{accepted}");
        }
    }
}

#[test]
fn what_must_stay_as_it_is_does() {
    let app = serve(Values::default(), service);
    for headers in [
        "X-Content-Type: image/png",
        "X-Content-Type: text/event-stream",
        "X-Content-Encoding: zstd",
        "X-Content-Range: bytes 0-1/9",
        "X-Content-Digest: sha-256=:AA==:",
        "X-Cache-Control: public, No-Transform",
        "X-Status: 206",
    ] {
        let reply = ask(app, "GET /text/5000", &[BOTH, headers]);
        assert!(reply.body == text(5_000).as_bytes(), "{headers}");
        assert_eq!(reply.header("vary"), None, "{headers}");
    }
    for request in [
        "GET /text/1023",
        "GET /text/0",
        "GET /text/8388609",
        "GET /stream",
        "GET /empty",
    ] {
        let reply = ask(app, request, &[BOTH]);
        assert_eq!(reply.header("content-encoding"), None, "{request}");
        let vary = reply.header("vary").unwrap_or_default();
        assert!(!vary.contains("Encoding"), "{request}: {vary}");
    }
    let reply = ask(app, "GET /random", &[BOTH]);
    assert_eq!(reply.header("content-encoding"), None);
    assert_eq!(reply.header("vary"), Some("Accept-Encoding"));
    assert_eq!(reply.body.len(), 5_000);
}

#[test]
fn off_is_off() {
    let values = Values {
        compression: false,
        ..Values::default()
    };
    let app = serve(values, service);
    let reply = ask(app, "GET /text/5000", &[BOTH]);
    assert_coding(&reply, None, 5_000);
    assert_eq!(reply.header("vary"), None);
}

#[test]
fn errors_of_the_service_are_compressed() {
    let app = serve(Values::default(), service);
    let reply = ask(app, "GET /text/5000", &[BOTH, "X-Status: 404"]);
    assert_eq!(reply.status, 404);
    assert_coding(&reply, Some("br"), 5_000);
}

#[test]
fn head_has_the_headers_of_get() {
    let app = serve(Values::default(), service);
    for bytes in [5_000, 500_000] {
        let ask = |method| ask(app, &format!("{method} /text/{bytes}"), &[BOTH]);
        let (get, head) = (ask("GET"), ask("HEAD"));
        for name in ["content-encoding", "content-length", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
        assert!(head.body.is_empty() && head.header("content-encoding") == Some("br"));
    }
}

#[test]
fn the_headers_go_with_the_body() {
    let app = serve(Values::default(), service);
    let wished = [
        BOTH,
        "X-Etag: \"one\"",
        "X-Accept-Ranges: bytes",
        "X-Vary: Cookie, accept-encoding",
    ];
    let reply = ask(app, "GET /text/5000", &wished);
    assert_eq!(reply.header("etag"), Some("W/\"one\""));
    assert_eq!(reply.header("accept-ranges"), None);
    assert_eq!(reply.header("vary"), Some("Cookie, accept-encoding"));
    // The plain form keeps them.
    let reply = ask(app, "GET /text/5000", &wished[1..]);
    assert_eq!(reply.header("etag"), Some("\"one\""));
    assert_eq!(reply.header("accept-ranges"), Some("bytes"));

    let reply = ask(
        app,
        "GET /text/5000",
        &[BOTH, "X-Etag: W/\"two\"", "X-Vary: Cookie"],
    );
    assert_eq!(reply.header("etag"), Some("W/\"two\""));
    assert_eq!(reply.header("vary"), Some("Cookie, Accept-Encoding"));
}

#[test]
fn a_304_has_the_tag_of_the_form_that_the_client_has() {
    let app = serve(Values::default(), service);
    let ask = |known: &str| {
        let known = format!("If-None-Match: {known}");
        let wished = [&*known, "X-Status: 304", "X-Etag: \"one\""];
        let reply = ask(app, "GET /text/0", &wished);
        assert_eq!(reply.status, 304);
        let header = |name| reply.header(name).map(str::to_owned);
        (header("etag").unwrap(), header("vary"))
    };
    let vary = Some("Accept-Encoding".to_owned());
    assert_eq!(ask("\"zero\", W/\"one\""), ("W/\"one\"".to_owned(), vary));
    assert_eq!(ask("\"one\""), ("\"one\"".to_owned(), None));
}

#[test]
fn text_compresses_and_images_do_not() {
    for kind in [
        "text/html; charset=utf-8",
        "TEXT/CSS",
        "application/json",
        "application/ld+json;profile=x",
        "application/problem+json",
        "application/atom+xml",
        "image/svg+xml",
        "application/javascript",
        "application/wasm",
    ] {
        assert!(is_compressible(kind), "{kind}");
    }
    for kind in [
        "",
        "text",
        "text/event-stream",
        "image/png",
        "font/woff2",
        "application/zip",
        "application/octet-stream",
        "application/jsonx",
        "multipart/form-data; boundary=json",
    ] {
        assert!(!is_compressible(kind), "{kind}");
    }
}
