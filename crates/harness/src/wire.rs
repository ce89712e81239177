//! Raw HTTP over TCP: sends the test's bytes unchanged, and parses the response strictly.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// The longest time for an answer; after it, the server counts as hanging.
pub const TIMEOUT: Duration = Duration::from_secs(20);
/// The pause between two pieces of a request.
const PAUSE: Duration = Duration::from_millis(50);

/// One answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// Its status.
    pub status: u16,
    /// Its headers, in order.
    pub headers: Vec<(String, String)>,
    /// Its body, without the framing.
    pub body: Vec<u8>,
}

impl Reply {
    /// Returns the value of a header; panics if it occurs twice.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        let first = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} comes twice in {self:?}");
        first
    }

    /// Its body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Everything that was received on one connection.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// The answers in order, without interim ones (1xx).
    pub replies: Vec<Reply>,
    /// Whether the server closed the connection. If not, it sent nothing for the given time.
    pub closed: bool,
    /// The bytes after the last complete answer.
    pub rest: Vec<u8>,
}

/// Sends `request` and returns the first answer.
///
/// Panics without an answer within [`TIMEOUT`].
pub fn ask(address: SocketAddr, request: impl AsRef<[u8]>) -> Reply {
    let head = request.as_ref().starts_with(b"HEAD ");
    let mut socket = connect(address);
    let _ = socket.write_all(request.as_ref());
    let mut bytes = Vec::new();
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let closed = !read_some(&mut socket, &mut bytes, deadline);
        if let Some((reply, _)) = parse(&bytes, head, closed) {
            return reply;
        }
        assert!(
            !closed,
            "no whole answer to {:?}, but {:?}",
            request.as_ref().escape_ascii().to_string(),
            bytes.escape_ascii().to_string()
        );
    }
}

/// `GET path` with `host`, on a connection of its own.
pub fn get(address: SocketAddr, path: &str, host: &str) -> Reply {
    ask(
        address,
        format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"),
    )
}

/// Sends `request`, and reads until the server closes the connection or sends nothing for `silence`.
pub fn exchange(address: SocketAddr, request: &[u8], silence: Duration) -> Exchange {
    converse(address, &[request], false, 0, silence)
}

/// Sends the `pieces`, then a FIN if `half_close`. Reads until the server closes the connection or sends nothing for
/// `silence`. The silence counts after `answers` answers, or after [`TIMEOUT`].
pub fn converse(
    address: SocketAddr,
    pieces: &[impl AsRef<[u8]>],
    half_close: bool,
    answers: usize,
    silence: Duration,
) -> Exchange {
    let mut socket = connect(address);
    for (i, piece) in pieces.iter().enumerate() {
        if i > 0 {
            thread::sleep(PAUSE);
        }
        let _ = socket.write_all(piece.as_ref());
    }
    if half_close {
        let _ = socket.shutdown(Shutdown::Write);
    }
    let head = pieces[0].as_ref().starts_with(b"HEAD ");
    let mut bytes = Vec::new();
    let end = Instant::now() + TIMEOUT;
    let closed = loop {
        let enough = parse_all(&bytes, head, false).replies.len() >= answers;
        let deadline = if enough {
            (Instant::now() + silence).min(end)
        } else {
            end
        };
        let before = bytes.len();
        if !read_some(&mut socket, &mut bytes, deadline) {
            break bytes.len() == before && is_closed(&mut socket);
        }
    };
    parse_all(&bytes, head, closed)
}

fn parse_all(bytes: &[u8], head: bool, closed: bool) -> Exchange {
    let mut replies = Vec::new();
    let mut rest = bytes;
    while let Some((reply, length)) = parse(rest, head, closed) {
        rest = &rest[length..];
        replies.push(reply);
    }
    Exchange {
        replies,
        closed,
        rest: rest.to_vec(),
    }
}

/// A connection whose reads end after [`TIMEOUT`].
pub fn connect(address: SocketAddr) -> TcpStream {
    let socket =
        TcpStream::connect_timeout(&address, TIMEOUT).expect("the server takes connections");
    socket.set_nodelay(true).unwrap();
    socket.set_read_timeout(Some(TIMEOUT)).unwrap();
    socket
}

/// Reads the available bytes; returns false at the end of the stream, on a reset, or past the deadline.
fn read_some(socket: &mut TcpStream, bytes: &mut Vec<u8>, deadline: Instant) -> bool {
    let left = deadline.saturating_duration_since(Instant::now());
    socket
        .set_read_timeout(Some(left.max(Duration::from_millis(1))))
        .unwrap();
    let mut chunk = [0; 65536];
    match socket.read(&mut chunk) {
        Ok(0) | Err(_) => false,
        Ok(length) => {
            bytes.extend_from_slice(&chunk[..length]);
            true
        }
    }
}

fn is_closed(socket: &mut TcpStream) -> bool {
    socket
        .set_read_timeout(Some(Duration::from_millis(1)))
        .unwrap();
    match socket.read(&mut [0; 1]) {
        Ok(0) => true,
        Err(error) => !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
        Ok(_) => false,
    }
}

/// Returns the first complete final answer in `bytes`, and its end.
fn parse(bytes: &[u8], head: bool, closed: bool) -> Option<(Reply, usize)> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&bytes[..end]).expect("a head of UTF-8");
    let mut lines = text.split("\r\n").filter(|line| !line.is_empty());
    let status_line = lines.next().unwrap();
    let mut words = status_line.splitn(3, ' ');
    let version = words.next().unwrap().to_owned();
    assert!(
        version.starts_with("HTTP/1."),
        "no status line: {status_line:?}"
    );
    let status: u16 = words
        .next()
        .and_then(|word| word.parse().ok())
        .expect(status_line);
    let headers: Vec<(String, String)> = lines
        .map(|line| line.split_once(": ").or(line.split_once(':')).expect(line))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    if (100..200).contains(&status) {
        return parse(&bytes[end..], head, closed).map(|(reply, length)| (reply, end + length));
    }
    let mut reply = Reply {
        version,
        status,
        headers,
        body: Vec::new(),
    };
    let rest = &bytes[end..];
    if head || status == 204 || status == 304 {
        return Some((reply, end));
    }
    if reply.header("transfer-encoding") == Some("chunked") {
        let mut at = 0;
        loop {
            let line = rest[at..].windows(2).position(|window| window == b"\r\n")?;
            let size = std::str::from_utf8(&rest[at..at + line]).unwrap();
            let size = usize::from_str_radix(size, 16).expect("a chunk's size");
            let data = rest.get(at + line + 2..at + line + 2 + size)?;
            reply.body.extend_from_slice(data);
            at += line + 2 + size + 2;
            rest.get(..at)?;
            if size == 0 {
                return Some((reply, end + at));
            }
        }
    }
    let length = match reply.header("content-length") {
        Some(length) => length.parse().expect("a length"),
        None if closed => rest.len(),
        None => return None,
    };
    reply.body = rest.get(..length)?.to_vec();
    Some((reply, end + length))
}
