//! The few things that are done to a disk: private files and directories, atomic and durable replacement.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::error::{At, StoreError};

/// State holds ids of everything that was built: for its owner only.
const FILE_MODE: u32 = 0o600;
/// As [`FILE_MODE`], for directories.
const DIRECTORY_MODE: u32 = 0o700;

/// Options for a file that only its owner can read.
pub(super) fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(FILE_MODE);
    options
}

/// Makes a directory for its owner only, and those above it. One that exists keeps its mode, which is returned when others
/// can look inside: tightening it could take it from somebody who was given it on purpose.
pub(super) fn private_directory(path: &Path) -> Result<Option<u32>, StoreError> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).at("make directory", path)?;
    let mode = fs::metadata(path).at("look at", path)?.permissions().mode() & 0o777;
    Ok((mode & !DIRECTORY_MODE != 0).then_some(mode))
}

/// Makes the names in a directory durable: a rename is not until its directory is written.
pub(super) fn sync_directory(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|directory| directory.sync_all()).at("write directory", path)
}

/// The directory that a file is in.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Where a file is written before it takes its name.
pub(super) fn temporary(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".tmp");
    name.into()
}

/// Writes a temporary file beside `path`, durably. What an earlier attempt left is overwritten; a failed attempt leaves
/// nothing.
pub(super) fn write_beside(
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> Result<PathBuf, StoreError> {
    let temporary = temporary(path);
    remove_if_there(&temporary)?;
    let written = private().write(true).create_new(true).open(&temporary).and_then(|mut file| {
        write(&mut file)?;
        file.sync_all()
    });
    if let Err(source) = written {
        // The failure to report is the first one.
        let _ = fs::remove_file(&temporary);
        return Err(source).at("write", path);
    }
    Ok(temporary)
}

/// Replaces a file by these bytes: whoever reads it, and whatever crash comes between, it is the old file or the new
/// one, whole. For its owner only (mode 0600).
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let temporary = write_beside(path, |file| file.write_all(bytes))?;
    fs::rename(&temporary, path).at("replace", path)?;
    sync_directory(parent(path))
}

/// A file's bytes; `None` when there is no such file.
pub(super) fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    optional(fs::read(path)).at("read", path)
}

/// Removes a file that may be missing.
pub(super) fn remove_if_there(path: &Path) -> Result<(), StoreError> {
    optional(fs::remove_file(path)).map(drop).at("remove", path)
}

/// Moves a file that may be missing; whether it was there.
pub(super) fn rename_if_there(from: &Path, to: &Path) -> Result<bool, StoreError> {
    optional(fs::rename(from, to)).map(|done| done.is_some()).at("move", from)
}

/// Gives a file a second name, in place of what had it. Where the file system has no second names it is copied.
pub(super) fn link(from: &Path, to: &Path) -> Result<(), StoreError> {
    remove_if_there(to)?;
    fs::hard_link(from, to).or_else(|_| fs::copy(from, to).map(drop)).at("keep a snapshot of", from)
}

pub(super) fn optional<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// This machine's name, for messages to people.
pub(super) fn hostname() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_owned())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "an unknown host".to_owned())
}

/// The identity of a new state's history: 128 random bits, as 32 hexadecimal digits.
///
/// From the operating system, because it salts the digests of sensitive values and tells two states of one mesh
/// apart: a generator seeded from the time could give two machines the same.
pub fn new_lineage() -> Result<String, StoreError> {
    let path = Path::new("/dev/urandom");
    let mut bytes = [0; 16];
    File::open(path).and_then(|mut source| source.read_exact(&mut bytes)).at("read", path)?;
    Ok(data_encoding::HEXLOWER.encode(&bytes))
}
