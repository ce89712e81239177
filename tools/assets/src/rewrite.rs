//! Has all files refer to the assets by their new names.

use std::collections::BTreeMap;

use crate::{
    Files, address,
    links::{Link, Links},
    references,
};

/// The files under their new names; nothing in them is touched but the links.
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
        let url = address::rename(&link.url, &names[&link.asset]);
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
