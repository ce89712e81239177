//! Liveness and readiness probes.
//!
//! They are answered before every check, since probes come with other Hosts, and without an access line, since they come
//! often. nginx passes these paths on, so the response is a replica's.

use actix_web::{
    HttpResponse,
    dev::ServiceRequest,
    http::{
        Method, StatusCode,
        header::{CACHE_CONTROL, ContentType},
    },
};

use super::drain::Drain;
use crate::http::health_paths::{READY, is_health_path};

/// Whether a request is a probe.
pub fn is_probe(request: &ServiceRequest) -> bool {
    is_health_path(request.path()) && matches!(*request.method(), Method::GET | Method::HEAD)
}

/// The response to a probe: 200, or for readiness 503 from the start of the drain on.
pub fn respond(request: &ServiceRequest, drain: &Drain) -> HttpResponse {
    let status = if request.path() == READY && drain.has_begun() {
        drain.acknowledge(request.query_string());
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    };
    HttpResponse::build(status)
        .insert_header((CACHE_CONTROL, "no-store"))
        .content_type(ContentType::plaintext())
        .body(status.canonical_reason().unwrap_or_default())
}
