//! Responses where the service has no route, by what HTTP asks for: 404 for an unknown path; 405 with `Allow` where the path
//! exists and the method does not (RFC 9110 §15.5.6); `OPTIONS` answered (§9.3.7); `HEAD` where there is `GET` (§9.3.2).
//!
//! A service changes that in two ways:
//!
//! * `default_service` gets every request that no route answers, as in any actix service. If it answers 404, and the path has
//!   other methods, the client still gets the 405. In a `web::scope`, which hands it requests by itself, its response is sent
//!   as it is.
//! * A [`Fallback`] in `app_data`: all methods then reach the routes as they are sent, and what no route answers gets the
//!   fallback's status.

use actix_service::ServiceFactoryExt;
use actix_web::{
    HttpRequest, HttpResponse, Route,
    dev::{AppService, HttpServiceFactory, ResourceDef, ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{ALLOW, HeaderValue},
    },
    web,
};

use super::allowed_methods::AllowedMethods;

/// The status of a request that no route answers, in place of the default; `app_data` of the `App`.
#[derive(Clone, Copy)]
pub struct Fallback(pub fn(&Method) -> StatusCode);

impl Fallback {
    fn of(request: &HttpRequest) -> Option<Self> {
        request.app_data::<Self>().copied()
    }
}

/// In a response's extensions: no route matched.
struct Unrouted;

/// The `default_service` of a service that has none. A `web::scope` may have it too, so that the service's own does not count
/// there.
pub fn no_route() -> Route {
    web::to(async |request: HttpRequest| unrouted(&request))
}

/// The response of [`no_route`].
pub fn unrouted(request: &HttpRequest) -> HttpResponse {
    let mut response = HttpResponse::new(status(request));
    response.extensions_mut().insert(Unrouted);
    response
}

/// The response for a host that is not allowed: the same as for an unknown path, so it tells nothing.
pub fn host_not_allowed(request: &ServiceRequest) -> HttpResponse {
    HttpResponse::new(status(request.request()))
}

fn status(request: &HttpRequest) -> StatusCode {
    Fallback::of(request).map_or(StatusCode::NOT_FOUND, |it| it.0(request.method()))
}

/// The response to a method that nginx refuses too.
pub fn not_implemented() -> HttpResponse {
    HttpResponse::new(StatusCode::NOT_IMPLEMENTED)
}

/// Matches every path that no route before it matches, and passes it to the default service; add it last. It marks the
/// response for [`complete`].
pub fn catch_all() -> impl HttpServiceFactory {
    CatchAll
}

struct CatchAll;

impl HttpServiceFactory for CatchAll {
    fn register(self, app: &mut AppService) {
        let marked = app.default_service().map(|mut response: ServiceResponse| {
            response.response_mut().extensions_mut().insert(Unrouted);
            response
        });
        app.register_service(ResourceDef::new("/{path:.*}"), None, marked, None);
    }
}

/// What a request asked for, before [`prepare`].
pub struct Asked {
    /// Its method.
    pub method: Method,
    fallback: Option<Fallback>,
}

/// Lets routes for GET answer HEAD: actix sends no body to such a request, whatever its method is by then.
pub fn prepare(request: &mut ServiceRequest) -> Asked {
    let asked = Asked {
        method: request.method().clone(),
        fallback: Fallback::of(request.request()),
    };
    if asked.fallback.is_none() && asked.method == Method::HEAD {
        request.head_mut().method = Method::GET;
    }
    asked
}

/// Completes the response of a route or of the default service.
pub async fn complete(
    response: ServiceResponse,
    asked: &Asked,
    methods: &AllowedMethods,
) -> ServiceResponse {
    if asked.fallback.is_some() {
        return response;
    }
    let is_unrouted = || response.response().extensions().get::<Unrouted>().is_some();
    let methods = match response.status() {
        StatusCode::METHOD_NOT_ALLOWED => response.headers().get(ALLOW).cloned(),
        StatusCode::NOT_FOUND if is_unrouted() => methods.of(response.request()).await,
        _ => None,
    };
    let Some(methods) = methods else {
        return response;
    };
    let mut completed = HttpResponse::new(match asked.method {
        Method::OPTIONS => StatusCode::NO_CONTENT,
        _ => StatusCode::METHOD_NOT_ALLOWED,
    });
    completed
        .headers_mut()
        .insert(ALLOW, with_implied(&methods));
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
