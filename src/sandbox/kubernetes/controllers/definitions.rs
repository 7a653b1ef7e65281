//! Custom resource definitions: their names are accepted, and they are established.

use serde_json::json;

use super::control::Control;
use super::parts::{holds, is_going, list, name, set, set_condition};
use crate::sandbox::kubernetes::objects::Key;

const GROUP: &str = "apiextensions.k8s.io";
const PLURAL: &str = "customresourcedefinitions";

pub(super) fn run(control: &mut Control<'_, '_>) {
    for mut definition in control.list_if(GROUP, PLURAL, |one| !holds(one, "Established") && !is_going(one)) {
        let key = Key::new(GROUP, PLURAL, None, name(&definition));
        let names = definition["spec"]["names"].clone();
        let stored: Vec<_> = list(&definition, "/spec/versions")
            .iter()
            .filter(|version| version["storage"] == true)
            .map(|version| version["name"].clone())
            .collect();
        set(&mut definition, &["status", "acceptedNames"], names);
        set(&mut definition, &["status", "storedVersions"], json!(stored));
        let (now, no_conflicts) = (control.now, ("NoConflicts", "no conflicts found"));
        set_condition(&mut definition, "NamesAccepted", true, no_conflicts, now);
        let accepted = ("InitialNamesAccepted", "the initial names have been accepted");
        set_condition(&mut definition, "Established", true, accepted, now);
        control.put(&key, definition);
    }
}
