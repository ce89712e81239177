//! The header `Vary`: what of a request a response depends on (RFC 9110 §12.5.5).

use actix_web::http::header::{HeaderMap, HeaderValue, VARY};

/// Adds the names of a list that are not in `Vary`, which stays one line.
pub fn add(headers: &mut HeaderMap, names: &str) {
    let lines = headers.get_all(VARY).filter_map(|line| line.to_str().ok());
    let mut all = lines.collect::<Vec<_>>().join(", ");
    for name in names.split(',').map(str::trim_ascii) {
        let mut known = all.split(',').map(str::trim_ascii);
        if !known.any(|it| it == "*" || it.eq_ignore_ascii_case(name)) {
            if !all.is_empty() {
                all += ", ";
            }
            all += name;
        }
    }
    let all = HeaderValue::try_from(all).expect("values of headers");
    headers.insert(VARY, all);
}
