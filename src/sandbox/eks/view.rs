//! How objects look from outside: their documents, and the states that follow from time.
//!
//! Entry points: [`cluster`], [`nodegroup`], [`addon`], [`update`], and the `status` functions.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::sandbox::kubernetes::endpoint::{self, Authority};
use crate::sandbox::protocol::json::epoch;
use crate::sandbox::world::Region;
use crate::sandbox::world::ids::Mint;
use crate::sandbox::world::rows::{Addon, Cluster, Issue, Nodegroup, Outcome, Update};

/// An ARN of EKS: `path` is what follows the account.
pub(super) fn arn(region: &Region, mint: &Mint, path: &str) -> String {
    format!("arn:aws:eks:{}:{}:{path}", region.name, mint.account)
}

/// The update of an object that is under way.
pub(super) fn underway<'a>(
    region: &'a Region,
    cluster: &str,
    (nodegroup, addon): (Option<&str>, Option<&str>),
    now: Timestamp,
) -> Option<&'a Update> {
    region.updates.linked(cluster).find(|update| update.concerns(nodegroup, addon) && now < update.done_at)
}

/// The state of a cluster in the words of the API.
pub(super) fn cluster_status(region: &Region, cluster: &Cluster, now: Timestamp) -> &'static str {
    if cluster.deletion.is_some() {
        "DELETING"
    } else if now < cluster.settled_at {
        "CREATING"
    } else if cluster.failure.is_some() {
        "FAILED"
    } else if underway(region, cluster.name(), (None, None), now).is_some() {
        "UPDATING"
    } else {
        "ACTIVE"
    }
}

/// The document of a cluster. What its control plane has (an endpoint, an issuer) is there once it runs.
pub(super) fn cluster(region: &Region, mint: &Mint, cluster: &Cluster, now: Timestamp) -> Value {
    let status = cluster_status(region, cluster, now);
    let runs = now >= cluster.settled_at && cluster.failure.is_none();
    let (name, unique) = (cluster.name(), cluster.unique.as_str());
    let place = &region.name;
    let endpoint = format!("https://{}", endpoint::host_of(cluster, place));
    let mut network = json!({
        "ipFamily": if cluster.ipv6 { "ipv6" } else { "ipv4" },
        "elasticLoadBalancing": { "enabled": cluster.auto_mode.is_some() },
    });
    let service = if cluster.ipv6 { "serviceIpv6Cidr" } else { "serviceIpv4Cidr" };
    // The block of an IPv6 cluster is drawn when it runs.
    if runs || !cluster.ipv6 {
        network[service] = Value::from(cluster.service_cidr.as_str());
    }
    let types = ["api", "audit", "authenticator", "controllerManager", "scheduler"];
    let logs = [true, false].map(|enabled| {
        let types: Vec<&str> = types.into_iter().filter(|one| cluster.logging.contains(*one) == enabled).collect();
        json!({ "types": types, "enabled": enabled })
    });
    let logs: Vec<&Value> =
        logs.iter().filter(|one| one["types"].as_array().is_some_and(|all| !all.is_empty())).collect();
    let compute = cluster.auto_mode.as_ref().map_or_else(
        || json!({ "enabled": false, "nodePools": [] }),
        |auto| json!({ "enabled": true, "nodePools": auto.node_pools, "nodeRoleArn": auto.node_role_arn }),
    );
    let issues: Vec<Value> = cluster.failure.iter().filter(|_| now >= cluster.settled_at).map(issue).collect();
    json!({
        "name": name,
        "arn": arn(region, mint, &format!("cluster/{name}")),
        "createdAt": epoch(cluster.head.created_at),
        "version": cluster.version,
        "roleArn": cluster.role_arn,
        "status": status,
        "endpoint": runs.then_some(endpoint),
        "certificateAuthority": runs.then(|| json!({ "data": authority(unique) })),
        "identity": runs.then(|| json!({ "oidc": { "issuer": issuer(place, unique) } })),
        "platformVersion": runs.then_some("eks.9"),
        "resourcesVpcConfig": {
            "subnetIds": cluster.subnets,
            "securityGroupIds": cluster.security_groups,
            "clusterSecurityGroupId": runs.then_some(&cluster.group_id),
            "vpcId": cluster.vpc_id,
            "endpointPublicAccess": cluster.public_access,
            "endpointPrivateAccess": cluster.private_access,
            "publicAccessCidrs": cluster.public_cidrs,
        },
        "kubernetesNetworkConfig": network,
        "logging": { "clusterLogging": logs },
        "accessConfig": {
            "authenticationMode": cluster.authentication_mode,
            "bootstrapClusterCreatorAdminPermissions": cluster.bootstrap_admin,
        },
        "upgradePolicy": { "supportType": cluster.support_type },
        "zonalShiftConfig": { "enabled": cluster.zonal_shift },
        "computeConfig": compute,
        "storageConfig": { "blockStorage": { "enabled": cluster.auto_mode.is_some() } },
        "deletionProtection": cluster.deletion_protection,
        "health": { "issues": issues },
        "tags": cluster.head.tags,
    })
}

/// Who signs the tokens of a cluster's service accounts.
pub(crate) fn issuer(region: &str, unique: &str) -> String {
    format!("https://oidc.eks.{region}.amazonaws.com/id/{unique}")
}

/// The certificate authority of a cluster, as base64 of PEM.
pub(crate) fn authority(unique: &str) -> String {
    Authority::of(unique).map(|authority| authority.data()).unwrap_or_default()
}

fn issue(issue: &Issue) -> Value {
    json!({ "code": issue.code, "message": issue.message, "resourceIds": issue.resources })
}

/// The state of a node group.
pub(super) fn nodegroup_status(region: &Region, group: &Nodegroup, now: Timestamp) -> &'static str {
    match &group.outcome {
        _ if group.deletion.is_some() => "DELETING",
        Outcome::Creating { .. } => "CREATING",
        Outcome::Failed(_) => "CREATE_FAILED",
        Outcome::Active(_) if underway(region, &group.cluster, (Some(&group.name), None), now).is_some() => "UPDATING",
        Outcome::Active(_) => "ACTIVE",
    }
}

/// The document of a node group.
pub(super) fn nodegroup(region: &Region, mint: &Mint, group: &Nodegroup, now: Timestamp) -> Value {
    let Nodegroup { cluster, name, unique, scaling, .. } = group;
    let issues: Vec<Value> = match &group.outcome {
        Outcome::Failed(issues) => issues.iter().map(issue).collect(),
        Outcome::Creating { .. } | Outcome::Active(_) => Vec::new(),
    };
    let scaling_group = format!("eks-{name}-{unique}");
    json!({
        "nodegroupName": name,
        "nodegroupArn": arn(region, mint, &format!("nodegroup/{cluster}/{name}/{unique}")),
        "clusterName": cluster,
        "version": group.version,
        "releaseVersion": group.release,
        "createdAt": epoch(group.head.created_at),
        "modifiedAt": epoch(group.modified_at),
        "status": nodegroup_status(region, group, now),
        "capacityType": group.capacity_type,
        "scalingConfig": { "minSize": scaling.min, "maxSize": scaling.max, "desiredSize": scaling.desired },
        "instanceTypes": group.instance_types,
        "subnets": group.subnets,
        "amiType": group.ami_type,
        "nodeRole": group.role_arn,
        "labels": group.labels,
        "taints": group.taints,
        "resources": { "autoScalingGroups": [{ "name": scaling_group }] },
        "diskSize": group.disk_gib,
        "health": { "issues": issues },
        "updateConfig": group.update_config,
        "tags": group.head.tags,
    })
}

/// The state of an add-on. CoreDNS needs nodes to run on; the others run on whatever nodes there are.
pub(super) fn addon_status(region: &Region, mint: &Mint, addon: &Addon, now: Timestamp) -> &'static str {
    if addon.deleted_at.is_some() {
        "DELETING"
    } else if now < addon.active_at {
        "CREATING"
    } else if underway(region, &addon.cluster, (None, Some(&addon.name)), now).is_some() {
        "UPDATING"
    } else if addon.name != "coredns" || has_nodes(region, mint, addon, now) {
        "ACTIVE"
    } else {
        "DEGRADED"
    }
}

/// Whether there are nodes, for long enough that the pods of an add-on run on them.
fn has_nodes(region: &Region, mint: &Mint, addon: &Addon, now: Timestamp) -> bool {
    let auto = region.clusters.get(&addon.cluster).is_some_and(|cluster| cluster.auto_mode.is_some());
    let first = region.nodegroups.linked(&addon.cluster).filter_map(|group| match group.outcome {
        Outcome::Active(since) => Some(since),
        Outcome::Creating { .. } | Outcome::Failed(_) => None,
    });
    // The pods of an add-on take 10 to 40 s on nodes that are new; on others they started with the add-on.
    let runs = |since: Timestamp| {
        since <= addon.head.created_at
            || now >= mint.after(since, &format!("{}/{}", region.name, addon.head.id), "pods", 10_000, 40_000)
    };
    auto || first.min().is_some_and(runs)
}

/// The document of an add-on.
pub(super) fn addon(region: &Region, mint: &Mint, addon: &Addon, now: Timestamp) -> Value {
    let Addon { cluster, name, unique, .. } = addon;
    let status = addon_status(region, mint, addon, now);
    let issues = if status == "DEGRADED" {
        let message = "The add-on is unhealthy because it doesn't have the desired number of replicas.";
        vec![json!({ "code": "InsufficientNumberOfReplicas", "message": message, "resourceIds": [] })]
    } else {
        Vec::new()
    };
    let identities: Vec<String> = region
        .pod_identities
        .linked(cluster)
        .filter(|one| one.addon.as_ref() == Some(name))
        .map(|one| arn(region, mint, &format!("podidentityassociation/{cluster}/{}", one.association_id)))
        .collect();
    json!({
        "addonName": name,
        "addonArn": arn(region, mint, &format!("addon/{cluster}/{name}/{unique}")),
        "clusterName": cluster,
        "addonVersion": addon.version,
        "status": status,
        "health": { "issues": issues },
        "createdAt": epoch(addon.head.created_at),
        "modifiedAt": epoch(addon.modified_at),
        "serviceAccountRoleArn": addon.service_account_role,
        "configurationValues": addon.configuration,
        "podIdentityAssociations": identities,
        "namespaceConfig": { "namespace": "kube-system" },
        "owner": "aws",
        "publisher": "eks",
        "tags": addon.head.tags,
    })
}

/// The document of an update.
pub(super) fn update(update: &Update, now: Timestamp) -> Value {
    let params: Vec<Value> =
        update.params.iter().map(|(kind, value)| json!({ "type": kind, "value": value })).collect();
    json!({
        "id": update.head.id,
        "status": if now >= update.done_at { "Successful" } else { "InProgress" },
        "type": update.kind,
        "params": params,
        "createdAt": epoch(update.head.created_at),
        "errors": [],
    })
}
