//! Error responses where there is no service: during maintenance, and from nginx when every replica is dead.

use std::net::SocketAddr;

use actix_web::http::StatusCode;
use berth::middleware::{error_pages::Page, maintenance, security_headers::SECURITY};
use harness::{
    Solo, Stack,
    error_page::{ask, assert_error_page},
    solo::wait_for,
};

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

fn the_pages_are_there_when_every_replica_is_dead() {
    let stack = Stack::start(&[]);
    stack.compose(&["kill", "app"]);
    wait_for(|| (ask(stack.address, "GET /", "*/*").status == 502).then_some(()));
    assert_refused(stack.address, "GET /", 502, page(502));
    // The files as well.
    assert_eq!(ask(stack.address, "GET /robots.txt", "*/*").status, 200);
    assert_refused(stack.address, "TRACE /", 501, page(501));
}

fn maintenance_rejects_all_requests_but_probes() {
    let on = ("MAINTENANCE", "on");
    let solo = Solo::start(&[on]);
    let stack = Stack::start(&[on]);
    for address in [solo.address, stack.address] {
        for request in [
            "GET /",
            "GET /robots.txt",
            "GET /missing",
            "DELETE /",
            "GET /up/",
            "GET //up",
            "GET //health/ready",
            "GET /x/../up",
            "POST /up",
            "POST /health/ready",
        ] {
            assert_refused(address, request, 503, Page::Maintenance);
            let reply = ask(address, request, "*/*");
            assert_eq!(reply.header("retry-after"), Some(maintenance::RETRY));
        }
        for probe in ["/health/live", "/health/ready", "/up", "/ping"] {
            let reply = ask(address, &format!("GET {probe}"), "text/html");
            assert_eq!(
                (reply.status, reply.text().as_str()),
                (200, "OK"),
                "{probe}"
            );
        }
    }
    // nginx answers it without the app.
    stack.compose(&["kill", "app"]);
    assert_refused(stack.address, "GET /", 503, Page::Maintenance);
}

harness::trials![
    the_pages_are_there_when_every_replica_is_dead,
    maintenance_rejects_all_requests_but_probes,
];
