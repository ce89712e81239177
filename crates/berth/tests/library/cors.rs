//! CORS: what each response says of origins, those before the service too, and preflights.

use std::{net::SocketAddr, time::Duration};

use actix_web::{HttpResponse, rt::time::sleep, web};
use berth::http::origins::CorsOrigins;
use harness::wire::{self, Reply};

use crate::service::{Values, serve};

fn service(app: &mut web::ServiceConfig) {
    app.route("/", web::get().to(async || "home"))
        .route("/own", web::get().to(own))
        .route("/panic", web::get().to(panics))
        .route("/slow", web::get().to(slow));
}

async fn own() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("access-control-allow-origin", "https://own.example"))
        .insert_header(("vary", "Origin"))
        .body("own")
}

async fn panics() -> HttpResponse {
    panic!("as it was asked to")
}

async fn slow() -> HttpResponse {
    sleep(Duration::from_secs(60)).await;
    HttpResponse::Ok().finish()
}

fn with(origins: &'static str) -> SocketAddr {
    let values = Values {
        cors_origins: origins,
        max_body: 1_000,
        response_timeout: Duration::from_secs(1),
        ..Values::default()
    };
    serve(values, service)
}

fn ask(app: SocketAddr, request: &str, headers: &[&str]) -> Reply {
    let headers: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\n{headers}");
    wire::ask(app, format!("{head}Connection: close\r\n\r\n"))
}

/// The headers of the CORS protocol, without the names' common beginning.
fn cors(reply: &Reply) -> Vec<(&str, &str)> {
    let headers = reply.headers.iter();
    let mut cors: Vec<_> = headers
        .filter_map(|(name, value)| Some((name.strip_prefix("access-control-")?, &**value)))
        .collect();
    cors.sort_unstable();
    cors
}

const LIST: &str = "https://a.example, http://localhost:3000";
const A: &str = "Origin: https://a.example";
const GRANTED: [(&str, &str); 3] = [
    ("allow-credentials", "true"),
    ("allow-origin", "https://a.example"),
    ("expose-headers", "X-Request-Id"),
];

#[test]
fn every_response_has_the_headers() {
    let app = with(LIST);
    for (request, headers, status) in [
        ("GET /", &[A][..], 200),
        ("HEAD /", &[A], 200),
        ("GET /up", &[A], 200),
        ("GET /nothing-here", &[A], 404),
        ("POST /", &[A], 405),
        ("GET /%zz", &[A], 400),
        ("TRACE /", &[A], 501),
        ("PUT /", &[A, "Content-Length: 1001"], 413),
        ("GET /panic", &[A], 500),
        ("GET /slow", &[A], 504),
    ] {
        let reply = ask(app, request, headers);
        assert_eq!(reply.status, status, "{request}");
        assert_eq!(cors(&reply), GRANTED, "{request}");
        let vary = reply.header("vary").unwrap();
        assert!(vary.ends_with("Origin"), "{request}: {vary}");
    }
    let maintenance = Values {
        cors_origins: LIST,
        maintenance: true,
        ..Values::default()
    };
    let reply = ask(serve(maintenance, service), "GET /", &[A]);
    assert_eq!(reply.status, 503);
    assert_eq!(cors(&reply), GRANTED);
}

#[test]
fn another_origin_gets_nothing() {
    let app = with(LIST);
    for origin in [
        "Origin: https://b.example",
        "Origin: http://a.example",
        "Origin: https://a.example:444",
        "Origin: https://a.example.evil.example",
        "Origin: HTTPS://A.EXAMPLE",
        "Origin: null",
        "Origin:",
        "Accept: */*",
    ] {
        let reply = ask(app, "GET /", &[origin]);
        assert_eq!((reply.status, reply.text().as_str()), (200, "home"));
        assert!(cors(&reply).is_empty(), "{origin}: {reply:?}");
        // For caches.
        assert_eq!(reply.header("vary"), Some("Origin"), "{origin}");
    }
}

#[test]
fn any_origin_gets_a_star_and_no_credentials() {
    let app = with("*");
    for headers in [&[A][..], &["Origin: null"], &[]] {
        let reply = ask(app, "GET /", headers);
        let any = [("allow-origin", "*"), ("expose-headers", "X-Request-Id")];
        assert_eq!(cors(&reply), any);
        assert_eq!(reply.header("vary"), None);
    }
}

#[test]
fn without_origins_nothing_is_added() {
    let app = with("");
    let reply = ask(app, "GET /", &[A]);
    assert!(cors(&reply).is_empty() && reply.header("vary").is_none());
    let preflight = [A, "Access-Control-Request-Method: PUT"];
    let reply = ask(app, "OPTIONS /", &preflight);
    assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
    assert!(cors(&reply).is_empty());
}

#[test]
fn a_service_answers_for_itself() {
    let reply = ask(with(LIST), "GET /own", &[A]);
    assert_eq!(cors(&reply), [("allow-origin", "https://own.example")]);
    assert_eq!(reply.header("vary"), Some("Origin"));
}

#[test]
fn a_preflight_is_answered() {
    let app = with(LIST);
    let asked = [
        A,
        "Access-Control-Request-Method: PUT",
        "Access-Control-Request-Headers: content-type,x-own",
    ];
    for path in ["/", "/nothing-here", "/own"] {
        let reply = ask(app, &format!("OPTIONS {path}"), &asked);
        assert_eq!(reply.status, 204, "{path}");
        let granted = [
            ("allow-credentials", "true"),
            ("allow-headers", "content-type,x-own"),
            ("allow-methods", "PUT"),
            ("allow-origin", "https://a.example"),
            ("expose-headers", "X-Request-Id"),
            ("max-age", "7200"),
        ];
        assert_eq!(cors(&reply), granted, "{path}");
    }
    // Without asking for a method, it is none; nor from another origin, for another host, or by another method.
    let reply = ask(app, "OPTIONS /", &[A]);
    assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
    assert_eq!(cors(&reply), GRANTED);
    let reply = ask(app, "OPTIONS /", &["Origin: https://b.example", asked[1]]);
    assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
    assert!(cors(&reply).is_empty());
    let elsewhere = "OPTIONS http://b.example/ HTTP/1.1\r\nHost: b.example\r\n\
         Origin: https://a.example\r\nAccess-Control-Request-Method: PUT\r\nConnection: close\r\n\r\n";
    assert_eq!(wire::ask(app, elsewhere).status, 404);
    assert_eq!(ask(app, "GET /", &asked).text(), "home");
}

#[test]
fn origins_are_read_as_browsers_write_them() {
    for (text, shown) in [
        ("", ""),
        (" , ", ""),
        ("*", "*"),
        ("https://a.example", "https://a.example"),
        (
            " HTTPS://A.example:8443 ,http://[::1]:3000,app+x://local_host",
            "https://a.example:8443,http://[::1]:3000,app+x://local_host",
        ),
    ] {
        let origins: CorsOrigins = text.parse().unwrap();
        assert_eq!(origins.to_string(), shown);
        assert_eq!(shown.parse(), Ok(origins));
    }
    for (text, remedy) in [
        ("*,https://a.example", "write * alone, or name each origin"),
        ("a.example", "write \"https://app.example\""),
        ("null", "write \"https://app.example\""),
        ("https://", "write \"https://app.example\""),
        ("https://:1", "write \"https://app.example\""),
        ("https://a\"b", "write \"https://app.example\""),
        ("https://*.example", "write \"https://app.example\""),
        ("https://u@a.example", "write \"https://app.example\""),
        ("https://a.example:", "write \"https://app.example\""),
        ("https://a.example:08", "write \"https://app.example\""),
        ("1http://a.example", "write \"https://app.example\""),
        ("https://bücher.example", "write \"https://app.example\""),
        ("https://a.example/", "write \"https://a.example\""),
        ("https://a.example/x?y", "write \"https://a.example\""),
        ("https://a.example:443", "write \"https://a.example\""),
        ("http://a.example:80", "write \"http://a.example\""),
    ] {
        let error = text.parse::<CorsOrigins>().unwrap_err();
        assert!(error.contains(remedy), "{text}: {error}");
    }
}
