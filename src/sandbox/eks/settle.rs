//! What time does to clusters: updates take effect, nodes become ready or fail, deletions end.
//!
//! Entry points: [`settle`], called before every operation of any service, and [`vanish`] for what somebody else deletes.

use jiff::Timestamp;

use super::{auto, join, traces};
use crate::sandbox::kubernetes;
use crate::sandbox::world::rows::{Change, Cluster, Nodegroup, Outcome, PodIdentity, Update};
use crate::sandbox::world::{Place, Region};

/// Brings the clusters of a region up to `now`.
pub(crate) fn settle(place: &mut Place<'_>, now: Timestamp) {
    while let Some(id) = place.region.updates.next_due(now) {
        settle_update(place, &id);
    }
    while let Some(id) = place.region.addons.next_due(now) {
        remove_addon(place, &id);
    }
    while let Some(id) = place.region.nodegroups.next_due(now) {
        let Some(group) = place.region.nodegroups.get(&id).cloned() else { break };
        if group.deletion.is_some() {
            remove_nodegroup(place, &group);
        } else {
            look_at_nodes(place, &group, now);
        }
    }
    // What something is in the way of is looked at whenever anything may have changed.
    let blocked = |group: &&Nodegroup| group.outcome == Outcome::Creating { blocked: true } && group.deletion.is_none();
    let blocked: Vec<Nodegroup> = place.region.nodegroups.iter().filter(blocked).cloned().collect();
    for group in &blocked {
        look_at_nodes(place, group, now);
    }
    while let Some(id) = place.region.clusters.next_due(now) {
        let Some(cluster) = place.region.clusters.get(&id).cloned() else { break };
        remove_cluster(place, &cluster);
    }
}

/// The first time an update is due it takes effect, the second time it is forgotten.
fn settle_update(place: &mut Place<'_>, id: &str) {
    let Some(update) = place.region.updates.get(id).cloned() else { return };
    if update.done {
        place.region.updates.remove(id);
        return;
    }
    let region = &mut *place.region;
    match update.change {
        Change::Cluster(new) => {
            traces::regroup(region, &new);
            region.clusters.edit(&update.cluster, |old| {
                *old = Cluster { head: old.head.clone(), deletion: old.deletion, ..*new };
            });
        }
        Change::Nodegroup(new) => {
            let Some(old) = region.nodegroups.get(&new.head.id).cloned() else { return };
            let mut new = Nodegroup {
                head: old.head.clone(),
                deletion: old.deletion,
                outcome: old.outcome.clone(),
                instances: old.instances.clone(),
                ..*new
            };
            if let Some(cluster) = region.clusters.get(&new.cluster).cloned() {
                traces::rearrange(region, place.mint, update.done_at, &cluster, &old, &mut new);
            }
            region.nodegroups.insert(new);
        }
        Change::Addon(new) => {
            let id = new.head.id.clone();
            region.addons.edit(&id, |old| {
                let (head, deleted_at) = (old.head.clone(), old.deleted_at);
                *old = *new;
                (old.head, old.deleted_at) = (head, deleted_at);
            });
        }
    }
    region.updates.edit(id, |update| update.done = true);
}

/// A node group whose nodes should be ready by now: are they?
fn look_at_nodes(place: &mut Place<'_>, group: &Nodegroup, now: Timestamp) {
    let first_look = group.outcome == Outcome::Creating { blocked: false };
    let outcome = match join::obstacle(place.region, place.global, group, now) {
        None => {
            // Nodes that waited for something come up as soon as it is there.
            let since = if first_look { group.ready_at } else { now };
            if let Some(cluster) = place.region.clusters.get(&group.cluster).cloned() {
                traces::pods(place.region, place.mint, since, &cluster, group, &group.instances);
            }
            Outcome::Active(since)
        }
        Some(obstacle) if obstacle.at_once || now >= group.gives_up_at => Outcome::Failed(vec![obstacle.issue]),
        Some(_) if first_look => Outcome::Creating { blocked: true },
        // Nothing to write down.
        Some(_) => return,
    };
    place.region.nodegroups.edit(&group.head.id, |group| group.outcome = outcome);
}

fn remove_nodegroup(place: &mut Place<'_>, group: &Nodegroup) {
    let region = &mut *place.region;
    traces::take_back_nodes(region, group);
    region.nodegroups.remove(&group.head.id);
    forget(place.region, &token_key("nodegroup", &group.head.id));
    let of_group = |update: &&Update| update.nodegroup.as_ref() == Some(&group.name);
    let ids: Vec<String> =
        place.region.updates.linked(&group.cluster).filter(of_group).map(|update| update.head.id.clone()).collect();
    for id in ids {
        place.region.updates.remove(&id);
    }
}

fn remove_addon(place: &mut Place<'_>, id: &str) {
    let Some(addon) = place.region.addons.remove(id) else { return };
    forget(place.region, &token_key("addon", id));
    let of_addon = |one: &&PodIdentity| one.addon.as_ref() == Some(&addon.name);
    let identities: Vec<String> =
        place.region.pod_identities.linked(&addon.cluster).filter(of_addon).map(|one| one.head.id.clone()).collect();
    for id in identities {
        place.region.pod_identities.remove(&id);
    }
    let of_addon = |update: &&Update| update.addon.as_ref() == Some(&addon.name);
    let updates: Vec<String> =
        place.region.updates.linked(&addon.cluster).filter(of_addon).map(|update| update.head.id.clone()).collect();
    for id in updates {
        place.region.updates.remove(&id);
    }
}

/// A cluster goes, and with it everything that is nothing without it.
fn remove_cluster(place: &mut Place<'_>, cluster: &Cluster) {
    let name = cluster.name();
    let groups: Vec<Nodegroup> = place.region.nodegroups.linked(name).cloned().collect();
    for group in &groups {
        remove_nodegroup(place, group);
    }
    let addons: Vec<String> = place.region.addons.linked(name).map(|addon| addon.head.id.clone()).collect();
    for id in addons {
        remove_addon(place, &id);
    }
    let region = &mut *place.region;
    let entries: Vec<String> = region.access_entries.linked(name).map(|entry| entry.head.id.clone()).collect();
    for id in &entries {
        region.access_entries.remove(id);
    }
    let identities: Vec<String> = region.pod_identities.linked(name).map(|one| one.head.id.clone()).collect();
    for id in &identities {
        region.pod_identities.remove(id);
    }
    let updates: Vec<String> = region.updates.linked(name).map(|update| update.head.id.clone()).collect();
    for id in &updates {
        region.updates.remove(id);
    }
    auto::take_back(region, cluster, cluster.deletion.map_or(cluster.settled_at, |(_, at)| at));
    traces::take_back_cluster(region, cluster);
    region.clusters.remove(name);
    kubernetes::forget(region, name);
    forget(place.region, &token_key("cluster", name));
    for id in entries.iter().map(|id| token_key("access-entry", id)) {
        forget(place.region, &id);
    }
    for id in identities.iter().map(|id| token_key("pod-identity", id)) {
        forget(place.region, &id);
    }
    for id in updates.iter().map(|id| token_key("update", id)) {
        forget(place.region, &id);
    }
}

/// What client tokens are bound to: ids of different kinds may be alike.
pub(super) fn token_key(kind: &str, id: &str) -> String {
    format!("eks-{kind}:{id}")
}

/// Forgets the tokens that made an object which is gone.
pub(super) fn forget(region: &mut Region, key: &str) {
    let ids: Vec<String> = region.tokens.linked(key).map(|token| token.head.id.clone()).collect();
    for id in ids {
        region.tokens.remove(&id);
    }
}

/// Takes an object out at once, with what cannot be without it: somebody else deleted it a while ago.
pub(crate) fn vanish(place: &mut Place<'_>, table: &str, id: &str) {
    match table {
        "eks-cluster" => {
            if let Some(cluster) = place.region.clusters.get(id).cloned() {
                remove_cluster(place, &cluster);
            }
        }
        "eks-nodegroup" => {
            if let Some(group) = place.region.nodegroups.get(id).cloned() {
                remove_nodegroup(place, &group);
            }
        }
        "eks-addon" => remove_addon(place, id),
        "eks-access-entry" => drop(place.region.access_entries.remove(id)),
        "eks-pod-identity-association" => drop(place.region.pod_identities.remove(id)),
        _ => {}
    }
}
