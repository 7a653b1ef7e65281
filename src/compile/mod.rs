//! From a topology to declarations. Pure: no file, no clock, no cloud, and no state.

mod declaration;

pub use declaration::Declaration;
