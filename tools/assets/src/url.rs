//! Resolves the URL of a reference to a file's name, and replaces the name in it.

use percent_encoding::{
    AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode,
};

/// Characters that could end the string or attribute around a URL, in HTML, CSS or JavaScript.
const UNSAFE: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'\'')
    .add(b'(')
    .add(b')')
    .add(b'<')
    .add(b'>')
    .add(b'\\')
    .add(b'`')
    .add(b'{')
    .add(b'}');

/// All characters but the unreserved ones (RFC 3986 §2.3).
const NAME: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Returns the name of the file that `url` means within the file `from`. The file need not exist. Returns `None` for other
/// sites' URLs and for folders.
pub fn resolve(from: &str, url: &str) -> Option<String> {
    let path = path(url);
    if path.is_empty() || path.starts_with("//") || has_scheme(path) {
        return None;
    }
    let (below, path) = match path.strip_prefix('/') {
        Some(path) => ("", path),
        None => (from.rsplit_once('/').map_or("", |(folder, _)| folder), path),
    };
    let mut segments: Vec<String> = below.split_terminator('/').map(str::to_owned).collect();
    let mut is_folder = false;
    for segment in path.split('/') {
        let segment = percent_decode_str(segment).decode_utf8().ok()?;
        is_folder = matches!(&*segment, "" | "." | "..");
        match &*segment {
            "." => {}
            ".." => drop(segments.pop()),
            name if name.contains('/') => return None,
            name => segments.push(name.to_owned()),
        }
    }
    (!is_folder).then(|| segments.join("/"))
}

/// Replaces the file's name in a URL, and escapes what is not safe in HTML, CSS and JavaScript.
pub fn rename(url: &str, name: &str) -> String {
    let (path, rest) = url.split_at(path(url).len());
    let folder = path.rfind('/').map_or("", |slash| &path[..=slash]);
    let name = name.rsplit_once('/').map_or(name, |(_, last)| last);
    format!(
        "{}{}{}",
        utf8_percent_encode(folder, UNSAFE),
        utf8_percent_encode(name, NAME),
        utf8_percent_encode(rest, UNSAFE)
    )
}

/// Returns the URL without its query and fragment.
fn path(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// Returns whether the URL is absolute: a relative reference has no colon in its first segment (RFC 3986 §4.2).
fn has_scheme(path: &str) -> bool {
    path.split('/')
        .next()
        .is_some_and(|segment| segment.contains(':'))
}
