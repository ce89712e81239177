//! The bodies of error responses. A layer or a service that refuses a request sets the status; [`fill_error_body`] adds
//! the body. Its text stands in `error_page.html` and [`Page`].

use std::{
    convert::Infallible,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    HttpResponse,
    body::{BodySize, BoxBody, MessageBody},
    dev::{ResponseHead, ServiceResponse},
    http::{
        ConnectionType, StatusCode,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue},
    },
    web::Bytes,
};

use crate::http::{accept::wants_html, vary};

/// The page for browsers. It loads no other file, which may be missing too. `security_headers.rs` allows its style by hash.
pub const TEMPLATE: &str = include_str!("error_page.html");

/// The content of an error response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// For a response with this status.
    Status(StatusCode),
    /// `503 Service Unavailable`, during maintenance.
    Maintenance,
}

impl Page {
    /// The page for browsers.
    pub fn html(self) -> String {
        TEMPLATE
            .replace("{status}", &self.title())
            .replace("{message}", self.message())
    }

    /// The text for all other clients: the status line's, such as `404 Not Found`.
    pub fn text(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Maintenance => StatusCode::SERVICE_UNAVAILABLE.to_string(),
        }
    }

    fn title(self) -> String {
        match self {
            Self::Status(status) => status.to_string(),
            Self::Maintenance => "Down for maintenance".to_owned(),
        }
    }

    /// What a reader can do about it.
    fn message(self) -> &'static str {
        let Self::Status(status) = self else {
            return "We are working on it, and will be back soon.";
        };
        match status.as_u16() {
            404 => "There is nothing at this address. Was it typed correctly?",
            408 => "The request took too long to arrive. Please try again.",
            413 => "What was sent is larger than this site takes. Please send less.",
            414 => "This address is longer than this site takes.",
            431 => "The browser sent more than this site takes. Deleting its cookies may help.",
            500 => "Something went wrong here. It has been noted; please try again later.",
            501 => "This site does not do that.",
            502 => "Nothing answers behind this address right now. Please try again in a moment.",
            503 => "There is more to do than can be done right now. Please try again in a moment.",
            504 => "The answer took too long. Please try again in a moment.",
            400..=499 => "This site can't make sense of the request.",
            _ => "Something went wrong here. Please try again later.",
        }
    }
}

/// A response that closes the connection: what follows on it can't be trusted.
pub fn closing(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::new(status);
    response
        .head_mut()
        .set_connection_type(ConnectionType::Close);
    response
}

/// Fills the empty body of an error: a page for a client that accepts `text/html`, else the status line's text. A service
/// need only return `HttpResponse::NotFound().finish()`.
pub fn fill_error_body(response: ServiceResponse) -> ServiceResponse {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let size = response.response().body().size();
    if !is_error || !matches!(size, BodySize::None | BodySize::Sized(0)) {
        return response;
    }
    let wants_html = wants_html(response.request().headers().get_all(ACCEPT));
    let page = response.response().extensions().get().copied();
    let page = page.unwrap_or(Page::Status(status));
    response.map_body(|head, body| {
        BoxBody::new(ErrorBody {
            text: render(head, page, wants_html),
            _replaced: body,
        })
    })
}

/// The text of `page`; adds the headers that go with it.
pub fn render(head: &mut ResponseHead, page: Page, wants_html: bool) -> Bytes {
    let (kind, text) = match wants_html {
        true => ("text/html; charset=utf-8", page.html()),
        false => ("text/plain; charset=utf-8", page.text()),
    };
    let headers = head.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    vary::add(headers, "Accept");
    // A cache must not repeat an error that is over.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    text.into()
}

/// The body of an error. It keeps the body that it replaces, which may hold on to the request's.
struct ErrorBody {
    text: Bytes,
    _replaced: BoxBody,
}

impl MessageBody for ErrorBody {
    type Error = Infallible;

    fn size(&self) -> BodySize {
        BodySize::Sized(self.text.len() as u64)
    }

    fn poll_next(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let text = mem::take(&mut self.text);
        Poll::Ready((!text.is_empty()).then_some(Ok(text)))
    }
}
