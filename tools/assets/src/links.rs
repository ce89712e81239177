//! Finds the references that lead to assets.

use std::{collections::BTreeMap, ops::Range};

use crate::{
    files::{ASSETS, Files, Outcome},
    references, url,
};

/// A reference to an asset.
pub struct Link {
    /// The URL's position in the text, in bytes.
    pub range: Range<usize>,
    /// The URL.
    pub url: String,
    /// The asset's name.
    pub asset: String,
}

/// The links of each file, in their order. A file without links has no entry.
pub type Links = BTreeMap<String, Vec<Link>>;

/// Finds all links. Every reference to a missing asset is an error; all errors are reported together.
pub fn find(files: &Files) -> Outcome<Links> {
    let mut links = Links::new();
    let mut fixed = Vec::new();
    let mut errors = Vec::new();
    for (name, content) in files {
        let references = match references::find(name, content) {
            Ok(references) => references,
            Err(error) => {
                errors.push(format!("{name}: {error}"));
                continue;
            }
        };
        for reference in references {
            let target = url::resolve(name, &reference.url);
            let Some(asset) = target.filter(|target| target.starts_with(ASSETS)) else {
                continue;
            };
            if files.contains_key(&asset) {
                if reference.has_integrity {
                    fixed.push((name, asset.clone()));
                }
                links.entry(name.clone()).or_default().push(Link {
                    range: reference.range,
                    url: reference.url,
                    asset,
                });
            } else if reference.is_certain {
                errors.push(format!(
                    "{name} refers to {asset}, which does not exist; add the file, or correct the reference {:?}",
                    reference.url
                ));
            }
        }
    }
    for (name, asset) in fixed {
        if links.contains_key(&asset) {
            errors.push(format!(
                "{name} has an `integrity` digest for {asset}, whose content changes with the names of the assets that \
                 it refers to; remove `integrity`, or these references"
            ));
        }
    }
    if errors.is_empty() {
        Ok(links)
    } else {
        Err(errors.join("\n"))
    }
}
