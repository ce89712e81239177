//! Where a request ends that nobody answers: unknown path, unknown host and unsupported method look the same,
//! so that a stranger learns nothing.
//!
//! Whoever refuses a request sets a status and no more; [`dress`] adds the words. To have other ones, change
//! `refusal/page.html` and `Page::message` for browsers, [`Page::text`] for all others.

use std::{
    convert::Infallible,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use actix_web::{
    Error, HttpRequest, HttpResponse,
    body::{BodySize, BoxBody, EitherBody, MessageBody},
    dev::{Payload, RequestHead, ResponseHead, ServiceRequest, ServiceResponse},
    http::{
        ConnectionType, Method, StatusCode,
        header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, VARY},
    },
    middleware::Next,
    web::{self, Bytes},
};

use crate::guard;

/// What browsers get; it needs nothing else, for there may be nothing else. `headers.rs` allows its style by its hash.
pub const TEMPLATE: &str = include_str!("refusal/page.html");

/// What is said to whom nobody answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Of an answer with this status.
    Status(StatusCode),
    /// `503 Service Unavailable` too, but on purpose.
    Maintenance,
}

impl Page {
    /// The page for browsers.
    pub fn html(self) -> String {
        TEMPLATE
            .replace("{status}", &self.title())
            .replace("{message}", self.message())
    }

    /// What everyone else gets: the status line's text, such as `404 Not Found`.
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

/// `501 Not Implemented` for any method but GET, else `404 Not Found`.
fn refusal(method: &Method) -> HttpResponse {
    HttpResponse::new(if method == Method::GET {
        StatusCode::NOT_FOUND
    } else {
        StatusCode::NOT_IMPLEMENTED
    })
}

/// An answer that ends the connection, for what follows on it can't be trusted.
pub fn closing(status: StatusCode) -> HttpResponse {
    let mut answer = HttpResponse::new(status);
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

/// Gives an answer that is an error and has no body one: a page for who asks for `text/html`, else the status line's text.
/// Whose the error is makes no difference: a service need only say `HttpResponse::NotFound().finish()`.
pub async fn dress<B: MessageBody + 'static>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, Words>>, Error> {
    let answer = next.call(request).await?;
    let status = answer.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error
        || !matches!(
            answer.response().body().size(),
            BodySize::None | BodySize::Sized(0)
        )
    {
        return Ok(answer.map_body(|_, body| EitherBody::left(body)));
    }
    let wants_page = wants_page(answer.request().headers().get_all(ACCEPT));
    let page = answer.response().extensions().get().copied();
    let page = page.unwrap_or(Page::Status(status));
    Ok(answer.map_body(|head, body| {
        EitherBody::right(Words {
            text: describe(head, page, wants_page),
            instead_of: body.boxed(),
        })
    }))
}

/// The words of `page`; the answer's head gets what goes with them.
pub fn describe(head: &mut ResponseHead, page: Page, wants_page: bool) -> Bytes {
    let (kind, text) = match wants_page {
        true => ("text/html; charset=utf-8", page.html()),
        false => ("text/plain; charset=utf-8", page.text()),
    };
    let headers = head.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    let mut varies: Vec<_> = headers
        .get_all(VARY)
        .filter_map(|line| line.to_str().ok())
        .collect();
    varies.push("Accept");
    let varies = HeaderValue::try_from(varies.join(", ")).expect("values of headers");
    headers.insert(VARY, varies);
    // Nobody is to go on saying so once it is no longer true.
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    text.into()
}

/// Whether Accept names `text/html`, and not with a weight of nothing (RFC 9110 §12.5.1), as `nginx/conf.d/refusals.conf`
/// has it. Programs that take `*/*` would rather have text.
pub fn wants_page<'a>(accept: impl Iterator<Item = &'a HeaderValue>) -> bool {
    let mut ranges = accept
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim_ascii);
        let is_html = parts
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        is_html
            && !parts.any(|part| {
                part.to_ascii_lowercase()
                    .strip_prefix("q=")
                    .is_some_and(is_zero)
            })
    })
}

fn is_zero(weight: &str) -> bool {
    weight
        .strip_prefix('0')
        .is_some_and(|rest| rest.bytes().all(|byte| b".0".contains(&byte)))
}

/// A body that keeps the one that it stands for, because of what that may hold on to.
pub struct Words {
    text: Bytes,
    #[expect(dead_code, reason = "dropped with this")]
    instead_of: BoxBody,
}

impl MessageBody for Words {
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
