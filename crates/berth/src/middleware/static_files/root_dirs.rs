//! The folders of the static files, held open. Walking to one from the root can cost more than the rest of a response: a
//! container's file system may be a separate process, which is asked at each step.

use std::{
    cell::RefCell,
    fs::File,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    path::Arg,
};

use super::encoding::Encoding;

/// A folder is held this long before it is opened again: another may have its name by then.
const HOLD_TIME: Duration = Duration::from_secs(1);
/// A folder to open files in; it is neither read nor written.
const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);
/// A file to read. Without NONBLOCK, opening a pipe waits for a writer.
const CONTENT: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// The folder of each encoding, in the order of [`Encoding::ALL`]; each worker thread has its own.
pub struct RootDirs([Folder; 3]);

struct Folder {
    path: PathBuf,
    held: RefCell<Option<(OwnedFd, Instant)>>,
}

impl RootDirs {
    /// Those beside `site`; none is opened yet.
    pub fn new(site: &Path) -> Self {
        Self(Encoding::ALL.map(|encoding| Folder {
            path: encoding.folder(site),
            held: RefCell::default(),
        }))
    }

    /// Opens the file `name` in this encoding; none if it is no regular file, can't be read, or its path has a symbolic link.
    pub fn file(&self, encoding: Encoding, name: &Path) -> Option<File> {
        self.0[encoding as usize].file(name)
    }
}

impl Folder {
    fn file(&self, name: &Path) -> Option<File> {
        let mut held = self.held.borrow_mut();
        if held
            .as_ref()
            .is_none_or(|(_, since)| since.elapsed() > HOLD_TIME)
        {
            let folder = open(CWD, &self.path, PLACE);
            *held = folder.map(|folder| (folder, Instant::now()));
        }
        let (folder, _) = held.as_ref()?;
        let mut within = None;
        for part in name.parent()? {
            let place = within.as_ref().unwrap_or(folder);
            within = Some(open(place, part, PLACE | OFlags::NOFOLLOW)?);
        }
        let place = within.as_ref().unwrap_or(folder);
        let file = open(place, name.file_name()?, CONTENT | OFlags::NOFOLLOW)?;
        let file = File::from(file);
        file.metadata().ok()?.is_file().then_some(file)
    }
}

fn open(place: impl AsFd, name: impl Arg, how: OFlags) -> Option<OwnedFd> {
    openat(place, name, how | OFlags::CLOEXEC, Mode::empty()).ok()
}
