//! The files of a state, and the only code of ours that writes them: `ID.json`, `ID.journal`, `ID.lock`,
//! `ID.plan.json` and `ID.history/` in one directory, for their owner only.
//!
//! Entry points: [`Store::open`] to write, [`Store::read`] to look. What is promised:
//!
//! * When [`Store::append`] returns, its entries survive a power cut; when it fails, none of them is in memory and
//!   nothing more can be written.
//! * A file is replaced whole or not at all: temporary file, fsync, rename, fsync of the directory.
//! * After a crash between any two steps, the files give the state before the interrupted call or the one after it, or for
//!   a group of entries the state after the first few of them.
//!
//! It decides nothing about when to save, knows no clock, and does not read what documents hold.

mod disk;
mod error;
mod history;
mod load;
mod lock;
mod note;
mod paths;
mod pending;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use jiff::Timestamp;

use crate::model::fuse::Fuse;

use super::journal::Entry;
use super::lines::{self, Header};
use super::record::State;

pub use disk::{new_lineage, write_atomically};
pub use error::StoreError;
pub use history::{KEPT, Snapshot, history, restore, snapshot};
pub use load::Loaded;
pub use lock::Owner;
pub use note::Note;
pub use pending::{read_plan, remove_plan, write_plan};

use error::At;
use load::Found;
use lock::Lock;
use paths::Paths;

/// How a state is opened for writing.
#[derive(Debug, Clone)]
pub struct Opening {
    /// What this process was called as, for whoever finds the state locked: `meshplan apply`.
    pub command: String,
    /// When it was called, on the wall's clock.
    pub started: Timestamp,
    /// What a state that does not exist yet is born with; one that exists keeps what it has.
    pub birth: Birth,
    /// The crash harness's fuse.
    pub fuse: Fuse,
}

/// What a new state starts from.
#[derive(Debug, Clone, Default)]
pub struct Birth {
    /// Whether its resources live in the sandbox.
    pub sandbox: bool,
    /// The mesh's default region.
    pub region: Option<String>,
    /// The lineage, when a plan was already made with one; random otherwise.
    pub lineage: Option<String>,
}

impl Opening {
    /// An opening without a fuse, of a state outside the sandbox.
    #[must_use]
    pub fn new(command: impl Into<String>, started: Timestamp) -> Self {
        Self { command: command.into(), started, birth: Birth::default(), fuse: Fuse::never() }
    }
}

impl Birth {
    /// A state without a resource.
    pub fn state(&self, mesh: &str) -> Result<State, StoreError> {
        let lineage = self.lineage.clone().map_or_else(new_lineage, Ok)?;
        let mut state = State::new(mesh, lineage, self.sandbox);
        state.region.clone_from(&self.region);
        Ok(state)
    }
}

/// One state, open for writing by this process alone.
#[derive(Debug)]
pub struct Store {
    paths: Paths,
    state: State,
    /// Whether there is a state file.
    is_on_disk: bool,
    log: Option<Log>,
    notes: Vec<Note>,
    fuse: Fuse,
    failure: Option<Failure>,
    /// Last, so that it is given back last.
    _lock: Lock,
}

/// The journal, open for appending.
#[derive(Debug)]
struct Log {
    file: File,
    /// The number of the next entry.
    next: u64,
    /// In bytes.
    length: u64,
}

/// Why nothing more is written.
#[derive(Debug)]
enum Failure {
    Power,
    Write(String),
}

impl Store {
    /// Opens a state for writing, or gives one its birth: nothing of a new state is on the disk before the first
    /// append or save. What an interrupted run left is put in order.
    pub fn open(directory: &Path, mesh: &str, opening: Opening) -> Result<Self, StoreError> {
        let paths = Paths::new(directory, mesh)?;
        let (lock, notes) = take_lock(&paths, &opening)?;
        Self::resume(paths, lock, notes, opening)
    }

    /// Opens a state whose lock is taken.
    fn resume(paths: Paths, lock: Lock, mut notes: Vec<Note>, opening: Opening) -> Result<Self, StoreError> {
        let mut found = Found::Nothing;
        let mut is_on_disk = false;
        let state = if let Some((loaded, journal)) = load::load(&paths)? {
            is_on_disk = true;
            found = journal;
            notes.extend(loaded.notes);
            loaded.state
        } else {
            opening.birth.state(paths.mesh())?
        };
        let mut store =
            Self { paths, state, is_on_disk, log: None, notes, fuse: opening.fuse, failure: None, _lock: lock };
        store.put_in_order(&found)?;
        Ok(store)
    }

    /// Reads a state as it is now, without the right to write and without waiting for whoever has it. `None` when there is no
    /// such state.
    pub fn read(directory: &Path, mesh: &str) -> Result<Option<Loaded>, StoreError> {
        load::load_unlocked(&Paths::new(directory, mesh)?)
    }

    /// The ids of the meshes that have a state in a directory, sorted. None when there is no such directory.
    pub fn list(directory: &Path) -> Result<Vec<String>, StoreError> {
        let Some(entries) = disk::optional(fs::read_dir(directory)).at("list", directory)? else {
            return Ok(Vec::new());
        };
        let mut meshes = BTreeSet::new();
        for entry in entries {
            let name = entry.at("list", directory)?.file_name();
            let mesh = name.to_str().and_then(|name| name.strip_suffix(".json"));
            meshes.extend(mesh.filter(|mesh| paths::is_mesh_id(mesh)).map(str::to_owned));
        }
        Ok(meshes.into_iter().collect())
    }

    /// The state: everything that is durable, and nothing else.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// What the user should know about how the files were found.
    #[must_use]
    pub fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// The journal's length in bytes: what a save would make short.
    #[must_use]
    pub fn journal_bytes(&self) -> u64 {
        self.log.as_ref().map_or(0, |log| log.length)
    }

    /// Records what happened or is about to: one write and one fsync for the whole group. When this returns, the
    /// entries are durable and folded into [`Store::state`].
    ///
    /// After an error of the disk the store is poisoned: what of the group is on the disk is not known (an fsync that failed cannot
    /// be repeated), so every later call fails too, and the next run sorts it out. Entries that do not fit the state
    /// are refused before anything is written, and poison nothing.
    pub fn append(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        self.check_usable()?;
        if entries.is_empty() {
            return Ok(());
        }
        self.rehearse(entries)?;
        if !self.is_on_disk {
            // A journal goes on from a state file: it has its lineage.
            self.save()?;
        }
        self.write_group(entries).inspect_err(|error| self.failure = Some(Failure::of(error)))?;
        for entry in entries {
            self.state.fold(entry.clone()).map_err(StoreError::Refused)?;
        }
        Ok(())
    }

    /// Writes the state file anew and starts an empty journal. The state before it, and the journal that led from there to here,
    /// go to the history.
    ///
    /// A failure before the new file has its name leaves everything as it was, and the store can still be used; after
    /// it, the store is poisoned.
    pub fn save(&mut self) -> Result<(), StoreError> {
        self.check_usable()?;
        self.replace_state().inspect_err(|error| {
            if matches!(error, StoreError::PowerLost) {
                self.failure = Some(Failure::Power);
            }
        })?;
        self.put_journal_away(self.state.serial - 1).inspect_err(|error| self.failure = Some(Failure::of(error)))
    }

    /// Takes over another state's content; what there is now becomes a snapshot.
    fn become_state(&mut self, restored: State) -> Result<(), StoreError> {
        if self.log.is_some() {
            self.save()?;
        }
        // Neither goes back: a plan made from a later serial must be seen as stale, and a create's token must be new.
        let (serial, generation) = (self.state.serial, self.state.generation.max(restored.generation));
        let present = std::mem::replace(&mut self.state, State { serial, generation, ..restored });
        self.save().inspect_err(|_| {
            if self.failure.is_none() {
                self.state = present;
            }
        })
    }

    /// Folds entries into a copy of what they touch.
    fn rehearse(&self, entries: &[Entry]) -> Result<(), StoreError> {
        let mut rehearsal = State::new(&self.state.mesh, String::new(), self.state.sandbox);
        for address in entries.iter().flat_map(Entry::addresses) {
            if let Some(record) = self.state.records.get(address) {
                rehearsal.records.insert(address.clone(), record.clone());
            }
            if let Some(intent) = self.state.intents.get(address) {
                rehearsal.intents.insert(address.clone(), intent.clone());
            }
        }
        entries.iter().try_for_each(|entry| rehearsal.fold(entry.clone())).map_err(StoreError::Refused)
    }

    fn write_group(&mut self, entries: &[Entry]) -> Result<(), StoreError> {
        let path = self.paths.journal();
        let log = match &mut self.log {
            Some(log) => log,
            none => none.insert(Log::create(&self.paths, &self.state, &self.fuse)?),
        };
        let bytes = lines::lines(entries, log.next).map_err(StoreError::Encode)?;
        touch(&self.fuse)?;
        if touch(&self.fuse).is_err() {
            // What a power cut in the middle of a write leaves.
            log.file.write_all(&bytes[..bytes.len() / 2]).at("append to", &path)?;
            return Err(StoreError::PowerLost);
        }
        log.file.write_all(&bytes).at("append to", &path)?;
        touch(&self.fuse)?;
        log.file.sync_data().at("append to", &path)?;
        log.next += entries.len() as u64;
        log.length += bytes.len() as u64;
        touch(&self.fuse)
    }

    /// Gives the state a new serial and its file the new content; on an error the serial stays, unless the file has its name.
    fn replace_state(&mut self) -> Result<(), StoreError> {
        let path = self.paths.state();
        touch(&self.fuse)?;
        let before = self.state.serial;
        // A state that is born where another was deleted does not take the serials of that one's snapshots.
        let taken = if self.is_on_disk { 0 } else { history::newest_serial(&self.paths)? };
        self.state.serial = before.max(taken) + 1;
        let written = load::write_state_beside(&self.paths, &self.state);
        let kept = written.and_then(|temporary| {
            touch(&self.fuse)?;
            if self.is_on_disk {
                history::keep(&self.paths, self.state.serial - 1)?;
            }
            touch(&self.fuse)?;
            Ok(temporary)
        });
        let replaced = kept.and_then(|temporary| fs::rename(&temporary, &path).at("replace", &path));
        if let Err(error) = replaced {
            self.state.serial = before;
            return Err(error);
        }
        self.is_on_disk = true;
        // The name is new, and only a crash can tell that it is not durable.
        let durable = touch(&self.fuse).and_then(|()| disk::sync_directory(self.paths.directory()));
        durable.inspect_err(|error| self.failure = Some(Failure::of(error)))
    }

    /// Puts away a journal whose entries are in the state file.
    fn put_journal_away(&mut self, base: u64) -> Result<(), StoreError> {
        touch(&self.fuse)?;
        self.log = None;
        history::keep_journal(&self.paths, base)?;
        touch(&self.fuse)?;
        history::prune(&self.paths);
        Ok(())
    }

    /// Takes up the journal where it is good, or finishes the save that was cut.
    fn put_in_order(&mut self, found: &Found) -> Result<(), StoreError> {
        let path = self.paths.journal();
        match *found {
            Found::Nothing => disk::remove_if_there(&path),
            Found::Saved { base } => self.put_journal_away(base),
            Found::Current { next, good, is_older } => {
                let file = disk::private().append(true).open(&path).at("open", &path)?;
                if file.metadata().at("look at", &path)?.len() != good {
                    file.set_len(good).at("cut the torn end of", &path)?;
                    file.sync_all().at("cut the torn end of", &path)?;
                }
                self.log = Some(Log { file, next, length: good });
                // Entries of two formats do not go into one file.
                if is_older { self.save() } else { Ok(()) }
            }
        }
    }

    fn check_usable(&self) -> Result<(), StoreError> {
        match &self.failure {
            None => Ok(()),
            Some(Failure::Power) => Err(StoreError::PowerLost),
            Some(Failure::Write(why)) => Err(StoreError::Poisoned { path: self.paths.journal(), why: why.clone() }),
        }
    }
}

impl Log {
    /// A journal that goes on from a state: its header, durable, under its name.
    fn create(paths: &Paths, state: &State, fuse: &Fuse) -> Result<Self, StoreError> {
        let path = paths.journal();
        let header = lines::header(&Header::over(state)).map_err(StoreError::Encode)?;
        touch(fuse)?;
        let mut file = disk::private().append(true).create_new(true).open(&path).at("make", &path)?;
        if touch(fuse).is_err() {
            file.write_all(&header[..header.len() / 2]).at("append to", &path)?;
            return Err(StoreError::PowerLost);
        }
        file.write_all(&header).at("append to", &path)?;
        file.sync_all().at("append to", &path)?;
        disk::sync_directory(paths.directory())?;
        touch(fuse)?;
        Ok(Self { file, next: 1, length: header.len() as u64 })
    }
}

impl Failure {
    fn of(error: &StoreError) -> Self {
        if matches!(error, StoreError::PowerLost) {
            return Self::Power;
        }
        let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
        Self::Write(format!("{error}{source}"))
    }
}

fn touch(fuse: &Fuse) -> Result<(), StoreError> {
    if fuse.touch() { Ok(()) } else { Err(StoreError::PowerLost) }
}

/// Makes the directory and takes the lock, with what there is to say about both.
fn take_lock(paths: &Paths, opening: &Opening) -> Result<(Lock, Vec<Note>), StoreError> {
    let open = disk::private_directory(paths.directory())?;
    let (lock, died) = Lock::take(&paths.lock(), &Owner::here(&opening.command, opening.started))?;
    let mut notes: Vec<Note> = died.map(Note::TakenOver).into_iter().collect();
    notes.extend(open.map(|mode| Note::OpenDirectory { mode }));
    Ok((lock, notes))
}

#[cfg(test)]
mod tests;
