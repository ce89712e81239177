//! `Upgrade` counts only where it is asked for as HTTP wants it. Otherwise the request is served without it, as nginx does.

use actix_web::{
    HttpMessage,
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::PayloadError,
    http::{ConnectionType, StatusCode, header::UPGRADE},
    web::Bytes,
};
use futures_util::{StreamExt, stream};

use crate::http::body::{asks_for_websocket, content_length, names_websocket_in_vain};

/// Gives a request whose `Upgrade` does not count its own body back. Returns whether the connection must be closed after the
/// response, since actix can't find the next request on it (RFC 9112 §9.6).
pub fn ignore_in_vain(request: &mut ServiceRequest) -> bool {
    if !names_websocket_in_vain(request.head()) {
        let is_other = request.head().connection_type() == ConnectionType::Upgrade;
        return is_other && !asks_for_websocket(request.head());
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
pub fn was_declined<B>(asked: bool, response: &ServiceResponse<B>) -> bool {
    asked && response.status() != StatusCode::SWITCHING_PROTOCOLS
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
