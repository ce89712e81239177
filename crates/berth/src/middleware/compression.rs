//! Compresses the service's complete responses of text, for clients that accept it (`COMPRESSION`). nginx passes them on as
//! they are. Streams stay as they are: a compressor would hold their parts back.

use std::{io::Write, sync::LazyLock, thread::available_parallelism};

use actix_web::{
    HttpMessage,
    body::{BodySize, BoxBody, MessageBody},
    dev::ServiceResponse,
    http::{
        StatusCode,
        header::{
            ACCEPT_RANGES, AcceptEncoding, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE,
            CONTENT_TYPE, ContentEncoding, ETAG, HeaderMap, HeaderName, HeaderValue, IF_NONE_MATCH,
        },
    },
    web::{self, Bytes},
};
use brotli::enc::BrotliEncoderParams;
use flate2::{Compression, write::GzEncoder};
use tokio::sync::Semaphore;

use super::static_files::{encoding::Encoding, negotiation};
use crate::http::vary;

/// Bytes of a body that pays: a smaller one fits into one packet as it is.
const MIN: u64 = 1 << 10;
/// Bytes of the largest: more could take longer than nginx waits beyond RESPONSE_TIMEOUT.
const MAX: u64 = 8 << 20;
/// Bytes up to which the worker compresses itself, in one or two milliseconds.
const SMALL: usize = 64 << 10;
/// 64 KB of text get 1.2 times as large as at level 11, in a fiftieth of the time.
const BROTLI_LEVEL: i32 = 4;
/// Level 9 saves one byte in a hundred, for twice the time.
const GZIP_LEVEL: Compression = Compression::new(5);
/// Brotli's window, which is as large as the body up to this: the default of 22 takes 8 MB of memory for each body.
const MAX_WINDOW_BITS: u32 = 20;

/// Larger bodies that are compressed at the same time, at up to 10 MB of memory each: one for each processor.
static LARGE: LazyLock<Semaphore> =
    LazyLock::new(|| Semaphore::new(available_parallelism().map_or(1, Into::into)));

/// Headers of a body that must stay as it is: compressed or partial, or with a digest of its bytes (RFC 9530).
static FIXED: [HeaderName; 4] = [
    CONTENT_ENCODING,
    CONTENT_RANGE,
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("repr-digest"),
];

/// A body to compress.
pub struct Job {
    coding: ContentEncoding,
    content: Bytes,
}

/// Whether a response may be compressed, or confirms one that was.
pub fn is_concerned(response: &ServiceResponse) -> bool {
    match response.response().body().size() {
        BodySize::Sized(MIN..=MAX) => may_change(response.status(), response.headers()),
        _ => response.status() == StatusCode::NOT_MODIFIED,
    }
}

/// Decides whether a response that is concerned is compressed. `Vary` says so where it depends on the client.
pub fn choose(mut response: ServiceResponse) -> (ServiceResponse, Option<Job>) {
    if response.status() == StatusCode::NOT_MODIFIED {
        confirm(&mut response);
        return (response, None);
    }
    let accepted = response.request().get_header::<AcceptEncoding>();
    let offered = [Encoding::Brotli, Encoding::Gzip, Encoding::Identity];
    let preferred = accepted.and_then(|accepted| negotiation::prefer(&accepted, &offered));
    let coding = preferred.and_then(Encoding::coding);
    let mut job = None;
    let response = response.map_body(|head, body| match body.try_into_bytes() {
        Ok(content) => {
            vary::add(head.headers_mut(), "Accept-Encoding");
            job = coding.map(|coding| Job {
                coding,
                content: content.clone(),
            });
            BoxBody::new(content)
        }
        Err(stream) => stream,
    });
    (response, job)
}

impl Job {
    /// Replaces the body, if that makes it smaller.
    pub async fn compress(self, response: ServiceResponse) -> ServiceResponse {
        let Self { coding, content } = self;
        let size = content.len();
        let compressed = if size > SMALL {
            let turn = LARGE.acquire().await;
            let compress = move || {
                let compressed = compressed(coding, &content);
                // Held here: the thread goes on where the client is gone.
                drop(turn);
                compressed
            };
            web::block(compress).await.ok()
        } else {
            Some(compressed(coding, &content))
        };
        match compressed {
            Some(compressed) if compressed.len() < size => response.map_body(|head, _| {
                describe(head.headers_mut(), coding);
                BoxBody::new(compressed)
            }),
            _ => response,
        }
    }
}

fn compressed(coding: ContentEncoding, content: &[u8]) -> Vec<u8> {
    let written = "a write to memory never fails";
    if coding == ContentEncoding::Brotli {
        let window = content.len().next_power_of_two().ilog2();
        let parameters = BrotliEncoderParams {
            quality: BROTLI_LEVEL,
            lgwin: window.clamp(10, MAX_WINDOW_BITS) as i32,
            size_hint: content.len(),
            ..BrotliEncoderParams::default()
        };
        let mut compressed = Vec::new();
        brotli::BrotliCompress(&mut &*content, &mut compressed, &parameters).expect(written);
        return compressed;
    }
    let mut encoder = GzEncoder::new(Vec::new(), GZIP_LEVEL);
    encoder.write_all(content).expect(written);
    encoder.finish().expect(written)
}

/// The headers that go with a compressed body.
fn describe(headers: &mut HeaderMap, coding: ContentEncoding) {
    headers.insert(CONTENT_ENCODING, coding.to_header_value());
    // The service knows ranges of the plain body alone.
    headers.remove(ACCEPT_RANGES);
    if let Some(tag) = weak_tag(headers) {
        headers.insert(ETAG, tag);
    }
}

/// A strong tag made weak: it is one for both forms, and a strong one says that each byte is the same (RFC 9110 §8.8.1).
fn weak_tag(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers.get(ETAG)?.to_str().ok()?;
    let weak = tag.starts_with('"').then(|| format!("W/{tag}"))?;
    HeaderValue::try_from(weak).ok()
}

/// A 304 to the weak tag of a compressed response has that tag and its `Vary`, as the response had (RFC 9110 §15.4.5).
fn confirm(response: &mut ServiceResponse) {
    let Some(tag) = weak_tag(response.headers()) else {
        return;
    };
    let is_known = |line: &HeaderValue| {
        let tags = line.as_bytes().windows(tag.len());
        tags.into_iter().any(|it| it == tag.as_bytes())
    };
    let mut known = response.request().headers().get_all(IF_NONE_MATCH);
    if known.any(is_known) {
        vary::add(response.headers_mut(), "Accept-Encoding");
        response.headers_mut().insert(ETAG, tag);
    }
}

/// Whether HTTP allows another form of the body, and its type compresses well.
fn may_change(status: StatusCode, headers: &HeaderMap) -> bool {
    let has_content = !matches!(
        status,
        StatusCode::NO_CONTENT | StatusCode::PARTIAL_CONTENT | StatusCode::NOT_MODIFIED
    );
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    has_content
        && kind.is_some_and(is_compressible)
        && !FIXED.iter().any(|name| headers.contains_key(name))
        && !headers.get_all(CACHE_CONTROL).any(forbids_transformation)
}

/// `no-transform` (RFC 9111 §5.2.2.6).
fn forbids_transformation(line: &HeaderValue) -> bool {
    let mut directives = line.to_str().unwrap_or_default().split(',');
    directives.any(|it| it.trim_ascii().eq_ignore_ascii_case("no-transform"))
}

/// Whether a media type is text, or another format that is not compressed: the types of the files that `tools/assets`
/// compresses. Events are small, and wait for nothing.
pub fn is_compressible(media_type: &str) -> bool {
    let essence = media_type.split(';').next().unwrap_or_default();
    let Some((kind, name)) = essence.trim_ascii().split_once('/') else {
        return false;
    };
    let is_one_of = |names: &[&str]| names.iter().any(|it| name.eq_ignore_ascii_case(it));
    let suffix = name.rsplit_once('+').map_or("", |(_, suffix)| suffix);
    let has_text = ["json", "xml"]
        .iter()
        .any(|it| suffix.eq_ignore_ascii_case(it));
    has_text
        || match kind.to_ascii_lowercase().as_str() {
            "text" => !is_one_of(&["event-stream"]),
            "application" => is_one_of(&[
                "font-sfnt",
                "javascript",
                "json",
                "rtf",
                "wasm",
                "xml",
                "yaml",
            ]),
            "font" => is_one_of(&["otf", "ttf"]),
            "image" => is_one_of(&["bmp", "vnd.microsoft.icon", "x-icon"]),
            _ => false,
        }
}
