//! Meshes made by hand, row by row and object by object: what verify says of one in which all is well, and of one in which
//! one thing was broken.

mod failures;
mod families;
mod objects;
mod rig;
mod route;
mod shells;

use rig::{Lab, NOW, Site};
