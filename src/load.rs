//! Refuses what is more than the process may work on at once (`MAX_REQUESTS`), quickly, so that what it does work on
//! gets done. nginx does so for all replicas together (`nginx/conf.d/limits.conf`).

use std::{
    cell::Cell,
    rc::Rc,
    sync::atomic::{AtomicUsize, Ordering},
};

use actix_web::{
    Error, HttpMessage, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{
        StatusCode,
        header::{HeaderValue, RETRY_AFTER},
    },
    middleware::Next,
    web::Data,
};
use futures_util::{StreamExt, stream};

use crate::config::Config;

/// How many requests are worked on; shared by all workers.
#[derive(Debug, Default)]
pub struct Load(AtomicUsize);

/// Answers 503 where there is too much to do already, and hands on every other request.
pub async fn shed<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let load = request
        .app_data::<Data<Load>>()
        .expect("the server has one");
    let place = Rc::new(Place::taken(Data::clone(load)));
    if place.number > Config::of(&request).max_requests.count() {
        let mut refused = HttpResponse::new(StatusCode::SERVICE_UNAVAILABLE);
        let soon = HeaderValue::from_static("1");
        refused.headers_mut().insert(RETRY_AFTER, soon);
        return Ok(request.into_response(refused).map_into_right_body());
    }
    let mut body = request.take_payload();
    if !matches!(body, Payload::None) {
        // Whoever waits for a slow client works on nothing.
        let place = Rc::clone(&place);
        let read = stream::poll_fn(move |cx| {
            let polled = body.poll_next_unpin(cx);
            place.hold(polled.is_ready());
            polled
        });
        body = Payload::Stream {
            payload: Box::pin(read),
        };
    }
    request.set_payload(body);
    let answer = next.call(request).await;
    place.hold(false);
    Ok(answer?.map_into_left_body())
}

/// One request among those that are worked on.
struct Place {
    load: Data<Load>,
    held: Cell<bool>,
    /// How many there were with this one, when it came.
    number: usize,
}

impl Place {
    fn taken(load: Data<Load>) -> Self {
        Self {
            number: load.0.fetch_add(1, Ordering::Relaxed) + 1,
            load,
            held: Cell::new(true),
        }
    }

    fn hold(&self, hold: bool) {
        match (self.held.replace(hold), hold) {
            (false, true) => self.load.0.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.load.0.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.hold(false);
    }
}
