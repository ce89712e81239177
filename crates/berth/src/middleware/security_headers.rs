//! Headers that tell browsers how to treat a response. The service's own value of a header wins.
//!
//! nginx sends the same list: [`crate::nginx::error_page_files`] writes it for its image.

use std::sync::LazyLock;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use crate::http::forwarded::Scheme;

/// Name and value, on every response.
pub const SECURITY: [(&str, &str); 5] = [
    // Everything from this origin and nothing inline, except the style of error_page.html, by its hash.
    (
        "content-security-policy",
        "default-src 'self'; style-src 'self' 'sha256-AJzyuCqV8opyNSMPFeV8pGgCFIjIDHYF2DE5q5WqC7E='; \
         object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("cross-origin-opener-policy", "same-origin"),
    (
        "permissions-policy",
        "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    ("referrer-policy", "strict-origin-when-cross-origin"),
    ("x-content-type-options", "nosniff"),
];

/// Over https only: RFC 6797 §7.2 forbids it over http. It excludes subdomains, which may belong to others.
pub const HSTS: (&str, &str) = ("strict-transport-security", "max-age=31536000");

/// [`SECURITY`] and [`HSTS`], parsed once: validating them per request would double the cost.
static PARSED: LazyLock<Vec<(HeaderName, HeaderValue)>> = LazyLock::new(|| {
    let all = SECURITY.into_iter().chain([HSTS]);
    all.map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    })
    .collect()
});

/// Adds each header that is not there.
pub fn add(headers: &mut HeaderMap, scheme: Scheme) {
    let count = SECURITY.len() + usize::from(scheme == Scheme::Https);
    let ours = &PARSED[..count];
    // Most responses have none of them: one look at their few headers costs less than a look-up for each of ours.
    let has_own = headers
        .keys()
        .any(|name| ours.iter().any(|(own, _)| own == name));
    for (name, value) in ours {
        if !has_own || !headers.contains_key(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
}
