//! Changes to add-ons: version, configuration, roles.

use serde_json::Value;

use super::refusal::in_use;
use super::update::begin;
use super::{Answer, Call, Operation, addon, catalogue, pod_identity, view, writes};
use crate::sandbox::protocol::ApiError;
use crate::sandbox::world::rows::{Addon, Change};

pub(super) const OPERATIONS: &[Operation] = &[writes("UpdateAddon", update)];

/// As long as making one.
const UPDATE_MS: (u64, u64) = (10_000, 60_000);

fn update(call: &mut Call<'_>) -> Answer {
    if let Some(update) = call.replayed_update()? {
        return Ok(update);
    }
    let cluster = call.running_cluster()?;
    let old = call.addon()?.clone();
    let named = |error: ApiError| error.with("clusterName", old.cluster.clone()).with("addonName", old.name.clone());
    if !["ACTIVE", "DEGRADED"].contains(&view::addon_status(call.region, call.mint, &old, call.now)) {
        return Err(named(in_use(format!("Addon {} currently has an update in progress", old.name))));
    }
    let input = call.input;
    let entry = catalogue::find(&old.name, &cluster.version).map_err(named)?;
    let mut params = Vec::new();
    let mut new = Addon { modified_at: call.now, ..old.clone() };
    if let Some(asked) = input.text("addonVersion") {
        entry.choose(Some(asked), &cluster.version).map_err(named)?.clone_into(&mut new.version);
        params.push(("AddonVersion".to_owned(), asked.to_owned()));
    }
    // An empty text takes the configuration away; absent it stays.
    if let Some(text) = input.at("configurationValues").and_then(|at| at.value().as_str()) {
        if !text.is_empty() {
            entry.check_configuration(text).map_err(named)?;
        }
        new.configuration = Some(text.to_owned()).filter(|text| !text.is_empty());
        params.push(("ConfigurationValues".to_owned(), text.to_owned()));
    }
    // "If you don't specify an existing IAM role, then the add-on uses the permissions assigned to the node IAM role"
    // (UpdateAddon): an update that names none takes it off, whatever else it is about.
    new.service_account_role = call.check_service_account_role().map_err(named)?;
    if let Some(arn) = &new.service_account_role {
        params.push(("ServiceAccountRoleArn".to_owned(), arn.clone()));
    }
    addon::check_conflicts(input.text("resolveConflicts")).map_err(named)?;
    if let Some(conflicts) = input.text("resolveConflicts") {
        params.push(("ResolveConflicts".to_owned(), conflicts.to_owned()));
    }
    if let Some(identities) = input.at("podIdentityAssociations") {
        pod_identity::check_of_addon(call, &old.cluster).map_err(named)?;
        pod_identity::replace_of_addon(call, &old.cluster, &old.name);
        params.push(("PodIdentityAssociations".to_owned(), Value::to_string(identities.value())));
    }
    Ok(begin(call, "AddonUpdate", params, Change::Addon(Box::new(new)), UPDATE_MS))
}
