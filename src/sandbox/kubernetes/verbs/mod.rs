//! What can be done with objects.
//!
//! Entry points: [`read`], [`mod@write`], [`delete`], [`scale`], [`review`]. Each function is one verb: it checks everything and only then changes
//! the objects.

pub(crate) mod body;
pub(crate) mod delete;
pub(crate) mod read;
pub(crate) mod review;
pub(crate) mod scale;
pub(crate) mod write;
