//! `MAINTENANCE=on`: every request but a probe gets 503 and a page that says so. nginx answers so by itself
//! (`nginx/conf.d/error_pages.conf`), so the app can be stopped meanwhile.

use actix_web::{HttpResponse, http::header::RETRY_AFTER};

use super::error_pages::Page;

/// Seconds after which a client may try again.
pub const RETRY: &str = "60";

/// The response during maintenance.
pub fn respond() -> HttpResponse {
    let mut response = HttpResponse::ServiceUnavailable();
    response.insert_header((RETRY_AFTER, RETRY));
    response.extensions_mut().insert(Page::Maintenance);
    response.finish()
}
