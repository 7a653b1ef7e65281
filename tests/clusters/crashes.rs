//! Crashes at every touch of an apply, an update and a destroy of two networks with a cluster each.

use crate::rig::{declarations, topology};
use crate::touches::every_touch;

#[test]
fn an_apply_converges_from_every_crash() {
    every_touch("apply", &[], &declarations(&topology("two-network.toml")));
}

#[test]
fn an_update_converges_from_every_crash() {
    // A new control plane, then add-ons and nodes; other nodes for one of the clusters; tags everywhere.
    let after = topology("two-network.toml");
    let before = after
        .replace("owner = \"platform\"", "owner = \"mesh\"")
        .replace("kubernetes = \"1.35\"", "kubernetes = \"1.34\"")
        .replace("[\"m7i.large\", \"m6i.large\"]", "[\"m6i.large\"]");
    assert!(before.contains("1.34") && !before.contains("platform\"\n") && !before.contains("m7i"));
    every_touch("update", &declarations(&before), &declarations(&after));
}

#[test]
fn a_destroy_converges_from_every_crash() {
    every_touch("destroy", &declarations(&topology("two-network.toml")), &[]);
}
