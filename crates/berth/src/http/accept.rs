//! What a client wants to read (RFC 9110 §12.5.1).

use actix_web::http::header::HeaderValue;

/// Whether Accept names `text/html` with a weight above zero, as `nginx/conf.d/error_pages.conf` decides it. `*/*` does not
/// count: programs send it, and prefer text.
pub fn wants_html<'a>(accept: impl Iterator<Item = &'a HeaderValue>) -> bool {
    let mut ranges = accept
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    ranges.any(|range| {
        let mut parts = range.split(';').map(str::trim_ascii);
        let is_html = parts
            .next()
            .is_some_and(|kind| kind.eq_ignore_ascii_case("text/html"));
        is_html
            && !parts.any(|part| {
                part.to_ascii_lowercase()
                    .strip_prefix("q=")
                    .is_some_and(is_zero)
            })
    })
}

fn is_zero(weight: &str) -> bool {
    weight
        .strip_prefix('0')
        .is_some_and(|rest| rest.bytes().all(|byte| b".0".contains(&byte)))
}
