//! Deployments: one ReplicaSet for each template, and the way from one to the next.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::super::control::Control;
use super::super::parts::{
    condition, created, instant, list, name, namespace, number, owned_by, owner, set, set_condition, text,
};
use super::{REVISION, key_of, revision, template_hash, wanted};
use crate::sandbox::kubernetes::objects::Key;

const HASH: &str = "pod-template-hash";

/// After this long without progress a rollout counts as stuck, if the Deployment does not say how long.
const DEADLINE_SECONDS: i64 = 600;

/// How many old ReplicaSets are kept for rolling back.
const HISTORY: usize = 10;

/// How far a rollout may be away from what is wanted.
struct Slack {
    surge: usize,
    unavailable: usize,
}

pub(super) fn run(control: &mut Control<'_, '_>) {
    for deployment in super::all(control, "deployments") {
        if deployment["spec"]["paused"] != true {
            roll(control, &deployment);
        }
        describe(control, deployment);
    }
}

fn sets_of(control: &mut Control<'_, '_>, deployment: &Value) -> Vec<Value> {
    let objects = control.objects();
    let sets = objects.list("apps", "replicasets", Some(namespace(deployment)));
    sets.filter(|set| owned_by(set, deployment)).cloned().collect()
}

fn is_of(set: &Value, hash: &str) -> bool {
    set["metadata"]["labels"][HASH] == hash
}

fn available(set: &Value) -> usize {
    usize::try_from(number(set, "/status/availableReplicas").unwrap_or_default()).unwrap_or_default()
}

/// A number, or a share of what is wanted, rounded up or down.
fn resolve(value: &Value, of: usize, rounds_up: bool) -> usize {
    if let Some(number) = value.as_u64() {
        return usize::try_from(number).unwrap_or(usize::MAX);
    }
    let share = value.as_str().and_then(|text| text.strip_suffix('%')).and_then(|text| text.parse::<usize>().ok());
    let product = share.unwrap_or(25).saturating_mul(of);
    if rounds_up { product.div_ceil(100) } else { product / 100 }
}

fn slack(deployment: &Value) -> Slack {
    let rolling = &deployment["spec"]["strategy"]["rollingUpdate"];
    let wanted = wanted(deployment);
    let (surge, unavailable) =
        (resolve(&rolling["maxSurge"], wanted, true), resolve(&rolling["maxUnavailable"], wanted, false));
    // One of them must leave room to move.
    Slack { surge, unavailable: if surge == 0 { unavailable.max(1) } else { unavailable } }
}

/// One step from the old ReplicaSets to the one of the template.
fn roll(control: &mut Control<'_, '_>, deployment: &Value) {
    let hash = template_hash(deployment);
    let sets = sets_of(control, deployment);
    let (new, old): (Vec<Value>, Vec<Value>) = sets.into_iter().partition(|set| is_of(set, &hash));
    let wanted = wanted(deployment);
    let of_old: usize = old.iter().map(super::wanted).sum();
    let recreates = text(deployment, "/spec/strategy/type") == "Recreate";
    let Slack { surge, unavailable } = slack(deployment);
    let last = old.iter().map(revision).max().unwrap_or_default();
    let Some(new) = new.into_iter().next() else {
        let first = if recreates {
            if of_old == 0 { wanted } else { 0 }
        } else {
            wanted.min((wanted + surge).saturating_sub(of_old))
        };
        make(control, deployment, &hash, first, last + 1);
        return;
    };
    // A template that came back is the newest again.
    let number = revision(&new).max(if revision(&new) < last { last + 1 } else { 0 });
    let of_new = super::wanted(&new);
    if recreates {
        let left = old.iter().map(|set| super::pods_of(control, set).len()).sum::<usize>();
        for set in &old {
            scale(control, set, 0, revision(set));
        }
        scale(control, &new, if left == 0 { wanted } else { of_new.min(wanted) }, number);
    } else {
        let room = (wanted + surge).saturating_sub(of_old);
        let next = if of_new > wanted { wanted } else { of_new.max(wanted.min(room)) };
        scale(control, &new, next, number);
        scale_down(control, &old, &new, wanted.saturating_sub(unavailable));
    }
    forget(control, deployment, old);
}

/// Takes pods from the old ReplicaSets as far as enough stay available: those that are not, first.
fn scale_down(control: &mut Control<'_, '_>, old: &[Value], new: &Value, least: usize) {
    let total: usize = old.iter().chain([new]).map(super::wanted).sum();
    let coming = super::wanted(new).saturating_sub(available(new));
    let mut spare = total.saturating_sub(least).saturating_sub(coming);
    let mut sizes: Vec<usize> = old.iter().map(super::wanted).collect();
    for (set, size) in old.iter().zip(&mut sizes) {
        let broken = size.saturating_sub(available(set)).min(spare);
        *size -= broken;
        spare -= broken;
    }
    let left: usize = old.iter().zip(&sizes).map(|(set, size)| available(set).min(*size)).sum();
    let mut spare = (left + available(new)).saturating_sub(least);
    for size in &mut sizes {
        let taken = (*size).min(spare);
        *size -= taken;
        spare -= taken;
    }
    for (set, size) in old.iter().zip(sizes) {
        scale(control, set, size, revision(set));
    }
}

fn scale(control: &mut Control<'_, '_>, replicas: &Value, size: usize, revision: u64) {
    let mut changed = replicas.clone();
    set(&mut changed, &["spec", "replicas"], json!(size));
    set(&mut changed, &["metadata", "annotations", REVISION], revision.to_string().into());
    control.put(&key_of("replicasets", replicas), changed);
}

fn make(control: &mut Control<'_, '_>, deployment: &Value, hash: &str, size: usize, revision: u64) {
    let mut template = deployment["spec"]["template"].clone();
    set(&mut template, &["metadata", "labels", HASH], hash.into());
    let mut selector = deployment["spec"]["selector"].clone();
    set(&mut selector, &["matchLabels", HASH], hash.into());
    let made = json!({
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": {
            "labels": template["metadata"]["labels"],
            "annotations": { REVISION: revision.to_string() },
            "ownerReferences": owner(deployment),
        },
        "spec": { "replicas": size, "selector": selector, "template": template },
        "status": { "replicas": 0 },
    });
    let set_name = format!("{}-{hash}", name(deployment));
    control.put(&Key::new("apps", "replicasets", Some(namespace(deployment)), &set_name), made);
    let message = format!("Scaled up replica set {set_name} from 0 to {size}");
    control.say(deployment, super::component(deployment), "ScalingReplicaSet", &message);
}

/// Deletes ReplicaSets of old templates that nobody would roll back to.
fn forget(control: &mut Control<'_, '_>, deployment: &Value, mut old: Vec<Value>) {
    old.retain(|set| super::wanted(set) == 0 && number(set, "/status/replicas").unwrap_or_default() == 0);
    old.sort_by_key(revision);
    let keep = number(deployment, "/spec/revisionHistoryLimit").and_then(|keep| usize::try_from(keep).ok());
    let surplus = old.len().saturating_sub(keep.unwrap_or(HISTORY));
    for set in old.iter().take(surplus) {
        control.delete(&key_of("replicasets", set));
    }
}

/// Writes a Deployment's status.
fn describe(control: &mut Control<'_, '_>, mut deployment: Value) {
    let hash = template_hash(&deployment);
    let sets = sets_of(control, &deployment);
    let count = |path: &str| sets.iter().filter_map(|set| number(set, path)).sum::<i64>();
    let (replicas, ready, available) =
        (count("/status/replicas"), count("/status/readyReplicas"), count("/status/availableReplicas"));
    let new = sets.iter().find(|set| is_of(set, &hash));
    let updated = new.and_then(|set| number(set, "/status/replicas")).unwrap_or_default();
    let wanted_now = i64::try_from(wanted(&deployment)).unwrap_or(i64::MAX);
    let mut status = json!({ "observedGeneration": deployment["metadata"]["generation"] });
    let counts = [
        ("replicas", replicas),
        ("updatedReplicas", updated),
        ("readyReplicas", ready),
        ("availableReplicas", available),
        ("unavailableReplicas", replicas.max(wanted_now).saturating_sub(available)),
    ];
    for (field, count) in counts {
        if count > 0 {
            set(&mut status, &[field], count.into());
        }
    }
    set(&mut status, &["conditions"], list(&deployment, "/status/conditions").into());
    set(&mut deployment, &["status"], status);
    let now = control.now;
    let least = wanted(&deployment).saturating_sub(slack(&deployment).unavailable);
    let enough = usize::try_from(available).unwrap_or_default() >= least;
    let said = if enough {
        ("MinimumReplicasAvailable", "Deployment has minimum availability.")
    } else {
        ("MinimumReplicasUnavailable", "Deployment does not have minimum availability.")
    };
    set_condition(&mut deployment, "Available", enough, said, now);
    let complete = updated == wanted_now && replicas == updated && available >= wanted_now;
    progress(control, &mut deployment, new, complete);
    if let Some(new) = new {
        set(&mut deployment, &["metadata", "annotations", REVISION], revision(new).to_string().into());
    }
    if let Some(refused) = new.and_then(|set| condition(set, "ReplicaFailure")) {
        let (reason, message) = (text(refused, "/reason").to_owned(), text(refused, "/message").to_owned());
        set_condition(&mut deployment, "ReplicaFailure", true, (&reason, &message), now);
    }
    control.put(&key_of("deployments", &deployment), deployment);
}

/// Says how far a rollout is.
fn progress(control: &mut Control<'_, '_>, deployment: &mut Value, new: Option<&Value>, complete: bool) {
    let now = control.now;
    let Some(new) = new else { return };
    let named = format!("ReplicaSet \"{}\"", name(new));
    let done = format!("{named} has successfully progressed.");
    // A rollout that was through stays through, whatever becomes of its pods.
    let was_done = condition(deployment, "Progressing").is_some_and(|one| text(one, "/message") == done);
    if complete || was_done {
        set_condition(deployment, "Progressing", true, ("NewReplicaSetAvailable", &done), now);
        return;
    }
    let allowed = number(deployment, "/spec/progressDeadlineSeconds").unwrap_or(DEADLINE_SECONDS);
    let began = instant(new, "/metadata/creationTimestamp").unwrap_or_else(|| created(deployment));
    let late = began.checked_add(SignedDuration::from_secs(allowed)).is_ok_and(|at| control.has_come(at));
    if late {
        let message = format!("{named} has timed out progressing.");
        set_condition(deployment, "Progressing", false, ("ProgressDeadlineExceeded", &message), now);
    } else {
        let message = format!("{named} is progressing.");
        set_condition(deployment, "Progressing", true, ("ReplicaSetUpdated", &message), now);
    }
}
