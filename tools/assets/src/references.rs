//! Finds the URLs in HTML, SVG, CSS, JavaScript and web manifests, with their positions.

mod css;
mod html;
mod js;

use std::ops::Range;

use crate::files::Outcome;

/// A URL in a text.
#[derive(Debug)]
pub struct Reference {
    /// The position in the text, in bytes.
    pub range: Range<usize>,
    /// The URL, without the escapes of the language.
    pub url: String,
    /// Whether the language says that this is a URL. If so, its file must exist; else it may be any string.
    pub is_certain: bool,
    /// Whether the element has an `integrity` attribute, a digest of the file.
    pub has_integrity: bool,
}

impl Reference {
    fn certain(range: Range<usize>, url: impl Into<String>) -> Self {
        Self {
            range,
            url: url.into(),
            is_certain: true,
            has_integrity: false,
        }
    }

    fn possible(range: Range<usize>, url: impl Into<String>) -> Self {
        Self {
            is_certain: false,
            ..Self::certain(range, url)
        }
    }
}

/// Finds the references in a file of one type.
type Reader = fn(&str) -> Outcome<Vec<Reference>>;

/// Returns the references in a file, in their order. Files of other types have none.
pub fn find(name: &str, content: &[u8]) -> Outcome<Vec<Reference>> {
    let Some(reader) = reader(name) else {
        return Ok(Vec::new());
    };
    let text = str::from_utf8(content)
        .map_err(|_| "it is served as UTF-8 but is not valid UTF-8; save it as UTF-8".to_owned())?;
    let mut references = reader(text)?;
    references.sort_by_key(|reference| reference.range.start);
    Ok(references)
}

/// Returns whether `&` begins an escape in that file.
pub fn is_markup(name: &str) -> bool {
    matches!(extension(name), Some("html" | "htm" | "svg"))
}

fn reader(name: &str) -> Option<Reader> {
    match extension(name) {
        _ if is_markup(name) => Some(html::read),
        Some("css") => Some(css::read),
        Some("js" | "mjs") => Some(js::read),
        Some("webmanifest") => Some(js::read_json),
        _ if name.rsplit('/').next() == Some("manifest.json") => Some(js::read_json),
        _ => None,
    }
}

fn extension(name: &str) -> Option<&str> {
    let last = name.rsplit('/').next()?;
    last.rsplit_once('.').map(|(_, extension)| extension)
}

/// Returns the reference to a source map in a comment, if it has one. `start` is the position of the comment's text.
fn source_map(comment: &str, start: usize) -> Option<Reference> {
    let url = comment
        .strip_prefix(['#', '@'])?
        .trim_start()
        .strip_prefix("sourceMappingURL=")?;
    let start = start + comment.len() - url.len();
    let url = url.split_whitespace().next()?;
    Some(Reference::possible(start..start + url.len(), url))
}
