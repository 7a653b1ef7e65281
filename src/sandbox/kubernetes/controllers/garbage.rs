//! Garbage: objects whose owners are all gone go too, and owners that wait for what they own, or leave it behind, get
//! their way.

use std::collections::BTreeSet;

use serde_json::Value;

use super::control::Control;
use super::parts::{is_going, list, set, text, uid};
use super::pods::is_held_by;
use crate::sandbox::kubernetes::objects::Key;
use crate::sandbox::world::rows::KubernetesObject;

const FOREGROUND: &str = "foregroundDeletion";
const ORPHAN: &str = "orphan";

pub(super) fn run(control: &mut Control<'_, '_>) {
    let (mut owned, mut waiting, mut uids) = (Vec::new(), Vec::new(), BTreeSet::new());
    let of_cluster = KubernetesObject::of_cluster(control.cluster.name());
    for row in control.place.region.kubernetes_objects.linked(&of_cluster) {
        let object = &row.object;
        uids.insert(uid(object).to_owned());
        let key = || Key::new(&row.group, &row.plural, row.namespace.as_deref(), &row.name);
        if !list(object, "/metadata/ownerReferences").is_empty() {
            owned.push(key());
        }
        if is_going(object) && (is_held_by(object, FOREGROUND) || is_held_by(object, ORPHAN)) {
            waiting.push((key(), uid(object).to_owned()));
        }
    }
    for (key, owner) in waiting {
        let dependents: Vec<Key> =
            owned.iter().filter(|key| control.get(key).is_some_and(|one| names(&one, &owner))).cloned().collect();
        let Some(object) = control.get(&key) else { continue };
        if is_held_by(&object, ORPHAN) {
            for dependent in dependents {
                disown(control, &dependent, &owner);
            }
            control.release(&key, ORPHAN);
            continue;
        }
        let mut blocked = false;
        for dependent in dependents {
            control.delete(&dependent);
            blocked |= control.has(&dependent);
        }
        if !blocked {
            control.release(&key, FOREGROUND);
        }
    }
    for key in owned {
        let Some(object) = control.get(&key) else { continue };
        let owners = list(&object, "/metadata/ownerReferences");
        if !owners.is_empty() && !owners.iter().any(|owner| uids.contains(text(owner, "/uid"))) {
            control.delete(&key);
        }
    }
}

fn names(object: &Value, owner: &str) -> bool {
    list(object, "/metadata/ownerReferences").iter().any(|reference| text(reference, "/uid") == owner)
}

fn disown(control: &mut Control<'_, '_>, key: &Key, owner: &str) {
    let Some(mut object) = control.get(key) else { return };
    let left: Vec<Value> = list(&object, "/metadata/ownerReferences")
        .iter()
        .filter(|reference| text(reference, "/uid") != owner)
        .cloned()
        .collect();
    set(&mut object, &["metadata", "ownerReferences"], left.into());
    control.put(key, object);
}
