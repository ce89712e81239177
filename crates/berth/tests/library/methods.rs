//! The default answers of a service: HEAD for each GET, 405 with `Allow`, 404, OPTIONS; and those of a service with its
//! own [`Fallback`].

use std::net::SocketAddr;

use actix_web::{
    HttpResponse, get,
    http::{Method, StatusCode},
    post, web,
};
use berth::middleware::fallback::Fallback;
use harness::wire::{self, Reply};

use crate::service::{Values, serve};

fn service(app: &mut web::ServiceConfig) {
    app.service(home)
        .service(create)
        .service(
            web::resource("/thing")
                .route(web::get().to(async || "the thing"))
                .route(web::put().to(async || HttpResponse::NoContent())),
        )
        .service(echo);
}

#[get("/")]
async fn home() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(("x-of-its-own", "kept"))
        .body("home")
}

#[post("/")]
async fn create() -> HttpResponse {
    HttpResponse::Created().body("created")
}

/// Answers with the body of the request.
#[get("/echo")]
async fn echo(body: web::Bytes) -> HttpResponse {
    HttpResponse::Ok().body(body)
}

fn ask(address: SocketAddr, request: &str) -> Reply {
    let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\n");
    wire::ask(address, format!("{head}Connection: close\r\n\r\n"))
}

/// Returns the headers to compare: all but those that differ between responses.
fn headers(reply: &Reply) -> Vec<(String, String)> {
    let is_compared = |(name, _): &&(String, String)| {
        !["date", "x-request-id"].contains(&name.to_ascii_lowercase().as_str())
    };
    let mut headers: Vec<_> = reply.headers.iter().filter(is_compared).cloned().collect();
    headers.sort();
    headers
}

#[test]
fn head_is_get_without_the_body() {
    let app = serve(Values::default(), service);
    for path in ["/", "/thing"] {
        let get = ask(app, &format!("GET {path}"));
        let head = ask(app, &format!("HEAD {path}"));
        assert_eq!(get.status, 200, "{path}");
        assert_eq!(head.status, 200, "{path}");
        assert_eq!(headers(&head), headers(&get), "{path}");
        assert!(head.body.is_empty() && !get.body.is_empty(), "{path}");
    }
    assert_eq!(ask(app, "HEAD /").header("x-of-its-own"), Some("kept"));
    // Nothing follows the head on the connection.
    let request = b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let exchange = wire::exchange(app, request, wire::TIMEOUT);
    assert!(exchange.closed && exchange.rest.is_empty(), "{exchange:?}");
}

#[test]
fn a_method_that_the_path_lacks_gets_405_with_what_it_has() {
    let app = serve(Values::default(), service);
    for (request, allow) in [
        ("DELETE /", "GET, HEAD, OPTIONS, POST"),
        ("PUT /", "GET, HEAD, OPTIONS, POST"),
        ("PATCH /thing", "GET, HEAD, OPTIONS, PUT"),
        ("POST /thing", "GET, HEAD, OPTIONS, PUT"),
    ] {
        let reply = ask(app, request);
        assert_eq!(reply.status, 405, "{request}");
        assert_eq!(reply.header("allow"), Some(allow), "{request}");
        assert_eq!(reply.text(), "405 Method Not Allowed", "{request}");
    }
    // Allowed methods are answered.
    assert_eq!(ask(app, "POST /").status, 201);
    assert_eq!(ask(app, "PUT /thing").status, 204);
}

#[test]
fn options_names_the_methods() {
    let app = serve(Values::default(), service);
    for (path, allow) in [
        ("/", "GET, HEAD, OPTIONS, POST"),
        ("/thing", "GET, HEAD, OPTIONS, PUT"),
    ] {
        let reply = ask(app, &format!("OPTIONS {path}"));
        assert_eq!(reply.status, 204, "{path}");
        assert_eq!(reply.header("allow"), Some(allow), "{path}");
        assert!(reply.body.is_empty(), "{path}");
    }
}

#[test]
fn an_unknown_path_gets_404_whatever_the_method() {
    let app = serve(Values::default(), service);
    for method in ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        let reply = ask(app, &format!("{method} /nothing-here"));
        assert_eq!(reply.status, 404, "{method}");
        assert_eq!(reply.header("allow"), None, "{method}");
    }
    assert_eq!(ask(app, "GET /things").status, 404);
    assert_eq!(ask(app, "GET /thing/").status, 404);
}

#[test]
fn a_body_of_a_get_reaches_the_handler() {
    let app = serve(Values::default(), service);
    for body in [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    ] {
        let request = format!("GET /echo HTTP/1.1\r\nHost: localhost\r\n{body}");
        let reply = wire::ask(app, request);
        assert_eq!(
            (reply.status, reply.text().as_str()),
            (200, "hello"),
            "{body}"
        );
    }
    assert_eq!(ask(app, "GET /echo").text(), "");
}

#[test]
fn a_malformed_body_of_a_get_gets_400() {
    let app = serve(Values::default(), service);
    for path in ["/echo", "/"] {
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nno-size\r\n"
        );
        assert_eq!(wire::ask(app, request).status, 400, "{path}");
    }
}

#[test]
fn a_service_with_a_fallback_answers_as_that_says() {
    let app = serve(Values::default(), |app| {
        let status: fn(&Method) -> StatusCode = |method| match *method {
            Method::GET => StatusCode::NOT_FOUND,
            _ => StatusCode::NOT_IMPLEMENTED,
        };
        app.app_data(Fallback(status)).service(home);
    });
    assert_eq!(ask(app, "GET /").status, 200);
    assert_eq!(ask(app, "GET /nothing-here").status, 404);
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
        for path in ["/", "/nothing-here"] {
            let reply = ask(app, &format!("{method} {path}"));
            assert_eq!(reply.status, 501, "{method} {path}");
            assert_eq!(reply.header("allow"), None, "{method} {path}");
        }
    }
}
