//! Changes to node groups: scaling and labels in seconds, a new version node by node.

use serde_json::{Value, json};

use super::refusal::{in_use, invalid};
use super::update::begin;
use super::{Answer, Call, Operation, nodegroup, versions, view, writes};
use crate::sandbox::protocol::{ApiError, Json};
use crate::sandbox::world::rows::{Change, Nodegroup};

pub(super) const OPERATIONS: &[Operation] =
    &[writes("UpdateNodegroupConfig", config), writes("UpdateNodegroupVersion", version)];

/// Neither is documented: a changed scaling group shows within a minute or so, a version takes minutes for each node.
const CONFIG_MS: (u64, u64) = (20_000, 90_000);
const VERSION_MS: (u64, u64) = (300_000, 720_000);

/// The node group, if it can be changed now.
fn changeable(call: &Call<'_>) -> Result<Nodegroup, ApiError> {
    let group = call.nodegroup()?;
    if view::nodegroup_status(call.region, group, call.now) == "ACTIVE" {
        return Ok(group.clone());
    }
    Err(in_use("Nodegroup cannot be updated as it is currently not in Active State")
        .with("clusterName", group.cluster.clone())
        .with("nodegroupName", group.name.clone()))
}

fn config(call: &mut Call<'_>) -> Answer {
    if let Some(update) = call.replayed_update()? {
        return Ok(update);
    }
    let input = call.input;
    let old = changeable(call)?;
    let mut new = old.clone();
    let mut params = Vec::new();
    if input.at("scalingConfig").is_some() {
        new.scaling = nodegroup::scaling(input, old.scaling)?;
        for (name, from, to) in [
            ("MinSize", old.scaling.min, new.scaling.min),
            ("MaxSize", old.scaling.max, new.scaling.max),
            ("DesiredSize", old.scaling.desired, new.scaling.desired),
        ] {
            if from != to {
                params.push((name.to_owned(), to.to_string()));
            }
        }
    }
    if let Some(labels) = input.at("labels") {
        labels.texts("removeLabels").iter().for_each(|key| drop(new.labels.remove(*key)));
        new.labels.extend(input.map("labels.addOrUpdateLabels"));
        params.push(("LabelsToAdd".to_owned(), json!(new.labels).to_string()));
    }
    if let Some(taints) = input.at("taints") {
        new.taints = changed_taints(&old.taints, taints);
        params.push(("TaintsToAdd".to_owned(), Value::from(new.taints.clone()).to_string()));
    }
    if let Some(update_config) = nodegroup::update_config(input)? {
        params.push(("MaxUnavailable".to_owned(), update_config.to_string()));
        new.update_config = update_config;
    }
    if params.is_empty() {
        return Err(invalid("At least one of scalingConfig, labels, taints and updateConfig must change")
            .with("clusterName", old.cluster)
            .with("nodegroupName", old.name));
    }
    new.modified_at = call.now;
    begin(call, "ConfigUpdate", params, Change::Nodegroup(Box::new(new)), CONFIG_MS)
}

/// The taints after some were removed and others added; key and effect say which one it is.
fn changed_taints(old: &[Value], change: Json<'_>) -> Vec<Value> {
    let same = |one: &Value, other: &Value| one["key"] == other["key"] && one["effect"] == other["effect"];
    let named = |list: &str| -> Vec<Value> { change.list(list).into_iter().map(|one| one.value().clone()).collect() };
    let (gone, added) = (named("removeTaints"), named("addOrUpdateTaints"));
    let kept = old.iter().filter(|one| !gone.iter().chain(&added).any(|other| same(one, other))).cloned();
    kept.chain(added.clone()).collect()
}

fn version(call: &mut Call<'_>) -> Answer {
    if let Some(update) = call.replayed_update()? {
        return Ok(update);
    }
    let cluster = call.cluster()?.version.clone();
    let old = changeable(call)?;
    let asked = call.input.text("version").unwrap_or(&cluster).to_owned();
    let order = (versions::minor(&old.version), versions::minor(&asked), versions::minor(&cluster));
    let allowed = matches!(order, (Some(have), Some(want), Some(limit)) if have <= want && want <= limit);
    if !allowed {
        return Err(invalid(format!(
            "Nodegroup Kubernetes version should be equal to Cluster kubernetes version {cluster} or NodeGroup kubernetes version {}",
            old.version
        ))
        .with("clusterName", old.cluster)
        .with("nodegroupName", old.name));
    }
    let release = versions::offered(&asked)?.release();
    if let Some(wanted) = call.input.text("releaseVersion").filter(|wanted| *wanted != release) {
        return Err(invalid(format!(
            "Requested release version {wanted} is not valid for kubernetes version {asked}."
        )));
    }
    let params = vec![("Version".to_owned(), asked.clone()), ("ReleaseVersion".to_owned(), release.clone())];
    let new = Nodegroup { version: asked, release, modified_at: call.now, ..old };
    begin(call, "VersionUpdate", params, Change::Nodegroup(Box::new(new)), VERSION_MS)
}
