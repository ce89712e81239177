//! Files of the site as responses of the service: a page of a single-page application, an `index.html`, a page for a 404.

use std::{cell::RefCell, fs, net::SocketAddr, path::PathBuf, sync::LazyLock};

use actix_web::{
    HttpRequest, Responder, get,
    http::{StatusCode, header::CACHE_CONTROL},
    post, web,
};
use berth::middleware::{
    fallback::{self, Fallback},
    single_page,
    static_files::site_file::SiteFile,
};
use harness::wire::{self, Reply};
use tempfile::TempDir;

use crate::service::{Values, serve};

/// What browsers send for a page.
const PAGE: &str = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n";

/// A site with compressed siblings, for as long as the tests run.
fn site() -> PathBuf {
    static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in [
            ("site/app.html", "<title>the page</title>"),
            ("site.br/app.html", "br of the page"),
            ("site/missing.html", "<title>missing</title>"),
            ("site/docs/index.html", "<title>docs</title>"),
            ("site/docs/a b/index.html", "<title>a b</title>"),
        ] {
            let file = folder.path().join(name);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, content).unwrap();
        }
        folder
    });
    FOLDER.path().join("site")
}

fn values() -> Values {
    Values {
        static_dir: site(),
        ..Values::default()
    }
}

fn ask(address: SocketAddr, request: &str, lines: &str) -> Reply {
    let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\n{lines}");
    wire::ask(address, format!("{head}Connection: close\r\n\r\n"))
}

/// The headers that are the file's.
fn headers(reply: &Reply) -> Vec<(String, String)> {
    let differs = ["date", "x-request-id", "vary"];
    let headers = reply
        .headers
        .iter()
        .filter(|(name, _)| !differs.contains(&&**name));
    let mut headers: Vec<_> = headers.cloned().collect();
    headers.sort();
    headers
}

fn application(app: &mut web::ServiceConfig) {
    #[get("/items")]
    async fn items() -> &'static str {
        "items"
    }
    #[post("/login")]
    async fn login() -> &'static str {
        "welcome"
    }
    let api = web::scope("/api").service(items);
    app.service(api.default_service(fallback::no_route()))
        .service(login)
        .default_service(single_page::serve("/app.html"));
}

#[test]
fn a_page_of_the_application_is_the_file() {
    let app = serve(values(), application);
    for lines in [
        String::new(),
        "Accept-Encoding: br\r\n".into(),
        "Accept-Encoding: gzip;q=0, identity;q=0\r\n".into(),
        "Range: bytes=1-3\r\n".into(),
    ] {
        let lines = lines + PAGE;
        for method in ["GET", "HEAD"] {
            let file = ask(app, &format!("{method} /static/app.html"), &lines);
            for path in ["/", "/orders/7", "/login", "/orders/", "/static/orders"] {
                let page = ask(app, &format!("{method} {path}"), &lines);
                assert_eq!(page.status, file.status, "{method} {path} {lines}");
                assert_eq!(headers(&page), headers(&file), "{method} {path} {lines}");
                assert_eq!(page.body, file.body, "{method} {path} {lines}");
                let vary = page.header("vary").unwrap().to_ascii_lowercase();
                assert!(vary.starts_with("accept-encoding, accept"), "{vary}");
            }
        }
    }
    let page = ask(app, "GET /orders/7", PAGE);
    assert_eq!(page.text(), "<title>the page</title>");
    assert_eq!(page.header("cache-control"), Some("no-cache"));
    let known = format!("If-None-Match: {}\r\n{PAGE}", page.header("etag").unwrap());
    assert_eq!(ask(app, "GET /orders/7", &known).status, 304);
}

#[test]
fn what_is_no_page_stays_a_404_or_405() {
    let app = serve(values(), application);
    for (request, lines) in [
        ("GET /orders/7", ""),
        ("GET /orders/7", "Accept: */*\r\n"),
        ("GET /orders/7", "Accept: application/json\r\n"),
        ("GET /assets/app.0123456789abcdef.js", PAGE),
        ("GET /app%2ejs", PAGE),
        ("GET /static/missing.png", PAGE),
        ("POST /orders/7", PAGE),
        ("OPTIONS /orders/7", PAGE),
        ("GET /api/nothing-here", PAGE),
        ("GET /api", PAGE),
    ] {
        assert_eq!(ask(app, request, lines).status, 404, "{request} {lines}");
    }
    for (request, status, allow) in [
        ("DELETE /login", 405, "OPTIONS, POST"),
        ("OPTIONS /login", 204, "OPTIONS, POST"),
        ("POST /api/items", 405, "GET, HEAD, OPTIONS"),
    ] {
        let reply = ask(app, request, PAGE);
        assert_eq!(reply.status, status, "{request}");
        assert_eq!(reply.header("allow"), Some(allow), "{request}");
    }
    assert_eq!(ask(app, "POST /login", PAGE).text(), "welcome");
    assert_eq!(ask(app, "GET /api/items", PAGE).text(), "items");
}

#[test]
fn a_missing_page_is_a_404() {
    let app = serve(values(), |app| {
        app.default_service(single_page::serve("/nothing.html"));
    });
    let reply = ask(app, "GET /orders", PAGE);
    assert_eq!(reply.status, 404);
    assert!(reply.text().contains("404 Not Found"), "{reply:?}");
}

#[test]
fn a_fallback_answers_what_is_no_page() {
    let app = serve(values(), |app| {
        app.app_data(Fallback(|_| StatusCode::NOT_IMPLEMENTED))
            .default_service(single_page::serve("/app.html"));
    });
    assert_eq!(ask(app, "GET /orders", PAGE).status, 200);
    for request in ["HEAD /orders", "POST /orders", "GET /app.js"] {
        assert_eq!(ask(app, request, PAGE).status, 501, "{request}");
    }
}

#[test]
fn a_folder_can_have_an_index() {
    let app = serve(values(), |app| {
        #[get("/docs/{folder:(.*/)?}")]
        async fn folder(request: HttpRequest) -> SiteFile {
            SiteFile::new(format!("{}index.html", request.path()))
        }
        app.service(folder);
    });
    for (path, title) in [("/docs/", "docs"), ("/docs/a%20b/", "a b")] {
        let reply = ask(app, &format!("GET {path}"), "");
        assert_eq!(reply.text(), format!("<title>{title}</title>"), "{path}");
    }
    for path in [
        "/docs",
        "/docs/other/",
        "/docs/.hidden/",
        "/docs/a%2fb/",
        "/docs//",
    ] {
        assert_eq!(ask(app, &format!("GET {path}"), "").status, 404, "{path}");
    }
}

#[test]
fn a_request_that_the_handler_keeps_is_a_500() {
    thread_local! {
        static KEPT: RefCell<Vec<HttpRequest>> = const { RefCell::new(Vec::new()) };
    }
    let app = serve(values(), |app| {
        #[get("/kept")]
        async fn kept(request: HttpRequest) -> SiteFile {
            KEPT.with_borrow_mut(|all| all.push(request));
            SiteFile::new("/app.html")
        }
        app.service(kept);
    });
    assert_eq!(ask(app, "GET /kept", "").status, 500);
}

#[test]
fn a_status_and_headers_of_the_handler_win() {
    let app = serve(values(), |app| {
        let missing = async || {
            SiteFile::new("/missing.html")
                .customize()
                .with_status(StatusCode::NOT_FOUND)
                .insert_header((CACHE_CONTROL, "no-store"))
        };
        app.route("/there", web::get().to(async || "there"))
            .default_service(web::to(missing));
    });
    for lines in ["", "If-None-Match: *\r\n", "Range: bytes=0-1\r\n"] {
        for method in ["GET", "POST"] {
            let reply = ask(app, &format!("{method} /nothing-here"), lines);
            assert_eq!(reply.status, 404, "{method} {lines}");
            assert_eq!(reply.text(), "<title>missing</title>", "{method} {lines}");
            assert_eq!(reply.header("cache-control"), Some("no-store"));
            let kind = reply.header("content-type");
            assert_eq!(kind, Some("text/html; charset=utf-8"));
        }
    }
    let reply = ask(app, "POST /there", "");
    let allow = reply.header("allow");
    assert_eq!((reply.status, allow), (405, Some("GET, HEAD, OPTIONS")));
}
