//! Temporary folders for a test's site and the program's output.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use tempfile::TempDir;

/// A site's files: name and content.
pub type Sources<'a> = &'a [(&'a str, &'a str)];

/// A folder for the site, and one for the output.
pub struct Workshop {
    folder: TempDir,
}

impl Workshop {
    pub fn new(files: Sources) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let workshop = Self { folder };
        fs::create_dir(workshop.site()).unwrap();
        for (name, content) in files {
            workshop.add(name, content.as_bytes());
        }
        workshop
    }

    pub fn site(&self) -> PathBuf {
        self.folder.path().join("static")
    }

    pub fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    pub fn add(&self, name: &str, content: &[u8]) {
        let path = self.site().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Runs the program, which must succeed.
    pub fn make(self, previous: Option<&Made>) -> Made {
        let mut tool = tool(&self.site(), &self.out());
        if let Some(previous) = previous {
            tool.arg("--previous").arg(&previous.out);
        }
        let output = tool.output().unwrap();
        assert!(output.status.success(), "{output:?}");
        assert!(output.stderr.is_empty(), "{output:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        let out = self.out();
        Made {
            _workshop: Some(self),
            out,
            said,
        }
    }

    /// Runs the program, which must fail without output files; returns its error message.
    pub fn refused(&self) -> String {
        let said = failed(tool(&self.site(), &self.out()).output().unwrap());
        assert!(!self.out().exists(), "it wrote files: {said}");
        said
    }
}

/// Returns the error message of a failed run.
pub fn failed(output: Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.lines().all(|line| line.starts_with("assets: ")),
        "{said}"
    );
    said
}

pub fn tool(from: &Path, out: &Path) -> Command {
    let mut tool = Command::new(env!("CARGO_BIN_EXE_assets"));
    tool.args([from, out]);
    tool
}

/// The output of a run.
pub struct Made {
    /// Removes the folders when it is dropped.
    _workshop: Option<Workshop>,
    pub out: PathBuf,
    pub said: String,
}

impl Made {
    /// An output folder that a test has filled itself.
    pub fn at(out: PathBuf) -> Self {
        Self {
            _workshop: None,
            out,
            said: String::new(),
        }
    }

    /// Every entry by name, with its mode, time and content.
    pub fn entries(&self) -> BTreeMap<String, (u32, i64, Vec<u8>)> {
        let mut entries = BTreeMap::new();
        let mut paths = vec![self.out.clone()];
        while let Some(path) = paths.pop() {
            let meta = fs::symlink_metadata(&path).unwrap();
            let mut content = Vec::new();
            if meta.is_dir() {
                paths.extend(
                    fs::read_dir(&path)
                        .unwrap()
                        .map(|entry| entry.unwrap().path()),
                );
            } else {
                content = fs::read(&path).unwrap();
            }
            assert_eq!(meta.mtime_nsec(), 0, "{path:?}");
            let name = path.strip_prefix(&self.out).unwrap().to_str().unwrap();
            entries.insert(name.to_owned(), (meta.mode(), meta.mtime(), content));
        }
        entries
    }

    /// The files below a folder of the output.
    pub fn files(&self, folder: &str) -> BTreeMap<String, Vec<u8>> {
        let entries = self.entries().into_iter();
        let files = entries.filter(|(_, (mode, _, _))| mode & 0o100_000 != 0);
        files
            .filter_map(|(name, (_, _, content))| {
                let name = name.strip_prefix(folder)?.strip_prefix('/')?;
                Some((name.to_owned(), content))
            })
            .collect()
    }

    /// The names of the site's files.
    pub fn names(&self) -> Vec<String> {
        self.files("site").into_keys().collect()
    }

    /// The new name of an asset.
    pub fn name(&self, asset: &str) -> String {
        let names = self.names();
        let [name] = &names
            .iter()
            .filter(|name| original(name) == asset)
            .collect::<Vec<_>>()[..]
        else {
            panic!("not one {asset} in {names:?}");
        };
        (*name).clone()
    }

    /// The text of a file of the site, by its old name.
    pub fn text(&self, name: &str) -> String {
        let name = if name.starts_with("assets/") {
            self.name(name)
        } else {
            name.to_owned()
        };
        fs::read_to_string(self.out.join("site").join(name)).unwrap()
    }

    /// Compares a file with `expected`, where `«a.css»` stands for the new name of the asset `a.css`, without its folder.
    #[track_caller]
    pub fn assert_text(&self, name: &str, expected: &str) {
        let mut text = expected.to_owned();
        for name in self.names() {
            let last = |name: &str| name.rsplit('/').next().unwrap().to_owned();
            text = text.replace(&format!("«{}»", last(&original(&name))), &last(&name));
        }
        assert!(!text.contains('«'), "no such asset: {text}");
        assert_eq!(self.text(name), text);
    }
}

/// Returns the old name of a file.
fn original(name: &str) -> String {
    let is_digest = |part: &&str| {
        part.len() == 16
            && part
                .bytes()
                .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
    match name.split('.').find(is_digest) {
        Some(digest) if name.starts_with("assets/") => name.replacen(&format!(".{digest}"), "", 1),
        _ => name.to_owned(),
    }
}

/// Runs the program on these files, which must succeed.
pub fn make(files: Sources) -> Made {
    Workshop::new(files).make(None)
}

/// Runs the program on these files, which must fail; returns its error message.
pub fn refused(files: Sources) -> String {
    Workshop::new(files).refused()
}
