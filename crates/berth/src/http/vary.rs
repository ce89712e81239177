//! The header `Vary`: what of a request a response depends on (RFC 9110 §12.5.5).

use actix_web::http::header::{HeaderMap, HeaderValue, VARY};

/// Adds the name of a header to `Vary`, unless it is there, or `*`.
pub fn add(headers: &mut HeaderMap, name: &'static str) {
    let mut lines = headers.get_all(VARY).filter_map(|line| line.to_str().ok());
    let Some(first) = lines.next() else {
        return drop(headers.insert(VARY, HeaderValue::from_static(name)));
    };
    let all = lines.fold(first.to_owned(), |all, line| all + ", " + line);
    let mut names = all.split(',').map(str::trim_ascii);
    if !names.any(|it| it == "*" || it.eq_ignore_ascii_case(name)) {
        let all = HeaderValue::try_from(all + ", " + name).expect("values of headers");
        headers.insert(VARY, all);
    }
}
