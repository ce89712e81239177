//! A folder of files that a table describes, and its compressed siblings, as images have them.

use std::{
    fs::{self, File, Permissions},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, SystemTime},
};

use serde::Deserialize;
use tempfile::TempDir;

use crate::text;

/// A file of the folder `site`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    name: String,
    text: Option<String>,
    /// The contents of its siblings in `site.br` and `site.gzip`.
    br: Option<String>,
    gzip: Option<String>,
    /// Instead of a file, a symbolic link to this.
    link: Option<String>,
    #[serde(default)]
    pipe: bool,
    mode: Option<u32>,
    folder_mode: Option<u32>,
}

impl Entry {
    /// A plain file.
    pub fn of(name: &str, text: &str) -> Self {
        Self {
            name: name.into(),
            text: Some(text.into()),
            br: None,
            gzip: None,
            link: None,
            pipe: false,
            mode: None,
            folder_mode: None,
        }
    }

    /// The same with compressed siblings.
    #[must_use]
    pub fn compressed(self, br: &str, gzip: &str) -> Self {
        Self {
            br: Some(br.into()),
            gzip: Some(gzip.into()),
            ..self
        }
    }
}

/// The folders; removed on drop.
pub struct Fixture(TempDir);

impl Fixture {
    /// Writes the files. Each has a different modification time, in whole seconds.
    pub fn new(entries: &[Entry]) -> Self {
        let this = Self(tempfile::tempdir().unwrap());
        open_to_all(this.path());
        for folder in ["site", "site.br", "site.gzip"] {
            fs::create_dir(this.path().join(folder)).unwrap();
        }
        for (number, entry) in entries.iter().enumerate() {
            this.write(entry, number as u64);
        }
        for entry in entries {
            let file = this.file(&entry.name);
            if let Some(mode) = entry.mode {
                fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            }
            if let Some(mode) = entry.folder_mode {
                fs::set_permissions(file.parent().unwrap(), Permissions::from_mode(mode)).unwrap();
            }
        }
        this
    }

    /// Returns the folder with `site` and its siblings.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Returns a file by its name in the table: `NAME`, `br NAME` or `gzip NAME`.
    pub fn file(&self, name: &str) -> PathBuf {
        let (folder, name) = match name.split_once(' ') {
            Some(("br", name)) => ("site.br", name),
            Some(("gzip", name)) => ("site.gzip", name),
            _ => ("site", name),
        };
        self.path().join(folder).join(name)
    }

    /// `"TIME-LENGTH"`, in hexadecimal.
    pub fn tag(&self, name: &str) -> String {
        let data = fs::metadata(self.file(name)).expect(name);
        let time = data
            .modified()
            .unwrap()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        format!("\"{:x}-{:x}\"", time.as_secs(), data.len())
    }

    fn write(&self, entry: &Entry, number: u64) {
        let forms = [
            ("", &entry.text),
            ("br ", &entry.br),
            ("gzip ", &entry.gzip),
        ];
        let file = self.file(&entry.name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        if let Some(target) = &entry.link {
            symlink(target, &file).unwrap();
        }
        if entry.pipe {
            assert!(
                Command::new("mkfifo")
                    .arg(&file)
                    .status()
                    .unwrap()
                    .success()
            );
        }
        for (form, (coding, content)) in forms.into_iter().enumerate() {
            let Some(content) = content else { continue };
            let path = self.file(&format!("{coding}{}", entry.name));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text::unescape(content)).unwrap();
            let time = Duration::from_secs(1_000_000 + 10 * number + form as u64);
            let file = File::options().append(true).open(&path).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + time).unwrap();
        }
    }
}

fn open_to_all(folder: &Path) {
    fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
}
