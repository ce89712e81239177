//! How much of a file a client gets: all, a range, or nothing because it has it already (RFC 9110 §13 and §14).
//!
//! A file's validator is its tag, from its time and its length as nginx makes it; `deploy/site` sets the time to a digest
//! of the content, so that the tag is the same wherever the file is served. No date goes out: the only honest one would be
//! the build's. Conditions on dates are therefore ignored, as for any resource without one (§13.1.3, §13.1.4).

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
pub enum Verdict {
    /// Send it, or the range that the request still names.
    Send,
    /// 304: the client has it.
    NotModified,
    /// 412: it is not what the client wants it to be.
    Failed,
    /// 416: it has no such range.
    Unsatisfiable,
}

/// `"TIME-LENGTH"`, both in hexadecimal. A file that no build has touched has fractions of a second, which tell edits
/// within one apart.
pub fn tag(file: &NamedFile) -> Option<EntityTag> {
    let time = file.modified()?.duration_since(UNIX_EPOCH).ok()?;
    let length = file.metadata().len();
    let seconds = time.as_secs();
    Some(EntityTag::new_strong(match time.subsec_nanos() {
        0 => format!("{seconds:x}-{length:x}"),
        fraction => format!("{seconds:x}.{fraction:x}-{length:x}"),
    }))
}

/// Evaluates the request's conditions in the order of RFC 9110 §13.2.2, and takes them out of it: what is left of a range
/// is one, and can be satisfied.
pub fn judge(request: &mut ServiceRequest, tag: &EntityTag, length: u64) -> Verdict {
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
    match range {
        _ if unmatched => Verdict::Failed,
        _ if known => Verdict::NotModified,
        Some(None) => Verdict::Unsatisfiable,
        Some(Some((first, last))) => {
            let range = HeaderValue::try_from(format!("bytes={first}-{last}"));
            request.headers_mut().insert(RANGE, range.expect("digits"));
            Verdict::Send
        }
        None => Verdict::Send,
    }
}

/// The range to send. None if none is asked for, if it is not well-formed, or if the file is not the one that the client
/// has a part of; several are answered with the whole, as a server may (RFC 9110 §14.2).
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
