//! What stands between the engine's ports and the sandbox, which knows nothing of the engine.
//!
//! Entry points: `route` for clusters that no network leads to, `helm` for releases in them.

pub(super) mod helm;
pub(super) mod route;
