//! What can go wrong with the files of a state. Each message says what was being done, to which file, and what to do.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::state::check::StateMismatch;
use crate::state::frame::Damage;
use crate::state::journal::FoldError;
use crate::state::record::FORMAT;
use crate::state::upgrade::UpgradeError;

use super::lock::Owner;

/// A state's files cannot be used as asked. Unless it says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("could not {doing} `{}`{}", path.display(), way_out_of_io(source))]
    Io {
        /// What was being done, for example `write`.
        doing: &'static str,
        /// To which file or directory.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A mesh's id is also the name of its files, and this is none.
    #[error(
        "`{mesh}` is not the id of a mesh: an id has 1 to 63 lower case letters, digits and `-`, and starts and ends \
         with a letter or a digit"
    )]
    MeshId {
        /// What was given.
        mesh: String,
    },
    /// Another process is writing.
    #[error("{}", locked(path, owner.as_ref()))]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// Who has it, when the file says so.
        owner: Option<Owner>,
    },
    /// The state file is not what was written.
    #[error("state file `{}` is damaged: {damage}; {way_out}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        damage: Damage,
        /// What to do: which snapshot is good.
        way_out: String,
    },
    /// A newer version wrote the file.
    #[error(
        "`{}` was written by {} in format {format}, and this is meshplan {} that reads up to format {FORMAT}: use \
         that version or a newer one, or bring back a snapshot of an older format (`meshplan state history`)",
        path.display(), writer(written_by.as_deref()), env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u32,
        /// The version of meshplan that wrote it, if it says so.
        written_by: Option<String>,
    },
    /// An older file could not be brought up to date.
    #[error("`{}` could not be brought up to date: {what}; the version of meshplan that wrote it still reads it", path.display())]
    Upgrade {
        /// The file.
        path: PathBuf,
        /// Which step failed, and why.
        what: String,
    },
    /// The file is that of another state.
    #[error("`{}` is not the state that is asked for: it was renamed or copied", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// How it differs.
        source: StateMismatch,
    },
    /// A line of the journal is not what was written, and it is not the last.
    #[error(
        "line {line} of journal `{}` is damaged: {what}; later lines build on it, so it cannot be left out: restore the file \
         from a backup; or move it away, and take in what it had recorded with `meshplan state adopt`",
        path.display()
    )]
    JournalDamaged {
        /// The journal.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        what: String,
    },
    /// The journal does not belong to the state beside it.
    #[error(
        "journal `{}` is not of the state beside it ({what}): one of the two files was replaced; put the right one back, \
         `meshplan state history` lists the snapshots",
        path.display()
    )]
    JournalForeign {
        /// The journal.
        path: PathBuf,
        /// How they differ.
        what: String,
    },
    /// An entry of the journal does not fit the state.
    #[error(
        "line {line} of journal `{}` does not fit the state beside it: one of the two files was replaced; put the right one \
         back, `meshplan state history` lists the snapshots",
        path.display()
    )]
    Unfit {
        /// The journal.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// Why.
        source: FoldError,
    },
    /// An entry that was to be appended does not fit the state. Nothing was written; a defect of the caller.
    #[error("an entry that does not fit the state was not written")]
    Refused(#[source] FoldError),
    /// A value cannot be written as JSON; a defect of its type. Nothing was written.
    #[error("could not write an entry as JSON")]
    Encode(#[source] serde_json::Error),
    /// An earlier write failed and it is not known what of it is on the disk: no more is written in this run.
    #[error("nothing more is recorded in `{}`, because an earlier write failed: {why}; run again when that is solved", path.display())]
    Poisoned {
        /// The journal or the state file.
        path: PathBuf,
        /// The first failure.
        why: String,
    },
    /// The fuse of the crash harness is blown: as if the process had died here. Whoever gets this stops at once
    /// and reports nothing.
    #[error("the power is out")]
    PowerLost,
    /// There is no such snapshot.
    #[error("there is no snapshot of serial {serial} in `{}`: `meshplan state history` lists the ones there are", path.display())]
    NoSnapshot {
        /// The directory of the snapshots.
        path: PathBuf,
        /// Which was asked for.
        serial: u64,
    },
    /// A reader found the files changing under it again and again.
    #[error("`{}` kept changing while it was read: another run is saving; try again", path.display())]
    Unsettled {
        /// The state file.
        path: PathBuf,
    },
}

impl StoreError {
    /// An upgrade's failure, with the file that it was about.
    pub(super) fn upgrade(path: &Path, error: &UpgradeError) -> Self {
        let what = match error {
            UpgradeError::TooOld { format } => format!("format {format} is older than any that this version reads"),
            UpgradeError::Step { format, reason } => format!("from format {format}: {reason}"),
        };
        Self::Upgrade { path: path.to_owned(), what }
    }
}

/// Gives an I/O error its context.
pub(super) trait At<T> {
    /// What was being done, and to which file.
    fn at(self, doing: &'static str, path: &Path) -> Result<T, StoreError>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, doing: &'static str, path: &Path) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Io { doing, path: path.to_owned(), source })
    }
}

fn way_out_of_io(source: &io::Error) -> &'static str {
    // Kinds are an open list: what has no way out of its own is explained by the source.
    if source.kind() == io::ErrorKind::PermissionDenied {
        " (state belongs to the user who made it; `--state DIR` names another directory)"
    } else if matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        " (free some space and run again: what was recorded before is safe)"
    } else if source.kind() == io::ErrorKind::ReadOnlyFilesystem {
        " (`--state DIR` names a directory that can be written)"
    } else {
        ""
    }
}

fn writer(version: Option<&str>) -> String {
    version.map_or_else(|| "a newer meshplan".to_owned(), |version| format!("meshplan {version}"))
}

fn locked(path: &Path, owner: Option<&Owner>) -> String {
    struct Who<'a>(Option<&'a Owner>);
    impl fmt::Display for Who<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {
                Some(owner) => write!(f, "{owner}; wait for it, or stop process {} on {}", owner.pid, owner.host),
                None => f.write_str("another process that has not said which; wait for it"),
            }
        }
    }
    format!("`{}` is locked by {}: the lock goes when its owner ends", path.display(), Who(owner))
}
