//! Logs the details of a 5xx and never sends them. A panic is a `500 Internal Server Error`.

use std::{fmt, panic::AssertUnwindSafe};

use actix_web::{
    HttpResponse, ResponseError,
    body::BoxBody,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{ACCEPT, HeaderValue},
    },
};
use futures_util::FutureExt;

use super::{
    access_log::RequestId,
    cors::Cors,
    error_pages::{Page, closing, render},
    security_headers,
};
use crate::http::{accept::wants_html, forwarded::Scheme};

/// Logs the error of a 5xx, and removes it from the response.
pub fn hide_details(response: ServiceResponse) -> ServiceResponse {
    let status = response.status();
    match response.response().error() {
        Some(error) if status.is_server_error() => {
            log::error!("the service failed: {error}");
            response.into_response(HttpResponse::new(status))
        }
        _ => response,
    }
}

/// The lines of `Accept`.
pub fn accept(request: &ServiceRequest) -> Vec<HeaderValue> {
    request.headers().get_all(ACCEPT).cloned().collect()
}

/// Waits for the service; none if it panics.
pub async fn catch_panic<T>(service: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(service).catch_unwind().await.ok()
}

/// The handler has panicked, or was dropped, and the request with it: a complete response.
#[derive(Debug)]
pub struct Gone {
    status: StatusCode,
    scheme: Scheme,
    id: RequestId,
    cors: Cors,
    accept: Vec<HeaderValue>,
}

impl Gone {
    /// The response to a request of this scheme, id, origin and `Accept`.
    pub fn new(
        status: StatusCode,
        scheme: Scheme,
        id: &RequestId,
        cors: &Cors,
        accept: Vec<HeaderValue>,
    ) -> Self {
        Self {
            status,
            scheme,
            id: id.clone(),
            cors: cors.clone(),
            accept,
        }
    }
}

impl fmt::Display for Gone {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.status.fmt(out)
    }
}

impl ResponseError for Gone {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = closing(self.status);
        let page = Page::Status(response.status());
        let text = render(response.head_mut(), page, wants_html(self.accept.iter()));
        security_headers::add(response.headers_mut(), self.scheme);
        self.cors.add(response.headers_mut());
        self.id.add_to(response.headers_mut());
        response.set_body(BoxBody::new(text))
    }
}
