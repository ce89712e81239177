//! Error responses: pages for browsers, text for other clients, no details of a failure.

use std::net::SocketAddr;

use actix_web::{HttpResponse, http::StatusCode, web};
use base64::{Engine, prelude::BASE64_STANDARD};
use berth::middleware::{
    error_pages::{Page, TEMPLATE},
    security_headers::SECURITY,
};
use harness::error_page::{ask, assert_error_page};
use sha2::{Digest, Sha256};

use crate::service::{Values, serve};

/// Checks both forms of a response to be `page`.
#[track_caller]
fn assert_refused(address: SocketAddr, request: &str, status: u16, page: Page) {
    assert_error_page(
        address,
        request,
        status,
        (page.html(), page.text()),
        &SECURITY,
    );
}

fn page(status: u16) -> Page {
    Page::Status(StatusCode::from_u16(status).unwrap())
}

#[test]
fn the_style_of_the_pages_is_allowed() {
    let (_, rest) = TEMPLATE.split_once("<style>").expect("a style");
    let (style, _) = rest.split_once("</style>").expect("its end");
    let hash = format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(style)));
    let (_, policy) = SECURITY[0];
    assert!(
        policy.contains(&hash),
        "the style of error_page.html has changed: security_headers.rs must allow {hash}"
    );
}

/// Faulty and allowed error responses of a service.
fn service(app: &mut web::ServiceConfig) {
    app.route("/panic", web::get().to(panics))
        .route("/error", web::get().to(fails))
        .route("/empty/{status}", web::get().to(empty))
        .route("/own", web::get().to(own));
}

async fn panics() -> HttpResponse {
    panic!("the secret")
}

async fn fails() -> Result<HttpResponse, actix_web::Error> {
    Err(actix_web::error::ErrorInternalServerError("the secret"))
}

async fn empty(status: web::Path<u16>) -> HttpResponse {
    let status = StatusCode::from_u16(*status).unwrap();
    HttpResponse::build(status)
        .insert_header(("x-of-its-own", "kept"))
        .finish()
}

async fn own() -> HttpResponse {
    HttpResponse::NotFound()
        .insert_header(("content-security-policy", "default-src 'none'"))
        .body("not that one")
}

#[test]
fn a_service_that_fails_says_nothing_of_why() {
    let app = serve(Values::default(), service);
    for path in ["/panic", "/error"] {
        assert_refused(app, &format!("GET {path}"), 500, page(500));
    }
    // The service still answers.
    assert_eq!(ask(app, "GET /own", "*/*").text(), "not that one");
}

#[test]
fn a_service_need_not_find_the_words() {
    let app = serve(Values::default(), service);
    for status in [403, 404, 409, 500, 502, 503, 504] {
        let request = format!("GET /empty/{status}");
        assert_refused(app, &request, status, page(status));
        let reply = ask(app, &request, "*/*");
        assert_eq!(reply.header("x-of-its-own"), Some("kept"));
    }
    let reply = ask(app, "GET /empty/204", "text/html");
    assert_eq!((reply.status, reply.text().as_str()), (204, ""));
}

#[test]
fn a_service_has_the_last_word() {
    let app = serve(Values::default(), service);
    let reply = ask(app, "GET /own", "text/html");
    assert_eq!((reply.status, reply.text().as_str()), (404, "not that one"));
    let policy = reply.header("content-security-policy");
    assert_eq!(policy, Some("default-src 'none'"));
}
