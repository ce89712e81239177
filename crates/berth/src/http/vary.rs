//! What a response depends on (RFC 9110 §12.5.5).

use actix_web::http::header::{HeaderMap, HeaderValue, VARY};

/// Adds names of headers to `Vary`, which stays one line.
pub fn add(headers: &mut HeaderMap, names: &str) {
    let mut all: Vec<_> = headers
        .get_all(VARY)
        .filter_map(|line| line.to_str().ok())
        .collect();
    all.push(names);
    let all = HeaderValue::try_from(all.join(", ")).expect("values of headers");
    headers.insert(VARY, all);
}
