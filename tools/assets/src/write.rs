//! Writes the files reproducibly: the same content gets the same mode and time on every machine.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};

use crate::{
    compress::FOLDERS,
    files::{Files, Outcome},
};

/// Writes all files into the folder `out`, which must be new or empty.
pub fn all(out: &Path, files: &Files) -> Outcome<()> {
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!(
            "{} is not empty; remove it, or choose another folder",
            out.display()
        ));
    }
    let failed = |error: io::Error| {
        format!(
            "{} can't be written: {error}; check its disk and its owner",
            out.display()
        )
    };
    let folders = FOLDERS
        .iter()
        .try_for_each(|folder| fs::create_dir_all(out.join(folder)));
    folders
        .and_then(|()| {
            files
                .iter()
                .try_for_each(|(name, content)| write(&out.join(name), content))
        })
        .and_then(|()| normalise_folders(out))
        .map_err(failed)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)?;
    set(path, 0o644, content_time(content))
}

/// Sets the mode and time of all folders. The innermost go first, since a change inside a folder changes its time.
fn normalise_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            normalise_folders(&entry.path())?;
        }
    }
    set(folder, 0o755, UNIX_EPOCH + Duration::from_secs(1))
}

/// Returns a modification time that is a digest of the content. Servers derive `ETag` and `Last-Modified` from it, so these
/// are equal in all images exactly when the content is equal. 30 bits fit wherever times are stored.
fn content_time(content: &[u8]) -> SystemTime {
    let digest = Sha256::digest(content);
    let seconds = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) >> 2;
    UNIX_EPOCH + Duration::from_secs(u64::from(seconds) + 1)
}

fn set(path: &Path, mode: u32, time: SystemTime) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    File::open(path)?.set_modified(time)
}
