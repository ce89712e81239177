//! Responses of a service, compressed where that pays: the same in every mode, since nginx passes them on as they are.

use std::io::Write;

use harness::{
    modes::{Mode, Modes},
    wire::{self, Reply},
};

use crate::{
    run::Batch,
    wire_service::{self, Row},
};

const ALL: &[Mode] = &Mode::ALL;
/// What browsers send.
const BROWSER: &str = "gzip, deflate, br, zstd";

const ON: &[Row] = &[
    ("the client chooses the encoding", ALL, |modes, mode| {
        for (accepted, coding) in [
            (BROWSER, Some("br")),
            ("gzip", Some("gzip")),
            ("br;q=0.1, gzip;q=0.2", Some("gzip")),
            ("gzip;q=0, br;q=0", None),
            ("identity", None),
            ("", None),
        ] {
            for bytes in [1_024, 50_000, 2_000_000] {
                let reply = ask(modes, mode, &format!("/text/{bytes}"), accepted);
                assert_eq!(reply.header("content-encoding"), coding, "{accepted}");
                assert_eq!(reply.header("vary"), Some("Accept-Encoding"), "{accepted}");
                assert_eq!(plain(&reply).len(), bytes, "{accepted}");
                assert_eq!(reply.body.len() < bytes, coding.is_some(), "{accepted}");
            }
        }
    }),
    ("what must stay as it is does", ALL, |modes, mode| {
        for path in [
            "/text/1023",
            "/text/5000?type=image/png",
            "/text/5000?type=text/event-stream",
            "/text/5000?cache=no-transform",
            "/parts?number=100&pause=0",
        ] {
            let reply = ask(modes, mode, path, BROWSER);
            assert_eq!(reply.status, 200, "{path}");
            assert_eq!(reply.header("content-encoding"), None, "{path}");
            assert_eq!(reply.header("vary"), None, "{path}");
        }
    }),
    ("a tag becomes weak", ALL, |modes, mode| {
        let path = "/text/5000?etag=%22one%22";
        let compressed = ask(modes, mode, path, BROWSER);
        assert_eq!(compressed.header("etag"), Some("W/\"one\""));
        assert_eq!(ask(modes, mode, path, "").header("etag"), Some("\"one\""));
    }),
    ("HEAD has the headers of GET", ALL, |modes, mode| {
        let get = ask(modes, mode, "/text/5000", BROWSER);
        let request = format!(
            "HEAD /text/5000 HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {BROWSER}\r\n\r\n"
        );
        let head = wire::ask(modes.address(mode), request);
        for name in ["content-encoding", "content-length", "content-type", "vary"] {
            assert_eq!(head.header(name), get.header(name), "{name}");
        }
    }),
    ("an error page stays as it is", ALL, |modes, mode| {
        let reply = ask(modes, mode, "/nothing-here", BROWSER);
        assert_eq!((reply.status, reply.header("vary")), (404, Some("Accept")));
        assert_eq!(reply.text(), "404 Not Found");
    }),
];

const OFF: &[Row] = &[("off is off", ALL, |modes, mode| {
    let reply = ask(modes, mode, "/text/5000", BROWSER);
    assert_eq!(reply.header("content-encoding"), None);
    assert_eq!((reply.header("vary"), reply.body.len()), (None, 5_000));
})];

pub fn batches() -> Vec<Batch> {
    let off = wire_service::batch(&[("COMPRESSION", "off")], OFF);
    vec![wire_service::batch(&[], ON).beside(off)]
}

fn ask(modes: &Modes, mode: Mode, path: &str, accepted: &str) -> Reply {
    let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: {accepted}\r\n");
    wire::ask(
        modes.address(mode),
        format!("{head}Connection: close\r\n\r\n"),
    )
}

/// The body without its encoding.
fn plain(reply: &Reply) -> Vec<u8> {
    let mut plain = Vec::new();
    match reply.header("content-encoding") {
        None => plain.clone_from(&reply.body),
        Some("br") => brotli::BrotliDecompress(&mut &*reply.body, &mut plain).expect("Brotli"),
        Some(_) => {
            let mut decoder = flate2::write::GzDecoder::new(&mut plain);
            decoder.write_all(&reply.body).expect("gzip");
            decoder.finish().expect("the end");
        }
    }
    plain
}
