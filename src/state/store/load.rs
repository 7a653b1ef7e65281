//! A state from its two files, and the writing of the first of them.

use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::state::check::Caller;
use crate::state::encode::{DecodeError, Decoded, decode_from, encode};
use crate::state::lines::{self, Header, Journal, JournalError};
use crate::state::record::{FORMAT, State};

use super::disk;
use super::error::{At, StoreError};
use super::history;
use super::note::Note;
use super::paths::Paths;

/// How often a reader without the lock starts again because a writer saved meanwhile. Each time is a whole save that fell into
/// one read, so more than two in a row do not happen by chance.
const ATTEMPTS: usize = 10;

/// How much of a state file is read at once.
const BUFFER: usize = 256 * 1024;

/// A state as its files have it.
#[derive(Debug)]
pub struct Loaded {
    /// The state, with its journal folded in.
    pub state: State,
    /// What the user should know.
    pub notes: Vec<Note>,
}

/// What there is in the place of the journal.
#[derive(Debug)]
pub(super) enum Found {
    /// None, or one whose header was never finished.
    Nothing,
    /// One whose entries are in the state file already: a save was cut before it was put away.
    Saved {
        /// The serial it starts from.
        base: u64,
    },
    /// One that goes on from the state file.
    Current {
        /// The number of the next entry.
        next: u64,
        /// How much of the file is good.
        good: u64,
        /// Whether its entries are of an older format.
        is_older: bool,
    },
}

/// Reads both files, once.
pub(super) fn load(paths: &Paths) -> Result<Option<(Loaded, Found)>, StoreError> {
    let path = paths.state();
    let read = read_state(&path).map_err(|mut error| {
        if let StoreError::Damaged { way_out, .. } = &mut error {
            *way_out = history::way_out(paths);
        }
        error
    })?;
    let Some(decoded) = read else {
        let journal = read_journal(paths)?;
        if journal.header.is_some() {
            let what = format!("there is no `{}`", path.display());
            return Err(StoreError::JournalForeign { path: paths.journal(), what });
        }
        return Ok(None);
    };
    let mut notes: Vec<Note> = decoded.upgraded_from.map(|format| Note::Upgraded { format }).into_iter().collect();
    let mut state = decoded.state;
    state
        .check(&Caller { mesh: Some(paths.mesh()), ..Caller::default() })
        .map_err(|source| StoreError::Foreign { path, source })?;
    let found = fold_journal(paths, &mut state, &mut notes)?;
    Ok(Some((Loaded { state, notes }, found)))
}

/// Reads both files while another process may be writing them.
pub(super) fn load_unlocked(paths: &Paths) -> Result<Option<Loaded>, StoreError> {
    // A save gives the state file a new inode, and the old one lives on as a snapshot, so its number is not used again.
    let inode = || disk::optional(fs::metadata(paths.state()).map(|it| it.ino())).at("look at", &paths.state());
    for _ in 0..ATTEMPTS {
        let before = inode()?;
        let loaded = load(paths);
        if inode()? == before {
            // What looks torn may just be in the middle of its write; the writer is the one to say.
            return Ok(loaded?.map(|(mut loaded, _)| {
                loaded.notes.retain(|note| !matches!(note, Note::Torn { .. }));
                loaded
            }));
        }
    }
    Err(StoreError::Unsettled { path: paths.state() })
}

/// Writes the state file under its temporary name.
pub(super) fn write_state_beside(paths: &Paths, state: &State) -> Result<PathBuf, StoreError> {
    disk::write_beside(&paths.state(), |file| encode(state, file).map(drop))
}

/// Replaces the state file as it is, without a new serial.
pub(super) fn write_state(paths: &Paths, state: &State) -> Result<(), StoreError> {
    let temporary = write_state_beside(paths, state)?;
    fs::rename(&temporary, paths.state()).at("replace", &paths.state())?;
    disk::sync_directory(paths.directory())
}

/// Reads a state file; `None` when there is none.
pub(super) fn read_state(path: &Path) -> Result<Option<Decoded>, StoreError> {
    let Some(file) = disk::optional(File::open(path)).at("read", path)? else { return Ok(None) };
    let length = file.metadata().at("look at", path)?.len();
    let length = usize::try_from(length).map_err(io::Error::other).at("read", path)?;
    let decoded = decode_from(BufReader::with_capacity(BUFFER, file), length).at("read", path)?;
    decoded.map(Some).map_err(|error| {
        let path = path.to_owned();
        match error {
            DecodeError::Damaged(damage) => {
                let way_out = "`meshplan state history` lists the snapshots".to_owned();
                StoreError::Damaged { path, damage, way_out }
            }
            DecodeError::Newer { format, written_by } => StoreError::Newer { path, format, written_by },
            DecodeError::Upgrade(error) => StoreError::upgrade(&path, &error),
        }
    })
}

/// Decodes a journal; errors name it.
pub(super) fn journal_at(path: &Path, bytes: &[u8]) -> Result<Journal, StoreError> {
    let path = path.to_owned();
    lines::decode(bytes).map_err(|error| match error {
        JournalError::Damaged { line, what } => StoreError::JournalDamaged { path, line, what },
        JournalError::Newer { format } => StoreError::Newer { path, format, written_by: None },
        JournalError::Upgrade(error) => StoreError::upgrade(&path, &error),
    })
}

fn read_journal(paths: &Paths) -> Result<Journal, StoreError> {
    let path = paths.journal();
    journal_at(&path, &disk::read_if_there(&path)?.unwrap_or_default())
}

fn fold_journal(paths: &Paths, state: &mut State, notes: &mut Vec<Note>) -> Result<Found, StoreError> {
    let path = paths.journal();
    let journal = read_journal(paths)?;
    if journal.torn > 0 {
        notes.push(Note::Torn { bytes: journal.torn });
    }
    let Some(header) = journal.header else { return Ok(Found::Nothing) };
    if let Some(what) = misfit(&header, state) {
        return Err(StoreError::JournalForeign { path, what });
    }
    if header.base < state.serial {
        return Ok(Found::Saved { base: header.base });
    }
    let next = journal.entries.len() as u64 + 1;
    for (line, entry) in journal.entries {
        state.fold(entry).map_err(|source| StoreError::Unfit { path: path.clone(), line, source })?;
    }
    Ok(Found::Current { next, good: journal.good, is_older: header.format != FORMAT })
}

/// Why a journal is not one of this state's.
pub(super) fn misfit(header: &Header, state: &State) -> Option<String> {
    if header.mesh != state.mesh {
        return Some(format!("the journal is of mesh `{}`, the state of `{}`", header.mesh, state.mesh));
    }
    if header.lineage != state.lineage {
        return Some(format!("the journal is of lineage {}, the state of {}", header.lineage, state.lineage));
    }
    (header.base > state.serial).then(|| {
        format!("the journal goes on from serial {}, the state is an older one of serial {}", header.base, state.serial)
    })
}
