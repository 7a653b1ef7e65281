//! What the store found and put right by itself, for the user to know.

use std::fmt;

use super::lock::Owner;

/// Something that a run should tell, and that stops nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Note {
    /// The last owner of the lock died with it.
    TakenOver(Owner),
    /// The end of the journal was never durable: nobody was told that it was, so nothing is lost.
    Torn {
        /// How much was left out.
        bytes: u64,
    },
    /// The state file has an older format, and the next save writes today's.
    Upgraded {
        /// Its format.
        format: u32,
    },
    /// Others can look into the directory.
    OpenDirectory {
        /// Its permissions.
        mode: u32,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TakenOver(owner) => {
                write!(f, "the last run, {owner}, ended without giving its lock back: it was taken over")
            }
            Self::Torn { bytes } => write!(
                f,
                "the last run was cut off while it wrote its journal: the last {bytes} bytes were never durable and are \
                 left out"
            ),
            Self::Upgraded { format } => {
                write!(f, "the state file has format {format}: the next save brings it up to date")
            }
            Self::OpenDirectory { mode } => write!(
                f,
                "others can look into the state's directory (mode {mode:04o}): `chmod 700` closes it; the files in it are \
                 for their owner only"
            ),
        }
    }
}
