//! The methods that a path has (RFC 9110 §10.2.1).
//!
//! actix collects them while it tries the routes, and keeps them in a type of its own. Only a resource without routes reads
//! them: it is a 405 with `Allow`.

use std::mem;

use actix_http::Request;
use actix_service::IntoServiceFactory;
use actix_web::{
    App, Error, HttpMessage, HttpRequest,
    dev::{AppConfig, Service, ServiceFactory, ServiceResponse},
    http::{
        Uri,
        header::{ALLOW, HeaderValue},
    },
    web,
};
use futures_util::future::LocalBoxFuture;

type Answer = LocalBoxFuture<'static, Result<ServiceResponse, Error>>;

/// Such a resource; each worker has its own.
pub struct AllowedMethods(Box<dyn Fn(Request) -> Answer>);

impl AllowedMethods {
    /// Prepares it.
    pub async fn new() -> Self {
        let app = App::new().service(web::resource("/")).into_factory();
        let resource = app.new_service(AppConfig::default()).await;
        let resource = resource.expect("nothing that can fail");
        Self(Box::new(move |request| resource.call(request)))
    }

    /// The methods of the routes that actix has tried for `request`, as the value of `Allow`; none if no route has its path.
    pub async fn of(&self, request: &HttpRequest) -> Option<HeaderValue> {
        let mut asked = Request::new();
        // A new request has the target of an older one, whose memory it has.
        *asked.uri_mut() = Uri::from_static("/");
        mem::swap(&mut *asked.extensions_mut(), &mut *request.extensions_mut());
        let answer = (self.0)(asked).await.ok()?;
        mem::swap(
            &mut *answer.request().extensions_mut(),
            &mut *request.extensions_mut(),
        );
        answer.headers().get(ALLOW).cloned()
    }
}
