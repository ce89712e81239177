//! What becomes of a service that fails: `500 Internal Server Error`, and the reason in the log, where a stranger can't
//! read it.

use std::{fmt, panic::AssertUnwindSafe};

use actix_web::{
    Error, HttpResponse, ResponseError,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{ACCEPT, HeaderValue},
    },
    middleware::Next,
};
use futures_util::FutureExt;

use crate::{
    headers,
    proxies::{Client, Scheme},
    refusal::{Page, describe, wants_page},
};

/// Keeps the details of an error with us, and answers for a handler that panics.
pub async fn contain<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let panicked = Panicked {
        scheme: Client::of(&request).scheme,
        accept: request.headers().get_all(ACCEPT).cloned().collect(),
    };
    let Ok(answer) = AssertUnwindSafe(next.call(request)).catch_unwind().await else {
        return Err(panicked.into());
    };
    let answer = answer?;
    let status = answer.status();
    match answer.response().error() {
        Some(error) if status.is_server_error() => {
            log::error!("the service failed: {error}");
            Ok(answer
                .into_response(HttpResponse::new(status))
                .map_into_right_body())
        }
        _ => Ok(answer.map_into_left_body()),
    }
}

/// A panic takes the request with it, and with that what the middleware around here would need. So its answer comes whole.
#[derive(Debug)]
struct Panicked {
    scheme: Scheme,
    accept: Vec<HeaderValue>,
}

impl fmt::Display for Panicked {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        "the handler panicked".fmt(out)
    }
}

impl ResponseError for Panicked {
    fn error_response(&self) -> HttpResponse {
        let mut answer = HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR);
        let page = Page::Status(answer.status());
        let wants_page = wants_page(self.accept.iter());
        let words = describe(answer.head_mut(), page, wants_page);
        headers::add(answer.headers_mut(), self.scheme);
        answer.set_body(BoxBody::new(words))
    }
}
