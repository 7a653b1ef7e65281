//! The names of a state's files.

use std::path::{Path, PathBuf};

use super::error::StoreError;

/// Where the files of one mesh's state are.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    directory: PathBuf,
    mesh: String,
}

impl Paths {
    /// The files of a mesh in a directory. An id that is no DNS-1123 label (RFC 1123: at most 63 of `a-z0-9-`) is refused, so that
    /// no name leads out of the directory or to another mesh's files.
    pub(super) fn new(directory: &Path, mesh: &str) -> Result<Self, StoreError> {
        if !is_mesh_id(mesh) {
            return Err(StoreError::MeshId { mesh: mesh.to_owned() });
        }
        Ok(Self { directory: directory.to_owned(), mesh: mesh.to_owned() })
    }

    pub(super) fn mesh(&self) -> &str {
        &self.mesh
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(super) fn state(&self) -> PathBuf {
        self.with("json")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.with("journal")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.with("lock")
    }

    pub(super) fn plan(&self) -> PathBuf {
        self.with("plan.json")
    }

    pub(super) fn history(&self) -> PathBuf {
        self.with("history")
    }

    /// The state of a serial.
    pub(super) fn snapshot(&self, serial: u64) -> PathBuf {
        self.history().join(format!("{serial:06}.json"))
    }

    /// The journal that led from a serial to the next.
    pub(super) fn past_journal(&self, serial: u64) -> PathBuf {
        self.history().join(format!("{serial:06}.journal"))
    }

    /// Where a restore puts a file that cannot be read.
    pub(super) fn replaced(&self, extension: &str) -> PathBuf {
        self.history().join(format!("replaced.{extension}"))
    }

    fn with(&self, extension: &str) -> PathBuf {
        self.directory.join(format!("{}.{extension}", self.mesh))
    }
}

/// Whether a text can be a mesh's id.
pub(super) fn is_mesh_id(text: &str) -> bool {
    let is_alphanumeric = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let bytes = text.as_bytes();
    bytes.len() <= 63
        && bytes.first().is_some_and(is_alphanumeric)
        && bytes.last().is_some_and(is_alphanumeric)
        && bytes.iter().all(|byte| is_alphanumeric(byte) || *byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_leads_out_of_the_directory() {
        for bad in ["", ".", "..", "../demo", "a/b", "Demo", "-a", "a-", "a.b", "a b", "a\0", "ä", &"a".repeat(64)] {
            assert!(matches!(Paths::new(Path::new("state"), bad), Err(StoreError::MeshId { .. })), "{bad}");
        }
        for good in ["a", "demo", "two-network", "0", &"a".repeat(63)] {
            assert!(Paths::new(Path::new("state"), good).is_ok(), "{good}");
        }
    }
}
