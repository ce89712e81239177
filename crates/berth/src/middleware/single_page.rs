//! A single-page application: one page of the site at every path that its script knows and the service does not.

use std::future::ready;

use actix_web::{
    HttpRequest, HttpResponse, Responder, Route,
    http::{
        Method,
        header::{ACCEPT, VARY},
    },
    web,
};
use percent_encoding::percent_decode_str;

use super::{fallback, static_files::site_file::SiteFile};
use crate::http::accept::wants_html;

/// A `default_service` that answers with the [`SiteFile`] at `path`, such as `/app.html`.
///
/// It answers GET and HEAD from clients that accept `text/html`, as browsers do for a page and scripts do not for data. A path
/// with a dot in its last segment names an asset: a missing script must not be a page. All else is answered as by
/// [`fallback::no_route`].
pub fn serve(path: &'static str) -> Route {
    web::to(move |request: HttpRequest| ready(respond(path, &request)))
}

fn respond(path: &'static str, request: &HttpRequest) -> HttpResponse {
    let is_page = request.method() == Method::GET
        && wants_html(request.headers().get_all(ACCEPT))
        && !names_asset(request.path());
    if !is_page {
        return fallback::unrouted(request);
    }
    let page = SiteFile::new(path)
        .customize()
        .insert_header((VARY, ACCEPT.as_str()));
    page.respond_to(request).map_into_boxed_body()
}

fn names_asset(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    percent_decode_str(last).any(|byte| byte == b'.')
}
