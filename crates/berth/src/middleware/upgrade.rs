//! `Upgrade` counts only where it is asked for as HTTP wants it. Otherwise the request is served without it, as nginx does.

use actix_web::{
    HttpMessage,
    dev::{Payload, RequestHead, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::{ConnectionType, StatusCode, header::UPGRADE},
    web::Bytes,
};
use futures_util::{StreamExt, stream};

use crate::http::body::{asks_for_websocket, content_length, names_websocket};

/// What a request asks for by `Upgrade`.
#[derive(Clone, Copy)]
pub struct Upgrade {
    /// It names WebSockets. actix has then taken all that follows for the request's body, unless that is in chunks.
    pub names_websocket: bool,
    asks_for_websocket: bool,
}

impl Upgrade {
    /// Reads a request's head.
    pub fn of(head: &RequestHead) -> Self {
        let names_websocket = names_websocket(head);
        Self {
            names_websocket,
            asks_for_websocket: names_websocket && asks_for_websocket(head),
        }
    }

    /// Gives a request whose `Upgrade` does not count its own body back. Returns whether the connection must be closed after
    /// the response, since actix can't find the next request on it (RFC 9112 §9.6).
    pub fn ignore_in_vain(self, request: &mut ServiceRequest) -> bool {
        if self.asks_for_websocket {
            return false;
        }
        if !self.names_websocket {
            return request.head().connection_type() == ConnectionType::Upgrade;
        }
        // Chunks are read as such.
        if !request.chunked().unwrap_or(false) {
            let length = content_length(request.head());
            let endless = request.take_payload();
            if length > 0 {
                let payload = Box::pin(first(length, endless));
                request.set_payload(Payload::Stream { payload });
            }
        }
        request.headers_mut().remove(UPGRADE);
        true
    }

    /// Whether the service has answered a request for a WebSocket with something else. What follows can't be a request, then.
    pub fn was_declined<B>(self, response: &ServiceResponse<B>) -> bool {
        self.asks_for_websocket && response.status() != StatusCode::SWITCHING_PROTOCOLS
    }
}

/// The first `length` bytes.
fn first(
    length: u64,
    body: Payload,
) -> impl futures_util::Stream<Item = Result<Bytes, PayloadError>> {
    stream::unfold((body, length), |(mut body, left)| async move {
        if left == 0 {
            return None;
        }
        match body.next().await {
            Some(Ok(mut chunk)) => {
                chunk.truncate(left.try_into().unwrap_or(usize::MAX));
                let left = left - chunk.len() as u64;
                Some((Ok(chunk), (body, left)))
            }
            Some(Err(error)) => Some((Err(error), (body, 0))),
            None => Some((Err(PayloadError::Incomplete(None)), (body, 0))),
        }
    })
}
