//! Updates: what goes on with a cluster, a node group or an add-on; `DescribeUpdate`, `ListUpdates`.
//!
//! Entry point for those that make one: [`begin`]. Its effect comes when it is through: see `settle`.

use serde_json::{Value, json};

use super::refusal::not_found;
use super::{Answer, Call, Operation, reads, view};
use crate::sandbox::protocol::ApiError;
use crate::sandbox::world::rows::{Change, Tags, Update};

pub(super) const OPERATIONS: &[Operation] = &[reads("DescribeUpdate", describe), reads("ListUpdates", list)];

impl Call<'_> {
    /// The answer to an earlier call with the same token that began an update.
    pub(super) fn replayed_update(&self) -> Result<Option<Value>, ApiError> {
        let made = self.replayed()?.and_then(|id| self.region.updates.get(&id));
        Ok(made.map(|made| json!({ "update": view::update(made, self.now) })))
    }
}

/// Begins an update. The caller has made sure that it may.
pub(super) fn begin(
    call: &mut Call<'_>,
    kind: &str,
    params: Vec<(String, String)>,
    change: Change,
    span: (u64, u64),
) -> Answer {
    let (cluster, nodegroup, addon, key) = match &change {
        Change::Cluster(new) => (new.head.id.clone(), None, None, new.head.id.clone()),
        Change::Nodegroup(new) => (new.cluster.clone(), Some(new.name.clone()), None, new.head.id.clone()),
        Change::Addon(new) => (new.cluster.clone(), None, Some(new.name.clone()), new.head.id.clone()),
    };
    // The first such update of an object takes the same time in each run; later ones draw anew.
    let earlier = call
        .region
        .updates
        .linked(&cluster)
        .filter(|update| update.concerns(nodegroup.as_deref(), addon.as_deref()) && update.kind == kind)
        .count();
    let done_at = call.ready(&key, &format!("{kind} {earlier}"), span);
    let id = call.unique();
    let head = call.head(id.clone(), Tags::new());
    let update =
        Update { head, cluster, nodegroup, addon, kind: kind.to_owned(), params, done_at, change, done: false };
    let document = json!({ "update": view::update(&update, call.now) });
    call.region.updates.insert(update);
    call.remember("update", &id);
    Ok(document)
}

fn describe(call: &mut Call<'_>) -> Answer {
    let cluster = call.cluster()?.name();
    let id = call.input.required("updateId")?;
    let (nodegroup, addon) = (call.input.text("nodegroupName"), call.input.text("addonName"));
    let found =
        call.region.updates.get(id).filter(|update| update.cluster == cluster && update.concerns(nodegroup, addon));
    let update =
        found.ok_or_else(|| not_found(format!("No update found for ID: {id}")).with("clusterName", cluster))?;
    Ok(json!({ "update": view::update(update, call.now) }))
}

fn list(call: &mut Call<'_>) -> Answer {
    let cluster = call.cluster()?.name();
    if call.input.text("nodegroupName").is_some() {
        call.nodegroup()?;
    }
    if call.input.text("addonName").is_some() {
        call.addon()?;
    }
    let (nodegroup, addon) = (call.input.text("nodegroupName"), call.input.text("addonName"));
    let found = call.region.updates.linked(cluster).filter(|update| update.concerns(nodegroup, addon));
    let (ids, next) = call.page(found.map(|update| update.head.id.clone()))?;
    Ok(json!({ "updateIds": ids, "nextToken": next }))
}
