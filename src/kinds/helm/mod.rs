//! Helm releases: the kind `helm.release`, and the program `helm` behind it.
//!
//! Entry points: [`release`], what is declared of a release and how it gets there; [`program`], which runs `helm` 3 or 4
//! as a process and answers `resource::Helm`; [`preview`], the objects that an upgrade would change.
//!
//! What a release is, is read from where helm stores it, and whether its workloads run from their own objects: helm is
//! run for changes alone, and never waits for anything but its hooks. An operation that was cut off is repaired without
//! deleting what the release holds (`repair`): a chart's definitions of kinds take every object of these kinds along.

mod link;
mod marker;
pub mod objects;
pub mod preview;
pub mod program;
pub mod release;
mod repair;
mod spec;
mod values;
mod workloads;
