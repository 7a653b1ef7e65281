//! Access entries: who may enter a cluster, and with which of EKS's access policies.
//!
//! Entry points beside the operations: [`admit_creator`] and [`admit_nodes`], which EKS does by itself.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::refusal::{in_use, invalid, not_found, request};
use super::{Answer, Call, Operation, reads, tagging, writes};
use crate::sandbox::protocol::ApiError;
use crate::sandbox::protocol::json::epoch;
use crate::sandbox::world::rows::{AccessEntry, AccessPolicy, Tags};

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateAccessEntry", create),
    reads("DescribeAccessEntry", describe),
    reads("ListAccessEntries", list),
    writes("UpdateAccessEntry", update),
    writes("DeleteAccessEntry", delete),
    writes("AssociateAccessPolicy", associate),
    writes("DisassociateAccessPolicy", disassociate),
    reads("ListAssociatedAccessPolicies", associated),
    reads("ListAccessPolicies", policies),
];

/// "Review access policy permissions" in the EKS user guide: those that people use.
const POLICIES: &[&str] = &[
    "AmazonEKSAdminPolicy",
    "AmazonEKSAdminViewPolicy",
    "AmazonEKSAutoNodePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSClusterAdminPolicy",
    "AmazonEKSComputePolicy",
    "AmazonEKSEditPolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
    "AmazonEKSViewPolicy",
];
const POLICY_PREFIX: &str = "arn:aws:eks::aws:cluster-access-policy/";

/// The caller of `CreateCluster` administers the cluster.
pub(super) fn admit_creator(call: &mut Call<'_>, cluster: &str) {
    let principal = format!("arn:aws:iam::{}:user/sandbox", call.mint.account);
    let mut entry = new(call, cluster, &principal, "STANDARD", Tags::new());
    let policy = AccessPolicy { namespaces: None, associated_at: call.now, modified_at: call.now };
    entry.policies.insert(format!("{POLICY_PREFIX}AmazonEKSClusterAdminPolicy"), policy);
    call.region.access_entries.insert(entry);
}

/// The nodes of a managed node group may join.
pub(super) fn admit_nodes(call: &mut Call<'_>, cluster: &str, role: &str) {
    if call.region.access_entries.get(&format!("{cluster}|{role}")).is_none() {
        let entry = new(call, cluster, role, "EC2_LINUX", Tags::new());
        call.region.access_entries.insert(entry);
    }
}

fn new(call: &mut Call<'_>, cluster: &str, principal: &str, kind: &str, tags: Tags) -> AccessEntry {
    let nodes = kind != "STANDARD";
    AccessEntry {
        head: call.head(format!("{cluster}|{principal}"), tags),
        cluster: cluster.to_owned(),
        principal: principal.to_owned(),
        unique: call.unique(),
        kind: kind.to_owned(),
        username: if nodes { "system:node:{{EC2PrivateDNSName}}".to_owned() } else { username(principal) },
        groups: if nodes { vec!["system:nodes".to_owned()] } else { Vec::new() },
        modified_at: call.now,
        policies: BTreeMap::new(),
    }
}

/// What Kubernetes calls somebody when nothing else is said: sessions of a role by their own names.
fn username(principal: &str) -> String {
    match principal.split_once(":role/") {
        Some((account, role)) => {
            let account = account.rsplit(':').next().unwrap_or_default();
            let role = role.rsplit('/').next().unwrap_or_default();
            format!("arn:aws:sts::{account}:assumed-role/{role}/{{{{SessionName}}}}")
        }
        None => principal.to_owned(),
    }
}

/// The cluster's name, if entries decide who enters it.
fn cluster(call: &Call<'_>) -> Result<String, ApiError> {
    let cluster = call.running_cluster()?;
    if cluster.authentication_mode == "CONFIG_MAP" {
        return Err(request(
            "The cluster's authentication mode must be set to one of [API, API_AND_CONFIG_MAP] to perform this operation.",
        )
        .with("clusterName", cluster.name()));
    }
    Ok(cluster.name().to_owned())
}

fn entry<'a>(call: &'a Call<'_>) -> Result<&'a AccessEntry, ApiError> {
    let cluster = cluster(call)?;
    let principal = call.input.required("principalArn")?;
    call.region.access_entries.get(&format!("{cluster}|{principal}")).ok_or_else(|| {
        not_found(
            "The specified principalArn could not be found. You can view your available access entries with 'list-access-entries'.",
        )
        .with("clusterName", cluster)
    })
}

/// A principal is a role or a user of IAM, never a session. Those of the own account must exist.
fn check_principal(call: &Call<'_>, arn: &str) -> Result<(), ApiError> {
    let shape = arn.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(':'));
    let good = shape.is_some_and(|(account, path)| {
        let digits = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let named =
            path.strip_prefix("role/").or_else(|| path.strip_prefix("user/")).is_some_and(|name| !name.is_empty());
        let absent = account == call.mint.account
            && path.starts_with("role/")
            && !call.global.roles.linked(arn).any(|role| role.trust.seen_by_services(call.now).is_some());
        digits && named && !absent
    });
    if good {
        return Ok(());
    }
    Err(invalid(format!("The specified principalArn is invalid: invalid principal {arn}.")))
}

fn create(call: &mut Call<'_>) -> Answer {
    if let Some(made) = call.replayed()?.and_then(|id| call.region.access_entries.get(&id)) {
        return Ok(json!({ "accessEntry": document(call, made) }));
    }
    let cluster = cluster(call)?;
    let input = call.input;
    let principal = input.required("principalArn")?;
    let id = format!("{cluster}|{principal}");
    if call.region.access_entries.get(&id).is_some() {
        return Err(in_use("The specified access entry resource is already in use on this cluster.")
            .with("clusterName", cluster));
    }
    let kind = input.text("type").unwrap_or("STANDARD");
    if !["STANDARD", "EC2_LINUX", "EC2_WINDOWS", "FARGATE_LINUX", "EC2", "HYBRID_LINUX", "HYPERPOD_LINUX"]
        .contains(&kind)
    {
        return Err(invalid(format!("Invalid access entry type: {kind}")));
    }
    let groups: Vec<String> = input.texts("kubernetesGroups").into_iter().map(str::to_owned).collect();
    check_groups(&groups)?;
    let tags = tagging::given(input)?;
    check_principal(call, principal).map_err(|error| error.with("clusterName", cluster.clone()))?;
    let mut entry = new(call, &cluster, principal, kind, tags);
    entry.groups.extend(groups);
    if let Some(username) = input.text("username") {
        username.clone_into(&mut entry.username);
    }
    let answer = json!({ "accessEntry": document(call, &entry) });
    call.region.access_entries.insert(entry);
    call.remember("access-entry", &id);
    Ok(answer)
}

fn check_groups(groups: &[String]) -> Result<(), ApiError> {
    match groups.iter().find(|group| group.starts_with("system:")) {
        Some(group) => {
            Err(invalid(format!("The kubernetes group name {group} is invalid, it cannot start with system:")))
        }
        None => Ok(()),
    }
}

fn document(call: &Call<'_>, entry: &AccessEntry) -> Value {
    // arn:aws:iam::ACCOUNT:role/path/name is access-entry/CLUSTER/role/ACCOUNT/name/UUID
    let (account, path) =
        entry.principal.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(':')).unwrap_or_default();
    let kind = path.split('/').next().unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    json!({
        "clusterName": entry.cluster,
        "principalArn": entry.principal,
        "kubernetesGroups": entry.groups,
        "accessEntryArn": call.arn(&format!("access-entry/{}/{kind}/{account}/{name}/{}", entry.cluster, entry.unique)),
        "createdAt": epoch(entry.head.created_at),
        "modifiedAt": epoch(entry.modified_at),
        "tags": entry.head.tags,
        "username": entry.username,
        "type": entry.kind,
    })
}

fn describe(call: &mut Call<'_>) -> Answer {
    Ok(json!({ "accessEntry": document(call, entry(call)?) }))
}

fn list(call: &mut Call<'_>) -> Answer {
    let cluster = cluster(call)?;
    let policy = call.input.text("associatedPolicyArn");
    let found = call
        .region
        .access_entries
        .linked(&cluster)
        .filter(|entry| policy.is_none_or(|policy| entry.policies.contains_key(policy)));
    let (entries, next) = call.page(found.map(|entry| entry.principal.clone()))?;
    Ok(json!({ "accessEntries": entries, "nextToken": next }))
}

fn update(call: &mut Call<'_>) -> Answer {
    let old = entry(call)?.clone();
    let input = call.input;
    let mut new = AccessEntry { modified_at: call.now, ..old };
    if input.at("kubernetesGroups").is_some() {
        new.groups = input.texts("kubernetesGroups").into_iter().map(str::to_owned).collect();
        check_groups(&new.groups)?;
    }
    if let Some(username) = input.text("username") {
        username.clone_into(&mut new.username);
    }
    let answer = json!({ "accessEntry": document(call, &new) });
    call.region.access_entries.insert(new);
    Ok(answer)
}

fn delete(call: &mut Call<'_>) -> Answer {
    let id = entry(call)?.head.id.clone();
    call.region.access_entries.remove(&id);
    call.forget("access-entry", &id);
    Ok(json!({}))
}

fn associate(call: &mut Call<'_>) -> Answer {
    let entry = entry(call)?.clone();
    let input = call.input;
    let arn = input.required("policyArn")?;
    if !arn.strip_prefix(POLICY_PREFIX).is_some_and(|name| POLICIES.contains(&name)) {
        return Err(invalid(format!("The policyArn {arn} does not exist")).with("clusterName", entry.cluster));
    }
    if entry.kind != "STANDARD" && entry.kind != "EC2" {
        return Err(request(format!(
            "Access policies cannot be associated with an access entry of type {}",
            entry.kind
        )));
    }
    let names: Vec<String> = input.texts("accessScope.namespaces").into_iter().map(str::to_owned).collect();
    let namespaces = match input.required("accessScope.type")? {
        "cluster" if names.is_empty() => None,
        "cluster" => return Err(invalid("namespaces cannot be given for the scope cluster")),
        "namespace" if names.is_empty() => return Err(invalid("namespaces must be given for the scope namespace")),
        "namespace" => Some(names),
        other => return Err(invalid(format!("Invalid access scope: {other}"))),
    };
    let since = entry.policies.get(arn).map_or(call.now, |old| old.associated_at);
    let policy = AccessPolicy { namespaces, associated_at: since, modified_at: call.now };
    let answer = json!({
        "clusterName": entry.cluster,
        "principalArn": entry.principal,
        "associatedAccessPolicy": policy_document(arn, &policy),
    });
    call.region.access_entries.edit(&entry.head.id, |entry| entry.policies.insert(arn.to_owned(), policy));
    Ok(answer)
}

fn policy_document(arn: &str, policy: &AccessPolicy) -> Value {
    let scope = match &policy.namespaces {
        None => json!({ "type": "cluster", "namespaces": [] }),
        Some(namespaces) => json!({ "type": "namespace", "namespaces": namespaces }),
    };
    json!({
        "policyArn": arn,
        "accessScope": scope,
        "associatedAt": epoch(policy.associated_at),
        "modifiedAt": epoch(policy.modified_at),
    })
}

fn disassociate(call: &mut Call<'_>) -> Answer {
    let entry = entry(call)?.clone();
    let arn = call.input.required("policyArn")?;
    if !entry.policies.contains_key(arn) {
        return Err(not_found(format!("The access policy {arn} is not associated with the access entry"))
            .with("clusterName", entry.cluster));
    }
    call.region.access_entries.edit(&entry.head.id, |entry| entry.policies.remove(arn));
    Ok(json!({}))
}

fn associated(call: &mut Call<'_>) -> Answer {
    let entry = entry(call)?;
    let (arns, next) = call.page(entry.policies.keys().cloned())?;
    let policies: Vec<Value> =
        arns.iter().filter_map(|arn| Some(policy_document(arn, entry.policies.get(arn)?))).collect();
    Ok(json!({
        "clusterName": entry.cluster,
        "principalArn": entry.principal,
        "associatedAccessPolicies": policies,
        "nextToken": next,
    }))
}

fn policies(call: &mut Call<'_>) -> Answer {
    let (names, next) = call.page(POLICIES.iter().map(|name| (*name).to_owned()))?;
    let policies: Vec<Value> =
        names.iter().map(|name| json!({ "name": name, "arn": format!("{POLICY_PREFIX}{name}") })).collect();
    Ok(json!({ "accessPolicies": policies, "nextToken": next }))
}
