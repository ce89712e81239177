//! Cross-origin requests (the CORS protocol of <https://fetch.spec.whatwg.org/#http-cors-protocol>). With `CORS_ORIGINS`, each
//! response says which origin's scripts may read it, and preflights are answered here. nginx does the same for its own
//! responses (`nginx/conf.d/cors.conf`).

use actix_web::{
    HttpResponse,
    dev::ServiceRequest,
    http::{
        Method,
        header::{
            ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS,
            ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
            ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_HEADERS,
            ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue, ORIGIN,
        },
    },
};

use crate::http::{origins::CorsOrigins, vary};

/// Seconds for which a browser remembers a preflight: as many as Chromium takes at most.
const MAX_AGE: HeaderValue = HeaderValue::from_static("7200");

/// What the response to a request says of origins.
#[derive(Clone, Debug, Default)]
pub struct Cors {
    /// The origin that may read it, or `*`.
    allowed: Option<HeaderValue>,
    /// Whether that depends on `Origin`.
    varies: bool,
}

impl Cors {
    /// For a request with these headers.
    pub fn of(origins: &CorsOrigins, request: &HeaderMap) -> Self {
        match origins {
            CorsOrigins::Unset => Self::default(),
            CorsOrigins::Any => Self {
                allowed: Some(HeaderValue::from_static("*")),
                varies: false,
            },
            CorsOrigins::Listed(list) => Self {
                allowed: list
                    .iter()
                    .find(|it| request.get(ORIGIN) == Some(it))
                    .cloned(),
                varies: true,
            },
        }
    }

    /// The response to a preflight of an origin that is allowed; none for any other request.
    pub fn preflight(&self, request: &ServiceRequest) -> Option<HttpResponse> {
        let asked = request.headers();
        if self.allowed.is_none() || request.method() != Method::OPTIONS {
            return None;
        }
        asked.get(ORIGIN)?;
        let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD)?.clone();
        let mut response = HttpResponse::NoContent().finish();
        let headers = response.headers_mut();
        // The service itself refuses what it does not have.
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, method);
        if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }
        headers.insert(ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        Some(response)
    }

    /// Adds the headers, unless the service has answered for itself.
    pub fn add(&self, headers: &mut HeaderMap) {
        if self.varies {
            // On each response: a cache must not give one without the headers to an origin that is listed.
            vary::add(headers, "Origin");
        }
        let Some(allowed) = &self.allowed else { return };
        if headers.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN) {
            return;
        }
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, allowed.clone());
        if self.varies && !headers.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS) {
            headers.insert(
                ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        if !headers.contains_key(ACCESS_CONTROL_EXPOSE_HEADERS) {
            headers.insert(
                ACCESS_CONTROL_EXPOSE_HEADERS,
                HeaderValue::from_static("X-Request-Id"),
            );
        }
    }
}
