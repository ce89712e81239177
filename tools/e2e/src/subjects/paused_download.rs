//! With default settings, a client that pauses a download for 30 s gets all of it: a response of the service with its length
//! and without, and a file.

use std::{
    fs::File,
    io::{BufRead, BufReader, Read, Write, copy, sink},
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    sync::Arc,
    thread,
    time::Duration,
};

use harness::{
    fixture::Fixture,
    modes::{self, Case, Mode, Modes},
    solo::wait_for,
    wire::connect,
};

use crate::run::Batch;
use crate::wire_service::SERVICE;

const PAUSE: Duration = Duration::from_secs(30);
/// More than all sockets on the way hold.
const BYTES: u64 = 256 << 20;
/// What is read before the pause.
const FIRST: u64 = 1 << 20;

pub fn batches() -> Vec<Batch> {
    let site = Fixture::new(&[]);
    let file = File::create(site.file("large.bin")).unwrap();
    file.set_len(BYTES).unwrap();
    let readable = PermissionsExt::from_mode(0o644);
    file.set_permissions(readable).unwrap();
    let modes = Modes::with_site(Vec::new(), site.path(), "tools/e2e/fixtures/site.yml");
    let modes = Arc::new(modes.serving(SERVICE));
    let cases = Mode::ALL.into_iter().flat_map(|mode| {
        [
            ("a response with its length", format!("/bytes/{BYTES}")),
            ("a stream", format!("/stream/{BYTES}")),
            ("a file", "/large.bin".to_owned()),
        ]
        .map(|(what, path)| Case {
            name: format!("{what} is not cut by a pause of 30 s"),
            mode,
            check: Box::new(move |modes| {
                download(modes, mode, &path);
                Ok(())
            }),
        })
    });
    let trials = modes::trials(&modes, cases.collect());
    vec![Batch::then(trials, move |_| {
        modes::take_down(modes);
        drop(site);
        Ok(())
    })]
}

fn download(modes: &Modes, mode: Mode, path: &str) {
    let mut socket = connect(modes.address(mode));
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut reader = BufReader::new(socket);
    let head = head(&mut reader);
    assert!(head.starts_with("http/1.1 200 ok\r\n"), "{head}");
    let mut body = Body {
        reader,
        received: 0,
        pause: Box::new(|| {
            thread::sleep(PAUSE);
            let line = access_line(modes, mode, path);
            assert_eq!(line, None, "it has ended during the pause");
        }),
    };
    if head.contains("transfer-encoding: chunked\r\n") {
        body.take_chunks();
    } else {
        assert!(
            head.contains(&format!("content-length: {BYTES}\r\n")),
            "{head}"
        );
        body.take(BYTES);
    }
    assert_eq!(body.received, BYTES);
    wait_for(|| access_line(modes, mode, path));
}

/// The line that is written once a response was sent.
fn access_line(modes: &Modes, mode: Mode, path: &str) -> Option<String> {
    let mut log = modes.log(mode).into_iter().chain(modes.nginx_log(mode));
    log.find(|line| line.contains(path))
}

fn head(reader: &mut impl BufRead) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
    }
    head.to_lowercase()
}

struct Body<'a> {
    reader: BufReader<TcpStream>,
    received: u64,
    /// Is called once, after the first part.
    pause: Box<dyn Fn() + 'a>,
}

impl Body<'_> {
    fn take(&mut self, mut left: u64) {
        while left > 0 {
            let mut part = self.reader.by_ref().take(left.min(FIRST));
            let bytes = copy(&mut part, &mut sink()).unwrap();
            assert!(bytes > 0, "cut after {} bytes", self.received);
            let is_first = self.received < FIRST && self.received + bytes >= FIRST;
            self.received += bytes;
            left -= bytes;
            if is_first {
                (self.pause)();
            }
        }
    }

    /// RFC 9112 §7.1.
    fn take_chunks(&mut self) {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).unwrap();
            let size = u64::from_str_radix(line.trim_end(), 16);
            let size = size.unwrap_or_else(|_| panic!("cut after {} bytes", self.received));
            self.take(size);
            self.reader.read_line(&mut line).unwrap();
            if size == 0 {
                return;
            }
        }
    }
}
