//! Managed node groups: made, shown, deleted. Changing one is in `nodegroup_update`.

use serde_json::{Value, json};

use super::refusal::{in_use, invalid, not_found, request};
use super::{Answer, Call, Operation, access, reads, tagging, traces, versions, view, writes};
use crate::sandbox::iam::{self, Unseen};
use crate::sandbox::protocol::{ApiError, Json};
use crate::sandbox::world::rows::{Cluster, Nodegroup, Outcome, Scaling};

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateNodegroup", create),
    reads("DescribeNodegroup", describe),
    reads("ListNodegroups", list),
    writes("DeleteNodegroup", delete),
];

/// C5 of the domain model: 1 min 48 s to 3 min 41 s.
const CREATE_MS: (u64, u64) = (108_000, 221_000);
/// About 4 min 12 s.
const DELETE_MS: (u64, u64) = (232_000, 272_000);
/// After this long EKS gives up waiting for nodes (people report 25 to 30 minutes).
const GIVES_UP_MS: (u64, u64) = (1_500_000, 1_500_001);

/// The kinds of machine image: their processors follow from their names.
const AMI_TYPES: &[&str] = &[
    "AL2023_ARM_64_NVIDIA",
    "AL2023_ARM_64_STANDARD",
    "AL2023_x86_64_NEURON",
    "AL2023_x86_64_NVIDIA",
    "AL2023_x86_64_STANDARD",
    "BOTTLEROCKET_ARM_64",
    "BOTTLEROCKET_ARM_64_FIPS",
    "BOTTLEROCKET_ARM_64_NVIDIA",
    "BOTTLEROCKET_x86_64",
    "BOTTLEROCKET_x86_64_FIPS",
    "BOTTLEROCKET_x86_64_NVIDIA",
];

impl Call<'_> {
    /// The node group that a call names.
    pub(super) fn nodegroup(&self) -> Result<&Nodegroup, ApiError> {
        let cluster = self.cluster()?.name();
        let name = self.input.required("nodegroupName")?;
        self.region.nodegroups.get(&format!("{cluster}/{name}")).ok_or_else(|| {
            not_found(format!("No node group found for name: {name}."))
                .with("clusterName", cluster)
                .with("nodegroupName", name)
        })
    }
}

fn create(call: &mut Call<'_>) -> Answer {
    if let Some(made) = call.replayed()?.and_then(|id| call.region.nodegroups.get(&id)) {
        return Ok(json!({ "nodegroup": view::nodegroup(call.region, call.mint, made, call.now) }));
    }
    let input = call.input;
    let cluster = call.running_cluster()?;
    let name = input.required("nodegroupName")?.to_owned();
    let named = |error: ApiError| error.with("clusterName", cluster.name()).with("nodegroupName", name.clone());
    check_name(&name).map_err(named)?;
    let id = format!("{}/{name}", cluster.name());
    if call.region.nodegroups.get(&id).is_some() {
        let message = format!("NodeGroup already exists with name {name} and cluster name {}", cluster.name());
        return Err(named(in_use(message)));
    }
    if let Some(update) = view::underway(call.region, cluster.name(), (None, None), call.now)
        && update.kind == "VersionUpdate"
    {
        let message = format!(
            "Cannot create node group because cluster {} currently has update {} in progress",
            cluster.name(),
            update.head.id
        );
        return Err(named(in_use(message)));
    }
    let role_arn = input.required("nodeRole")?.to_owned();
    let subnets = subnets(call, &cluster).map_err(named)?;
    let ami_type = input.text("amiType").unwrap_or("AL2023_x86_64_STANDARD").to_owned();
    let instance_types = instance_types(input, &ami_type).map_err(named)?;
    let capacity_type = input.text("capacityType").unwrap_or("ON_DEMAND").to_owned();
    if !["ON_DEMAND", "SPOT", "CAPACITY_BLOCK"].contains(&capacity_type.as_str()) {
        return Err(named(invalid(format!("Invalid capacityType: {capacity_type}"))));
    }
    let scaling = scaling(input, Scaling { min: 1, max: 2, desired: 2 }).map_err(named)?;
    let disk_gib = input.integer("diskSize")?.unwrap_or(20);
    if !(1..=16_384).contains(&disk_gib) {
        return Err(named(invalid(format!("diskSize must be between 1 and 16384 GiB, {disk_gib} is not"))));
    }
    let version = version(input.text("version"), &cluster.version).map_err(named)?.to_owned();
    let release = versions::offered(&version)?.release();
    if let Some(asked) = input.text("releaseVersion").filter(|asked| *asked != release) {
        let message = format!("Requested release version {asked} is not valid for kubernetes version {version}.");
        return Err(named(invalid(message)));
    }
    let tags = tagging::given(input)?;
    check_role(call, &role_arn).map_err(named)?;
    // From here on there is a node group.
    let mut group = Nodegroup {
        head: call.head(id.clone(), tags),
        cluster: cluster.name().to_owned(),
        name,
        unique: call.unique(),
        role_arn,
        subnets,
        instance_types,
        ami_type,
        capacity_type,
        disk_gib,
        scaling,
        version,
        release,
        labels: input.map("labels"),
        taints: input.list("taints").into_iter().map(|taint| taint.value().clone()).collect(),
        update_config: update_config(input)?.unwrap_or_else(|| json!({ "maxUnavailable": 1 })),
        modified_at: call.now,
        instances: Vec::new(),
        ready_at: call.ready(&id, "nodes are ready", CREATE_MS),
        gives_up_at: call.ready(&id, "nodes are late", GIVES_UP_MS),
        outcome: Outcome::Creating { blocked: false },
        deletion: None,
    };
    traces::instances(call, &cluster, &mut group);
    access::admit_nodes(call, cluster.name(), &group.role_arn);
    let document = view::nodegroup(call.region, call.mint, &group, call.now);
    call.region.nodegroups.insert(group);
    call.remember("nodegroup", &id);
    Ok(json!({ "nodegroup": document }))
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && name.len() <= 63 && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Ok(());
    }
    Err(invalid(format!(
        "The node group name '{name}' must have 1 to 63 letters, digits, hyphens and underscores, and begin with a letter or digit"
    )))
}

/// The subnets of a node group: in the cluster's VPC.
fn subnets(call: &Call<'_>, cluster: &Cluster) -> Result<Vec<String>, ApiError> {
    let ids = call.input.texts("subnets");
    if ids.is_empty() {
        return Err(invalid("A node group must have subnets"));
    }
    for id in &ids {
        let subnet = call.region.subnets.seen(id, call.now);
        if subnet.is_none_or(|subnet| subnet.vpc_id != cluster.vpc_id) {
            return Err(invalid(format!(
                "The subnet ID '{id}' does not exist in the cluster's VPC {} (Service: AmazonEC2; Error Code: InvalidSubnetID.NotFound)",
                cluster.vpc_id
            )));
        }
    }
    Ok(ids.into_iter().map(str::to_owned).collect())
}

/// The instance types of a node group: of the processor that the machine image is for.
fn instance_types(input: Json<'_>, ami_type: &str) -> Result<Vec<String>, ApiError> {
    if !AMI_TYPES.contains(&ami_type) {
        return Err(invalid(format!("Invalid amiType: {ami_type}")));
    }
    let types = input.texts("instanceTypes");
    let types = if types.is_empty() { vec!["t3.medium"] } else { types };
    for instance_type in &types {
        let Some((family, size)) = instance_type.split_once('.').filter(|(family, size)| {
            let plain = |text: &str| {
                text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
            };
            !family.is_empty() && !size.is_empty() && plain(family) && plain(size)
        }) else {
            return Err(invalid(format!("The following supplied instance types do not exist: [{instance_type}]")));
        };
        // The letters after the generation: `m7g`, `c7gn`, `t4g`.
        let arm = family.trim_start_matches(|c: char| !c.is_ascii_digit()).contains('g') || family == "a1";
        if arm != ami_type.contains("ARM_64") {
            return Err(invalid(format!(
                "[{family}.{size}] is not a valid instance type for requested amiType {ami_type}"
            )));
        }
    }
    Ok(types.into_iter().map(str::to_owned).collect())
}

/// How many nodes are asked for; what is not said stays as it is.
pub(super) fn scaling(input: Json<'_>, old: Scaling) -> Result<Scaling, ApiError> {
    let min = input.integer("scalingConfig.minSize")?.unwrap_or(old.min);
    let max = input.integer("scalingConfig.maxSize")?.unwrap_or(old.max);
    let desired = input.integer("scalingConfig.desiredSize")?.unwrap_or(old.desired);
    if min < 0 || max < 1 {
        return Err(invalid("Minimum capacity must not be negative, and maximum capacity at least 1"));
    }
    if desired > max {
        return Err(invalid(format!("desired capacity {desired} can't be greater than max size {max}")));
    }
    if min > desired {
        return Err(invalid(format!("Minimum capacity {min} can't be greater than desired size {desired}")));
    }
    Ok(Scaling { min, max, desired })
}

/// How many nodes may be away while the group is updated.
pub(super) fn update_config(input: Json<'_>) -> Result<Option<Value>, ApiError> {
    let Some(config) = input.at("updateConfig") else { return Ok(None) };
    let (count, share) = (config.integer("maxUnavailable")?, config.integer("maxUnavailablePercentage")?);
    if count.is_some() == share.is_some() {
        return Err(invalid("updateConfig must have one of maxUnavailable and maxUnavailablePercentage"));
    }
    Ok(Some(config.value().clone()))
}

/// The Kubernetes version of new nodes: the cluster's, or one minor below it.
pub(super) fn version<'a>(asked: Option<&'a str>, cluster: &'a str) -> Result<&'a str, ApiError> {
    let Some(asked) = asked else { return Ok(cluster) };
    let (wanted, have) = (versions::minor(asked), versions::minor(cluster));
    match (wanted, have) {
        (Some(wanted), Some(have)) if wanted == have || wanted + 1 == have => Ok(asked),
        _ => Err(invalid(format!(
            "Nodegroup Kubernetes version should be equal to Cluster kubernetes version {cluster}"
        ))),
    }
}

fn check_role(call: &Call<'_>, arn: &str) -> Result<(), ApiError> {
    match iam::role_for_service(call.global, arn, "ec2.amazonaws.com", call.now) {
        Ok(_) => Ok(()),
        Err(Unseen::Absent) => Err(invalid(format!("The role {arn} does not exist"))),
        Err(Unseen::Untrusted) => Err(invalid(format!(
            "Following required service principals [ec2.amazonaws.com] were not found in the trust relationships of nodeRole {arn}"
        ))),
    }
}

fn describe(call: &mut Call<'_>) -> Answer {
    Ok(json!({ "nodegroup": view::nodegroup(call.region, call.mint, call.nodegroup()?, call.now) }))
}

fn list(call: &mut Call<'_>) -> Answer {
    let cluster = call.cluster()?.name();
    let (nodegroups, next) = call.page(call.region.nodegroups.linked(cluster).map(|group| group.name.clone()))?;
    Ok(json!({ "nodegroups": nodegroups, "nextToken": next }))
}

fn delete(call: &mut Call<'_>) -> Answer {
    let group = call.nodegroup()?.clone();
    let id = group.head.id.clone();
    match view::nodegroup_status(call.region, &group, call.now) {
        // A second call changes nothing.
        "DELETING" => {}
        "UPDATING" => {
            return Err(request(format!("Node group {} cannot be deleted while an update is in progress", group.name))
                .with("clusterName", group.cluster)
                .with("nodegroupName", group.name));
        }
        _ => {
            let deleted_at = call.after(&id, "nodes are gone", DELETE_MS);
            traces::terminate(call.region, &group, call.now, deleted_at);
            call.region.nodegroups.edit(&id, |group| group.deletion = Some((call.now, deleted_at)));
        }
    }
    Ok(json!({ "nodegroup": view::nodegroup(call.region, call.mint, call.nodegroup()?, call.now) }))
}
