//! What somebody else does to the account: a fault deletes an object with all that hangs on it, or makes a call.
//!
//! Entry point: [`meddle`]. What cannot be done (no such object, a refused call) is not done; a fault is no promise.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::api::{self, Api, Context, Input};
use super::ec2;
use super::eks;
use super::faults::Change;
use super::kubernetes;
use super::protocol::Params;
use super::wildcard::matches;
use super::world::{GLOBAL, Region};

/// Makes a change that no call of ours asked for.
pub(super) fn meddle(change: &Change, context: &mut Context<'_>) {
    // The object may be in the call's region or in none, like IAM's roles.
    for place in [context.region.to_owned(), GLOBAL.to_owned()] {
        let mut there =
            Context { world: &mut *context.world, region: &place, now: context.now, quotas: context.quotas };
        let found = selected(there.world.region(&place, there.now).0, &change.resource);
        match &change.call {
            None => found.iter().for_each(|(table, id)| remove(&mut there, table, id)),
            Some(call) if change.resource.is_empty() => request(call, "", &mut there),
            Some(call) => found.iter().for_each(|(_, id)| request(call, id, &mut there)),
        }
    }
}

/// Makes a call; `Service` names the service where it is not EC2, and names with dots make the document of one that
/// speaks JSON.
fn request(call: &BTreeMap<String, String>, id: &str, context: &mut Context<'_>) {
    let service = call.get("Service").map_or("ec2", String::as_str);
    let Some(api) = api::find(service).filter(|api| api.global == (context.region == GLOBAL)) else { return };
    let Some(Ok(operation)) = call.get("Action").map(|action| (api.find)(action)) else { return };
    let mut params = Params::default();
    for (name, value) in call.iter().filter(|(name, _)| *name != "Service") {
        params.set(name, &value.replace("{id}", id));
    }
    // A refusal is what somebody else gets to see.
    let _ = Api::run(api, operation.name, &Input::Form(params), context);
}

/// The objects that a fault names: table and id; never those the account had from the start.
fn selected(region: &Region, resource: &str) -> Vec<(&'static str, String)> {
    if let Some((key, value)) = resource.strip_prefix("tag:").and_then(|tag| tag.split_once('=')) {
        let all = region.all_tags(Timestamp::MAX).into_iter();
        return all
            .filter(|(_, _, tags)| tags.get(key).is_some_and(|known| matches(value, known)))
            .map(|(table, id, _)| (table, id.to_owned()))
            .collect();
    }
    region.ids().into_iter().filter(|(_, id)| matches(resource, id)).collect()
}

/// Takes an object out whatever depends on it, and what cannot be without it.
fn remove(context: &mut Context<'_>, table: &str, id: &str) {
    if table.starts_with("eks-") {
        return eks::vanish(&mut context.place(), table, id);
    }
    let (region, _) = context.world.region(context.region, context.now);
    match table {
        "iam-role" => drop(region.roles.remove(id)),
        "iam-oidc-provider" => drop(region.oidc_providers.remove(id)),
        "load-balancer" => super::elb::remove(region, id),
        "target-group" => drop(region.target_groups.remove(id)),
        "listener" => drop(region.listeners.remove(id)),
        "log-group" => drop(region.log_groups.remove(id)),
        "kubernetes-object" => kubernetes::vanish(region, id, context.now),
        _ => ec2::remove(region, id),
    }
}
