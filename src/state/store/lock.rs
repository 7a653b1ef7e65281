//! The exclusive right to write one state: `flock` on a file that also says who has it.
//!
//! The kernel drops the lock when its owner dies, so it is never stale; what a dead owner leaves is only its
//! note, which the next owner reports. The file is never removed: a lock on a removed file would exclude nobody.

use std::fmt;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::Path;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::disk;
use super::error::{At, StoreError};

/// Who has, or had, the right to write.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// Its process id.
    pub pid: u32,
    /// The name of its machine.
    pub host: String,
    /// When it took the lock.
    pub started: Timestamp,
    /// What it was called as, for example `meshplan apply`.
    pub command: String,
}

impl Owner {
    /// This process.
    pub(super) fn here(command: &str, started: Timestamp) -> Self {
        Self { pid: std::process::id(), host: disk::hostname(), started, command: command.to_owned() }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` (process {} on {}, since {})", self.command, self.pid, self.host, self.started)
    }
}

/// The lock; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

/// How often and after how long a lock whose holder has no name is tried again: a tenth of a second in all.
const NAMELESS_TRIES: u32 = 20;
const NAMELESS_PAUSE: std::time::Duration = std::time::Duration::from_millis(5);

impl Lock {
    /// Takes the lock at once or says who has it. Also the owner that died with the lock, if one did.
    pub(super) fn take(path: &Path, owner: &Owner) -> Result<(Self, Option<Owner>), StoreError> {
        let mut file =
            disk::private().read(true).write(true).create(true).truncate(false).open(path).at("open", path)?;
        for tries in 0.. {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    // A holder without a name has just taken it, or is a child between its fork and its exec: in a moment
                    // it has a name, or no lock.
                    let owner = read_owner(&mut file);
                    if owner.is_some() || tries >= NAMELESS_TRIES {
                        return Err(StoreError::Locked { path: path.to_owned(), owner });
                    }
                    std::thread::sleep(NAMELESS_PAUSE);
                }
                Err(TryLockError::Error(source)) => return Err(source).at("lock", path),
            }
        }
        let died = read_owner(&mut file);
        let mut note = serde_json::to_vec(owner).map_err(StoreError::Encode)?;
        note.push(b'\n');
        file.set_len(0).at("write", path)?;
        file.rewind().at("write", path)?;
        file.write_all(&note).at("write", path)?;
        Ok((Self { file }, died))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An empty file says that its owner ended well. If it cannot be emptied, the next owner reports a death that
        // was none: harmless. The lock itself goes with the file handle.
        let _ = self.file.set_len(0);
    }
}

/// The note, or none when it is empty or still being written.
fn read_owner(file: &mut File) -> Option<Owner> {
    let mut text = String::new();
    file.rewind().ok()?;
    // A note is a line; whatever else the file may hold is not worth reading whole.
    file.take(64 * 1024).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}
