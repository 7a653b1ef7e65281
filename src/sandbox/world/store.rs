//! Keeps the world on disk: a snapshot, and a log with one line per call that changed something.
//!
//! Entry points: [`Store::open`], [`Store::append`]. A line is written by one `write(2)` before the call is
//! answered, so that a killed process loses no answered call; it is not synced, so a power cut may (it is a simulated
//! cloud). A torn last line is ignored. The log is folded into a new snapshot when it outgrows the old one.
//!
//! Files: `world.snapshot`, `world-N.log` (N is the snapshot's generation), `lock`. Each line is a digest, a space,
//! and a JSON document.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use jiff::{Timestamp, ToSpan as _};
use serde::{Deserialize, Serialize};

use super::ids::Mint;
use super::{LoadError, World, Written};
use crate::model::Digest;

/// The version of the files' layout.
const FORMAT: u32 = 1;

/// A log shorter than this is not worth folding.
const MIN_LOG_TO_FOLD: u64 = 4 << 20;

/// How far ahead of the clock time is reserved on disk, so that reading (which writes nothing else) never shows a
/// time that a later process would show again.
const RESERVE_SECONDS: i64 = 60;

/// Why the world cannot be opened or kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// Another process has it open.
    #[error("the sandbox in {} is in use by process {pid}: stop it, or use another state directory", dir.display())]
    InUse {
        /// The folder.
        dir: PathBuf,
        /// Who, as far as known.
        pid: String,
    },
    /// The operating system refused.
    #[error("cannot {what} {}", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// On which path.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A file is damaged.
    #[error("{}:{line} is damaged ({why}): `meshplan sandbox reset` starts an empty sandbox", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// In which way.
        why: String,
    },
    /// A newer program wrote the files.
    #[error("{} has format {found}, this version knows {FORMAT}: use a newer meshplan, or `meshplan sandbox reset`", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
    },
    /// An option makes no sense.
    #[error("{0}")]
    Option(String),
}

#[derive(Debug, Serialize, Deserialize)]
struct Header {
    format: u32,
    generation: u64,
    account: String,
    counter: u64,
    now: Timestamp,
    rows: usize,
}

/// A line of the log.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Entry {
    now: Timestamp,
    counter: u64,
    /// Up to when time is reserved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reserved: Option<Timestamp>,
    /// Whether the process ended in order, so that nobody saw a later time.
    #[serde(default, skip_serializing_if = "is_false")]
    closed: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    rows: Vec<Written>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's skip_serializing_if passes a reference")]
fn is_false(value: &bool) -> bool {
    !*value
}

/// The open files of a world.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    /// Held for its lock.
    _lock: File,
    log: File,
    log_bytes: u64,
    snapshot_bytes: u64,
    generation: u64,
    reserved: Timestamp,
}

impl Store {
    /// Opens the world in `dir`, or starts an empty one there; also says where its time stands.
    pub(crate) fn open(dir: &Path, mint: Mint, epoch: Timestamp) -> Result<(Self, World, Timestamp), SandboxError> {
        let lock = lock(dir)?;
        let mut world = World::new(mint);
        let snapshot = dir.join("world.snapshot");
        let (header, snapshot_bytes) = match read(&snapshot)? {
            Some(bytes) => (load_snapshot(&snapshot, &bytes, &mut world)?, bytes.len() as u64),
            None => (write_snapshot(dir, &world, 0, epoch)?, 0),
        };
        world.mint.account.clone_from(&header.account);
        world.mint.counter = header.counter;
        let path = log_path(dir, header.generation);
        let bytes = read(&path)?.unwrap_or_default();
        let (log_bytes, now) = load_log(&path, &bytes, &mut world, header.now)?;
        let mut log = options().create(true).truncate(false).open(&path).map_err(io_error("open", &path))?;
        if log_bytes < bytes.len() as u64 {
            log.set_len(log_bytes).map_err(io_error("truncate", &path))?;
        }
        log.seek(SeekFrom::End(0)).map_err(io_error("seek in", &path))?;
        remove_stale(dir, header.generation)?;
        let generation = header.generation;
        let mut store =
            Self { dir: dir.to_owned(), _lock: lock, log, log_bytes, snapshot_bytes, generation, reserved: now };
        store.fold_if_long(&world, now)?;
        Ok((store, world, now))
    }

    /// Writes what a call changed; nothing when nothing did and enough time is reserved.
    pub(crate) fn append(&mut self, world: &World, rows: Vec<Written>, now: Timestamp) -> Result<(), SandboxError> {
        let reserved = if now > self.reserved { now.checked_add(RESERVE_SECONDS.seconds()).ok() } else { None };
        if rows.is_empty() && reserved.is_none() {
            return Ok(());
        }
        self.write(&Entry { now, counter: world.mint.counter, reserved, closed: false, rows })?;
        self.reserved = reserved.unwrap_or(self.reserved);
        self.fold_if_long(world, now)
    }

    /// Whether a call at `now` must write even if it changed nothing.
    pub(crate) fn must_reserve(&self, now: Timestamp) -> bool {
        now > self.reserved
    }

    /// Notes that the process ends in order and time stands at `now`.
    pub(crate) fn close(&mut self, world: &World, now: Timestamp) -> Result<(), SandboxError> {
        self.write(&Entry { now, counter: world.mint.counter, reserved: None, closed: true, rows: Vec::new() })
    }

    fn write(&mut self, entry: &Entry) -> Result<(), SandboxError> {
        let path = log_path(&self.dir, self.generation);
        let line =
            line(entry).map_err(|source| SandboxError::Io { what: "encode a line for", path: path.clone(), source })?;
        if let Err(source) = self.log.write_all(line.as_bytes()) {
            // Half a line in the middle would be damage; at the end it is only torn. Best effort: the disk is full.
            let _ = self.log.set_len(self.log_bytes);
            let _ = self.log.seek(SeekFrom::End(0));
            return Err(SandboxError::Io { what: "append to", path, source });
        }
        self.log_bytes += line.len() as u64;
        Ok(())
    }

    fn fold_if_long(&mut self, world: &World, now: Timestamp) -> Result<(), SandboxError> {
        if self.log_bytes <= MIN_LOG_TO_FOLD.max(2 * self.snapshot_bytes) {
            return Ok(());
        }
        let generation = self.generation + 1;
        // The snapshot may claim the reserved time: it is at most a minute ahead, and never behind.
        write_snapshot(&self.dir, world, generation, now.max(self.reserved))?;
        let path = log_path(&self.dir, generation);
        self.log = options().create(true).truncate(true).open(&path).map_err(io_error("create", &path))?;
        self.log_bytes = 0;
        self.generation = generation;
        let snapshot = self.dir.join("world.snapshot");
        self.snapshot_bytes = snapshot.metadata().map_err(io_error("look at", &snapshot))?.len();
        remove_stale(&self.dir, generation)
    }
}

/// Deletes the world in `dir`; it is fresh when it is next opened.
pub(crate) fn reset(dir: &Path) -> Result<(), SandboxError> {
    let _lock = lock(dir)?;
    // The snapshot first: logs without it are stale, a snapshot without its log would be an older world.
    for path in std::iter::once(dir.join("world.snapshot")).chain(logs(dir)?.into_iter().map(|(_, path)| path)) {
        match std::fs::remove_file(&path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(SandboxError::Io { what: "remove", path, source });
            }
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o600);
    options
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SandboxError + use<> {
    let path = path.to_owned();
    move |source| SandboxError::Io { what, path, source }
}

fn lock(dir: &Path) -> Result<File, SandboxError> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(io_error("create", dir))?;
    let path = dir.join("lock");
    let mut file = options().create(true).truncate(false).open(&path).map_err(io_error("open", &path))?;
    match file.try_lock() {
        Ok(()) => {
            let mark = || -> io::Result<()> {
                file.set_len(0)?;
                (&file).write_all(std::process::id().to_string().as_bytes())
            };
            mark().map_err(io_error("write", &path))?;
            Ok(file)
        }
        Err(TryLockError::WouldBlock) => {
            let mut pid = String::new();
            let known = file.read_to_string(&mut pid).is_ok() && !pid.is_empty();
            Err(SandboxError::InUse { dir: dir.to_owned(), pid: if known { pid } else { "(unknown)".to_owned() } })
        }
        Err(TryLockError::Error(source)) => Err(SandboxError::Io { what: "lock", path, source }),
    }
}

fn log_path(dir: &Path, generation: u64) -> PathBuf {
    dir.join(format!("world-{generation}.log"))
}

fn logs(dir: &Path) -> Result<Vec<(u64, PathBuf)>, SandboxError> {
    let entries = std::fs::read_dir(dir).map_err(io_error("list", dir))?;
    let mut logs: Vec<(u64, PathBuf)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let number = path.file_name()?.to_str()?.strip_prefix("world-")?.strip_suffix(".log")?.parse().ok()?;
            Some((number, path))
        })
        .collect();
    logs.sort();
    Ok(logs)
}

fn remove_stale(dir: &Path, generation: u64) -> Result<(), SandboxError> {
    for (number, path) in logs(dir)? {
        if number != generation {
            std::fs::remove_file(&path).map_err(io_error("remove", &path))?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, SandboxError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(source) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(SandboxError::Io { what: "read", path: path.to_owned(), source }),
    }
}

fn line(document: &impl Serialize) -> io::Result<String> {
    let json = serde_json::to_string(document)?;
    Ok(format!("{} {json}\n", Digest::of(&json)))
}

/// The document of a line whose digest is right.
fn checked(line: &[u8]) -> Option<&[u8]> {
    let (digest, rest) = line.split_at_checked(32)?;
    let json = rest.strip_prefix(b" ")?;
    (Digest::of(json).to_string().as_bytes() == digest).then_some(json)
}

/// Writes the world whole: to a file beside, synced, then renamed over the old one.
fn write_snapshot(dir: &Path, world: &World, generation: u64, now: Timestamp) -> Result<Header, SandboxError> {
    let (path, temporary) = (dir.join("world.snapshot"), dir.join("world.snapshot.new"));
    let write = || -> io::Result<Header> {
        let mut rows = Vec::new();
        for region in world.regions() {
            rows.extend(region.dump()?);
        }
        let Mint { account, counter, .. } = &world.mint;
        let (account, counter) = (account.clone(), *counter);
        let header = Header { format: FORMAT, generation, account, counter, now, rows: rows.len() };
        let mut file = BufWriter::new(options().create(true).truncate(true).open(&temporary)?);
        file.write_all(line(&header)?.as_bytes())?;
        for row in &rows {
            file.write_all(line(row)?.as_bytes())?;
        }
        file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
        std::fs::rename(&temporary, &path)?;
        File::open(dir)?.sync_all()?;
        Ok(header)
    };
    write().map_err(io_error("write", &path))
}

fn load_snapshot(path: &Path, bytes: &[u8], world: &mut World) -> Result<Header, SandboxError> {
    let damaged = |line: usize, why: &str| SandboxError::Damaged { path: path.to_owned(), line, why: why.to_owned() };
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\n").and_then(checked));
    let header = lines.next().flatten().ok_or_else(|| damaged(1, "the digest does not match"))?;
    let found = serde_json::from_slice::<Format>(header).map_err(|error| damaged(1, &error.to_string()))?.format;
    if found > FORMAT {
        return Err(SandboxError::Newer { path: path.to_owned(), found });
    }
    let header: Header = serde_json::from_slice(header).map_err(|error| damaged(1, &error.to_string()))?;
    let mut rows = 0;
    for (number, line) in lines.enumerate() {
        let json = line.ok_or_else(|| damaged(number + 2, "the digest does not match"))?;
        let row = serde_json::from_slice(json).map_err(|error| damaged(number + 2, &error.to_string()))?;
        world.load(row).map_err(|error| damaged(number + 2, &error.to_string()))?;
        rows += 1;
    }
    if rows == header.rows { Ok(header) } else { Err(damaged(rows + 1, "it ends too early")) }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

/// Folds the log into the world: how many of its bytes are good, and where time stands.
fn load_log(path: &Path, bytes: &[u8], world: &mut World, from: Timestamp) -> Result<(u64, Timestamp), SandboxError> {
    let damaged = |line: usize, why: String| SandboxError::Damaged { path: path.to_owned(), line: line + 1, why };
    let (mut good, mut now, mut reserved) = (0, from, from);
    for (number, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let Some(json) = line.strip_suffix(b"\n").and_then(checked) else {
            // Only the last line can be torn: the one that was being written when the process was killed.
            if good + line.len() == bytes.len() {
                break;
            }
            return Err(damaged(number, "the digest does not match".to_owned()));
        };
        let entry: Entry = serde_json::from_slice(json).map_err(|error| damaged(number, error.to_string()))?;
        for row in entry.rows {
            world.load(row).map_err(|error: LoadError| damaged(number, error.to_string()))?;
        }
        world.mint.counter = entry.counter;
        now = entry.now;
        reserved = entry.reserved.unwrap_or(if entry.closed { from } else { reserved });
        good += line.len();
    }
    Ok((good as u64, now.max(reserved)))
}
