//! A file of the site as the response of a handler.

use std::borrow::Cow;

use actix_web::{HttpRequest, HttpResponse, Responder, body::BoxBody, http::StatusCode};

/// The response of a handler: a file of the site, with the headers, the encodings, the conditions and the ranges that it has
/// at its own path. [`super::service::StaticFiles::fill`] fills it in. A file that does not exist is a 404.
///
/// ```
/// use actix_web::{HttpRequest, get};
/// use berth::middleware::static_files::site_file::SiteFile;
///
/// /// `/docs/` and the folders in it.
/// #[get("/docs/{folder:(.*/)?}")]
/// async fn folder(request: HttpRequest) -> SiteFile {
///     SiteFile::new(format!("{}index.html", request.path()))
/// }
/// ```
///
/// Headers and a status of the handler's own win: `SiteFile::new("/404.html").customize().with_status(…)`. With another status
/// than 200, or another method than GET and HEAD, the file is sent whole, whatever the request's conditions.
///
/// A handler that keeps a clone of the `HttpRequest` gets a 500 in its place: actix changes no request that is shared.
#[derive(Clone, Debug)]
pub struct SiteFile(pub(super) Cow<'static, str>);

impl SiteFile {
    /// The file at this path below `STATIC_PREFIX`, such as `/docs/index.html`, percent-encoded as in a URL.
    pub fn new(path: impl Into<Cow<'static, str>>) -> Self {
        Self(path.into())
    }
}

impl Responder for SiteFile {
    type Body = BoxBody;

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        let mut response = HttpResponse::new(StatusCode::OK);
        response.extensions_mut().insert(self);
        response
    }
}
