//! Which references lead to assets.

use std::{collections::BTreeMap, ops::Range};

use crate::{ASSETS, Files, Outcome, address, references};

/// A reference to an asset.
pub struct Link {
    /// Where it stands in the text.
    pub range: Range<usize>,
    /// What it says there.
    pub url: String,
    /// The asset's name.
    pub asset: String,
}

/// The links of each file, in the order in which they stand in it; nothing of files without.
pub type Links = BTreeMap<String, Vec<Link>>;

/// Finds all links; every reference that leads nowhere is an error.
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
            let target = address::resolve(name, &reference.url);
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
                    "{name} refers to {asset}, which is not there; put it there, or mend the reference {:?}",
                    reference.url
                ));
            }
        }
    }
    for (name, asset) in fixed {
        if links.contains_key(&asset) {
            errors.push(format!(
                "{name} fixes the content of {asset} by `integrity`, but that changes with the names of the assets \
                 that it refers to; take out `integrity`, or these references"
            ));
        }
    }
    if errors.is_empty() {
        Ok(links)
    } else {
        Err(errors.join("\n"))
    }
}
