//! Sheds load: refuses requests beyond `MAX_REQUESTS` with 503, so that those in flight get done. nginx does the same for
//! all replicas together (`nginx/conf.d/limits.conf`).

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use actix_web::{
    HttpMessage, HttpResponse,
    dev::{Payload, ServiceRequest},
    http::{
        StatusCode,
        header::{HeaderValue, RETRY_AFTER},
    },
};
use futures_util::{StreamExt, stream};

/// The limit and the requests in flight; shared by all workers.
#[derive(Clone, Debug)]
pub struct ConcurrencyLimit {
    max: usize,
    in_flight: Arc<AtomicUsize>,
}

impl ConcurrencyLimit {
    /// At most `max` requests in flight.
    pub fn new(max: usize) -> Self {
        Self {
            max,
            in_flight: Arc::default(),
        }
    }

    /// A permit for one more request; none beyond the limit. The request counts as in flight until the permit is released,
    /// except while it waits for its body: a slow client must not take the place of others.
    pub fn acquire(&self, request: &mut ServiceRequest) -> Option<Permit> {
        let number = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        let slot = Slot {
            in_flight: Arc::clone(&self.in_flight),
            active: Cell::new(true),
        };
        if number > self.max {
            return None;
        }
        if matches!(request.parts().1, Payload::None) {
            return Some(Permit::Sole(slot));
        }
        let slot = Rc::new(slot);
        let of_body = Rc::clone(&slot);
        let mut body = request.take_payload();
        let read = stream::poll_fn(move |cx| {
            let polled = body.poll_next_unpin(cx);
            of_body.set_active(polled.is_ready());
            polled
        });
        request.set_payload(Payload::Stream {
            payload: Box::pin(read),
        });
        Some(Permit::Shared(slot))
    }
}

/// The response beyond the limit.
pub fn refuse() -> HttpResponse {
    let mut refused = HttpResponse::new(StatusCode::SERVICE_UNAVAILABLE);
    let soon = HeaderValue::from_static("1");
    refused.headers_mut().insert(RETRY_AFTER, soon);
    refused
}

/// One request in flight.
pub enum Permit {
    /// The request has no body.
    Sole(Slot),
    /// The request's body has the slot, too.
    Shared(Rc<Slot>),
}

impl Permit {
    /// The request is done.
    pub fn release(self) {
        match self {
            Self::Sole(slot) => slot.set_active(false),
            Self::Shared(slot) => slot.set_active(false),
        }
    }
}

/// A place among the requests in flight.
pub struct Slot {
    in_flight: Arc<AtomicUsize>,
    active: Cell<bool>,
}

impl Slot {
    fn set_active(&self, active: bool) {
        match (self.active.replace(active), active) {
            (false, true) => self.in_flight.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.in_flight.fetch_sub(1, Ordering::Relaxed),
            _ => return,
        };
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.set_active(false);
    }
}
