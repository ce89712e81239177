//! Static files, in the same namespace as the service.
//!
//! A request is for a file under these rules, which nginx has too (`nginx/conf.d/static_files.conf`):
//!
//! 1. GET and HEAD alone.
//! 2. The path lies under `STATIC_PREFIX`.
//! 3. It is spelt plainly: no empty or dotted segments (but `/.well-known/`), no encoded slashes, no trailing slash.
//! 4. A regular file of that name lies in `STATIC_DIR`, with no symbolic link on the way.
//!
//! Anything else is the service's. For a file then:
//!
//! 5. [`negotiation`]: its encoding, by what the client accepts.
//! 6. [`preconditions`]: all of it, a range, or nothing because the client has it already.

use std::path::{Path, PathBuf};

use actix_files::NamedFile;
use actix_web::{
    HttpResponse,
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, VARY},
    },
};
use percent_encoding::percent_decode_str;

use super::{
    encoding::Encoding,
    negotiation,
    preconditions::{self, Outcome},
    root_dirs::RootDirs,
    site_file::SiteFile,
};
use crate::http::vary;

/// Characters of a path beside letters and digits (RFC 3986 §3.3).
const PLAIN: &[u8] = b"-._~!$&'()*+,;=:@%/";
/// Bytes up to which a file is read on the worker's own thread, as nginx reads every file: another thread costs more.
const SMALL: u64 = 1 << 20;
/// For a file with a fingerprint in its name: it never changes (RFC 8246).
const IMMUTABLE: &str = "public, max-age=31536000, immutable";
/// For all others: revalidate each time.
const REVALIDATE: &str = "no-cache";

/// The files of a folder, below a path; each worker has its own.
pub struct StaticFiles {
    prefix: String,
    dirs: RootDirs,
}

impl StaticFiles {
    /// Those of the folder `dir`, whose names follow `prefix` in a path; it has no slash at its end.
    pub fn new(dir: &Path, prefix: String) -> Self {
        Self {
            prefix,
            dirs: RootDirs::new(dir),
        }
    }

    /// The response for a file; none if the request is not for one.
    pub fn respond(&self, request: &mut ServiceRequest) -> Option<HttpResponse> {
        let name = self.name(request.method(), request.path())?;
        respond(&self.dirs, request, &name)
    }

    /// Fills the response of a handler that returns a [`SiteFile`]. `method` is the client's.
    pub fn fill(&self, response: ServiceResponse, method: &Method) -> ServiceResponse {
        let file = response.response().extensions().get().cloned();
        let Some(SiteFile(path)) = file else {
            return response;
        };
        let (request, given) = response.into_parts();
        let mut request = ServiceRequest::from_request(request);
        request.head_mut().method = method.clone();
        let has_own_status = given.status() != StatusCode::OK;
        if has_own_status || !is_read(method) {
            preconditions::remove(&mut request);
        }
        let name = path.strip_prefix('/').and_then(plain_name);
        let response = name.and_then(|name| respond(&self.dirs, &mut request, &name));
        let mut response = response.unwrap_or_else(|| HttpResponse::new(StatusCode::NOT_FOUND));
        if has_own_status && response.status() == StatusCode::OK {
            *response.status_mut() = given.status();
        }
        add_headers(response.headers_mut(), given.headers());
        request.into_response(response)
    }

    /// Whether a GET of `path` is for a file.
    pub fn has(&self, path: &str) -> bool {
        let name = self.name(&Method::GET, path);
        name.is_some_and(|name| self.dirs.file(Encoding::Identity, &name).is_some())
    }

    /// The name below the folder that a request asks for, if it can be for a file.
    fn name(&self, method: &Method, path: &str) -> Option<PathBuf> {
        let below = path.strip_prefix(&self.prefix)?.strip_prefix('/')?;
        is_read(method).then(|| plain_name(below))?
    }
}

fn is_read(method: &Method) -> bool {
    method == Method::GET || method == Method::HEAD
}

/// Adds `own` headers, which replace those of the file; both count in `Vary`.
fn add_headers(headers: &mut HeaderMap, own: &HeaderMap) {
    for name in own.keys().filter(|name| *name != VARY) {
        headers.remove(name);
    }
    for (name, value) in own {
        match value.to_str() {
            Ok(names) if name == VARY => vary::add(headers, names),
            _ => headers.append(name.clone(), value.clone()),
        }
    }
}

fn respond(dirs: &RootDirs, request: &mut ServiceRequest, name: &Path) -> Option<HttpResponse> {
    let whole = dirs.file(Encoding::Identity, name)?;
    let Some((encoding, file)) = negotiation::choose(dirs, request, name, whole) else {
        return Some(refused(StatusCode::NOT_ACCEPTABLE));
    };
    let file = NamedFile::from_file(file, name).ok()?;
    let tag = preconditions::tag(&file)?;
    let mut response = match preconditions::evaluate(request, &tag, file.metadata().len()) {
        Outcome::Send => content(file, request, encoding),
        Outcome::NotModified => HttpResponse::NotModified().finish(),
        Outcome::Failed => return Some(refused(StatusCode::PRECONDITION_FAILED)),
        Outcome::Unsatisfiable => {
            let mut response = refused(StatusCode::RANGE_NOT_SATISFIABLE);
            let length = format!("bytes */{}", file.metadata().len());
            let length = HeaderValue::try_from(length).expect("digits");
            response.headers_mut().insert(CONTENT_RANGE, length);
            return Some(response);
        }
    };
    let headers = response.headers_mut();
    let tag = HeaderValue::try_from(tag.to_string()).expect("digits in quotes");
    headers.insert(ETAG, tag);
    let caching = if has_fingerprint(name) {
        IMMUTABLE
    } else {
        REVALIDATE
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    Some(response)
}

fn refused(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::new(status);
    let varies = HeaderValue::from_static("Accept-Encoding");
    response.headers_mut().insert(VARY, varies);
    response
}

/// The file or the range of it that `request` still names.
fn content(file: NamedFile, request: &ServiceRequest, encoding: Encoding) -> HttpResponse {
    let file = file
        .read_mode_threshold(SMALL)
        .use_etag(false)
        .use_last_modified(false)
        .disable_content_disposition();
    let file = match encoding.coding() {
        Some(coding) => file.set_content_encoding(coding),
        None => file,
    };
    let mut response = file.into_response(request.request());
    if response.status() == StatusCode::PARTIAL_CONTENT {
        response.headers_mut().remove(ACCEPT_RANGES);
    }
    response
}

/// The file's name below the folder, if `path` (without its leading slash) is spelt plainly.
fn plain_name(path: &str) -> Option<PathBuf> {
    if !path
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || PLAIN.contains(&byte))
    {
        return None;
    }
    let mut name = PathBuf::new();
    for (depth, segment) in path.split('/').enumerate() {
        let segment = percent_decode_str(segment).decode_utf8().ok()?;
        let dotted = segment.starts_with('.') && !(depth == 0 && segment == ".well-known");
        let unsafe_char = |c: char| c == '/' || c == '\\' || c.is_ascii_control();
        if segment.is_empty() || dotted || segment.contains(unsafe_char) {
            return None;
        }
        name.push(Path::new(segment.as_ref()));
    }
    Some(name)
}

/// Whether the file lies in `assets/` and has a fingerprint before its extension, as `tools/assets` writes it.
fn has_fingerprint(name: &Path) -> bool {
    let is_hash = |part: &str| {
        part.len() == 16
            && part
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let file = name.file_name().and_then(|file| file.to_str());
    let mut parts = file
        .unwrap_or_default()
        .split('.')
        .skip(1)
        .collect::<Vec<_>>();
    let last_two = parts.split_off(parts.len().saturating_sub(2));
    name.starts_with("assets") && last_two.into_iter().any(is_hash)
}
