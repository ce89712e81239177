//! Writes the files, so that the same content is the same file wherever and by whomever it was made.

use std::{
    fs::{self, File, Permissions},
    io,
    os::unix::fs::PermissionsExt,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sha2::{Digest, Sha256};

use crate::{Files, Outcome, compress::FOLDERS};

/// Writes all files into the folder `out`, which must be new or empty.
pub fn all(out: &Path, files: &Files) -> Outcome<()> {
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(format!(
            "{} is not empty; remove it, or name another",
            out.display()
        ));
    }
    let failed = |error: io::Error| {
        format!(
            "{} can't be written: {error}; see to its disk, and whose it is",
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
        .and_then(|()| settle(out))
        .map_err(failed)
}

fn write(path: &Path, content: &[u8]) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, content)?;
    set(path, 0o644, time(content))
}

/// Makes the folders, too, the same everywhere; the innermost first, for a change within changes the time.
fn settle(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            settle(&entry.path())?;
        }
    }
    set(folder, 0o755, UNIX_EPOCH + Duration::from_secs(1))
}

/// Not when the file was made, but what is in it: servers make their validators of it, and these are to be the same for
/// the same content and to differ for another, in every image. 30 bits are in range wherever times are stored.
fn time(content: &[u8]) -> SystemTime {
    let digest = Sha256::digest(content);
    let seconds = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]) >> 2;
    UNIX_EPOCH + Duration::from_secs(u64::from(seconds) + 1)
}

fn set(path: &Path, mode: u32, time: SystemTime) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode))?;
    File::open(path)?.set_modified(time)
}
