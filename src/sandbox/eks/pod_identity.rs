//! Pod identity associations: which role the pods of a service account get, on their own or as part of an add-on.

use serde_json::{Value, json};

use super::refusal::{in_use, invalid, not_found};
use super::{Answer, Call, Operation, reads, tagging, writes};
use crate::sandbox::iam::{self, Unseen};
use crate::sandbox::protocol::ApiError;
use crate::sandbox::protocol::json::epoch;
use crate::sandbox::world::rows::{PodIdentity, Tags};

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreatePodIdentityAssociation", create),
    reads("DescribePodIdentityAssociation", describe),
    reads("ListPodIdentityAssociations", list),
    writes("UpdatePodIdentityAssociation", update),
    writes("DeletePodIdentityAssociation", delete),
];

fn check_role(call: &Call<'_>, arn: &str) -> Result<(), ApiError> {
    match iam::role_for_service(call.global, arn, "pods.eks.amazonaws.com", call.now) {
        Ok(_) => Ok(()),
        Err(Unseen::Absent) => Err(invalid(format!("Role provided in the request does not exist: {arn}"))),
        Err(Unseen::Untrusted) => Err(invalid(format!(
            "Trust policy of role {arn} must allow pods.eks.amazonaws.com to perform sts:AssumeRole and sts:TagSession"
        ))),
    }
}

/// The association of a service account.
fn of_account<'a>(call: &'a Call<'_>, cluster: &str, namespace: &str, account: &str) -> Option<&'a PodIdentity> {
    call.region.pod_identities.linked(&format!("{cluster}/{namespace}/{account}")).next()
}

fn new(call: &mut Call<'_>, cluster: &str, (namespace, account, role): (&str, &str, &str), tags: Tags) -> PodIdentity {
    let hex = call.hex();
    let association_id = format!("a-{}", hex.get(..17).unwrap_or_default());
    PodIdentity {
        head: call.head(format!("{cluster}/{association_id}"), tags),
        cluster: cluster.to_owned(),
        association_id,
        namespace: namespace.to_owned(),
        service_account: account.to_owned(),
        role_arn: role.to_owned(),
        modified_at: call.now,
        addon: None,
    }
}

fn create(call: &mut Call<'_>) -> Answer {
    if let Some(made) = call.replayed()?.and_then(|id| call.region.pod_identities.get(&id)) {
        return Ok(json!({ "association": document(call, made) }));
    }
    let cluster = call.running_cluster()?;
    let name = cluster.name();
    let input = call.input;
    let (namespace, account) = (input.required("namespace")?, input.required("serviceAccount")?);
    let role = input.required("roleArn")?;
    if let Some(other) = of_account(call, name, namespace, account) {
        return Err(in_use(format!("Association already exists: {}", other.association_id)).with("clusterName", name));
    }
    let tags = tagging::given(input)?;
    check_role(call, role).map_err(|error| error.with("clusterName", name))?;
    let identity = new(call, name, (namespace, account, role), tags);
    let answer = json!({ "association": document(call, &identity) });
    let id = identity.head.id.clone();
    call.region.pod_identities.insert(identity);
    call.remember("pod-identity", &id);
    Ok(answer)
}

/// Checks the associations that come with an add-on.
pub(super) fn check_of_addon(call: &Call<'_>, cluster: &str) -> Result<(), ApiError> {
    let addon = call.input.text("addonName");
    for one in call.input.list("podIdentityAssociations") {
        let account = one.required("serviceAccount")?;
        check_role(call, one.required("roleArn")?)?;
        let other = of_account(call, cluster, "kube-system", account);
        if let Some(other) = other.filter(|other| other.addon.as_deref() != addon) {
            return Err(in_use(format!("Association already exists: {}", other.association_id)));
        }
    }
    Ok(())
}

/// Makes the associations that come with an add-on, in place of those that it had.
pub(super) fn replace_of_addon(call: &mut Call<'_>, cluster: &str, addon: &str) {
    let given = call.input.list("podIdentityAssociations");
    let of_addon = |one: &&PodIdentity| one.addon.as_deref() == Some(addon);
    let old: Vec<PodIdentity> = call.region.pod_identities.linked(cluster).filter(of_addon).cloned().collect();
    let kept = |one: &PodIdentity| given.iter().any(|new| new.text("serviceAccount") == Some(&one.service_account));
    for one in old.iter().filter(|one| !kept(one)) {
        call.region.pod_identities.remove(&one.head.id);
    }
    for one in &given {
        let (Some(account), Some(role)) = (one.text("serviceAccount"), one.text("roleArn")) else { continue };
        match old.iter().find(|old| old.service_account == account) {
            Some(old) => {
                let now = call.now;
                call.region.pod_identities.edit(&old.head.id, |identity| {
                    role.clone_into(&mut identity.role_arn);
                    identity.modified_at = now;
                });
            }
            None => {
                let mut identity = new(call, cluster, ("kube-system", account, role), Tags::new());
                identity.addon = Some(addon.to_owned());
                call.region.pod_identities.insert(identity);
            }
        }
    }
}

fn document(call: &Call<'_>, one: &PodIdentity) -> Value {
    let arn = |kind: &str, rest: &str| call.arn(&format!("{kind}/{}/{rest}", one.cluster));
    let owner = one.addon.as_ref().map(|addon| {
        let unique = call.region.addons.get(&format!("{}/{addon}", one.cluster)).map(|addon| addon.unique.as_str());
        arn("addon", &format!("{addon}/{}", unique.unwrap_or_default()))
    });
    json!({
        "clusterName": one.cluster,
        "namespace": one.namespace,
        "serviceAccount": one.service_account,
        "roleArn": one.role_arn,
        "associationArn": arn("podidentityassociation", &one.association_id),
        "associationId": one.association_id,
        "createdAt": epoch(one.head.created_at),
        "modifiedAt": epoch(one.modified_at),
        "ownerArn": owner,
        "disableSessionTags": false,
        "tags": one.head.tags,
    })
}

fn named<'a>(call: &'a Call<'_>) -> Result<&'a PodIdentity, ApiError> {
    let cluster = call.cluster()?.name();
    let id = call.input.required("associationId")?;
    call.region
        .pod_identities
        .get(&format!("{cluster}/{id}"))
        .ok_or_else(|| not_found(format!("The association with id {id} was not found")).with("clusterName", cluster))
}

fn describe(call: &mut Call<'_>) -> Answer {
    Ok(json!({ "association": document(call, named(call)?) }))
}

fn list(call: &mut Call<'_>) -> Answer {
    let cluster = call.cluster()?.name().to_owned();
    let (namespace, account) = (call.input.text("namespace"), call.input.text("serviceAccount"));
    let found = call.region.pod_identities.linked(&cluster).filter(|one| {
        namespace.is_none_or(|namespace| namespace == one.namespace)
            && account.is_none_or(|account| account == one.service_account)
    });
    let (ids, next) = call.page(found.map(|one| one.head.id.clone()))?;
    let associations: Vec<Value> = ids
        .iter()
        .filter_map(|id| call.region.pod_identities.get(id))
        .map(|one| {
            let mut document = document(call, one);
            if let Some(members) = document.as_object_mut() {
                // A list says less.
                for member in ["roleArn", "createdAt", "modifiedAt", "tags", "disableSessionTags"] {
                    members.remove(member);
                }
            }
            document
        })
        .collect();
    Ok(json!({ "associations": associations, "nextToken": next }))
}

/// An association that belongs to an add-on is changed through it.
fn changeable(call: &Call<'_>) -> Result<String, ApiError> {
    let one = named(call)?;
    match &one.addon {
        None => Ok(one.head.id.clone()),
        Some(addon) => Err(super::refusal::request(format!(
            "Association {} is owned by the addon {addon}: change it with UpdateAddon",
            one.association_id
        ))
        .with("clusterName", one.cluster.clone())),
    }
}

fn update(call: &mut Call<'_>) -> Answer {
    let id = changeable(call)?;
    if let Some(role) = call.input.text("roleArn") {
        check_role(call, role)?;
        let now = call.now;
        call.region.pod_identities.edit(&id, |one| {
            role.clone_into(&mut one.role_arn);
            one.modified_at = now;
        });
    }
    Ok(json!({ "association": document(call, named(call)?) }))
}

fn delete(call: &mut Call<'_>) -> Answer {
    let id = changeable(call)?;
    let answer = json!({ "association": document(call, named(call)?) });
    call.region.pod_identities.remove(&id);
    call.forget("pod-identity", &id);
    Ok(answer)
}
