//! What the body of a request may be: how large (`MAX_BODY`), and how slow (`CLIENT_TIMEOUT`).
//!
//! actix has limits for handlers that keep a body in memory (256 KB) and none for those that read it as it comes, nor
//! for a body that nobody reads; and it waits for ever. nginx has the same limits (`nginx/conf.d/limits.conf`), but for
//! [`RATE`]: it asks only that each wait is a short one.

use std::{
    cell::{Cell, RefCell},
    convert::Infallible,
    future::poll_fn,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody, SizedStream},
    dev::{Payload, RequestHead, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::{StatusCode, header::CONTENT_LENGTH},
    middleware::Next,
    rt::time::timeout,
};
use futures_util::{
    StreamExt,
    stream::{self, LocalBoxStream},
};

use crate::{config::Config, guard, health, refusal::closing};

/// Bytes a second that a client may average without its patience running out.
pub const RATE: f64 = 500.0;

type Bytes = Result<actix_web::web::Bytes, PayloadError>;

/// Answers 413 to a body that is too large and 408 to one that is too slow, whatever the service makes of them.
pub async fn limit<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<EitherBody<B, BoxBody>, BoxBody>>, Error> {
    let body = request.take_payload();
    if matches!(body, Payload::None) || guard::ends_with_the_connection(request.head()) {
        request.set_payload(body);
        let answer = next.call(request).await?;
        return Ok(answer.map_into_left_body().map_into_left_body());
    }
    let config = Config::of(&request);
    let (most, wait) = (config.max_body.bytes(), config.client_timeout.seconds());
    if announced(request.head()) > most {
        let refused = closing(StatusCode::PAYLOAD_TOO_LARGE);
        return Ok(request.into_response(refused).map_into_right_body());
    }
    let fault = Rc::new(Cell::new(None));
    let all = Rc::new(RefCell::new(body));
    let body = limited(Rc::clone(&all), most, wait, Rc::clone(&fault));
    let body = Rc::new(RefCell::new(body));
    let read = Rc::clone(&body);
    let read = stream::poll_fn(move |cx| read.borrow_mut().poll_next_unpin(cx));
    request.set_payload(Payload::Stream {
        payload: Box::pin(read),
    });

    // A probe with a body, too, is answered only now that there is a limit to it.
    let answer = health::answer(request, next).await?;
    // What the service left unread is read, as nginx does it; actix would go on with an endless one for ever.
    if let Ok(rest) = Rc::try_unwrap(body) {
        let mut rest = rest.into_inner();
        while let Some(Ok(_)) = rest.next().await {}
    }
    Ok(match fault.get() {
        Some(status) => answer
            .into_response(ending(status, all))
            .map_into_right_body(),
        None => answer.map_into_left_body(),
    })
}

/// The body, until it has more than `most` bytes or has used up the patience for it; `fault` is the answer to that.
/// Waiting uses patience up, and bytes that come restore it, to no more than `wait`.
fn limited(
    body: Rc<RefCell<Payload>>,
    most: u64,
    wait: Duration,
    fault: Rc<Cell<Option<StatusCode>>>,
) -> LocalBoxStream<'static, Bytes> {
    let start = Some((body, most, wait));
    stream::unfold(start, move |state| {
        let fault = Rc::clone(&fault);
        let end = move |status, error| {
            fault.set(Some(status));
            Some((Err(error), None))
        };
        async move {
            let (body, room, patience) = state?;
            let asked = Instant::now();
            let next = poll_fn(|cx| body.borrow_mut().poll_next_unpin(cx));
            let Ok(chunk) = timeout(patience, next).await else {
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
            let patience = (patience + earned)
                .saturating_sub(asked.elapsed())
                .min(wait);
            Some((Ok(chunk), Some((body, room, patience))))
        }
    })
    .fuse()
    .boxed_local()
}

/// An answer that holds on to the body: once that is dropped, actix would read chunks for as long as they come, and
/// only then close the connection.
fn ending(status: StatusCode, body: Rc<RefCell<Payload>>) -> HttpResponse {
    let nothing = stream::empty::<Result<_, Infallible>>().inspect(move |_| {
        let _held = &body;
    });
    closing(status).map_body(|_, _| BoxBody::new(SizedStream::new(0, nothing)))
}

/// The length that a body says it has; actix has checked that it is a number.
fn announced(head: &RequestHead) -> u64 {
    let length = head.headers().get(CONTENT_LENGTH);
    length
        .and_then(|length| length.to_str().ok()?.trim().parse().ok())
        .unwrap_or(0)
}
