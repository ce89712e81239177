//! Static files, in the same namespace as the service.
//!
//! Which requests are for a file, as nginx has it too (`nginx/conf.d/site.conf`):
//!
//! 1. GET and HEAD alone.
//! 2. The path lies under `STATIC_PREFIX`.
//! 3. It is spelt plainly: no empty or dotted segments (but `/.well-known/`), no encoded slashes, no trailing slash.
//! 4. A regular file of that name lies in `STATIC_DIR`, with no symbolic link on the way.
//!
//! Anything else is the service's. Of a file then:
//!
//! 5. [`variant`]: as it is, or compressed, as the client can take it.
//! 6. [`condition`]: all of it, a range, or nothing because the client has it already.

pub mod condition;
pub mod folder;
pub mod variant;

use std::path::{Path, PathBuf};

use actix_files::NamedFile;
use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::{
        Method, StatusCode,
        header::{ACCEPT_RANGES, CACHE_CONTROL, CONTENT_RANGE, ETAG, HeaderValue, VARY},
    },
    middleware::Next,
};
use percent_encoding::percent_decode_str;

use crate::{config::Config, health};
use condition::Verdict;
use folder::Folders;
use variant::Variant;

/// What may stand in a path beside letters and digits (RFC 3986 §3.3).
const PLAIN: &[u8] = b"-._~!$&'()*+,;=:@%/";
/// Bytes up to which a file is read at once, as nginx reads all: to wait for another thread to do it costs more.
const SMALL: u64 = 1 << 20;
/// For a file whose name says what is in it: it never changes (RFC 8246).
const FOR_EVER: &str = "public, max-age=31536000, immutable";
/// For all others: ask each time whether it has changed.
const ASK: &str = "no-cache";

/// Answers with a file, or hands the request on.
pub async fn serve<B: MessageBody>(
    mut request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let config = Config::of(&request);
    let name = name(request.method(), request.path(), config);
    let answer = name.and_then(|name| answer(&mut request, &name));
    Ok(match answer {
        Some(answer) => request.into_response(answer).map_into_right_body(),
        None => next.call(request).await?.map_into_left_body(),
    })
}

/// Files that can never be had because a health path of the same name comes first.
pub fn hidden_files(config: &Config) -> Vec<String> {
    let paths = health::LIVE.iter().chain([&health::READY]);
    let folders = Folders::new(config);
    let is_file = |path: &str| {
        let name = name(&Method::GET, path, config);
        name.is_some_and(|name| folders.file(Variant::Identity, &name).is_some())
    };
    paths
        .filter(|path| is_file(path))
        .map(ToString::to_string)
        .collect()
}

fn answer(request: &mut ServiceRequest, name: &Path) -> Option<HttpResponse> {
    let whole = Folders::of(request).file(Variant::Identity, name)?;
    let Some((variant, file)) = variant::choose(request, name, whole) else {
        return Some(refused(StatusCode::NOT_ACCEPTABLE));
    };
    let file = NamedFile::from_file(file, name).ok()?;
    let tag = condition::tag(&file)?;
    let mut answer = match condition::judge(request, &tag, file.metadata().len()) {
        Verdict::Send => content(file, request, variant),
        Verdict::NotModified => HttpResponse::NotModified().finish(),
        Verdict::Failed => return Some(refused(StatusCode::PRECONDITION_FAILED)),
        Verdict::Unsatisfiable => {
            let mut answer = refused(StatusCode::RANGE_NOT_SATISFIABLE);
            let length = format!("bytes */{}", file.metadata().len());
            let length = HeaderValue::try_from(length).expect("digits");
            answer.headers_mut().insert(CONTENT_RANGE, length);
            return Some(answer);
        }
    };
    let headers = answer.headers_mut();
    let tag = HeaderValue::try_from(tag.to_string()).expect("digits in quotes");
    headers.insert(ETAG, tag);
    let caching = if says_content(name) { FOR_EVER } else { ASK };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    Some(answer)
}

fn refused(status: StatusCode) -> HttpResponse {
    let mut answer = HttpResponse::new(status);
    let varies = HeaderValue::from_static("Accept-Encoding");
    answer.headers_mut().insert(VARY, varies);
    answer
}

/// The file or the range of it that `request` still names.
fn content(file: NamedFile, request: &ServiceRequest, variant: Variant) -> HttpResponse {
    let file = file
        .read_mode_threshold(SMALL)
        .use_etag(false)
        .use_last_modified(false)
        .disable_content_disposition();
    let file = match variant.coding() {
        Some(coding) => file.set_content_encoding(coding),
        None => file,
    };
    let mut answer = file.into_response(request.request());
    if answer.status() == StatusCode::PARTIAL_CONTENT {
        answer.headers_mut().remove(ACCEPT_RANGES);
    }
    answer
}

/// The name below the site's folder that a request asks for, if it can be for a file.
fn name(method: &Method, path: &str, config: &Config) -> Option<PathBuf> {
    let asks = method == Method::GET || method == Method::HEAD;
    asks.then(|| plain_name(config.static_prefix.strip(path)?))?
}

/// The file's name below the site's folder, if `path` (without its leading slash) is spelt plainly.
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

/// Whether it lies in `assets/` and has a hash of its content before its extension, as `deploy/site` puts it there.
fn says_content(name: &Path) -> bool {
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
