//! What a platform's probe asks for: is the process alive, is it ready for requests?
//!
//! Answered before any other check, for probes come with odd Hosts, and without an access line, for they come often.
//! nginx passes these paths on like any other, so the answer is a replica's, never nginx's own.

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{CACHE_CONTROL, ContentType},
    },
    middleware::Next,
};

use crate::drain::Drain;

/// Paths that answer 200 while the process lives.
pub const LIVE: [&str; 3] = ["/health/live", "/up", "/ping"];
/// The path that answers 200 while the process takes requests, and 503 while it drains.
pub const READY: &str = "/health/ready";

/// Answers a probe, and hands every other request on.
pub async fn answer<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    // One with a body comes here again when that is limited (`crate::body`): actix would read an endless one for ever.
    let asks = matches!(request.method(), &Method::GET | &Method::HEAD);
    if !asks || matches!(request.parts().1, Payload::H1 { .. }) {
        return Ok(next.call(request).await?.map_into_left_body());
    }
    let status = match request.path() {
        READY if Drain::of(&request).has_begun() => {
            Drain::of(&request).refused_probe(request.query_string());
            StatusCode::SERVICE_UNAVAILABLE
        }
        path if path == READY || LIVE.contains(&path) => StatusCode::OK,
        _ => return Ok(next.call(request).await?.map_into_left_body()),
    };
    let answer = HttpResponse::build(status)
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type(ContentType::plaintext())
        .body(status.canonical_reason().unwrap_or_default());
    Ok(request.into_response(answer).map_into_right_body())
}
