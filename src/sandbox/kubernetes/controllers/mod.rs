//! What happens inside the clusters without anybody asking: the controllers of Kubernetes as far as a mesh needs them,
//! Istio's, and the AWS load balancer controller.
//!
//! Entry points: [`settle`], called before every operation, and [`admission::admit`] for what webhooks say of an object.
//! Nothing runs in the background: a controller is a function that brings a cluster's objects to what they are at an
//! instant, and is run again until nothing changes. What takes time follows from instants that objects have (and the
//! object's uid), so the same world goes the same way in any number of steps; the instants at which something is due are
//! taken one after the other, in order.
//!
//! | part | what it does |
//! | --- | --- |
//! | `control` | one cluster at one instant: what all controllers work on |
//! | `parts` | reading and writing parts of objects |
//! | `namespaces`, `accounts`, `definitions`, `garbage`, `events` | what the API's own controllers do |
//! | `nodes`, `addons` | what EKS brings |
//! | `workloads`, `pods`, `images`, `addresses` | from a Deployment to pods that are ready |
//! | `services` | addresses and endpoints of Services |
//! | `admission`, `injection`, `istiod` | webhooks, and what a control plane does that is ready |
//! | `load_balancer` | from a Service to a network load balancer |
//!
//! Not simulated: volumes, quotas, priorities and resources of pods, network policies; autoscalers do nothing.

mod accounts;
mod addons;
mod addresses;
pub(crate) mod admission;
mod control;
mod definitions;
mod events;
mod garbage;
mod images;
mod injection;
mod istiod;
mod load_balancer;
mod namespaces;
mod nodes;
pub(in crate::sandbox) mod parts;
mod pods;
mod services;
mod workloads;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use jiff::Timestamp;

use self::control::Control;
use super::objects::Objects;
use crate::sandbox::options::Quotas;
use crate::sandbox::world::rows::{Cluster, Outcome};
use crate::sandbox::world::watched::Seen;
use crate::sandbox::world::{Place, Region};

/// How often the controllers take turns at one instant. They need a few turns; more would be two that quarrel.
const TURNS: usize = 64;

/// How many instants are taken one after the other, before the rest of a long time is taken as one.
const INSTANTS: usize = 10_000;

/// The controllers, in the order in which they take their turns.
const CONTROLLERS: &[fn(&mut Control<'_, '_>)] = &[
    namespaces::run,
    accounts::run,
    definitions::run,
    nodes::run,
    addons::run,
    workloads::run,
    pods::run,
    services::run,
    istiod::run,
    load_balancer::run,
    garbage::run,
];

/// Brings the clusters of a region that run up to `now`.
pub(crate) fn settle(place: &mut Place<'_>, quotas: &Quotas, now: Timestamp) {
    let before = place.region.watched.at.replace(now).unwrap_or(now);
    let changes = changes(place.region);
    let moved = std::mem::replace(&mut place.region.watched.changes, changes) != changes;
    let running: Vec<String> = place
        .region
        .clusters
        .iter()
        .filter(|cluster| super::runs(cluster, now))
        .map(|cluster| cluster.name().to_owned())
        .collect();
    place.region.watched.clusters.retain(|name, _| running.contains(name));
    for name in running {
        if is_due(place, &name, moved, now) {
            reconcile(place, quotas, &name, (before, now));
        }
    }
    // What the controllers themselves changed is no reason to look again.
    place.region.watched.changes = self::changes(place.region);
}

/// Whether there may be something to do in a cluster.
fn is_due(place: &mut Place<'_>, name: &str, moved: bool, now: Timestamp) -> bool {
    let Some(seen) = place.region.watched.clusters.get(name).copied() else { return true };
    seen.due.is_some_and(|at| at <= now)
        || seen.revision != Objects::of(place.region, name, now).revision()
        || (moved && seen.machinery != machinery(place.region, name, now))
}

/// Runs the controllers of a cluster at each instant at which something is due, and at `now` if AWS changed something.
fn reconcile(place: &mut Place<'_>, quotas: &Quotas, name: &str, (before, now): (Timestamp, Timestamp)) {
    let Some(cluster) = place.region.clusters.get(name).cloned() else { return };
    for _ in 0..INSTANTS {
        let Some(seen) = place.region.watched.clusters.get(name).copied() else {
            run(place, quotas, &cluster, now);
            continue;
        };
        if seen.revision != Objects::of(place.region, name, now).revision() {
            // Somebody changed an object in the operation that this world saw last.
            run(place, quotas, &cluster, before);
        } else if let Some(due) = seen.due.filter(|due| *due <= now) {
            run(place, quotas, &cluster, due);
        } else if seen.machinery == machinery(place.region, name, now) {
            return;
        } else {
            run(place, quotas, &cluster, now);
        }
    }
    run(place, quotas, &cluster, now);
}

/// Runs the controllers of a cluster at one instant, until nothing changes any more.
fn run(place: &mut Place<'_>, quotas: &Quotas, cluster: &Cluster, now: Timestamp) {
    let name = cluster.name();
    // What time does to the network, up to this instant, which may be before the one that the world has come to.
    place.region.settle(now);
    let mut due = None;
    for _ in 0..TURNS {
        let revision = Objects::of(place.region, name, now).revision();
        let mut control = Control::new(place, cluster, quotas, now);
        for controller in CONTROLLERS {
            controller(&mut control);
        }
        due = control.due();
        if Objects::of(place.region, name, now).revision() == revision {
            break;
        }
    }
    let revision = Objects::of(place.region, name, now).revision();
    let machinery = machinery(place.region, name, now);
    place.region.watched.clusters.insert(name.to_owned(), Seen { revision, machinery, due });
}

/// How many changes there were to what AWS runs for clusters.
fn changes(region: &Region) -> u64 {
    region.clusters.changes() + region.nodegroups.changes() + region.instances.changes() + region.addons.changes()
}

/// A number for what AWS runs for a cluster: its nodes and its add-ons. Everything else that controllers look at, they
/// look at again when it failed them.
fn machinery(region: &Region, name: &str, now: Timestamp) -> u64 {
    let mut hasher = DefaultHasher::new();
    if let Some(cluster) = region.clusters.get(name) {
        (&cluster.version, cluster.auto_mode.is_some()).hash(&mut hasher);
    }
    for group in region.nodegroups.linked(name) {
        let since = if let Outcome::Active(since) = group.outcome { Some(since) } else { None };
        (&group.name, since, group.deletion, &group.version).hash(&mut hasher);
        group.labels.hash(&mut hasher);
        serde_json::to_string(&group.taints).unwrap_or_default().hash(&mut hasher);
        for id in &group.instances {
            (id, region.instances.get(id).map(|instance| instance.termination)).hash(&mut hasher);
        }
    }
    for addon in region.addons.linked(name) {
        let gone = addon.deleted_at.is_some_and(|at| at <= now);
        (&addon.name, &addon.version, &addon.configuration, gone).hash(&mut hasher);
    }
    hasher.finish()
}
