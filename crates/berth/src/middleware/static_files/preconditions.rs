//! Preconditions and ranges (RFC 9110 §13 and §14): a client gets a whole file, a range, or nothing because it has it.
//!
//! A file's validator is its ETag, from its time and its length as nginx makes it. `tools/assets` sets the time to a digest
//! of the content, so the ETag is the same in every replica. No `Last-Modified` is sent: that time is made up. Conditions on
//! dates are therefore ignored, as for any resource without one (§13.1.3, §13.1.4).

use std::time::UNIX_EPOCH;

use actix_files::NamedFile;
use actix_web::{
    HttpMessage,
    dev::ServiceRequest,
    http::{
        Method,
        header::{
            ByteRangeSpec, EntityTag, HeaderValue, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
            IF_RANGE, IF_UNMODIFIED_SINCE, IfMatch, IfNoneMatch, IfRange, RANGE, Range,
        },
    },
};

/// What to do with a file.
pub enum Outcome {
    /// Send it, or the range that the request still names.
    Send,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client wants it to be.
    Failed,
    /// 416: it has no such range.
    Unsatisfiable,
}

/// `"TIME-LENGTH"`, both in hexadecimal. The time of a file that no build has touched has fractions of a second, which tell
/// edits within one second apart.
pub fn tag(file: &NamedFile) -> Option<EntityTag> {
    let time = file.modified()?.duration_since(UNIX_EPOCH).ok()?;
    let length = file.metadata().len();
    let seconds = time.as_secs();
    Some(EntityTag::new_strong(match time.subsec_nanos() {
        0 => format!("{seconds:x}-{length:x}"),
        fraction => format!("{seconds:x}.{fraction:x}-{length:x}"),
    }))
}

/// Evaluates the request's conditions in the order of RFC 9110 §13.2.2, and removes them. A range that is left is single and
/// satisfiable.
pub fn evaluate(request: &mut ServiceRequest, tag: &EntityTag, length: u64) -> Outcome {
    let unmatched = match request.get_header::<IfMatch>() {
        Some(IfMatch::Items(tags)) => !tags.iter().any(|wanted| wanted.strong_eq(tag)),
        Some(IfMatch::Any) | None => false,
    };
    let known = match request.get_header::<IfNoneMatch>() {
        Some(IfNoneMatch::Any) => true,
        Some(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(tag)),
        None => false,
    };
    let range = range(request, tag).map(|range| range.to_satisfiable_range(length));
    remove(request);
    match range {
        _ if unmatched => Outcome::Failed,
        _ if known => Outcome::NotModified,
        Some(None) => Outcome::Unsatisfiable,
        Some(Some((first, last))) => {
            let range = HeaderValue::try_from(format!("bytes={first}-{last}"));
            request.headers_mut().insert(RANGE, range.expect("digits"));
            Outcome::Send
        }
        None => Outcome::Send,
    }
}

/// Removes the conditions and ranges of a request, so that the whole file is sent.
pub fn remove(request: &mut ServiceRequest) {
    for name in [
        IF_MATCH,
        IF_NONE_MATCH,
        IF_MODIFIED_SINCE,
        IF_UNMODIFIED_SINCE,
        IF_RANGE,
        RANGE,
    ] {
        request.headers_mut().remove(name);
    }
}

/// The range to send; none without a range, for a malformed one, or if the client has a part of another version. Several
/// ranges are answered with the whole file, as a server may (RFC 9110 §14.2).
fn range(request: &ServiceRequest, tag: &EntityTag) -> Option<ByteRangeSpec> {
    let is_same = match request.get_header::<IfRange>() {
        Some(IfRange::EntityTag(known)) => known.strong_eq(tag),
        Some(IfRange::Date(_)) => false,
        None => !request.headers().contains_key(IF_RANGE),
    };
    let lines: Vec<_> = request.headers().get_all(RANGE).collect();
    let several = lines.len() > 1 || lines.iter().any(|line| line.as_bytes().contains(&b','));
    if request.method() != Method::GET || !is_same || several {
        return None;
    }
    match request.get_header::<Range>()? {
        Range::Bytes(ranges) => ranges.into_iter().next(),
        Range::Unregistered(..) => None,
    }
}
