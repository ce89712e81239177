//! Where a service has no route, alike in every mode: what HTTP asks for by default (tools/fixture/src/bin/wire.rs), and the
//! pages of a single-page application (tools/fixture/src/bin/single_page.rs).

use harness::{
    fixture::{Entry, Fixture},
    modes::{Mode, Modes, Service},
    wire::{self, Reply},
};
use serde_json::Value;

use crate::{
    load::image,
    programs::program,
    run::Batch,
    wire_service::{self, SERVICE},
};

/// The case's name, and its check.
type Row = (&'static str, fn(&Modes, Mode));

const SINGLE_PAGE: Service = Service {
    program: || program("single_page"),
    app_image: || image("single_page", "1"),
    bundle_image: || image("bundled_single_page", "1"),
};

/// What browsers send for a page.
const PAGE: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";

const DEFAULTS: &[Row] = &[
    ("HEAD is GET without the body", |modes, mode| {
        for path in [
            "/client",
            "/items/1",
            "/stream/9",
            "/bytes/9",
            "/about.html",
        ] {
            let get = ask(modes, mode, &format!("GET {path}"), "");
            let head = ask(modes, mode, &format!("HEAD {path}"), "");
            assert_eq!(get.status, 200, "{path}");
            assert_eq!(head.status, 200, "{path}");
            // nginx tells a HEAD nothing of chunks (RFC 9112 §6.1).
            let beside = &["transfer-encoding"];
            assert_eq!(headers(&head, beside), headers(&get, beside), "{path}");
            assert!(!get.body.is_empty(), "{path}");
            let request =
                format!("HEAD {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            let address = modes.address(mode);
            let exchange = wire::exchange(address, request.as_bytes(), wire::TIMEOUT);
            assert!(exchange.closed && exchange.rest.is_empty(), "{exchange:?}");
        }
    }),
    (
        "a method that the path lacks is 405 with Allow",
        |modes, mode| {
            for (request, allow) in [
                ("POST /client", "GET, HEAD, OPTIONS"),
                ("DELETE /client", "GET, HEAD, OPTIONS"),
                ("GET /upload", "OPTIONS, POST, PUT"),
                ("PATCH /upload", "OPTIONS, POST, PUT"),
                ("POST /items/1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
            ] {
                let reply = ask(modes, mode, request, "");
                assert_eq!(reply.status, 405, "{request}");
                assert_eq!(reply.header("allow"), Some(allow), "{request}");
                assert_eq!(reply.text(), "405 Method Not Allowed", "{request}");
            }
            let head = ask(modes, mode, "HEAD /upload", "");
            let allow = head.header("allow");
            assert_eq!((head.status, allow), (405, Some("OPTIONS, POST, PUT")));
        },
    ),
    ("OPTIONS names the methods", |modes, mode| {
        for (path, allow) in [
            ("/client", "GET, HEAD, OPTIONS"),
            ("/upload", "OPTIONS, POST, PUT"),
            ("/items/1", "DELETE, GET, HEAD, OPTIONS, PATCH, PUT"),
        ] {
            let reply = ask(modes, mode, &format!("OPTIONS {path}"), "");
            assert_eq!(reply.status, 204, "{path}");
            assert_eq!(reply.header("allow"), Some(allow), "{path}");
            assert!(reply.body.is_empty(), "{path}");
        }
    }),
    ("any other path is 404", |modes, mode| {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            for path in ["/nothing-here", "/client/", "/items", "/items/", "/"] {
                let reply = ask(modes, mode, &format!("{method} {path}"), "");
                let allow = reply.header("allow");
                assert_eq!((reply.status, allow), (404, None), "{method} {path}");
            }
        }
    }),
    (
        "a body reaches the routes of every method",
        |modes, mode| {
            let large = "x".repeat(20_000);
            for body in ["hello", &large] {
                for request in [
                    "GET /echo",
                    "GET /items/1",
                    "PUT /items/1",
                    "PATCH /items/1",
                    "DELETE /items/1",
                ] {
                    let (method, path) = request.split_once(' ').unwrap();
                    let length = format!("Content-Length: {}\r\n\r\n{body}", body.len());
                    let chunk = format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len());
                    let chunked = format!("Transfer-Encoding: chunked\r\n\r\n{chunk}");
                    for rest in [length, chunked] {
                        let request = format!("{request} HTTP/1.1\r\nHost: localhost\r\n{rest}");
                        let reply = wire::ask(modes.address(mode), request);
                        assert_eq!(reply.status, 200, "{method} {path}");
                        let echo: Value = serde_json::from_slice(&reply.body).unwrap();
                        assert_eq!(echo["method"], method);
                        assert_eq!(echo["target"], path);
                        assert_eq!(echo["body"], body);
                    }
                }
            }
        },
    ),
    (
        "a file has GET and HEAD, and its path no other method",
        |modes, mode| {
            assert_eq!(ask(modes, mode, "GET /about.html", "").status, 200);
            for method in ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
                let reply = ask(modes, mode, &format!("{method} /about.html"), "");
                let allow = reply.header("allow");
                assert_eq!((reply.status, allow), (404, None), "{method}");
                assert_eq!(reply.text(), "404 Not Found", "{method}");
            }
        },
    ),
];

const PAGES: &[Row] = &[
    ("a page of the application is the file", |modes, mode| {
        for lines in [
            "",
            "Accept-Encoding: br, gzip\r\n",
            "Accept-Encoding: gzip\r\n",
            "Accept-Encoding: br;q=0.5, gzip\r\n",
            "Accept-Encoding: identity;q=0, *;q=0\r\n",
            "If-None-Match: *\r\n",
            "If-Match: \"other\"\r\n",
            "Range: bytes=1-3\r\n",
            "Range: bytes=99-\r\n",
        ] {
            let lines = format!("{lines}{PAGE}");
            for method in ["GET", "HEAD"] {
                let file = ask(modes, mode, &format!("{method} /app.html"), &lines);
                for path in ["/", "/orders/7", "/orders/", "/login", "/orders?q=a.b"] {
                    let page = ask(modes, mode, &format!("{method} {path}"), &lines);
                    assert_same(&page, &file, &format!("{method} {path} {lines}"));
                }
            }
        }
        let page = ask(modes, mode, "GET /orders/7", PAGE);
        assert_eq!(page.text(), "<title>the page</title>");
        assert_eq!(page.header("cache-control"), Some("no-cache"));
        assert!(page.header("content-security-policy").is_some());
        let known = format!("If-None-Match: {}\r\n{PAGE}", page.header("etag").unwrap());
        assert_eq!(ask(modes, mode, "GET /orders/7", &known).status, 304);
    }),
    ("what is no page stays 404 or 405", |modes, mode| {
        for (request, lines) in [
            ("GET /orders/7", ""),
            ("GET /orders/7", "Accept: */*\r\n"),
            ("GET /orders/7", "Accept: application/json\r\n"),
            ("GET /assets/app.0123456789abcdef.js", PAGE),
            ("GET /missing%2ejs", PAGE),
            ("POST /orders/7", PAGE),
            ("OPTIONS /orders/7", PAGE),
            ("GET /api/nothing-here", PAGE),
        ] {
            let reply = ask(modes, mode, request, lines);
            assert_eq!(reply.status, 404, "{request} {lines}");
        }
        for (request, status, allow) in [
            ("DELETE /login", 405, "OPTIONS, POST"),
            ("OPTIONS /login", 204, "OPTIONS, POST"),
            ("POST /api/items", 405, "GET, HEAD, OPTIONS"),
        ] {
            let reply = ask(modes, mode, request, PAGE);
            assert_eq!(reply.status, status, "{request}");
            assert_eq!(reply.header("allow"), Some(allow), "{request}");
        }
    }),
    ("routes and files come first", |modes, mode| {
        assert_eq!(ask(modes, mode, "POST /login", PAGE).text(), "welcome");
        assert_eq!(ask(modes, mode, "GET /api/items", PAGE).text(), "items");
        assert_eq!(ask(modes, mode, "GET /app.js", PAGE).text(), "the script");
    }),
    ("a folder can have an index.html", |modes, mode| {
        for lines in ["", PAGE, "Accept-Encoding: br\r\n", "Range: bytes=0-1\r\n"] {
            for folder in ["/docs/", "/docs/a%20b/"] {
                let file = ask(modes, mode, &format!("GET {folder}index.html"), lines);
                let index = ask(modes, mode, &format!("GET {folder}"), lines);
                assert!([200, 206].contains(&index.status), "{folder} {lines}");
                assert_same(&index, &file, &format!("{folder} {lines}"));
            }
        }
        for path in ["/docs/other/", "/docs/.hidden/"] {
            let reply = ask(modes, mode, &format!("GET {path}"), "");
            assert_eq!(reply.status, 404, "{path}");
        }
    }),
];

pub fn batches() -> Vec<Batch> {
    let site = Fixture::new(&[
        Entry::of("app.html", "<title>the page</title>").compressed("BR", "GZIP"),
        Entry::of("app.js", "the script"),
        Entry::of("docs/index.html", "<title>docs</title>").compressed("BR", "GZIP"),
        Entry::of("docs/a b/index.html", "<title>a b</title>"),
    ]);
    let defaults = Modes::with_service(Vec::new(), SERVICE);
    let pages = Modes::with_site(Vec::new(), site.path(), "tools/e2e/fixtures/site.yml");
    let pages = batch(pages.serving(SINGLE_PAGE), PAGES);
    // The site is removed after the servers.
    let removed = Batch::then(Vec::new(), |_| {
        drop(site);
        Ok(())
    });
    vec![batch(defaults, DEFAULTS), pages.beside(removed)]
}

fn batch(modes: Modes, rows: &[Row]) -> Batch {
    const ALL: &[Mode] = &Mode::ALL;
    let rows = rows.iter().map(|&(name, check)| (name, ALL, check));
    wire_service::batch_of(modes, rows)
}

fn ask(modes: &Modes, mode: Mode, request: &str, lines: &str) -> Reply {
    let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\n{lines}");
    wire::ask(
        modes.address(mode),
        format!("{head}Connection: close\r\n\r\n"),
    )
}

/// The headers but those that differ between responses, and those in `beside`.
fn headers(reply: &Reply, beside: &[&str]) -> Vec<(String, String)> {
    let headers = reply.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.clone()));
    let mut headers: Vec<_> = headers
        .filter(|(name, _)| {
            !["date", "x-request-id", "x-served-by"].contains(&name.as_str())
                && !beside.contains(&name.as_str())
        })
        .collect();
    headers.sort();
    headers
}

/// Compares a page with the file that it is. A page of the application depends on `Accept` too.
fn assert_same(page: &Reply, file: &Reply, what: &str) {
    assert_eq!(page.status, file.status, "{what}");
    let beside = &["vary"];
    assert_eq!(headers(page, beside), headers(file, beside), "{what}");
    assert_eq!(page.body, file.body, "{what}");
    let vary = page.header("vary").unwrap().to_ascii_lowercase();
    assert!(vary.starts_with("accept-encoding"), "{what}: {vary}");
}
