//! The CORS protocol: what each response says of origins, from the app and from nginx.

use harness::{
    modes::{Mode, Modes},
    solo::wait_for,
    wire::{self, Reply},
};

use crate::{
    run::Batch,
    wire_service::{self, Row},
};

const ALL: &[Mode] = &Mode::ALL;
/// As `Origin` has it.
const A: &str = "https://a.example";

/// A request line, further lines of the head, and the response's status and `Vary`.
type Case = (&'static str, &'static str, u16, Option<&'static str>);

const EACH: &[Case] = &[
    ("GET /client", "", 200, Some("Origin")),
    ("GET /up", "", 200, Some("Origin")),
    ("GET /text/2000", "", 200, Some("Accept-Encoding, Origin")),
    // Files, by nginx and by the app.
    ("GET /robots.txt", "", 200, Some("Accept-Encoding, Origin")),
    ("HEAD /robots.txt", "", 200, Some("Accept-Encoding, Origin")),
    (
        "GET /robots.txt",
        "Range: bytes=0-1\r\n",
        206,
        Some("Accept-Encoding, Origin"),
    ),
    // Error pages, by the app and by nginx.
    ("GET /nothing-here", "", 404, Some("Accept, Origin")),
    ("DELETE /client", "", 405, Some("Accept, Origin")),
    (
        "PUT /upload",
        "Content-Length: 1000000\r\n",
        413,
        Some("Accept, Origin"),
    ),
    ("GET /panic", "", 500, Some("Accept, Origin")),
    ("TRACE /", "", 501, Some("Accept, Origin")),
    ("GET /head/33000", "", 502, Some("Accept, Origin")),
    ("GET /slow/60000", "", 504, Some("Accept, Origin")),
];

const LISTED: &[Row] = &[
    (
        "every response to an origin of the list says so",
        ALL,
        |modes, mode| {
            for &(request, lines, status, vary) in EACH {
                let reply = ask(modes, mode, request, &format!("Origin: {A}\r\n{lines}"));
                assert_eq!(reply.status, status, "{request}");
                assert_eq!(cors(&reply), GRANTED, "{request}");
                assert_eq!(reply.header("vary"), vary, "{request}");
            }
        },
    ),
    (
        "another origin gets the response and nothing else",
        ALL,
        |modes, mode| {
            for &(request, lines, status, vary) in EACH {
                // Patterns would take the second for a.example.
                for origin in [
                    "Origin: https://b.example\r\n",
                    "Origin: https://axexample\r\n",
                    "",
                ] {
                    let reply = ask(modes, mode, request, &format!("{origin}{lines}"));
                    assert_eq!(reply.status, status, "{request}");
                    assert!(cors(&reply).is_empty(), "{request}: {reply:?}");
                    assert_eq!(reply.header("vary"), vary, "{request}");
                }
            }
        },
    ),
    ("a file that is known says so too", ALL, |modes, mode| {
        let origin = format!("Origin: {A}\r\n");
        let file = ask(modes, mode, "GET /robots.txt", &origin);
        let known = format!(
            "{origin}If-None-Match: {}\r\n",
            file.header("etag").unwrap()
        );
        let reply = ask(modes, mode, "GET /robots.txt", &known);
        assert_eq!(reply.status, 304);
        assert_eq!(cors(&reply), GRANTED);
    }),
    (
        "a head that is too large says so too",
        ALL,
        |modes, mode| {
            let large = format!("Origin: {A}\r\nX-Large: {}\r\n", "x".repeat(20_000));
            let reply = ask(modes, mode, "GET /client", &large);
            assert_eq!(reply.status, 431);
            assert_eq!(cors(&reply), GRANTED);
        },
    ),
    ("a preflight is answered", ALL, |modes, mode| {
        let method = "Access-Control-Request-Method: PUT\r\n";
        let lines = format!("Origin: {A}\r\n{method}Access-Control-Request-Headers: x-own\r\n");
        for path in ["/upload", "/nothing-here", "/robots.txt"] {
            let reply = ask(modes, mode, &format!("OPTIONS {path}"), &lines);
            assert_eq!((reply.status, reply.text().as_str()), (204, ""), "{path}");
            for (name, value) in [
                ("access-control-allow-origin", A),
                ("access-control-allow-methods", "PUT"),
                ("access-control-allow-headers", "x-own"),
                ("access-control-allow-credentials", "true"),
            ] {
                assert_eq!(reply.header(name), Some(value), "{path}");
            }
        }
        let other = format!("Origin: https://b.example\r\n{method}");
        let reply = ask(modes, mode, "OPTIONS /upload", &other);
        assert_eq!((reply.status, cors(&reply).len()), (204, 0));
        assert_eq!(reply.header("allow"), Some("OPTIONS, POST, PUT"));
    }),
    ("the service's own header wins", ALL, |modes, mode| {
        let request = "GET /text/9?origin=https://own.example";
        let reply = ask(modes, mode, request, &format!("Origin: {A}\r\n"));
        assert_eq!(cors(&reply), ["allow-origin: https://own.example"]);
    }),
];

const ANY: &[Row] = &[(
    "any origin may read a page that says 503",
    ALL,
    |modes, mode| {
        for lines in [&*format!("Origin: {A}\r\n"), "Origin: null\r\n", ""] {
            for (request, status) in [
                ("GET /client", 503),
                ("GET /robots.txt", 503),
                ("GET /up", 200),
            ] {
                let reply = ask(modes, mode, request, lines);
                assert_eq!(reply.status, status, "{request}");
                let any = ["allow-origin: *", "expose-headers: X-Request-Id"];
                assert_eq!(cors(&reply), any, "{request}");
                assert!(!reply.header("vary").is_some_and(|it| it.contains("Origin")));
            }
        }
    },
)];

const UNSET: &[Row] = &[("without origins the service decides", ALL, |modes, mode| {
    let origin = format!("Origin: {A}\r\n");
    for request in ["GET /client", "GET /robots.txt", "TRACE /"] {
        let reply = ask(modes, mode, request, &origin);
        assert!(cors(&reply).is_empty(), "{request}: {reply:?}");
        assert!(!reply.header("vary").is_some_and(|it| it.contains("Origin")));
    }
    let reply = ask(modes, mode, "GET /text/9?origin=*", &origin);
    assert_eq!(cors(&reply), ["allow-origin: *"]);
})];

const WITHOUT_REPLICAS: &[Row] = &[("nginx alone says so too", &[Mode::Stack], |modes, mode| {
    modes.stop(mode);
    let origin = format!("Origin: {A}\r\n");
    wait_for(|| {
        let reply = ask(modes, mode, "GET /client", &origin);
        (reply.status == 502 && cors(&reply) == GRANTED).then_some(())
    });
    let reply = ask(modes, mode, "GET /robots.txt", &origin);
    assert_eq!(reply.status, 200);
    assert_eq!(cors(&reply), GRANTED);
})];

const LIST: (&str, &str) = ("CORS_ORIGINS", "https://a.example,http://localhost:3000");
/// What an origin of the list gets.
const GRANTED: [&str; 3] = [
    "allow-credentials: true",
    "allow-origin: https://a.example",
    "expose-headers: X-Request-Id",
];

pub fn batches() -> Vec<Batch> {
    let limits = [LIST, ("MAX_BODY", "100k"), ("RESPONSE_TIMEOUT", "2")];
    let any = [("CORS_ORIGINS", "*"), ("MAINTENANCE", "on")];
    vec![
        wire_service::batch(&limits, LISTED),
        wire_service::batch(&any, ANY)
            .beside(wire_service::batch(&[], UNSET))
            .beside(wire_service::batch(&[LIST], WITHOUT_REPLICAS)),
    ]
}

fn ask(modes: &Modes, mode: Mode, request: &str, lines: &str) -> Reply {
    let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\n{lines}");
    wire::ask(
        modes.address(mode),
        format!("{head}Connection: close\r\n\r\n"),
    )
}

/// The headers of the protocol, `name: value` without the beginning of the name.
fn cors(reply: &Reply) -> Vec<String> {
    let headers = reply.headers.iter();
    let mut cors: Vec<_> = headers
        .filter_map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            let rest = name.strip_prefix("access-control-")?;
            Some(format!("{rest}: {value}"))
        })
        .collect();
    cors.sort_unstable();
    cors
}
