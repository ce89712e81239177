//! The limits of a request's body: 413 where it is too large, 408 where it is too slow.

use std::time::{Duration, Instant};

use actix_web::{HttpResponse, web};
use harness::{
    stall::{TOLERANCE, judge},
    wire,
};

use crate::service::{Values, serve};

/// Reads the body to its end.
fn service(app: &mut web::ServiceConfig) {
    app.route("/", web::post().to(length));
}

async fn length(body: web::Bytes) -> HttpResponse {
    HttpResponse::Ok().body(body.len().to_string())
}

fn limited() -> Values {
    Values {
        max_body: 1000,
        client_timeout: Duration::from_secs(1),
        ..Values::default()
    }
}

#[test]
fn a_body_at_the_limit_is_read_and_a_larger_one_gets_413() {
    let app = serve(limited(), service);
    for (length, status) in [(1000, 200), (1001, 413)] {
        let body = "x".repeat(length);
        let request =
            format!("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\n\r\n{body}");
        assert_eq!(wire::ask(app, request).status, status, "{length} bytes");
        let request = format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
        );
        assert_eq!(
            wire::ask(app, request).status,
            status,
            "{length} bytes in a chunk"
        );
    }
}

#[test]
fn a_body_that_stops_gets_408_when_the_time_is_over() {
    let app = serve(limited(), service);
    judge(TOLERANCE, || {
        let start = Instant::now();
        let request = "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\nx";
        assert_eq!(wire::ask(app, request).status, 408);
        let took = start.elapsed();
        assert!((1.0..4.0).contains(&took.as_secs_f64()), "{took:?}");
    });
}
