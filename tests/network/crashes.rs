//! Crashes at every touch of an apply, an update and a destroy of whole networks.

use crate::networks::networks;
use crate::rig::topology;
use crate::touches::every_touch;

#[test]
fn an_apply_converges_from_every_crash() {
    every_touch("apply", &[], &networks(&topology("two-network.toml")));
}

#[test]
fn an_update_converges_from_every_crash() {
    let text = topology("two-network.toml");
    let changed = text
        .replace("owner = \"platform\"", "owner = \"mesh\"")
        .replace("nat        = \"single\"", "nat        = \"per-az\"");
    assert_ne!(text, changed);
    every_touch("update", &networks(&text), &networks(&changed));
}

#[test]
fn a_destroy_converges_from_every_crash() {
    every_touch("destroy", &networks(&topology("two-network.toml")), &[]);
}
