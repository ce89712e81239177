//! The folders of the site's files, held open. To walk to one from the root for every request can cost more than all the
//! rest of an answer: a container's file system may be a process of its own, which is asked at each step.

use std::{
    cell::RefCell,
    fs::File,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use actix_web::dev::ServiceRequest;
use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    path::Arg,
};

use super::variant::Variant;
use crate::config::Config;

/// So long a folder is held before it is looked for again: another may have its name by then.
const HELD: Duration = Duration::from_secs(1);
/// A place in the tree that is neither read nor written.
const PLACE: OFlags = OFlags::PATH.union(OFlags::DIRECTORY);
/// A file to read; a pipe would have us wait for somebody who writes.
const CONTENT: OFlags = OFlags::NONBLOCK.union(OFlags::NOCTTY);

/// The folder of each form of the files, in the order of [`Variant::ALL`]; each worker thread has its own.
pub struct Folders([Folder; 3]);

struct Folder {
    path: PathBuf,
    held: RefCell<Option<(OwnedFd, Instant)>>,
}

impl Folders {
    /// Those of the site that is configured; nothing is opened yet.
    pub fn new(config: &Config) -> Self {
        let site = &config.static_dir.0;
        Self(Variant::ALL.map(|variant| Folder {
            path: variant.folder(site),
            held: RefCell::default(),
        }))
    }

    /// The ones that the server handed to a request.
    pub fn of(request: &ServiceRequest) -> &Self {
        let folders = request.app_data::<Self>();
        folders.expect("the server hands them to every request")
    }

    /// The file `name` in this form, open; none if that is no regular file, can't be read, or a symbolic link is on the
    /// way from the folder.
    pub fn file(&self, variant: Variant, name: &Path) -> Option<File> {
        self.0[variant as usize].file(name)
    }
}

impl Folder {
    fn file(&self, name: &Path) -> Option<File> {
        let mut held = self.held.borrow_mut();
        if held
            .as_ref()
            .is_none_or(|(_, since)| since.elapsed() > HELD)
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
