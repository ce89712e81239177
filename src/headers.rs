//! What every answer tells browsers about how to treat it. The service's own value of a header wins.
//!
//! The one list for all: nginx has it from [`crate::front_files`].

use std::sync::LazyLock;

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
};

use crate::proxies::{Client, Scheme};

/// Header and value, on every answer.
pub const SECURITY: [(&str, &str); 5] = [
    // Everything from here and nothing inline, but for the style of refusal/page.html, by its hash.
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

/// The same over https alone: RFC 6797 §7.2 forbids it over http. Not for subdomains, which may be someone else's.
pub const HSTS: (&str, &str) = ("strict-transport-security", "max-age=31536000");

/// [`SECURITY`] and [`HSTS`], made once: to look at each byte of them anew costs as much as all else here.
static MADE: LazyLock<Vec<(HeaderName, HeaderValue)>> = LazyLock::new(|| {
    let all = SECURITY.into_iter().chain([HSTS]);
    all.map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    })
    .collect()
});

/// Adds them to the answer.
pub async fn set<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<B>, Error> {
    let scheme = Client::of(&request).scheme;
    let mut answer = next.call(request).await?;
    add(answer.headers_mut(), scheme);
    Ok(answer)
}

/// Adds those that are not there.
pub fn add(headers: &mut HeaderMap, scheme: Scheme) {
    let hsts = usize::from(scheme == Scheme::Https);
    for (name, value) in &MADE[..SECURITY.len() + hsts] {
        if !headers.contains_key(name) {
            headers.insert(name.clone(), value.clone());
        }
    }
}
