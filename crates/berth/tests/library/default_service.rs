//! A service with a `default_service` of its own, and what HTTP asks for beside it.

use std::net::SocketAddr;

use actix_web::{HttpRequest, HttpResponse, delete, get, http::StatusCode, post, web};
use berth::middleware::fallback::{self, Fallback};
use harness::wire::{self, Reply};

use crate::service::{Values, serve};

#[get("/")]
async fn home() -> &'static str {
    "home"
}

#[get("/items")]
async fn items() -> &'static str {
    "items"
}

#[delete("/items")]
async fn clear() -> HttpResponse {
    HttpResponse::NoContent().finish()
}

/// Tells what it was asked for.
async fn told(request: HttpRequest, body: String) -> String {
    format!("default: {} {} {body}", request.method(), request.path())
}

fn ask(address: SocketAddr, request: &str) -> Reply {
    let head = format!("{request} HTTP/1.1\r\nHost: localhost\r\n");
    wire::ask(address, format!("{head}Connection: close\r\n\r\n"))
}

#[test]
fn it_gets_what_no_route_answers() {
    let app = serve(Values::default(), |app| {
        app.service(home).default_service(web::to(told));
    });
    assert_eq!(ask(app, "GET /").text(), "home");
    for path in ["/nothing-here", "/nothing/here/", "/static/", "/%2e"] {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let reply = ask(app, &format!("{method} {path}"));
            assert_eq!(reply.status, 200, "{method} {path}");
            assert_eq!(reply.text(), format!("default: {method} {path} "));
        }
    }
    // A path with other methods, too.
    assert_eq!(ask(app, "POST /").text(), "default: POST / ");
    // HEAD is its GET without the body.
    let head = ask(app, "HEAD /nothing-here");
    let length = "default: GET /nothing-here ".len().to_string();
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-length"), Some(&*length));
    let with_body =
        "POST /nothing-here HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nbody";
    let reply = wire::ask(app, with_body);
    assert_eq!(reply.text(), "default: POST /nothing-here body");
}

#[test]
fn its_404_is_a_405_where_the_path_has_other_methods() {
    let app = serve(Values::default(), |app| {
        let missing = async || HttpResponse::NotFound().body("nothing of ours");
        app.service(home).default_service(web::to(missing));
    });
    let reply = ask(app, "GET /nothing-here");
    assert_eq!(reply.status, 404);
    assert_eq!(reply.text(), "nothing of ours");
    assert_eq!(reply.header("allow"), None);
    for (request, status) in [("DELETE /", 405), ("POST /", 405), ("OPTIONS /", 204)] {
        let reply = ask(app, request);
        assert_eq!(reply.status, status, "{request}");
        assert_eq!(reply.header("allow"), Some("GET, HEAD, OPTIONS"));
    }
}

#[test]
fn a_scope_answers_as_http_asks_for() {
    let app = serve(Values::default(), |app| {
        app.service(web::scope("/api").service(items).service(clear));
    });
    let allow = Some("DELETE, GET, HEAD, OPTIONS");
    assert_eq!(ask(app, "GET /api/items").text(), "items");
    assert_eq!(ask(app, "DELETE /api/items").status, 204);
    let reply = ask(app, "POST /api/items");
    assert_eq!((reply.status, reply.header("allow")), (405, allow));
    let reply = ask(app, "OPTIONS /api/items");
    assert_eq!((reply.status, reply.header("allow")), (204, allow));
    let reply = ask(app, "GET /api/nothing-here");
    assert_eq!((reply.status, reply.header("allow")), (404, None));
}

#[test]
fn a_scope_may_keep_the_defaults() {
    let app = serve(Values::default(), |app| {
        let kept = web::scope("/api").service(items);
        app.service(kept.default_service(fallback::no_route()))
            .service(web::scope("/other").service(items))
            .default_service(web::to(told));
    });
    assert_eq!(ask(app, "GET /api/nothing-here").status, 404);
    let reply = ask(app, "POST /api/items");
    let allow = reply.header("allow");
    assert_eq!((reply.status, allow), (405, Some("GET, HEAD, OPTIONS")));
    let reply = ask(app, "GET /other/nothing-here");
    assert_eq!(reply.text(), "default: GET /other/nothing-here ");
    assert_eq!(ask(app, "GET /elsewhere").status, 200);
}

#[test]
fn a_404_of_a_route_stays_one() {
    #[get("/things/{id}")]
    async fn thing() -> HttpResponse {
        HttpResponse::NotFound().finish()
    }
    #[post("/things/{id}")]
    async fn change() -> HttpResponse {
        HttpResponse::NotFound().finish()
    }
    let app = serve(Values::default(), |app| {
        app.service(thing).service(change);
    });
    for request in ["GET /things/1", "POST /things/1"] {
        let reply = ask(app, request);
        let allow = reply.header("allow");
        assert_eq!((reply.status, allow), (404, None), "{request}");
    }
}

#[test]
fn a_fallback_counts_in_scopes_and_not_for_a_default_service() {
    let app = serve(Values::default(), |app| {
        app.app_data(Fallback(|_| StatusCode::IM_A_TEAPOT))
            .service(web::scope("/api").service(items));
    });
    for request in ["GET /nothing-here", "GET /api/nothing", "POST /api/items"] {
        let reply = ask(app, request);
        let allow = reply.header("allow");
        assert_eq!((reply.status, allow), (418, None), "{request}");
    }
    let app = serve(Values::default(), |app| {
        app.app_data(Fallback(|_| StatusCode::IM_A_TEAPOT))
            .service(home)
            .default_service(web::to(told));
    });
    let reply = ask(app, "POST /");
    assert_eq!(reply.text(), "default: POST / ");
}
