//! The files that helm is given, in a folder that only the user may read: values, kubeconfigs, charts. Each is removed
//! with its value, the folder with the program's; what a killed process leaves is removed by the next one.
//!
//! A release's lock is a file that is locked while a helm of ours works on it. Helm's standard input is that very file: the
//! lock is held for as long as *helm* lives, also when whoever started it was killed.

use std::cell::Cell;
use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What the folders of runs are called, and the file in each that is locked while its run lives.
const RUN: &str = "run-";
const ALIVE: &str = "alive";

/// The folder of a run.
#[derive(Debug)]
pub(super) struct Folder {
    base: PathBuf,
    path: PathBuf,
    /// Locked: others see that the run lives.
    _alive: File,
    next: Cell<u32>,
}

impl Folder {
    /// Makes the folder of this run below `base`, which is made too, and removes those of runs that are no more.
    pub(super) fn open(base: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(base)?;
        remove_left_behind(base);
        let process = std::process::id();
        for n in 0.. {
            let path = base.join(format!("{RUN}{process}-{n}"));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => {
                    let alive = private().create_new(true).write(true).open(path.join(ALIVE))?;
                    alive.lock()?;
                    DirBuilder::new().mode(0o700).create(path.join("plugins"))?;
                    return Ok(Self { base: base.to_owned(), path, _alive: alive, next: Cell::new(0) });
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::other("no free name"))
    }

    /// A folder without plugins.
    pub(super) fn no_plugins(&self) -> PathBuf {
        self.path.join("plugins")
    }

    fn fresh(&self, name: &str) -> PathBuf {
        let n = self.next.get();
        self.next.set(n.wrapping_add(1));
        self.path.join(format!("{n}-{name}"))
    }

    /// Writes a file that is gone with its value.
    pub(super) fn write(&self, name: &str, content: &[u8]) -> io::Result<Temporary> {
        let path = self.fresh(name);
        let mut file = private().create_new(true).write(true).open(&path)?;
        let temporary = Temporary(path);
        file.write_all(content)?;
        Ok(temporary)
    }

    /// Makes an empty folder that lives as long as the run.
    pub(super) fn subfolder(&self, name: &str) -> io::Result<PathBuf> {
        let path = self.fresh(name);
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(path)
    }

    /// The lock of a release.
    pub(super) fn lock(&self, name: &str) -> Lock {
        Lock { path: self.base.join("locks").join(name) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// A file that is gone with its value.
#[derive(Debug)]
pub(super) struct Temporary(PathBuf);

impl Temporary {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// Who works on a release, and what was begun last.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
}

impl Lock {
    /// Takes the lock and notes which revision is to be made; `None` when a helm of ours holds it. It is free again when
    /// the file and everything that it was handed to is closed.
    pub(super) fn take(&self, revision: u32) -> io::Result<Option<File>> {
        if let Some(folder) = self.path.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut file = private().create(true).truncate(false).read(true).write(true).open(&self.path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        file.set_len(0)?;
        file.seek(SeekFrom::Start(0))?;
        write!(file, "{revision}")?;
        file.sync_data()?;
        Ok(Some(file))
    }

    /// Whether a helm of ours is at work on the release.
    pub(super) fn is_held(&self) -> bool {
        let Ok(file) = File::open(&self.path) else { return false };
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
    }

    /// The revision that a helm of ours was to make last, if this folder knows.
    pub(super) fn last_begun(&self) -> Option<u32> {
        let mut text = String::new();
        File::open(&self.path).ok()?.read_to_string(&mut text).ok()?;
        text.trim().parse().ok()
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.mode(0o600);
    options
}

/// Removes the folders of runs that were killed. A run that is just beginning has no lock yet: its folder is left alone.
fn remove_left_behind(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(RUN) {
            continue;
        }
        let is_dead = File::open(entry.path().join(ALIVE)).is_ok_and(|alive| alive.try_lock().is_ok());
        if is_dead {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn files_are_private_and_gone_with_their_value() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(&base.path().join("helm")).unwrap();
        let (values, other) = (folder.write("values", b"{}").unwrap(), folder.write("values", b"{}").unwrap());
        assert_ne!(values.path(), other.path());
        assert_eq!((mode(values.path()), mode(&folder.path), mode(&folder.base)), (0o600, 0o700, 0o700));
        let path = values.path().to_owned();
        drop(values);
        assert!(!path.exists() && other.path().exists());
        let run = folder.path.clone();
        drop(folder);
        assert!(!run.exists());
    }

    #[test]
    fn what_a_killed_run_leaves_is_removed_and_what_lives_is_not() {
        let base = tempfile::tempdir().unwrap();
        let living = Folder::open(base.path()).unwrap();
        let dead = base.path().join("run-0-0");
        fs::create_dir(&dead).unwrap();
        File::create(dead.join(ALIVE)).unwrap();
        File::create(dead.join("7-values")).unwrap();
        let second = Folder::open(base.path()).unwrap();
        assert!(!dead.exists() && living.path.exists() && second.path.exists());
    }

    #[test]
    fn a_lock_is_held_by_whoever_has_the_file() {
        let base = tempfile::tempdir().unwrap();
        let folder = Folder::open(base.path()).unwrap();
        let lock = folder.lock("istio-system.istiod");
        assert!(!lock.is_held());
        assert_eq!(lock.last_begun(), None);
        let file = lock.take(7).unwrap().unwrap();
        let handed_on = file.try_clone().unwrap();
        assert!(lock.is_held() && lock.take(8).unwrap().is_none());
        drop(file);
        assert!(lock.is_held(), "a child has it still");
        drop(handed_on);
        assert!(!lock.is_held());
        assert_eq!(lock.last_begun(), Some(7));
        assert!(lock.take(12).unwrap().is_some());
        assert_eq!(lock.last_begun(), Some(12));
    }
}
