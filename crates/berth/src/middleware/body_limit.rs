//! Limits a request's body: its size (`MAX_BODY`) and its slowness (`CLIENT_TIMEOUT`).
//!
//! actix limits bodies that a handler keeps in memory (256 KB). It limits neither streamed nor unread ones, and waits
//! forever. nginx has the same limits (`nginx/conf.d/limits.conf`) except [`RATE`]: it limits each wait only. A small body
//! it collects itself.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::poll_fn,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::{
    HttpMessage, HttpResponse,
    body::{BoxBody, SizedStream},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::StatusCode,
    rt,
};
use futures_util::{
    StreamExt,
    stream::{self, LocalBoxStream},
};

use super::{error_pages::closing, response_limits::LastRead};
use crate::http::body::{content_length, has_no_end};

/// Bytes per second that a client may average without running out of time.
pub const RATE: f64 = 500.0;

type Bytes = Result<actix_web::web::Bytes, PayloadError>;

/// The limits of a request's body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimit {
    /// Its size in bytes.
    pub max: u64,
    /// The longest wait for more of it.
    pub timeout: Duration,
}

impl BodyLimit {
    /// Limits the body of a request; none if it has none.
    ///
    /// # Errors
    /// 413 if its Content-Length is too large.
    pub fn apply(&self, request: &mut ServiceRequest) -> Result<Option<LimitedBody>, StatusCode> {
        if matches!(request.parts().1, Payload::None) || has_no_end(request.head()) {
            return Ok(None);
        }
        if content_length(request.head()) > self.max {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        let fault = Rc::new(Cell::new(None));
        let payload = Rc::new(RefCell::new(request.take_payload()));
        let body = limited(
            Rc::clone(&payload),
            self.max,
            self.timeout,
            Rc::clone(&fault),
        );
        let body = Rc::new(RefCell::new(body));
        let read = Rc::clone(&body);
        let last_read = LastRead::new(Cell::new(Some(Instant::now())));
        let time = Rc::clone(&last_read);
        let read = stream::poll_fn(move |cx| {
            let polled = read.borrow_mut().poll_next_unpin(cx);
            time.set(polled.is_ready().then(Instant::now));
            polled
        });
        request.set_payload(Payload::Stream {
            payload: Box::pin(read),
        });
        Ok(Some(LimitedBody {
            fault,
            payload,
            body,
            last_read,
        }))
    }
}

/// A body under limits, while the service may read it.
pub struct LimitedBody {
    fault: Rc<Cell<Option<StatusCode>>>,
    payload: Rc<RefCell<Payload>>,
    body: Rc<RefCell<LocalBoxStream<'static, Bytes>>>,
    /// When the service last got a part of it.
    pub last_read: LastRead,
}

impl LimitedBody {
    /// Reads what the service left unread, as nginx does: actix would read an endless body forever. Replaces the response by
    /// 413 if the body is too large, by 408 if it is too slow, and by 400 if the unread part is malformed.
    pub async fn finish(self, response: ServiceResponse) -> ServiceResponse {
        if let Ok(rest) = Rc::try_unwrap(self.body) {
            let mut rest = rest.into_inner();
            while let Some(chunk) = rest.next().await {
                if chunk.is_err() && self.fault.get().is_none() {
                    self.fault.set(Some(StatusCode::BAD_REQUEST));
                }
            }
        }
        match self.fault.get() {
            Some(status) => response.into_response(keeping(self.payload, status)),
            None => response,
        }
    }
}

/// The body, until it exceeds `max` bytes or its time is used up; `fault` is then the status. Waiting uses time up, and bytes
/// that arrive restore it, up to `timeout`.
fn limited(
    body: Rc<RefCell<Payload>>,
    max: u64,
    timeout: Duration,
    fault: Rc<Cell<Option<StatusCode>>>,
) -> LocalBoxStream<'static, Bytes> {
    let start = Some((body, max, timeout));
    stream::unfold(start, move |state| {
        let fault = Rc::clone(&fault);
        let end = move |status, error| {
            fault.set(Some(status));
            Some((Err(error), None))
        };
        async move {
            let (body, room, time_left) = state?;
            let start = Instant::now();
            let next = poll_fn(|cx| body.borrow_mut().poll_next_unpin(cx));
            let Ok(chunk) = rt::time::timeout(time_left, next).await else {
                let error = PayloadError::Io(io::ErrorKind::TimedOut.into());
                return end(StatusCode::REQUEST_TIMEOUT, error);
            };
            let chunk = match chunk? {
                Ok(chunk) => chunk,
                Err(error) => return Some((Err(error), None)),
            };
            let Some(room) = room.checked_sub(chunk.len() as u64) else {
                return end(StatusCode::PAYLOAD_TOO_LARGE, PayloadError::Overflow);
            };
            let earned = Duration::from_secs_f64(chunk.len() as f64 / RATE);
            let time_left = (time_left + earned)
                .saturating_sub(start.elapsed())
                .min(timeout);
            Some((Ok(chunk), Some((body, room, time_left))))
        }
    })
    .fuse()
    .boxed_local()
}

/// A response that keeps the body: once that is dropped, actix reads chunks for as long as they come before it closes the
/// connection.
fn keeping(body: Rc<RefCell<Payload>>, status: StatusCode) -> HttpResponse {
    let nothing = stream::empty::<Result<_, Infallible>>().inspect(move |_| {
        let _held = &body;
    });
    closing(status).map_body(|_, _| BoxBody::new(SizedStream::new(0, nothing)))
}
