//! Responses where the service has no route, by what HTTP asks for: 404 for an unknown path; 405 with `Allow` where the path
//! exists and the method does not (RFC 9110 §15.5.6); `OPTIONS` answered (§9.3.7); `HEAD` where there is `GET` (§9.3.2).
//!
//! A service that wants it otherwise hands its own [`Fallback`] to `app_data`: all methods then reach its routes as they
//! are sent, and what no route answers gets the fallback's status.

use actix_web::{
    Error, HttpResponse,
    body::BoxBody,
    dev::{HttpServiceFactory, ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{ALLOW, HeaderValue},
    },
    middleware::{Next, from_fn},
    web,
};

/// The status of a request that no route answers, in place of the default; `app_data` of the `App`.
#[derive(Clone, Copy)]
pub struct Fallback(pub fn(&Method) -> StatusCode);

impl Fallback {
    fn of(request: &ServiceRequest) -> Option<Self> {
        request.app_data::<Self>().copied()
    }
}

/// In a response's extensions: no route matched.
struct Unrouted;

/// Matches every path that no route before it matches; add it last. actix's own 405 then has `Allow` where the path has
/// other methods, since actix collects them from the routes that it tries.
pub fn catch_all() -> impl HttpServiceFactory {
    web::resource("/{path:.*}").wrap(from_fn(async |request, next: Next<BoxBody>| {
        let mut response = next.call(request).await?;
        response.response_mut().extensions_mut().insert(Unrouted);
        Ok::<_, Error>(response)
    }))
}

/// The response for a host that is not allowed: the same as for an unknown path, so it tells nothing.
pub fn host_not_allowed(request: &ServiceRequest) -> HttpResponse {
    let fallback = Fallback::of(request);
    HttpResponse::new(fallback.map_or(StatusCode::NOT_FOUND, |it| it.0(request.method())))
}

/// The response to a method that nginx refuses too.
pub fn not_implemented() -> HttpResponse {
    HttpResponse::new(StatusCode::NOT_IMPLEMENTED)
}

/// What a request asked for, before [`prepare`].
pub struct Asked {
    method: Method,
    fallback: Option<Fallback>,
}

/// Lets routes for GET answer HEAD: actix sends no body to such a request, whatever its method is by then.
pub fn prepare(request: &mut ServiceRequest) -> Asked {
    let asked = Asked {
        method: request.method().clone(),
        fallback: Fallback::of(request),
    };
    if asked.fallback.is_none() && asked.method == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    asked
}

/// Completes the response of a route, or of [`catch_all`].
pub fn complete(response: ServiceResponse, asked: &Asked) -> ServiceResponse {
    if response.status() != StatusCode::METHOD_NOT_ALLOWED {
        return response;
    }
    let is_unrouted = response.response().extensions().get::<Unrouted>().is_some();
    let completed = match (asked.fallback, response.headers().get(ALLOW)) {
        (Some(Fallback(status)), _) if is_unrouted => HttpResponse::new(status(&asked.method)),
        (Some(_), _) => return response,
        (None, Some(methods)) => {
            let allow = with_implied(methods);
            let mut allowed = HttpResponse::new(match asked.method {
                Method::OPTIONS => StatusCode::NO_CONTENT,
                _ => StatusCode::METHOD_NOT_ALLOWED,
            });
            allowed.headers_mut().insert(ALLOW, allow);
            allowed
        }
        (None, None) if is_unrouted => HttpResponse::new(StatusCode::NOT_FOUND),
        (None, None) => return response,
    };
    response.into_response(completed)
}

/// Adds HEAD where there is GET, and OPTIONS.
fn with_implied(methods: &HeaderValue) -> HeaderValue {
    let mut names: Vec<_> = methods
        .to_str()
        .unwrap_or_default()
        .split(',')
        .map(str::trim)
        .collect();
    if names.contains(&"GET") {
        names.push("HEAD");
    }
    names.push("OPTIONS");
    names.sort_unstable();
    names.dedup();
    HeaderValue::try_from(names.join(", ")).expect("names of methods")
}
