//! Fingerprints: an asset's name changes with its content, so that browsers may cache it forever.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::{
    files::{ASSETS, Files},
    links::Links,
};

/// Returns the new name of each asset. Its digest covers the asset and all assets that it refers to, directly or not.
pub fn names(files: &Files, links: &Links) -> BTreeMap<String, String> {
    let assets = files.keys().filter(|name| name.starts_with(ASSETS));
    assets
        .map(|name| {
            let mut digest = Sha256::new();
            // NUL ends the name: no file name contains it.
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

/// Returns the asset and all assets that it refers to, directly or not. Scripts may refer to each other in a circle.
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

/// Inserts the digest before the last extension, which tells the media type.
fn insert(name: &str, digest: &str) -> String {
    let folder = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[folder..].rsplit_once('.') {
        Some((stem, extension)) if !extension.is_empty() => {
            format!("{}{stem}.{digest}.{extension}", &name[..folder])
        }
        _ => format!("{name}.{digest}"),
    }
}
