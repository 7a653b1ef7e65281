//! The last states of a mesh, and the way back to one.
//!
//! A save puts the state file that it replaces into `ID.history/` under its serial, with the journal that led from it
//! to the next. So the present state is there twice: in its own file, and as the newest snapshot with its journal;
//! the loss of the state file loses nothing. Snapshots are the very files that were in use: keeping one costs a name, not
//! a copy.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use jiff::Timestamp;

use crate::state::record::State;

use super::error::{At, StoreError};
use super::paths::Paths;
use super::{Opening, Store, disk, load, take_lock};

/// How many states are kept beside the present one. A state changes by whole runs, so ten go back far enough to undo
/// a mistake noticed the day after, and the largest states (90 MB) still fit in a gigabyte.
pub const KEPT: usize = 10;

/// One state that can be looked at or brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// Its serial.
    pub serial: u64,
    /// When its file was written, if the file system says.
    pub saved: Option<Timestamp>,
    /// How many resources it has, or what is wrong with it.
    pub content: Result<usize, String>,
    /// Whether it is the present state.
    pub is_current: bool,
}

/// Every state there is of a mesh, oldest first. Reads them all, so that what is listed as good is.
pub fn history(directory: &Path, mesh: &str) -> Result<Vec<Snapshot>, StoreError> {
    let paths = Paths::new(directory, mesh)?;
    let current = current_serial(&paths);
    let mut serials = serials(&paths)?;
    serials.extend(current);
    let snapshots = serials.into_iter().map(|serial| {
        let is_current = Some(serial) == current;
        let path = [paths.snapshot(serial), paths.past_journal(serial.saturating_sub(1)), paths.state()]
            .into_iter()
            .find(|path| path.exists());
        Snapshot {
            serial,
            saved: path
                .and_then(|path| fs::metadata(path).ok()?.modified().ok())
                .and_then(|modified| Timestamp::try_from(modified).ok()),
            content: load_snapshot(&paths, serial).map(|state| state.records.len()).map_err(|error| error.to_string()),
            is_current,
        }
    });
    Ok(snapshots.collect())
}

/// The state of a serial.
pub fn snapshot(directory: &Path, mesh: &str, serial: u64) -> Result<State, StoreError> {
    load_snapshot(&Paths::new(directory, mesh)?, serial)
}

/// Makes the state of a serial the present one, and opens it. What is on disk now becomes a snapshot itself, or where it cannot be
/// read `replaced.json` and `replaced.journal` beside the snapshots.
///
/// The restored state gets a serial of its own: plans made from what it replaces are stale. The one exception is a
/// damaged state file that is rebuilt as it was, which keeps its serial and goes on with its journal.
pub fn restore(directory: &Path, mesh: &str, serial: u64, opening: Opening) -> Result<Store, StoreError> {
    let paths = Paths::new(directory, mesh)?;
    let (lock, notes) = take_lock(&paths, &opening)?;
    let restored = load_snapshot(&paths, serial)?;
    match load::load(&paths) {
        Ok(Some(_)) => {
            let mut store = Store::resume(paths, lock, notes, opening)?;
            store.become_state(restored)?;
            Ok(store)
        }
        Err(error @ StoreError::Io { .. }) => Err(error),
        Ok(None) | Err(_) => {
            repair(&paths, restored)?;
            Store::resume(paths, lock, notes, opening)
        }
    }
}

/// Writes a state in the place of files that cannot be read.
fn repair(paths: &Paths, restored: State) -> Result<(), StoreError> {
    let journal = disk::read_if_there(&paths.journal())?.map(|bytes| load::journal_at(&paths.journal(), &bytes));
    let header = journal.as_ref().and_then(|journal| journal.as_ref().ok()?.header.as_ref());
    disk::private_directory(&paths.history())?;
    if fs::exists(paths.state()).at("look at", &paths.state())? {
        disk::link(&paths.state(), &paths.replaced("json"))?;
    }
    let newest = newest(paths)?;
    let is_rebuilt = match (&journal, header) {
        (None, _) => newest.as_ref().is_some_and(|state| state.serial == restored.serial),
        (Some(_), Some(header)) => load::misfit(header, &restored).is_none() && header.base == restored.serial,
        (Some(_), None) => false,
    };
    if is_rebuilt {
        return load::write_state(paths, &restored);
    }
    let (mut serial, mut generation) = newest.map_or((0, 0), |state| (state.serial, state.generation));
    serial = serial.max(restored.serial).max(header.map_or(0, |header| header.base));
    if let Some(Ok(journal)) = &journal {
        // Each entry may have promised a create, whose token must not be used for another.
        generation += journal.entries.len() as u64;
    }
    let generation = generation.max(restored.generation);
    disk::rename_if_there(&paths.journal(), &paths.replaced("journal"))?;
    // Two beyond the newest: the one after it may be the one that is lost.
    load::write_state(paths, &State { serial: serial + 2, generation, ..restored })
}

/// What to do about a damaged state file.
pub(super) fn way_out(paths: &Paths) -> String {
    match newest(paths) {
        Ok(Some(state)) => {
            format!("serial {0} is whole in the history: `meshplan state restore {0}` brings it back", state.serial)
        }
        Ok(None) | Err(_) => format!(
            "no snapshot in `{}` is whole: restore the file from a backup, or move it away and take the resources in with \
             `meshplan state adopt`",
            paths.history().display()
        ),
    }
}

/// The highest serial in the history; zero when it is empty.
pub(super) fn newest_serial(paths: &Paths) -> Result<u64, StoreError> {
    Ok(serials(paths)?.last().copied().unwrap_or(0))
}

/// Keeps the present state file as the snapshot of its serial.
pub(super) fn keep(paths: &Paths, serial: u64) -> Result<(), StoreError> {
    disk::private_directory(&paths.history())?;
    disk::link(&paths.state(), &paths.snapshot(serial))?;
    disk::sync_directory(&paths.history())
}

/// Puts the journal, which a state file now contains, beside the snapshot that it goes on from.
pub(super) fn keep_journal(paths: &Paths, base: u64) -> Result<(), StoreError> {
    let journal = paths.journal();
    if !fs::exists(&journal).at("look at", &journal)? {
        return Ok(());
    }
    disk::private_directory(&paths.history())?;
    fs::rename(&journal, paths.past_journal(base)).at("put away", &journal)
}

/// Removes what is older than the newest [`KEPT`] snapshots. What cannot be removed now is tried again at the next save:
/// an old snapshot too many harms nobody, and the state is saved already.
pub(super) fn prune(paths: &Paths) {
    let Ok(files) = files(paths) else { return };
    let kept: BTreeSet<u64> = files.iter().filter(|(_, is_state)| *is_state).map(|(serial, _)| *serial).collect();
    let Some(oldest) = kept.iter().rev().nth(KEPT - 1) else { return };
    for (serial, is_state) in files.range(..(*oldest, false)) {
        let path = if *is_state { paths.snapshot(*serial) } else { paths.past_journal(*serial) };
        let _ = fs::remove_file(path);
    }
}

/// The serial and whether it is a state (or a journal), of each file in the history.
fn files(paths: &Paths) -> Result<BTreeSet<(u64, bool)>, StoreError> {
    let directory = paths.history();
    let Some(entries) = disk::optional(fs::read_dir(&directory)).at("list", &directory)? else {
        return Ok(BTreeSet::new());
    };
    let mut files = BTreeSet::new();
    for entry in entries {
        let name = entry.at("list", &directory)?.file_name();
        let Some((serial, kind)) = name.to_str().and_then(|name| name.split_once('.')) else { continue };
        if let (Ok(serial), "json" | "journal") = (serial.parse(), kind) {
            files.insert((serial, kind == "json"));
        }
    }
    Ok(files)
}

/// Every serial that the history has the state of, by itself or by the one before and its journal.
fn serials(paths: &Paths) -> Result<BTreeSet<u64>, StoreError> {
    let files = files(paths)?;
    let has = |file: &(u64, bool)| files.contains(file);
    Ok(files
        .iter()
        .filter_map(
            |&(serial, is_state)| if is_state { Some(serial) } else { has(&(serial, true)).then_some(serial + 1) },
        )
        .collect())
}

/// The newest whole state of the history.
fn newest(paths: &Paths) -> Result<Option<State>, StoreError> {
    Ok(serials(paths)?.into_iter().rev().find_map(|serial| from_history(paths, serial).ok()))
}

fn current_serial(paths: &Paths) -> Option<u64> {
    load::read_state(&paths.state()).ok()?.map(|decoded| decoded.state.serial)
}

fn load_snapshot(paths: &Paths, serial: u64) -> Result<State, StoreError> {
    match load::read_state(&paths.state()) {
        Ok(Some(decoded)) if decoded.state.serial == serial => Ok(decoded.state),
        // What cannot be read is what snapshots are for.
        Ok(_) | Err(_) => from_history(paths, serial),
    }
}

fn from_history(paths: &Paths, serial: u64) -> Result<State, StoreError> {
    let path = paths.snapshot(serial);
    if let Some(decoded) = load::read_state(&path)? {
        return Ok(decoded.state);
    }
    let missing = || StoreError::NoSnapshot { path: paths.history(), serial };
    let before = serial.checked_sub(1).ok_or_else(missing)?;
    let (path, journal) = (paths.snapshot(before), paths.past_journal(before));
    let mut state = load::read_state(&path)?.ok_or_else(missing)?.state;
    let entries = load::journal_at(&journal, &disk::read_if_there(&journal)?.ok_or_else(missing)?)?;
    let header = entries.header.ok_or_else(missing)?;
    if let Some(what) = load::misfit(&header, &state) {
        return Err(StoreError::JournalForeign { path: journal, what });
    }
    for (line, entry) in entries.entries {
        state.fold(entry).map_err(|source| StoreError::Unfit { path: journal.clone(), line, source })?;
    }
    state.serial = serial;
    Ok(state)
}
