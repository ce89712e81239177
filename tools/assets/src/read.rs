//! Reads the files of a folder.

use std::{fs, path::Path};

use crate::files::{Files, Outcome};

/// Reads the regular files below `folder`. Files that would never be served are skipped with a message.
pub fn all(folder: &Path) -> Outcome<Files> {
    let mut files = Files::new();
    read_into(&mut files, folder, "")?;
    Ok(files)
}

fn read_into(files: &mut Files, folder: &Path, prefix: &str) -> Outcome<()> {
    let unreadable = |path: &Path, error| {
        format!(
            "{} can't be read: {error}; check that it exists, and its owner",
            path.display()
        )
    };
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, error))? {
        let entry = entry.map_err(|error| unreadable(folder, error))?;
        let path = entry.path();
        let kind = entry
            .file_type()
            .map_err(|error| unreadable(&path, error))?;
        let file_name = entry.file_name();
        let Some(segment) = file_name.to_str().filter(|it| is_served(it, prefix)) else {
            println!("skipped, because files of that name are never served: {path:?}");
            continue;
        };
        let name = format!("{prefix}{segment}");
        if kind.is_dir() {
            read_into(files, &path, &format!("{name}/"))?;
        } else if kind.is_file() {
            let content = fs::read(&path).map_err(|error| unreadable(&path, error))?;
            files.insert(name, content);
        } else {
            return Err(format!(
                "{} is a symbolic link or not a regular file, and never served; replace it by a file, or remove it",
                path.display()
            ));
        }
    }
    Ok(())
}

/// Returns whether a file or folder of that name can be served. The app has the same rule: `plain_name` in
/// `crates/berth/src/middleware/static_files/service.rs`.
fn is_served(segment: &str, prefix: &str) -> bool {
    let dotted = segment.starts_with('.') && !(prefix.is_empty() && segment == ".well-known");
    !dotted && !segment.contains(|c: char| c == '\\' || c.is_ascii_control())
}
