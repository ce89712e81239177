//! Runs the program against a server that serves single streams and WebSockets wrongly: it must report each of them.

use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc::{Receiver, Sender, channel},
    thread,
    time::Duration,
};

use loadgen::{
    options::Options,
    outcome::{Held, Outcome},
};
use tungstenite::{
    Message, WebSocket, accept,
    protocol::{CloseFrame, frame::coding::CloseCode},
};

mod common;
use common::Process;

/// What the server does with a connection.
type Act = fn(TcpStream, &Sender<()>) -> Option<()>;

/// Starts a server that does the acts, one for each connection. It says when it is at the last one, and ends with the test.
fn server(acts: &'static [Act]) -> (SocketAddr, Receiver<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, at_the_end) = channel();
    thread::spawn(move || {
        let mut acts = acts.iter();
        for connection in listener.incoming() {
            let connection = connection.unwrap();
            let mut line = [0; 12];
            while connection.peek(&mut line).unwrap() < line.len() {}
            // One client has one connection at a time.
            if line.starts_with(b"GET /number/") {
                thread::spawn(move || answer_number(connection));
            } else {
                acts.next().expect("another act")(connection, &sender);
            }
        }
    });
    (address, at_the_end)
}

/// Runs the program with these options until the server is at its last act.
fn run(acts: &'static [Act], options: Options) -> Outcome {
    let (address, at_the_end) = server(acts);
    let load = Process::start(&Options {
        target: format!("http://{address}"),
        rate: 1,
        posts: 0,
        fresh: 100,
        timeout: 10,
        ..options
    });
    at_the_end.recv().unwrap();
    load.stop();
    let outcome = load.outcome();
    assert!(outcome.losses.is_empty(), "{outcome:?}");
    outcome
}

/// Reads a head and returns its lines.
fn read_head(socket: &TcpStream) -> Vec<String> {
    let lines = BufReader::new(socket.try_clone().unwrap()).lines();
    let lines = lines.map_while(Result::ok);
    lines.take_while(|line| !line.is_empty()).collect()
}

fn answer_number(mut socket: TcpStream) -> Option<()> {
    let head = read_head(&socket);
    let number = head[0].split([' ', '/']).nth(3)?;
    let length = number.len();
    let text = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{number}");
    socket.write_all(text.as_bytes()).ok()
}

/// A stream that was asked for.
struct Stream {
    socket: TcpStream,
    last: u64,
}

impl Stream {
    /// Reads the head of the request, and sends that of the response.
    fn begin(mut socket: TcpStream, more: &str) -> Option<Self> {
        let head = read_head(&socket);
        let last = head
            .iter()
            .find_map(|line| line.strip_prefix("last-event-id: "));
        let last = last.map_or(0, |id| id.parse().unwrap());
        let text = format!("HTTP/1.1 200 OK\r\nX-Served-By: replica\r\n{more}\r\n");
        socket.write_all(text.as_bytes()).ok()?;
        Some(Self { socket, last })
    }

    fn chunked(socket: TcpStream) -> Option<Self> {
        Self::begin(socket, "Transfer-Encoding: chunked\r\n")
    }

    fn send(&mut self, text: &str) -> Option<()> {
        let chunk = format!("{:x}\r\n{text}\r\n", text.len());
        self.socket.write_all(chunk.as_bytes()).ok()
    }

    /// Sends the event that many after the last one, in two parts.
    fn event(&mut self, step: u64) -> Option<()> {
        self.last += step;
        self.send(&format!("retry: 10\nid: {}\nda", self.last))?;
        self.send("ta: x\n\n")
    }

    fn end(mut self) -> Option<()> {
        self.socket.write_all(b"0\r\n\r\n").ok()
    }
}

fn lost(held: &Held) -> Vec<&str> {
    held.losses.iter().map(|loss| loss.what.as_str()).collect()
}

#[test]
fn every_kind_of_lost_stream_is_reported() {
    let acts: &[Act] = &[
        |socket, _| {
            let mut stream = Stream::chunked(socket)?;
            stream.event(1)?;
            stream.event(1)?;
            stream.end()
        },
        // Misses one.
        |socket, _| Stream::chunked(socket)?.event(2),
        // Sends one again.
        |socket, _| Stream::chunked(socket)?.event(0),
        |socket, _| Stream::chunked(socket)?.event(1),
        |mut socket, _| {
            read_head(&socket);
            socket
                .write_all(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
                .ok()
        },
        |socket, _| {
            read_head(&socket);
            None
        },
        |socket, _| {
            let mut stream = Stream::chunked(socket)?;
            stream.send("id: 6\n")?;
            stream.end()
        },
        |socket, _| Stream::begin(socket, "").map(|_| ()),
        |socket, at_the_end| {
            let mut stream = Stream::chunked(socket)?;
            at_the_end.send(()).unwrap();
            loop {
                stream.event(1)?;
                thread::sleep(Duration::from_millis(10));
            }
        },
    ];
    let outcome = run(
        acts,
        Options {
            streams: 1,
            ..Options::default()
        },
    );
    let held = outcome.streams;
    let what = [
        "event 4 after event 2",
        "event 4 after event 4",
        "cut: ",
        "status 503",
        "connection closed before message completed",
        "ended within an event",
        "a stream without chunks",
    ];
    let lost = lost(&held);
    assert_eq!(lost.len(), what.len(), "{lost:?}");
    for (lost, what) in lost.iter().zip(what) {
        assert!(lost.contains(what), "{lost}, not {what}");
    }
    assert_eq!((held.opened, held.ended), (6, 1), "{held:?}");
    let cut = &held.losses[2];
    assert_eq!(
        (cut.status, cut.replica.as_deref(), cut.method.as_str()),
        (Some(200), Some("replica"), "stream")
    );
}

fn open(socket: TcpStream) -> Option<WebSocket<TcpStream>> {
    accept(socket).ok()
}

/// Echoes a message, and returns it.
fn echo(socket: &mut WebSocket<TcpStream>) -> Option<Message> {
    let message = socket.read().ok()?;
    socket.send(message.clone()).ok()?;
    Some(message)
}

/// Closes in order.
fn close(mut socket: WebSocket<TcpStream>, code: CloseCode) -> Option<()> {
    let reason = "".into();
    socket.close(Some(CloseFrame { code, reason })).ok()?;
    while socket.read().is_ok() {}
    Some(())
}

#[test]
fn every_kind_of_lost_websocket_is_reported() {
    let acts: &[Act] = &[
        |socket, _| {
            let mut socket = open(socket)?;
            echo(&mut socket)?;
            echo(&mut socket)?;
            close(socket, CloseCode::Away)
        },
        // No echo before the close: the message comes again.
        |socket, _| {
            let mut socket = open(socket)?;
            assert_eq!(socket.read().ok()?, Message::text("3"));
            close(socket, CloseCode::Away)
        },
        |socket, _| {
            let mut socket = open(socket)?;
            assert_eq!(echo(&mut socket)?, Message::text("3"));
            Some(())
        },
        |socket, _| {
            let mut socket = open(socket)?;
            socket.read().ok()?;
            socket.send(Message::text("7")).ok()?;
            while socket.read().is_ok() {}
            Some(())
        },
        |mut socket, _| {
            read_head(&socket);
            socket
                .write_all(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                .ok()
        },
        |socket, _| close(open(socket)?, CloseCode::Normal),
        |socket, _| {
            let mut socket = open(socket)?;
            let message = echo(&mut socket)?;
            socket.send(message).ok()?;
            while socket.read().is_ok() {}
            Some(())
        },
        |socket, at_the_end| {
            let mut socket = open(socket)?;
            at_the_end.send(()).unwrap();
            while let Ok(message) = socket.read() {
                if message.is_text() {
                    socket.send(message).ok()?;
                }
            }
            Some(())
        },
    ];
    let outcome = run(
        acts,
        Options {
            sockets: 1,
            ..Options::default()
        },
    );
    let held = outcome.sockets;
    let what = [
        "cut: ",
        "instead of an echo of 4",
        "status 502",
        "closed with 1000",
        "instead of",
    ];
    let lost = lost(&held);
    assert_eq!(lost.len(), what.len(), "{lost:?}");
    for (lost, what) in lost.iter().zip(what) {
        assert!(lost.contains(what), "{lost}, not {what}");
    }
    assert_eq!((held.opened, held.ended), (7, 2), "{held:?}");
}
