//! What real services send and receive, alike in every mode: a service with all of it (tools/fixture/src/bin/wire.rs) in the
//! place of the sample.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

use harness::{
    Stack,
    modes::{self, Mode, Modes},
    skip,
    solo::wait_for,
    stack::docker,
    wire::{self, Reply, connect, get},
};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::Value;
use tungstenite::{
    ClientRequestBuilder, Error, HandshakeError, Message, WebSocket, client,
    handshake::client::Response, protocol::frame::coding::CloseCode,
};

use crate::{
    load::image,
    run::Batch,
    wire_service::{self, Row},
};

const ALL: &[Mode] = &Mode::ALL;
const AND_APACHE: &[Mode] = &Mode::AND_APACHE;
const STACK: &[Mode] = &[Mode::Stack];
/// The modes with nginx.
const NGINX: &[Mode] = &[Mode::Stack, Mode::Bundle];

const CASES: &[Row] = &[
    ("a head of 32 KB passes", ALL, |modes, mode| {
        // The service's own lines, and those of all responses.
        for bytes in [4_000, 16_000, 31_000] {
            let reply = ask(modes, mode, &format!("/head/{bytes}"));
            assert_eq!(reply.status, 200);
            let cookie = reply.header("set-cookie").unwrap();
            assert!(cookie.len() > bytes - 20, "{}", cookie.len());
        }
    }),
    (
        "a larger head is 502, and no replica's failure",
        ALL,
        |modes, mode| {
            for _ in 0..4 {
                let reply = ask(modes, mode, "/head/33000");
                assert_eq!(reply.status, 502);
                assert!(reply.header("x-request-id").is_some());
            }
            let is_reason = |line: &String| line.contains("the head of a response has 33");
            let reasons = || modes.log(mode).into_iter().filter(is_reason).count();
            wait_for(|| (reasons() == 4).then_some(()));
            assert_eq!(ask(modes, mode, "/client").status, 200);
        },
    ),
    (
        "an upload of MAX_BODY arrives whole, one byte more is 413",
        ALL,
        |modes, mode| {
            let upload = |bytes: usize| {
                let head = format!(
                    "PUT /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n"
                );
                wire::ask(
                    modes.address(mode),
                    [head.as_bytes(), &vec![b'x'; bytes]].concat(),
                )
            };
            for bytes in [0, 9_999, 10_000, 100_000, MAX_BODY] {
                let reply = upload(bytes);
                assert_eq!((reply.status, reply.text()), (200, bytes.to_string()));
            }
            assert_eq!(upload(MAX_BODY + 1).status, 413);
        },
    ),
    (
        "a body in chunks arrives whole, and is limited",
        ALL,
        |modes, mode| {
            let upload = |chunks: usize| {
                let head = "POST /upload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
                let chunk = format!("10000\r\n{}\r\n", "x".repeat(0x10000));
                wire::ask(
                    modes.address(mode),
                    format!("{head}{}0\r\n\r\n", chunk.repeat(chunks)),
                )
            };
            for chunks in [0, 1, 100] {
                let reply = upload(chunks);
                assert_eq!(
                    (reply.status, reply.text()),
                    (200, (chunks * 0x10000).to_string())
                );
            }
            assert_eq!(upload(MAX_BODY / 0x10000 + 1).status, 413);
        },
    ),
    ("20 uploads at once are taken", ALL, |modes, mode| {
        let address = modes.address(mode);
        let upload = || {
            let bytes = 9_000_000;
            let head = format!(
                "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n"
            );
            wire::ask(address, [head.as_bytes(), &vec![b'x'; bytes]].concat()).status
        };
        let statuses = thread::scope(|scope| {
            let uploads: Vec<_> = (0..20).map(|_| scope.spawn(upload)).collect();
            uploads
                .into_iter()
                .map(|it| it.join().unwrap())
                .collect::<Vec<_>>()
        });
        assert_eq!(statuses, [200; 20]);
    }),
    (
        "the body of a large upload is asked for with 100",
        ALL,
        |modes, mode| {
            let mut socket = connect(modes.address(mode));
            let head = "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\nExpect: 100-continue\r\n\r\n";
            socket.write_all(head.as_bytes()).unwrap();
            let mut interim = [0; 25];
            socket.read_exact(&mut interim).unwrap();
            assert_eq!(interim, *b"HTTP/1.1 100 Continue\r\n\r\n");
            socket.write_all(&[b'x'; 20_000]).unwrap();
            assert!(until(&mut socket, "20000").starts_with("HTTP/1.1 200 OK"));
        },
    ),
    (
        "an untrusted peer can't say who the client is",
        AND_APACHE,
        |modes, mode| {
            let forged = "GET http://localhost/client HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
             X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: elsewhere.example\r\n\
             Forwarded: for=203.0.113.9;proto=https;host=elsewhere.example\r\nX-Request-Id: chosen\r\n\r\n";
            let reply = wire::ask(modes.address(mode), forged);
            let client = json(&reply);
            assert_eq!(client["actix_client"], client["client"]);
            assert_ne!(client["client"], "203.0.113.9");
            assert_eq!(client["scheme"], "http");
            assert_eq!(client["actix_scheme"], "http");
            assert_eq!(client["actix_host"], "localhost");
            assert_eq!(client["url"], "http://localhost/client");
            let id = reply.header("x-request-id").unwrap();
            assert_eq!(client["id"], id);
            assert_ne!(id, "chosen");
            // The log says the same.
            let line = wait_for(|| modes.log(mode).into_iter().find(|line| line.contains(id)));
            assert!(line.contains(client["client"].as_str().unwrap()), "{line}");
        },
    ),
    (
        "a service sees one id and no foreign header of proxies",
        AND_APACHE,
        |modes, mode| {
            let request = "GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX-Request-Id: chosen\r\n\
             X-Forwarded-Host: elsewhere.example\r\nForwarded: host=elsewhere.example\r\n\
             X-Forwarded-For: 203.0.113.9\r\nX-Real-IP: 203.0.113.9\r\n\r\n";
            let reply = wire::ask(modes.address(mode), request);
            let echo = json(&reply);
            let headers: Vec<(String, String)> =
                serde_json::from_value(echo["headers"].clone()).unwrap();
            let values = |name: &str| {
                let of_name = headers.iter().filter(|(key, _)| key == name);
                of_name.map(|(_, value)| value.as_str()).collect::<Vec<_>>()
            };
            assert_eq!(
                values("x-request-id"),
                [reply.header("x-request-id").unwrap()]
            );
            assert!(values("x-forwarded-host").is_empty(), "{echo}");
            assert!(values("forwarded").is_empty(), "{echo}");
            assert_eq!(values("x-forwarded-for"), values("x-real-ip"));
            assert!(!echo.to_string().contains("203.0.113.9"), "{echo}");
        },
    ),
    (
        "each part of a stream arrives at once",
        AND_APACHE,
        |modes, mode| {
            let mut socket = connect(modes.address(mode));
            socket
                .write_all(b"GET /parts?number=2&pause=2000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .unwrap();
            let first = until(&mut socket, "part 1\n");
            assert!(!first.contains("part 2"), "both came together");
            until(&mut socket, "part 2\n");
        },
    ),
    (
        "a stream has no chunks in HTTP/1.0",
        AND_APACHE,
        |modes, mode| {
            let request = "GET /parts?number=2&pause=10 HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n";
            let reply = wire::ask(modes.address(mode), request);
            assert_eq!(reply.header("transfer-encoding"), None);
            assert_eq!(reply.text(), "part 1\npart 2\n");
        },
    ),
    (
        "a stream that pauses for too long is cut",
        ALL,
        |modes, mode| {
            let mut socket = connect(modes.address(mode));
            socket
                .write_all(b"GET /parts?number=2&pause=60000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
                .unwrap();
            until(&mut socket, "part 1\n");
            let mut rest = String::new();
            // Cut by the server, not given up by this client.
            let end = socket.read_to_string(&mut rest);
            let is_cut = end.is_ok_and(|_| !rest.ends_with("0\r\n\r\n"));
            assert!(is_cut && !rest.contains("part 2"), "{rest:?}");
        },
    ),
    (
        "a handler that takes too long is 504 with the request's id, once, and is dropped",
        ALL,
        |modes, mode| {
            let count = |text: &str| {
                modes
                    .log(mode)
                    .iter()
                    .filter(|line| line.contains(text))
                    .count()
            };
            let (begun, dropped) = (count("slow 60000: begun"), count("slow 60000: dropped"));
            let reply = ask(modes, mode, "/slow/60000");
            assert_eq!(reply.status, 504);
            let id = reply.header("x-request-id").expect("the id").to_owned();
            assert_eq!(reply.text(), "504 Gateway Timeout");
            wait_for(|| (count("slow 60000: dropped") > dropped).then_some(()));
            assert_eq!(count("slow 60000: begun"), begun + 1);
            wait_for(|| (count(&id) > 0).then_some(()));
        },
    ),
    (
        "a handler that takes less is waited for",
        ALL,
        |modes, mode| {
            let reply = ask(modes, mode, "/slow/1000");
            assert_eq!((reply.status, reply.text().as_str()), (200, "slow\n"));
        },
    ),
    (
        "a WebSocket carries messages both ways, with a subprotocol",
        ALL,
        |modes, mode| {
            let (mut socket, response) = open(modes.address(mode), "/socket").unwrap();
            let protocol = response.headers().get("sec-websocket-protocol");
            assert_eq!(protocol.unwrap(), "echo");
            let long = "x".repeat(40_000);
            for text in ["hello", &long] {
                socket.send(Message::text(text)).unwrap();
                assert_eq!(socket.read().unwrap(), Message::text(text));
            }
            // Longer than RESPONSE_TIMEOUT and nginx's margin.
            thread::sleep(Duration::from_secs(8));
            socket.send(Message::text("after a pause")).unwrap();
            assert_eq!(socket.read().unwrap(), Message::text("after a pause"));
            socket.close(None).unwrap();
            let closed = loop {
                if let Err(error) = socket.read() {
                    break error;
                }
            };
            assert!(matches!(closed, Error::ConnectionClosed), "{closed}");
        },
    ),
    (
        "a request for a WebSocket meets the checks of any request",
        ALL,
        |modes, mode| {
            let address = modes.address(mode);
            for (host, path, status) in [
                ("elsewhere.example", "/socket", 404),
                ("localhost", "/nothing", 404),
                ("localhost", "/client", 200),
                ("elsewhere.example", "/health/live", 200),
            ] {
                let request = handshake(&format!("GET {path} HTTP/1.1"), host);
                let reply = wire::ask(address, request);
                assert_eq!(reply.status, status, "{host} {path}");
            }
        },
    ),
    (
        "an Upgrade that does not count is ignored, and the body read",
        ALL,
        |modes, mode| {
            let address = modes.address(mode);
            let lines = [
                "Upgrade: websocket\r\n",
                "Upgrade: websocket\r\nConnection: keep-alive\r\n",
                "Upgrade: websocket\r\nConnection: close, upgrade\r\n",
                "Upgrade: websocket\r\nConnection: upgrade\r\n",
                "Upgrade: h2c\r\nConnection: upgrade\r\n",
                "Upgrade: h2c\r\nUpgrade: websocket\r\nConnection: upgrade\r\n",
            ];
            for line in lines {
                for version in ["1.0", "1.1"] {
                    let head = format!("POST /echo HTTP/{version}\r\nHost: localhost\r\n{line}");
                    let request = format!("{head}Content-Length: 5\r\n\r\nhello");
                    let echo = json(&wire::ask(address, request));
                    assert_eq!(echo["body"], "hello", "{line}");
                    assert!(!echo["headers"].to_string().contains("websocket"), "{echo}");
                }
            }
            let chunked = "POST /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
                 Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
            assert_eq!(json(&wire::ask(address, chunked))["body"], "hello");
            // A stream is readable, too.
            for line in [
                "GET /parts?number=2&pause=10 HTTP/1.1",
                "GET /parts?number=2&pause=10 HTTP/1.0",
            ] {
                let reply = wire::ask(address, handshake(line, "localhost"));
                assert_eq!(reply.text(), "part 1\npart 2\n", "{line}");
            }
            // A handshake in HTTP/1.0 is none.
            let reply = wire::ask(address, handshake("GET /socket HTTP/1.0", "localhost"));
            assert_eq!(reply.status, 400);
        },
    ),
    (
        "events go on where they ended",
        AND_APACHE,
        |modes, mode| {
            let mut socket = connect(modes.address(mode));
            let request =
                "GET /events?pause=10 HTTP/1.1\r\nHost: localhost\r\nLast-Event-ID: 41\r\n\r\n";
            socket.write_all(request.as_bytes()).unwrap();
            let text = until(&mut socket, "data: event 43");
            assert!(!text.contains("event 41\n"), "{text}");
        },
    ),
    (
        "a panic is 500 with the request's id",
        ALL,
        |modes, mode| {
            let reply = ask(modes, mode, "/panic");
            assert_eq!(reply.status, 500);
            assert!(reply.header("x-request-id").is_some(), "{reply:?}");
            assert_eq!(reply.text(), "500 Internal Server Error");
        },
    ),
    (
        "2,000 streams take no page's place",
        NGINX,
        |modes, mode| {
            let mut limit = getrlimit(Resource::Nofile);
            limit.current = limit.maximum;
            setrlimit(Resource::Nofile, limit).unwrap();
            let open = |_| {
                let mut socket = connect(modes.address(mode));
                let request = "GET /parts?number=1000&pause=1000 HTTP/1.1\r\nHost: localhost\r\n\
                     Accept: text/event-stream\r\n\r\n";
                socket.write_all(request.as_bytes()).unwrap();
                until(&mut socket, "part 1\n");
                socket
            };
            let mut streams: Vec<_> = (0..2_000).map(open).collect();
            assert_eq!(ask(modes, mode, "/client").status, 200);
            let (first, last) = (0, streams.len() - 1);
            for number in [first, last] {
                until(&mut streams[number], "part 3\n");
            }
        },
    ),
    (
        "a response that says nothing of caching is asked for again",
        AND_APACHE,
        |modes, mode| {
            let reply = ask(modes, mode, "/client");
            assert_eq!(reply.header("cache-control"), Some("no-cache"));
            let mut socket = connect(modes.address(mode));
            let request = "GET /events?pause=10 HTTP/1.1\r\nHost: localhost\r\n\r\n";
            socket.write_all(request.as_bytes()).unwrap();
            let head = until(&mut socket, "\r\n\r\n").to_lowercase();
            assert!(head.contains("\r\ncache-control: no-store\r\n"), "{head}");
        },
    ),
    (
        "a reload of nginx cuts neither an upload, a stream nor a WebSocket",
        STACK,
        |modes, mode| {
            let mut begun = Begun::start(modes.address(mode));
            let reload = ["exec", "--no-TTY", "nginx", "nginx", "-s", "reload"];
            modes.stack().compose(&reload);
            // Time for the new workers.
            thread::sleep(Duration::from_secs(1));
            begun.socket.send(Message::text("after")).unwrap();
            assert_eq!(begun.socket.read().unwrap(), Message::text("after"));
            until(&mut begun.stream, "part 5\n");
            begun.upload.write_all(&[b'x'; 10_000]).unwrap();
            assert!(until(&mut begun.upload, "20000").starts_with("HTTP/1.1 200 OK"));
        },
    ),
];

/// Cases that end the server, which each has for itself.
const AT_THE_END: &[Row] = &[
    (
        "at a drain a WebSocket is closed with 1001, or cut at the end of SHUTDOWN_SECONDS",
        ALL,
        |modes, mode| {
            let echo = |socket: &mut WebSocket<TcpStream>| {
                socket.send(Message::text("hello")).unwrap();
                assert_eq!(socket.read().unwrap(), Message::text("hello"));
            };
            let begin = |path| {
                let (mut socket, _) = open(modes.address(mode), path).unwrap();
                echo(&mut socket);
                socket
            };
            let (mut closing, mut staying) = (begin("/socket"), begin("/socket?stay"));
            thread::scope(|scope| {
                scope.spawn(|| modes.stop(mode));
                let Message::Close(Some(frame)) = closing.read().unwrap() else {
                    panic!("no close frame with a code")
                };
                assert_eq!(frame.code, CloseCode::Away);
                echo(&mut staying);
                let end = staying.read().unwrap_err();
                assert!(!matches!(end, Error::ConnectionClosed), "{end}");
            });
        },
    ),
    (
        "at a drain a stream ends, or is cut at the end of SHUTDOWN_SECONDS",
        ALL,
        |modes, mode| {
            let begin = |request: &str, first: &str| {
                let mut socket = connect(modes.address(mode));
                let request = format!("GET {request} HTTP/1.1\r\nHost: localhost\r\n\r\n");
                socket.write_all(request.as_bytes()).unwrap();
                until(&mut socket, first);
                socket
            };
            let mut ending = begin("/events?pause=10", "retry: 100\nid: 1\n");
            let mut endless = begin("/parts?number=1000&pause=100", "part 1\n");
            thread::scope(|scope| {
                scope.spawn(|| modes.stop(mode));
                let rest = until(&mut ending, "0\r\n\r\n");
                assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
                // Parts that had come by now prove nothing: a later one does.
                endless.set_nonblocking(true).unwrap();
                let _ = endless.read_to_end(&mut Vec::new());
                endless.set_nonblocking(false).unwrap();
                until(&mut endless, "part ");
                let mut rest = String::new();
                let _ = endless.read_to_string(&mut rest);
                assert!(!rest.ends_with("0\r\n\r\n"), "{rest}");
            });
        },
    ),
    (
        "at a kill an upload is 502, and a stream and a WebSocket are cut",
        STACK,
        |modes, mode| {
            let mut begun = Begun::start(modes.address(mode));
            for replica in modes.stack().containers("app") {
                docker(&["kill", &replica]);
            }
            assert!(begun.socket.read().is_err());
            let mut rest = String::new();
            let _ = begun.stream.read_to_string(&mut rest);
            assert!(!rest.ends_with("0\r\n\r\n"), "{rest:?}");
            let answer = until(&mut begun.upload, "502 Bad Gateway");
            assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
        },
    ),
];

const MAX_BODY: usize = 10 << 20;

pub fn batches() -> Vec<Batch> {
    let variables = [
        // Short, so that the end is seen.
        ("RESPONSE_TIMEOUT", "5"),
        ("MAX_REQUESTS", "32"),
        // Not the usual one, which is always overwritten.
        ("CLIENT_HEADER", "X-Real-IP"),
    ];
    let batch = |rows: &'static [Row]| wire_service::batch(&variables, rows);
    let ends = (0..AT_THE_END.len()).map(|at| batch(&AT_THE_END[at..=at]));
    let alone: [(&str, fn()); 2] = [
        (
            "stack: a body of 1 GB passes through nginx with 64 MB",
            a_body_of_1_gb_passes,
        ),
        (
            "stack: the first request after nginx has started is answered by a replica",
            the_first_request_is_answered,
        ),
    ];
    let alone = alone.map(|(name, check)| match modes::why_not(modes::STACK) {
        Some(why) => skip::skipped(name, why),
        None => skip::trial(name, check),
    });
    // Each has servers of its own.
    vec![
        batch(CASES),
        ends.fold(Batch::of(alone.into()), Batch::beside),
    ]
}

fn a_body_of_1_gb_passes() {
    const MEGABYTE: usize = 1 << 20;
    let stack = Stack::start(&[
        ("APP_IMAGE", &image("wire", "1")),
        ("MAX_BODY", "1g"),
        ("NGINX_MEMORY", "64M"),
    ]);
    let mut socket = connect(stack.address);
    let bytes = 1024 * MEGABYTE;
    let head =
        format!("PUT /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\n\r\n");
    socket.write_all(head.as_bytes()).unwrap();
    let piece = vec![b'x'; MEGABYTE];
    (0..1024).for_each(|_| socket.write_all(&piece).unwrap());
    let answer = until(&mut socket, &bytes.to_string());
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}

fn the_first_request_is_answered() {
    let stack = Stack::start(&[]);
    let nginx = stack.containers("nginx").remove(0);
    // Docker gives a container that starts again the lowest free address: its own.
    let address = stack.nginx_address();
    for _ in 0..5 {
        docker(&["kill", &nginx]);
        let started = thread::spawn({
            let nginx = nginx.clone();
            move || docker(&["start", &nginx])
        });
        // Often: what is to be seen lasts for some milliseconds.
        let answer = wait_for(|| (0..100).find_map(|_| first_answer(address)));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        started.join().unwrap();
    }
}

/// The answer to a request, if anything listens.
fn first_answer(address: SocketAddr) -> Option<String> {
    let mut socket = TcpStream::connect_timeout(&address, Duration::from_millis(100)).ok()?;
    let request = b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n";
    socket.write_all(request).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    (!answer.is_empty()).then_some(answer)
}

/// The head of a handshake (RFC 6455 §4.1).
fn handshake(first_line: &str, host: &str) -> String {
    format!(
        "{first_line}\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// Opens a WebSocket.
fn open(address: SocketAddr, path: &str) -> tungstenite::Result<(WebSocket<TcpStream>, Response)> {
    let request = ClientRequestBuilder::new(format!("ws://localhost{path}").parse().unwrap());
    let handshaken = client(request.with_sub_protocol("echo"), connect(address));
    handshaken.map_err(|error| match error {
        HandshakeError::Failure(error) => error,
        HandshakeError::Interrupted(_) => panic!("the socket blocks"),
    })
}

/// A WebSocket, a stream, and an upload of which a half was sent.
struct Begun {
    socket: WebSocket<TcpStream>,
    stream: TcpStream,
    upload: TcpStream,
}

impl Begun {
    fn start(address: SocketAddr) -> Self {
        let (mut socket, _) = open(address, "/socket").unwrap();
        socket.send(Message::text("before")).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text("before"));
        let mut stream = connect(address);
        let request = "GET /parts?number=100&pause=500 HTTP/1.1\r\nHost: localhost\r\n\r\n";
        stream.write_all(request.as_bytes()).unwrap();
        until(&mut stream, "part 1\n");
        let mut upload = connect(address);
        let head = "POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000\r\n\
             Expect: 100-continue\r\n\r\n";
        upload.write_all(head.as_bytes()).unwrap();
        until(&mut upload, "100 Continue\r\n\r\n");
        upload.write_all(&[b'x'; 10_000]).unwrap();
        // Time for nginx to pass the half on.
        thread::sleep(Duration::from_millis(500));
        Self {
            socket,
            stream,
            upload,
        }
    }
}

fn ask(modes: &Modes, mode: Mode, path: &str) -> Reply {
    get(modes.address(mode), path, "localhost")
}

fn json(reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    serde_json::from_slice(&reply.body).expect("JSON")
}

/// Reads until `text` has come, and returns all that came.
fn until(socket: &mut TcpStream, text: &str) -> String {
    let mut read = Vec::new();
    loop {
        let mut piece = [0; 4096];
        let bytes = socket.read(&mut piece).expect("more comes");
        assert!(bytes > 0, "{:?}", String::from_utf8_lossy(&read));
        read.extend_from_slice(&piece[..bytes]);
        let all = String::from_utf8_lossy(&read);
        if all.contains(text) {
            return all.into_owned();
        }
    }
}
