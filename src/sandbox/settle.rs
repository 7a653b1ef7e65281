//! What time alone does to the whole world, before anything else happens at an instant.
//!
//! Entry point: [`settle`], called before every operation and before counting, so that no background work is needed.

use jiff::Timestamp;

use super::world::World;

/// Brings everything up to `now`.
pub(crate) fn settle(world: &mut World, now: Timestamp) {
    for name in world.names() {
        world.region(&name, now).0.settle(now);
    }
    world.global().0.settle(now);
}
