//! The sample service on actix-http, which parses requests, writes responses, and keeps connections alive.
//! The same on other levels: docs/levels.md.
//!
//!     BIND=127.0.0.1:8080 tools/e2e/cargo.sh run -p e2e --example messages
//!
//! Left out: a graceful stop, a log, probes, files, forwarding headers, TLS.

use std::{convert::Infallible, env, io, net::TcpListener, time::Duration};

use actix_http::{
    HttpMessage, HttpService, Method, Request, Response, StatusCode, Version,
    body::{BoxBody, MessageBody},
    header::{CONTENT_TYPE, HOST, HeaderValue},
};
use actix_rt::System;
use actix_server::Server;
use berth::http::host::{AllowedHosts, Authority, agree};
use chrono::Local;

/// The longest time for the head of a request, and for an idle connection.
const TIMEOUT: Duration = Duration::from_secs(10);

fn main() -> io::Result<()> {
    let bind = env::var("BIND").unwrap_or("127.0.0.1:8080".into());
    let listener = TcpListener::bind(bind)?;
    eprintln!("listening on {}", listener.local_addr()?);
    // Each worker makes a service of its own.
    let service = || {
        HttpService::build()
            .client_request_timeout(TIMEOUT)
            .keep_alive(TIMEOUT)
            .finish(|request| async move { Ok::<_, Infallible>(answer(&request)) })
            .tcp()
    };
    System::new().block_on(async {
        Server::build()
            .listen("time", listener, service)?
            .run()
            .await
    })
}

fn answer(request: &Request) -> Response<BoxBody> {
    let status = status(request);
    let text = match status {
        StatusCode::OK => Local::now().format("%a %b %e %T %Y").to_string(),
        _ => status.to_string(),
    };
    let mut response = Response::with_body(status, text.boxed());
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// Answers a request: the table in tests/service.toml.
fn status(request: &Request) -> StatusCode {
    // A server must accept the absolute form (RFC 9112 §3.2.2). CONNECT always has an authority.
    let target = match request.uri().authority() {
        Some(authority) if request.method() != Method::CONNECT => {
            Some(authority.as_str().as_bytes())
        }
        _ => None,
    };
    let host = match request.headers().get(HOST) {
        Some(host) => host.as_bytes(),
        None if request.version() == Version::HTTP_10 => target.unwrap_or(b"127.0.0.1"),
        None => return StatusCode::BAD_REQUEST,
    };
    let Ok(authority) = Authority::parse(host) else {
        return StatusCode::BAD_REQUEST;
    };
    let scheme = request.uri().scheme_str().unwrap_or_default();
    if target.is_some_and(|target| !agree(scheme, target, host)) {
        StatusCode::BAD_REQUEST
    } else if request.method() != Method::GET {
        StatusCode::NOT_IMPLEMENTED
    } else if request.path() == "/" && AllowedHosts::default().allows(&authority) {
        StatusCode::OK
    } else {
        StatusCode::NOT_FOUND
    }
}
