//! The sample service: it tells the time. **This is the file that you replace.**
//!
//! Its manners are its own: it answers `501 Not Implemented` to every method but GET, HEAD included, on every path and host.
//! A service without a [`Fallback`] gets what HTTP asks for: HEAD where there is GET, 405 with `Allow`, OPTIONS, 404.

use actix_web::{
    HttpResponse, get,
    http::{Method, StatusCode, header::ContentType},
    web,
};
use berth::middleware::fallback::Fallback;
use chrono::Local;

/// Adds the service's routes.
pub fn routes(app: &mut web::ServiceConfig) {
    app.app_data(Fallback(no_route)).service(now);
}

/// `GET /`: the current time in the zone that `TZ` names, as C's `ctime` prints it, without the newline.
#[get("/")]
async fn now() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .body(
            Local::now()
                .naive_local()
                .format("%a %b %e %T %Y")
                .to_string(),
        )
}

/// The status where there is no route.
fn no_route(method: &Method) -> StatusCode {
    match *method {
        Method::GET => StatusCode::NOT_FOUND,
        _ => StatusCode::NOT_IMPLEMENTED,
    }
}
