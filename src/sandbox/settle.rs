//! What time alone does to the whole world, before anything else happens at an instant.
//!
//! Entry point: [`settle`], called before every operation and before counting, so that no background work is needed.

use jiff::Timestamp;

use super::options::Quotas;
use super::world::World;
use super::{eks, kubernetes};

/// Brings everything up to `now`.
pub(crate) fn settle(world: &mut World, quotas: &Quotas, now: Timestamp) {
    for name in world.names() {
        let mut place = world.place(&name, now);
        place.region.settle(now);
        eks::settle(&mut place, now);
        kubernetes::settle(&mut place, quotas, now);
    }
    world.global().0.settle(now);
}
