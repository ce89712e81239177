//! What a file says of other files, and where in its text.

mod css;
mod html;
mod js;

use std::ops::Range;

use crate::Outcome;

/// A URL in a text.
#[derive(Debug)]
pub struct Reference {
    /// Where it stands.
    pub range: Range<usize>,
    /// What it says, without the escapes of the language.
    pub url: String,
    /// Whether it is certain to be one, and must not lead nowhere; a text that only may be one need not lead anywhere.
    pub is_certain: bool,
    /// Whether the content of what it leads to is fixed by a digest beside it.
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

/// How a kind of file is read.
type Reader = fn(&str) -> Outcome<Vec<Reference>>;

/// The references in a file, in their order; none in files that are not read.
pub fn find(name: &str, content: &[u8]) -> Outcome<Vec<Reference>> {
    let Some(reader) = reader(name) else {
        return Ok(Vec::new());
    };
    let text = str::from_utf8(content)
        .map_err(|_| "it is not in UTF-8, as which it is served; save it as that".to_owned())?;
    let mut references = reader(text)?;
    references.sort_by_key(|reference| reference.range.start);
    Ok(references)
}

/// Whether `&` begins an escape in that file.
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

/// The reference in a comment that names a source map, if it is one; `start` is where the comment's text begins.
fn source_map(comment: &str, start: usize) -> Option<Reference> {
    let url = comment
        .strip_prefix(['#', '@'])?
        .trim_start()
        .strip_prefix("sourceMappingURL=")?;
    let start = start + comment.len() - url.len();
    let url = url.split_whitespace().next()?;
    Some(Reference::possible(start..start + url.len(), url))
}
