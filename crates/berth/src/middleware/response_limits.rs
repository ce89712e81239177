//! Limits a response: the time until it begins and between two parts of it (`RESPONSE_TIMEOUT`), and the size of its head.
//! nginx waits a little longer, and has room for such a head (`nginx/conf.d/upstream.conf`).

use std::{
    cell::Cell,
    io,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use actix_web::{
    HttpResponse,
    body::{BodySize, MessageBody},
    dev::ServiceResponse,
    http::StatusCode,
    rt::time::{Sleep, sleep, timeout},
};

/// Bytes of all header lines of a service's response.
pub const MAX_HEAD: usize = 32 * 1024;

/// When a handler last got something of its request's body; none while it waits for more, which is not its own time.
pub type LastRead = Rc<Cell<Option<Instant>>>;

/// Waits for the response to begin; none if that takes longer than `limit` from the start, or from the last read of the body.
/// The handler is dropped then.
pub async fn in_time<T>(
    handler: impl Future<Output = T>,
    limit: Duration,
    last_read: Option<LastRead>,
) -> Option<T> {
    let mut handler = pin!(handler);
    let mut left = limit;
    loop {
        if let Ok(response) = timeout(left, handler.as_mut()).await {
            return Some(response);
        }
        left = match &last_read {
            None => Duration::ZERO,
            Some(read) => read
                .get()
                .map_or(limit, |it| limit.saturating_sub(it.elapsed())),
        };
        if left.is_zero() {
            log::warn!("a handler took longer than RESPONSE_TIMEOUT ({limit:?}): it was dropped");
            return None;
        }
    }
}

/// Replaces a response with a head that is too large by 502.
pub fn limit_head(response: ServiceResponse) -> ServiceResponse {
    let lines = response.headers().iter();
    // name ":" SP value CRLF
    let bytes: usize = lines
        .map(|(name, value)| name.as_str().len() + value.len() + 4)
        .sum();
    if bytes <= MAX_HEAD {
        return response;
    }
    log::error!(
        "the head of a response has {bytes} bytes, and may have {MAX_HEAD}: put less into cookies and other headers"
    );
    response.into_response(HttpResponse::new(StatusCode::BAD_GATEWAY))
}

/// Limits the time between two parts of a stream.
pub struct PauseLimit {
    limit: Duration,
    pause: Option<Pin<Box<Sleep>>>,
}

impl PauseLimit {
    /// For a body whose length is not known; none for others, and for another protocol after 101.
    pub fn of<B: MessageBody>(response: &ServiceResponse<B>, limit: Duration) -> Option<Self> {
        let is_stream = response.response().body().size() == BodySize::Stream;
        let is_http = response.status() != StatusCode::SWITCHING_PROTOCOLS;
        (is_stream && is_http).then_some(Self { limit, pause: None })
    }

    /// To be called after each poll of the body.
    ///
    /// # Errors
    /// If the stream has paused for too long.
    pub fn check(&mut self, is_pending: bool, cx: &mut Context<'_>) -> io::Result<()> {
        if !is_pending {
            self.pause = None;
            return Ok(());
        }
        let limit = self.limit;
        let pause = self.pause.get_or_insert_with(|| Box::pin(sleep(limit)));
        match pause.as_mut().poll(cx) {
            Poll::Pending => Ok(()),
            Poll::Ready(()) => {
                log::warn!(
                    "a stream paused for longer than RESPONSE_TIMEOUT ({limit:?}): it was cut"
                );
                Err(io::ErrorKind::TimedOut.into())
            }
        }
    }
}
