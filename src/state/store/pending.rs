//! The plan that a later `apply` will find: kept beside its state, its content the caller's.

use std::path::Path;

use super::disk;
use super::error::StoreError;
use super::paths::Paths;

/// Keeps the pending plan of a mesh, in place of the one before.
pub fn write_plan(directory: &Path, mesh: &str, plan: &[u8]) -> Result<(), StoreError> {
    let paths = Paths::new(directory, mesh)?;
    disk::private_directory(directory)?;
    disk::write_atomically(&paths.plan(), plan)
}

/// The pending plan of a mesh, if there is one.
pub fn read_plan(directory: &Path, mesh: &str) -> Result<Option<Vec<u8>>, StoreError> {
    disk::read_if_there(&Paths::new(directory, mesh)?.plan())
}

/// Forgets the pending plan of a mesh: it was applied, or is stale.
pub fn remove_plan(directory: &Path, mesh: &str) -> Result<(), StoreError> {
    disk::remove_if_there(&Paths::new(directory, mesh)?.plan())
}
