//! Keeps the previous version's assets: a page that was loaded from it still requests them.

use std::{collections::BTreeSet, fs, io, path::Path};

use crate::{
    compress::FOLDERS,
    files::{ASSETS, Files, Outcome},
    read,
};

/// The file with the names of a version's own assets. It lies beside the folders of its site.
pub const LIST: &str = "assets.txt";

/// Returns the files of `previous` to keep: its own assets and their compressed copies. If both versions have the same
/// assets, what `previous` had kept is kept again, so that a second build loses nothing.
pub fn kept(previous: &Path, own: &BTreeSet<String>) -> Outcome<Files> {
    let list = match fs::read_to_string(previous.join(LIST)) {
        Ok(list) => list,
        // There is no previous version, or it was built without this program.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Files::new()),
        Err(error) => {
            return Err(format!(
                "{} can't be read: {error}; name another previous version, or none",
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
            let files = read::all(&path)?.into_iter();
            let files = files.filter(|(name, _)| is_kept(name));
            kept.extend(files.map(|(name, content)| (format!("{folder}/{name}"), content)));
        }
    }
    Ok(kept)
}
