//! Static files, in the same namespace as the service.
//!
//! Which requests are for a file, as nginx has it too (`nginx/conf.d/site.conf`):
//!
//! 1. GET and HEAD alone.
//! 2. The path lies under `STATIC_PREFIX`.
//! 3. It is spelt plainly: no empty or dotted segments (but `/.well-known/`), no encoded slashes, no trailing slash.
//! 4. A regular file of that name lies in `STATIC_DIR`, with no symbolic link on the way.
//!
//! Anything else is the service's.

use std::path::{Path, PathBuf};

use actix_files::NamedFile;
use actix_web::{
    Error,
    body::{BoxBody, EitherBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::Method,
    middleware::Next,
};
use percent_encoding::percent_decode_str;

use crate::{config::Config, health};

/// What may stand in a path beside letters and digits (RFC 3986 §3.3).
const PLAIN: &[u8] = b"-._~!$&'()*+,;=:@%/";

/// Answers with a file, or hands the request on.
pub async fn serve<B: MessageBody>(
    request: ServiceRequest,
    next: Next<B>,
) -> Result<ServiceResponse<EitherBody<B, BoxBody>>, Error> {
    let file = find(request.method(), request.path(), Config::of(&request));
    let Some(file) = file.and_then(|path| NamedFile::open(path).ok()) else {
        return Ok(next.call(request).await?.map_into_left_body());
    };
    // actix's validator holds the inode, which differs from replica to replica.
    let answer = file
        .use_etag(false)
        .disable_content_disposition()
        .into_response(request.request());
    Ok(request.into_response(answer).map_into_right_body())
}

/// Files that can never be had because a health path of the same name comes first.
pub fn hidden_files(config: &Config) -> Vec<String> {
    let paths = health::LIVE.iter().chain([&health::READY]);
    paths
        .filter(|path| find(&Method::GET, path, config).is_some())
        .map(ToString::to_string)
        .collect()
}

fn find(method: &Method, path: &str, config: &Config) -> Option<PathBuf> {
    if method != Method::GET && method != Method::HEAD {
        return None;
    }
    let name = plain_name(config.static_prefix.strip(path)?)?;
    let file = config.static_dir.0.join(&name);
    // Resolving a path changes it exactly if a link lies on it.
    let unlinked = file.canonicalize().ok()? == file;
    (unlinked && file.is_file()).then_some(file)
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
