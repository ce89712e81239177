//! Replaces the assets' names in all references.

use std::collections::BTreeMap;

use crate::{
    files::Files,
    links::{Link, Links},
    references, url,
};

/// Returns the files under their new names, with new URLs in the links. All other bytes stay as they are.
pub fn all(files: Files, links: &Links, names: &BTreeMap<String, String>) -> Files {
    let renamed = |name: String| names.get(&name).cloned().unwrap_or(name);
    let files = files
        .into_iter()
        .map(|(name, content)| match links.get(&name) {
            Some(links) => {
                let content = replace(&content, links, names, references::is_markup(&name));
                (renamed(name), content)
            }
            None => (renamed(name), content),
        });
    files.collect()
}

fn replace(
    content: &[u8],
    links: &[Link],
    names: &BTreeMap<String, String>,
    is_markup: bool,
) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(content.len() + 32 * links.len());
    let mut done = 0;
    for link in links {
        let url = url::rename(&link.url, &names[&link.asset]);
        let url = if is_markup {
            url.replace('&', "&amp;")
        } else {
            url
        };
        replaced.extend(&content[done..link.range.start]);
        replaced.extend(url.as_bytes());
        done = link.range.end;
    }
    replaced.extend(&content[done..]);
    replaced
}
