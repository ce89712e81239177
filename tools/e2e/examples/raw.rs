//! The sample service on a bare socket: tokio moves the bytes, httparse finds the parts of a request in them, and what
//! else HTTP asks of a server is here. The same on other levels: docs/levels.md.
//!
//!     BIND=127.0.0.1:8080 tools/e2e/cargo.sh run -p e2e --example raw
//!
//! Left out: bodies (a request that has one is answered, and is the last of its connection), a limit to connections, a
//! second processor, a graceful stop, a log, probes, files, forwarding headers, TLS.

use std::{env, io, time::Duration};

use berth::http::host::{AllowedHosts, Authority, agree};
use bytes::{Buf, BytesMut};
use chrono::{Local, Utc};
use httparse::{EMPTY_HEADER, Header, Request, Status};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy, sink},
    net::{TcpListener, TcpStream},
    time::{sleep, timeout},
};

/// Bytes and lines that the head of a request may have.
const MAX_HEAD: usize = 16 * 1024;
const MAX_HEADERS: usize = 80;
/// The longest time for an idle connection, and for a request and its answer.
const TIMEOUT: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> io::Result<()> {
    let bind = env::var("BIND").unwrap_or("127.0.0.1:8080".into());
    let listener = TcpListener::bind(bind).await?;
    eprintln!("listening on {}", listener.local_addr()?);
    loop {
        match listener.accept().await {
            Ok((socket, _)) => drop(tokio::spawn(serve(socket))),
            // No more files can be opened: some must be closed first.
            Err(_) => sleep(Duration::from_millis(50)).await,
        }
    }
}

/// Answers the requests of a connection, one after the other.
async fn serve(mut socket: TcpStream) {
    let mut received = BytesMut::new();
    while let Ok(Ok(true)) = timeout(TIMEOUT, turn(&mut socket, &mut received)).await {}
    // To close with bytes unread would reset the connection, and the answer with it (RFC 9112 §9.6).
    let _ = socket.shutdown().await;
    let _ = timeout(TIMEOUT, copy(&mut socket, &mut sink())).await;
}

/// Handles one request; returns false if it was the last.
async fn turn(socket: &mut TcpStream, received: &mut BytesMut) -> io::Result<bool> {
    let (answer, is_last) = loop {
        if let Some(answer) = take(received) {
            break answer;
        }
        if socket.read_buf(received).await? == 0 {
            return Ok(false);
        }
    };
    socket.write_all(answer.as_bytes()).await?;
    Ok(!is_last)
}

/// Removes the first request with a complete head from `received`. Returns its answer, and whether it is the last.
fn take(received: &mut BytesMut) -> Option<(String, bool)> {
    let mut lines = [EMPTY_HEADER; MAX_HEADERS];
    let mut request = Request::new(&mut lines);
    let (status, length) = match request.parse(received) {
        Ok(Status::Complete(length)) => (status(&request), length),
        Ok(Status::Partial) if received.len() < MAX_HEAD => return None,
        Ok(Status::Partial) => ("431 Request Header Fields Too Large", 0),
        Err(_) => ("400 Bad Request", 0),
    };
    // Where the next one begins is known only after a good one without a body.
    let ends = |line: &Header| match line.name.to_ascii_lowercase().as_str() {
        "connection" => line.value.to_ascii_lowercase().ends_with(b"close"),
        "content-length" => line.value != b"0",
        name => name == "transfer-encoding",
    };
    let is_last = length == 0 || request.version == Some(0) || request.headers.iter().any(ends);
    let answer = answer(status, request.method.unwrap_or_default(), is_last);
    received.advance(length);
    Some((answer, is_last))
}

/// Answers a request: the table in tests/service.toml.
fn status(request: &Request) -> &'static str {
    let target = request.path.unwrap_or_default();
    let absolute = target.to_ascii_lowercase().starts_with("http://");
    let target = if absolute { &target[7..] } else { target };
    let end = target.find(['/', '?', '#']).unwrap_or(target.len());
    let (authority, path) = target.split_at(if absolute { end } else { 0 });
    let path = path.split(['?', '#']).next();
    let is_host = |line: &&Header| line.name.eq_ignore_ascii_case("Host");
    let hosts: Vec<_> = request.headers.iter().filter(is_host).collect();
    let host = match hosts[..] {
        [host] => host.value,
        [] if request.version == Some(0) && !absolute => b"127.0.0.1",
        [] if request.version == Some(0) => authority.as_bytes(),
        _ => return "400 Bad Request",
    };
    let differ = absolute && !agree("http", authority.as_bytes(), host);
    match Authority::parse(host) {
        Ok(_) if differ => "400 Bad Request",
        Ok(_) if request.method != Some("GET") => "501 Not Implemented",
        Ok(host) if !AllowedHosts::default().allows(&host) => "404 Not Found",
        Ok(_) if path == Some("/") || absolute && path == Some("") => "200 OK",
        Ok(_) => "404 Not Found",
        Err(_) => "400 Bad Request",
    }
}

/// An answer as it is sent; `HEAD` has no body, but its length.
fn answer(status: &str, method: &str, is_last: bool) -> String {
    let time = Local::now().format("%a %b %e %T %Y").to_string();
    let body = if status == "200 OK" { &time } else { status };
    let date = Utc::now().format("%a, %d %b %Y %T GMT");
    let connection = if is_last { "Connection: close\r\n" } else { "" };
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\nDate: {date}\r\n{connection}");
    let kind = "Content-Type: text/plain; charset=utf-8";
    let body = if method == "HEAD" { "" } else { body };
    format!("{head}{kind}\r\nContent-Length: {length}\r\n\r\n{body}")
}
