//! The sample service: it tells the time. **This is the file that you replace.**
//!
//! What Berth asks of it: a [`routes`] function that adds your services. Whatever they do not answer ends in
//! [`crate::refusal`]; [`crate::health`] and the site's files come before them.

use actix_web::{HttpResponse, get, http::header::ContentType, web};
use chrono::Local;

/// Adds the service's routes.
pub fn routes(app: &mut web::ServiceConfig) {
    app.service(now);
}

/// `GET /`: the current time in the zone that `TZ` names, as C's `ctime` prints it, without the newline.
#[get("/")]
async fn now() -> HttpResponse {
    HttpResponse::Ok()
        .content_type(ContentType::plaintext())
        .body(Local::now().format("%a %b %e %T %Y").to_string())
}
