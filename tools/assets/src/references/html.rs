//! Finds references in HTML and SVG.

use std::{mem, ops::Range};

use html5gum::{
    Span, Tokenizer,
    emitters::callback::{CallbackEmitter, CallbackEvent},
};

use super::Reference;
use crate::files::Outcome;

#[derive(Default)]
struct Tag {
    name: Vec<u8>,
    attributes: Vec<Attribute>,
}

#[derive(Default)]
struct Attribute {
    name: Vec<u8>,
    value: String,
    range: Range<usize>,
}

/// A part of a document that can hold references.
enum Part {
    Tag(Tag),
    /// The content of `<noscript>`: text to a browser with scripts, markup to one without.
    Noscript(Range<usize>),
}

pub fn read(text: &str) -> Outcome<Vec<Reference>> {
    let mut references = Vec::new();
    for part in parts(text) {
        let tag = match part {
            Part::Tag(tag) => tag,
            Part::Noscript(range) => {
                let within = read(&text[range.clone()])?.into_iter();
                references.extend(within.map(|it| Reference {
                    range: it.range.start + range.start..it.range.end + range.start,
                    ..it
                }));
                continue;
            }
        };
        let has = |name: &[u8]| tag.attributes.iter().any(|it| it.name == name);
        if tag.name == b"base" && has(b"href") {
            return Err(
                "its <base href> would change the meaning of every reference; remove it, and refer to \
                 files relative to the page"
                    .into(),
            );
        }
        let has_integrity = has(b"integrity");
        let found = tag.attributes.iter().flat_map(|it| in_attribute(it, text));
        references.extend(found.map(|it| Reference {
            has_integrity,
            ..it
        }));
    }
    Ok(references)
}

fn in_attribute(attribute: &Attribute, text: &str) -> Vec<Reference> {
    let Attribute { name, value, range } = attribute;
    match &name[..] {
        b"href" | b"src" | b"poster" | b"data" | b"xlink:href" => {
            vec![Reference::certain(range.clone(), value.trim())]
        }
        b"content" => vec![Reference::possible(range.clone(), value.trim())],
        b"srcset" | b"imagesrcset" => candidates(&text[range.clone()], range.start),
        _ => Vec::new(),
    }
}

/// Returns the URLs of a `srcset`. Each ends at white space; an optional descriptor follows, up to a comma.
/// <https://html.spec.whatwg.org/multipage/images.html#srcset-attributes>
fn candidates(value: &str, start: usize) -> Vec<Reference> {
    let mut found = Vec::new();
    let mut rest = value;
    loop {
        rest = rest.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == ',');
        let end = rest
            .find(|c: char| c.is_ascii_whitespace())
            .unwrap_or(rest.len());
        let url = rest[..end].trim_end_matches(',');
        if url.is_empty() {
            return found;
        }
        let at = start + value.len() - rest.len();
        // The only escape that a URL needs here.
        found.push(Reference::certain(
            at..at + url.len(),
            url.replace("&amp;", "&"),
        ));
        rest = &rest[end..];
        if url.len() == end {
            rest = &rest[rest.find(',').unwrap_or(rest.len())..];
        }
    }
}

/// Returns the start tags and the `<noscript>` contents of a document. Comments and scripts have none.
fn parts(text: &str) -> impl Iterator<Item = Part> {
    let mut tag = Tag::default();
    let mut in_noscript = false;
    let mut emitter = CallbackEmitter::new(move |event: CallbackEvent<'_>, span: Span<usize>| {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                tag = Tag {
                    name: name.into(),
                    attributes: Vec::new(),
                };
            }
            CallbackEvent::AttributeName { name } => tag.attributes.push(Attribute {
                name: name.into(),
                ..Attribute::default()
            }),
            CallbackEvent::AttributeValue { value } => {
                if let Some(attribute) = tag.attributes.last_mut() {
                    attribute.value = String::from_utf8_lossy(value).into_owned();
                    attribute.range = span.start..span.end;
                }
            }
            CallbackEvent::CloseStartTag { .. } => {
                in_noscript = tag.name == b"noscript";
                return Some(Part::Tag(mem::take(&mut tag)));
            }
            CallbackEvent::String { .. } if in_noscript => {
                return Some(Part::Noscript(span.start..span.end));
            }
            CallbackEvent::EndTag { .. } => in_noscript = false,
            _ => {}
        }
        None
    });
    emitter.naively_switch_states(true);
    Tokenizer::new_with_emitter(text, emitter).flatten()
}
