//! Where a request ends that nobody answers: unknown path, unknown host and unsupported method look the same,
//! so that a stranger learns nothing.

use actix_web::{
    HttpRequest, HttpResponse,
    dev::{Payload, RequestHead},
    http::{ConnectionType, Method, StatusCode, header::ContentType},
    web,
};

use crate::guard;

/// `501 Not Implemented` for any method but GET, else `404 Not Found`.
fn refusal(method: &Method) -> HttpResponse {
    plain(if method == Method::GET {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::NOT_IMPLEMENTED
    })
}

/// An answer whose body is its status line's text: `404 Not Found`.
pub fn plain(status: StatusCode) -> HttpResponse {
    HttpResponse::build(status)
        .content_type(ContentType::plaintext())
        .body(status.to_string())
}

/// The same, and it ends the connection, for what follows on it can't be trusted.
pub fn closing(status: StatusCode) -> HttpResponse {
    let mut answer = plain(status);
    answer.head_mut().set_connection_type(ConnectionType::Close);
    answer
}

/// Reads the body before it refuses, so that a malformed one is 400 whatever the path and the host.
pub async fn refuse(head: &RequestHead, body: Payload) -> HttpResponse {
    match guard::discard(head, body).await {
        Ok(()) => refusal(&head.method),
        Err(refused) => refused,
    }
}

/// The route of last resort.
pub async fn last_resort(request: HttpRequest, body: web::Payload) -> HttpResponse {
    refuse(request.head(), body.into_inner()).await
}
