//! What stands between the engine's ports and the sandbox, which knows nothing of the engine.
//!
//! Entry points: `route` for clusters that no network leads to.

pub(super) mod route;
