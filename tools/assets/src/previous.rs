//! Keeps the assets of the version before: a page that was loaded from it goes on to ask for them.

use std::{collections::BTreeSet, fs, io, path::Path};

use crate::{ASSETS, Files, Outcome, compress::FOLDERS, scan};

/// The file that lists a version's own assets, beside the folders of its site.
pub const LIST: &str = "assets.txt";

/// What to keep of `previous`, with its compressed copies: its own assets. If these are `own` as well, what it had kept
/// is kept again, so that nothing is lost by building twice.
pub fn kept(previous: &Path, own: &BTreeSet<String>) -> Outcome<Files> {
    let list = match fs::read_to_string(previous.join(LIST)) {
        Ok(list) => list,
        // There is no version before, or one that knew nothing of this.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Files::new()),
        Err(error) => {
            return Err(format!(
                "{} can't be read: {error}; name another version, or none",
                previous.join(LIST).display()
            ));
        }
    };
    let listed: BTreeSet<&str> = list.lines().collect();
    let is_same = own.iter().eq(listed.iter());
    let is_kept = |name: &str| {
        !own.contains(name) && name.starts_with(ASSETS) && (is_same || listed.contains(name))
    };
    let mut kept = Files::new();
    for folder in FOLDERS {
        let path = previous.join(folder);
        if path.is_dir() {
            let files = scan::read(&path)?.into_iter();
            let files = files.filter(|(name, _)| is_kept(name));
            kept.extend(files.map(|(name, content)| (format!("{folder}/{name}"), content)));
        }
    }
    Ok(kept)
}
