//! The sample service: it tells the time. **This is the file that you replace.**
//!
//! Its manners are its own: it answers `501 Not Implemented` to every method but GET, HEAD included, on every path and host.
//! A service without a [`Fallback`] gets what HTTP asks for: HEAD where there is GET, 405 with `Allow`, OPTIONS, 404.

use std::sync::LazyLock;

use actix_web::{
    HttpResponse, get,
    http::{Method, StatusCode, header::ContentType},
    web,
};
use berth::middleware::fallback::Fallback;
use chrono::{
    Local,
    format::{Item, StrftimeItems},
};

/// As C's `ctime` prints a time, without the newline.
static CTIME: LazyLock<Vec<Item<'static>>> = LazyLock::new(|| {
    let format = StrftimeItems::new("%a %b %e %T %Y").parse();
    format.expect("directives of strftime")
});

/// Adds the service's routes.
pub fn routes(app: &mut web::ServiceConfig) {
    app.app_data(Fallback(no_route)).service(now);
}

/// `GET /`: the current time in the zone that `TZ` names.
#[get("/")]
async fn now() -> HttpResponse {
    let now = Local::now().naive_local();
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .body(now.format_with_items(CTIME.iter()).to_string())
}

/// The status where there is no route.
fn no_route(method: &Method) -> StatusCode {
    match *method {
        Method::GET => StatusCode::NOT_FOUND,
        _ => StatusCode::NOT_IMPLEMENTED,
    }
}
