//! Add-ons: made, shown, deleted. Changing one is in `addon_update`.

use serde_json::json;

use super::refusal::{in_use, invalid, not_found};
use super::{Answer, Call, Operation, catalogue, pod_identity, reads, tagging, view, writes};
use crate::sandbox::protocol::ApiError;
use crate::sandbox::world::rows::Addon;

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateAddon", create),
    reads("DescribeAddon", describe),
    reads("ListAddons", list),
    writes("DeleteAddon", delete),
];

/// C3, C4 and C6 of the domain model.
const CREATE_MS: (u64, u64) = (10_000, 40_000);
const CREATE_COREDNS_MS: (u64, u64) = (10_000, 90_000);
/// Not documented; deleting takes about as long as making.
const DELETE_MS: (u64, u64) = (10_000, 60_000);

impl Call<'_> {
    /// The add-on that a call names.
    pub(super) fn addon(&self) -> Result<&Addon, ApiError> {
        let cluster = self.cluster()?.name();
        let name = self.input.required("addonName")?;
        self.region.addons.get(&format!("{cluster}/{name}")).ok_or_else(|| {
            not_found(format!("No addon: {name} found in cluster: {cluster}"))
                .with("clusterName", cluster)
                .with("addonName", name)
        })
    }

    /// Checks that a role that was given to an add-on can be seen.
    pub(super) fn check_service_account_role(&self) -> Result<Option<String>, ApiError> {
        let Some(arn) = self.input.text("serviceAccountRoleArn").filter(|arn| !arn.is_empty()) else { return Ok(None) };
        let seen = self.global.roles.linked(arn).any(|role| role.trust.seen_by_services(self.now).is_some());
        if seen { Ok(Some(arn.to_owned())) } else { Err(invalid(format!("The role {arn} does not exist"))) }
    }
}

/// How what is in a cluster already is treated.
pub(super) fn check_conflicts(text: Option<&str>) -> Result<(), ApiError> {
    match text {
        None | Some("NONE" | "OVERWRITE" | "PRESERVE") => Ok(()),
        Some(other) => Err(invalid(format!("Invalid resolveConflicts: {other}"))),
    }
}

fn create(call: &mut Call<'_>) -> Answer {
    if let Some(made) = call.replayed()?.and_then(|id| call.region.addons.get(&id)) {
        return Ok(json!({ "addon": view::addon(call.region, call.mint, made, call.now) }));
    }
    let cluster = call.running_cluster()?;
    let name = call.input.required("addonName")?.to_owned();
    let named = |error: ApiError| error.with("clusterName", cluster.name()).with("addonName", name.clone());
    let id = format!("{}/{name}", cluster.name());
    if call.region.addons.get(&id).is_some() {
        return Err(named(in_use("Addon already exists.")));
    }
    let entry = catalogue::find(&name, &cluster.version).map_err(named)?;
    let version = entry.choose(call.input.text("addonVersion"), &cluster.version).map_err(named)?;
    let configuration = call.input.text("configurationValues").map(str::to_owned);
    if let Some(text) = &configuration {
        entry.check_configuration(text).map_err(named)?;
    }
    check_conflicts(call.input.text("resolveConflicts")).map_err(named)?;
    let service_account_role = call.check_service_account_role().map_err(named)?;
    let tags = tagging::given(call.input)?;
    pod_identity::check_of_addon(call, cluster.name()).map_err(named)?;
    let span = if name == "coredns" { CREATE_COREDNS_MS } else { CREATE_MS };
    let addon = Addon {
        head: call.head(id.clone(), tags),
        cluster: cluster.name().to_owned(),
        name: name.clone(),
        unique: call.unique(),
        version: version.to_owned(),
        configuration,
        service_account_role,
        modified_at: call.now,
        active_at: call.ready(&id, "add-on is active", span),
        deleted_at: None,
    };
    pod_identity::replace_of_addon(call, cluster.name(), &name);
    let document = view::addon(call.region, call.mint, &addon, call.now);
    call.region.addons.insert(addon);
    call.remember("addon", &id);
    Ok(json!({ "addon": document }))
}

fn describe(call: &mut Call<'_>) -> Answer {
    Ok(json!({ "addon": view::addon(call.region, call.mint, call.addon()?, call.now) }))
}

fn list(call: &mut Call<'_>) -> Answer {
    let cluster = call.cluster()?.name();
    let (addons, next) = call.page(call.region.addons.linked(cluster).map(|addon| addon.name.clone()))?;
    Ok(json!({ "addons": addons, "nextToken": next }))
}

fn delete(call: &mut Call<'_>) -> Answer {
    let addon = call.addon()?.clone();
    let id = addon.head.id.clone();
    match view::addon_status(call.region, call.mint, &addon, call.now) {
        // A second call changes nothing.
        "DELETING" => {}
        "CREATING" | "UPDATING" => {
            return Err(in_use(format!("Addon {} currently has an update in progress", addon.name))
                .with("clusterName", addon.cluster)
                .with("addonName", addon.name));
        }
        _ => {
            let deleted_at = call.after(&id, "add-on is deleted", DELETE_MS);
            call.region.addons.edit(&id, |addon| addon.deleted_at = Some(deleted_at));
        }
    }
    Ok(json!({ "addon": view::addon(call.region, call.mint, call.addon()?, call.now) }))
}
