//! What a service's response says of caching if the service says nothing. This is the place to change it.

use actix_web::{
    body::BoxBody,
    dev::ServiceResponse,
    http::header::{CACHE_CONTROL, EXPIRES, HeaderValue},
};

/// Caches may keep it, and ask before each use (RFC 9111 §5.2.2.4): without it, they may guess how long it is good for.
const DEFAULT: HeaderValue = HeaderValue::from_static("no-cache");

/// Adds the default.
pub fn fill_caching(mut response: ServiceResponse<BoxBody>) -> ServiceResponse<BoxBody> {
    let headers = response.headers();
    let says = headers.contains_key(CACHE_CONTROL) || headers.contains_key(EXPIRES);
    if !says && !response.status().is_informational() {
        response.headers_mut().insert(CACHE_CONTROL, DEFAULT);
    }
    response
}
