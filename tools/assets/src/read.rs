//! Reads a folder.

use std::{fs, path::Path};

use crate::{Files, Outcome};

/// The regular files below `folder`. What would never be served is left out, and said.
pub fn read(folder: &Path) -> Outcome<Files> {
    let mut files = Files::new();
    read_into(&mut files, folder, "")?;
    Ok(files)
}

fn read_into(files: &mut Files, folder: &Path, prefix: &str) -> Outcome<()> {
    let unreadable = |path: &Path, error| {
        format!(
            "{} can't be read: {error}; see to it that it is there, and whose it is",
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
            println!("left out, for its name is never served: {path:?}");
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
                "{} is a symbolic link or no file at all, which is never served; put a file in its place, or remove it",
                path.display()
            ));
        }
    }
    Ok(())
}

/// Whether a file or folder of that name can be had. The app has the same rule (`plain_name` in `src/site.rs`).
fn is_served(segment: &str, prefix: &str) -> bool {
    let dotted = segment.starts_with('.') && !(prefix.is_empty() && segment == ".well-known");
    !dotted && !segment.contains(|c: char| c == '\\' || c.is_ascii_control())
}
