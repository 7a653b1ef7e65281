//! Power cuts while a mesh is put into clusters that are there, changed in them, and destroyed along with them.

use crate::rig::{declarations, topology, whole_mesh};
use crate::touches::every_touch_seen;

/// One of so many states is recovered from: all of them take a quarter of an hour. `MESHPLAN_CRASHES=1` tries each.
const STRIDE: usize = 12;

fn stride() -> usize {
    std::env::var("MESHPLAN_CRASHES").map_or(STRIDE, |stride| stride.parse().unwrap())
}

#[test]
fn a_mesh_put_into_clusters_survives_every_crash() {
    let text = topology("two-network.toml");
    let states = every_touch_seen("mesh", &declarations(&text), &whole_mesh(&text), stride(), &|_| ());
    assert!(states > 10);
}

#[test]
fn a_mesh_that_is_changed_survives_every_crash() {
    let text = topology("two-network.toml");
    let changed = text.replace("replicas = 2", "replicas = 3").replace("1.31.0", "1.31.1");
    assert_ne!(text, changed);
    let states = every_touch_seen("change", &whole_mesh(&text), &whole_mesh(&changed), stride(), &|_| ());
    assert!(states > 1);
}

#[test]
fn a_mesh_that_is_destroyed_survives_every_crash() {
    let text = topology("two-network.toml");
    let states = every_touch_seen("destroy", &whole_mesh(&text), &[], stride(), &|_| ());
    assert!(states > 10);
}
