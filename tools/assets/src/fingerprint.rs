//! Names that tell what is in a file: another content, another name, so that nobody ever needs to ask again.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::{ASSETS, Files, links::Links};

/// The name of each asset, with the digest of what it holds and of what all assets hold that it leads to.
pub fn names(files: &Files, links: &Links) -> BTreeMap<String, String> {
    let assets = files.keys().filter(|name| name.starts_with(ASSETS));
    assets
        .map(|name| {
            let mut digest = Sha256::new();
            // A name can't hold a NUL.
            for reached in reach(name, links) {
                digest.update(format!("{reached}\0"));
                digest.update(Sha256::digest(&files[reached]));
            }
            let digest: String = digest.finalize()[..8]
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            (name.clone(), insert(name, &digest))
        })
        .collect()
}

/// The asset and all that it leads to, directly or not. Scripts may well lead to each other.
fn reach<'a>(name: &'a str, links: &'a Links) -> BTreeSet<&'a str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![name];
    while let Some(name) = next.pop() {
        if reached.insert(name) {
            next.extend(
                links
                    .get(name)
                    .into_iter()
                    .flatten()
                    .map(|link| &*link.asset),
            );
        }
    }
    reached
}

/// Before the last extension, which says what the file is.
fn insert(name: &str, digest: &str) -> String {
    let folder = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[folder..].rsplit_once('.') {
        Some((stem, extension)) if !extension.is_empty() => {
            format!("{}{stem}.{digest}.{extension}", &name[..folder])
        }
        _ => format!("{name}.{digest}"),
    }
}
