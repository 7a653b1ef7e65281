//! Clusters: made, shown, deleted. Changing one is in `cluster_update`.

use std::collections::BTreeSet;

use serde_json::json;

use super::refusal::{busy, in_use, invalid, no_cluster, request};
use super::{Answer, Call, Operation, access, checks, reads, tagging, traces, versions, view, writes};
use crate::sandbox::protocol::{ApiError, Json};
use crate::sandbox::world::ranges::free_addresses;
use crate::sandbox::world::rows::{AutoMode, Cluster, Issue, Subnet};

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateCluster", create),
    reads("DescribeCluster", describe),
    reads("ListClusters", list),
    writes("DeleteCluster", delete),
];

/// C1 of the domain model, from ten public logs: 8 min 23 s to 11 min 23 s.
const CREATE_MS: (u64, u64) = (503_000, 683_000);
/// 1 min 09 s to 3 min 48 s.
const DELETE_MS: (u64, u64) = (69_000, 228_000);
/// How long a cluster that cannot work is being created before it fails.
const FAIL_MS: (u64, u64) = (180_000, 300_000);
/// Each subnet must have six free addresses, and sixteen are recommended ("VPC requirements" in the EKS user guide).
const MIN_FREE_ADDRESSES: usize = 6;

/// The types of log of a control plane.
const LOG_TYPES: &[&str] = &["api", "audit", "authenticator", "controllerManager", "scheduler"];

impl Call<'_> {
    /// The cluster that a call names.
    pub(super) fn cluster(&self) -> Result<&Cluster, ApiError> {
        let name = match self.input.text("clusterName") {
            Some(name) => name,
            None => self.input.required("name")?,
        };
        self.region.clusters.get(name).ok_or_else(|| no_cluster(name))
    }

    /// The cluster that a call names, which must be running: what happens in it cannot happen before or after.
    pub(super) fn running_cluster(&self) -> Result<Cluster, ApiError> {
        let cluster = self.cluster()?;
        match view::cluster_status(self.region, cluster, self.now) {
            "ACTIVE" | "UPDATING" => Ok(cluster.clone()),
            _ => Err(request(format!("Cluster '{}' is not in ACTIVE status", cluster.name()))
                .with("clusterName", cluster.name())),
        }
    }
}

fn create(call: &mut Call<'_>) -> Answer {
    if let Some(made) = call.replayed()?.and_then(|id| call.region.clusters.get(&id)) {
        return Ok(json!({ "cluster": view::cluster(call.region, call.mint, made, call.now) }));
    }
    let input = call.input;
    let name = input.required("name")?.to_owned();
    check_name(&name)?;
    if call.region.clusters.get(&name).is_some() {
        return Err(in_use(format!("Cluster already exists with name: {name}")).with("clusterName", name));
    }
    let named = |error: ApiError| error.with("clusterName", name.clone());
    let role_arn = input.required("roleArn")?.to_owned();
    let network = Network::read(input).map_err(named)?;
    let auto_mode = auto_mode(input).map_err(named)?;
    if auto_mode.is_some() && input.boolean("bootstrapSelfManagedAddons")? != Some(false) {
        return Err(named(invalid("bootstrapSelfManagedAddons must be false when EKS Auto Mode is enabled")));
    }
    let version = input.text("version").unwrap_or(versions::DEFAULT).to_owned();
    versions::offered(&version).map_err(named)?;
    let mode = input.text("accessConfig.authenticationMode").unwrap_or("CONFIG_MAP").to_owned();
    if !["API", "API_AND_CONFIG_MAP", "CONFIG_MAP"].contains(&mode.as_str()) {
        return Err(named(invalid(format!("Invalid authenticationMode: {mode}"))));
    }
    if auto_mode.is_some() && mode == "CONFIG_MAP" {
        return Err(named(invalid("EKS Auto Mode requires the authentication mode API or API_AND_CONFIG_MAP")));
    }
    let support_type = support_type(input)?.unwrap_or("EXTENDED").to_owned();
    let logging = logging(input)?.unwrap_or_default();
    let tags = tagging::given(input)?;
    checks::cluster_role(call, &role_arn, auto_mode.is_some()).map_err(named)?;
    if let Some(auto) = &auto_mode {
        check_pools(auto).map_err(named)?;
    }
    let ids = input.texts("resourcesVpcConfig.subnetIds");
    let subnets = checks::subnets(call, &ids, network.ipv6).map_err(named)?;
    let vpc_id = subnets.first().map(|subnet| subnet.vpc_id.clone()).unwrap_or_default();
    checks::security_groups(call, &input.texts("resourcesVpcConfig.securityGroupIds"), &vpc_id).map_err(named)?;
    // From here on there is a cluster.
    let failure = failure(call, &subnets);
    let settled_at = match &failure {
        Some(_) => call.after(&name, "cluster fails", FAIL_MS),
        None => call.ready(&name, "cluster is active", CREATE_MS),
    };
    let unique = call.hex().to_ascii_uppercase();
    let service_cidr = network.service_cidr(&unique);
    let mut cluster = Cluster {
        head: call.head(name.clone(), tags),
        unique,
        role_arn,
        version,
        vpc_id,
        subnets: ids.iter().map(|id| (*id).to_owned()).collect(),
        security_groups: input.texts("resourcesVpcConfig.securityGroupIds").into_iter().map(str::to_owned).collect(),
        public_access: network.public_access,
        private_access: network.private_access,
        public_cidrs: network.public_cidrs,
        ipv6: network.ipv6,
        service_cidr,
        authentication_mode: mode,
        bootstrap_admin: input.boolean("accessConfig.bootstrapClusterCreatorAdminPermissions")? != Some(false),
        auto_mode,
        support_type,
        deletion_protection: input.boolean("deletionProtection")? == Some(true),
        zonal_shift: input.boolean("zonalShiftConfig.enabled")? == Some(true),
        logging,
        group_id: String::new(),
        settled_at,
        failure,
        deletion: None,
    };
    cluster.group_id = traces::security_group(call, &cluster);
    if cluster.failure.is_none() {
        traces::control_plane(call, &cluster, &subnets);
    }
    traces::log_group(call, &cluster);
    if cluster.bootstrap_admin && cluster.authentication_mode != "CONFIG_MAP" {
        access::admit_creator(call, &name);
    }
    if let Some(role) = cluster.auto_mode.as_ref().and_then(|auto| auto.node_role_arn.as_ref()) {
        access::admit_auto_nodes(call, &name, role);
    }
    let document = view::cluster(call.region, call.mint, &cluster, call.now);
    call.region.clusters.insert(cluster);
    call.remember("cluster", &name);
    Ok(json!({ "cluster": document }))
}

fn check_name(name: &str) -> Result<(), ApiError> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    if first && name.len() <= 100 && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Ok(());
    }
    Err(invalid(format!(
        "The cluster name '{name}' must have 1 to 100 letters, digits, hyphens and underscores, and begin with a letter or digit"
    )))
}

/// How a cluster is reached and what its services are called by.
struct Network {
    public_access: bool,
    private_access: bool,
    public_cidrs: Vec<String>,
    ipv6: bool,
    service_ipv4: Option<String>,
}

impl Network {
    fn read(input: Json<'_>) -> Result<Self, ApiError> {
        let ipv6 = match input.text("kubernetesNetworkConfig.ipFamily").unwrap_or("ipv4") {
            "ipv4" => false,
            "ipv6" => true,
            other => return Err(invalid(format!("Invalid ipFamily: {other}"))),
        };
        let service_ipv4 = input.text("kubernetesNetworkConfig.serviceIpv4Cidr").map(str::to_owned);
        if ipv6 && service_ipv4.is_some() {
            return Err(invalid("serviceIpv4Cidr cannot be specified for a cluster with the ipv6 family"));
        }
        if let Some(text) = &service_ipv4 {
            let block: Option<ipnet::Ipv4Net> = text.parse().ok();
            if !block.is_some_and(|block| block.addr().is_private() && (12..=24).contains(&block.prefix_len())) {
                return Err(invalid(format!(
                    "The serviceIpv4Cidr {text} must be a block of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16, between /24 and /12"
                )));
            }
        }
        let public_access = input.boolean("resourcesVpcConfig.endpointPublicAccess")? != Some(false);
        let private_access = input.boolean("resourcesVpcConfig.endpointPrivateAccess")? == Some(true);
        if !public_access && !private_access {
            return Err(invalid("Private and public endpoint access cannot be disabled at the same time"));
        }
        let mut public_cidrs = checks::public_cidrs(&input.texts("resourcesVpcConfig.publicAccessCidrs"), ipv6)?;
        if public_cidrs.is_empty() {
            public_cidrs = everyone(ipv6);
        }
        Ok(Self { public_access, private_access, public_cidrs, ipv6, service_ipv4 })
    }

    fn service_cidr(&self, unique: &str) -> String {
        match &self.service_ipv4 {
            _ if self.ipv6 => format!("fd{}:{}:{}::/108", part(unique, 0, 2), part(unique, 2, 6), part(unique, 6, 10)),
            Some(declared) => declared.clone(),
            None => "10.100.0.0/16".to_owned(),
        }
    }
}

fn part(unique: &str, from: usize, to: usize) -> String {
    unique.get(from..to).unwrap_or_default().to_ascii_lowercase()
}

/// Who is let in when nothing is said.
pub(super) fn everyone(ipv6: bool) -> Vec<String> {
    let both = ["0.0.0.0/0", "::/0"];
    both.into_iter().take(if ipv6 { 2 } else { 1 }).map(str::to_owned).collect()
}

/// What is said about Auto Mode: all three of its parts are on, or none.
pub(super) fn auto_mode(input: Json<'_>) -> Result<Option<AutoMode>, ApiError> {
    let parts = [
        input.boolean("computeConfig.enabled")?.unwrap_or_default(),
        input.boolean("kubernetesNetworkConfig.elasticLoadBalancing.enabled")?.unwrap_or_default(),
        input.boolean("storageConfig.blockStorage.enabled")?.unwrap_or_default(),
    ];
    if parts.contains(&true) && parts.contains(&false) {
        return Err(invalid(
            "For EKS Auto Mode, please ensure that all required configs, including computeConfig, kubernetesNetworkConfig, and \
             blockStorage are all either fully enabled or fully disabled.",
        ));
    }
    if !parts[0] {
        return Ok(None);
    }
    let node_pools: Vec<String> = input.texts("computeConfig.nodePools").into_iter().map(str::to_owned).collect();
    Ok(Some(AutoMode { node_pools, node_role_arn: input.text("computeConfig.nodeRoleArn").map(str::to_owned) }))
}

/// Checks the pools of Auto Mode.
pub(super) fn check_pools(auto: &AutoMode) -> Result<(), ApiError> {
    if auto.node_role_arn.is_none() && !auto.node_pools.is_empty() {
        return Err(invalid("When Compute Config nodeRoleArn is null or empty, nodePool list cannot be populated."));
    }
    match auto.node_pools.iter().find(|pool| !["general-purpose", "system"].contains(&pool.as_str())) {
        Some(pool) => {
            Err(invalid(format!("Invalid node pool {pool}: the built-in ones are general-purpose and system")))
        }
        None => Ok(()),
    }
}

/// What is said about support for old versions.
pub(super) fn support_type(input: Json<'_>) -> Result<Option<&str>, ApiError> {
    match input.text("upgradePolicy.supportType") {
        None => Ok(None),
        Some(kind @ ("STANDARD" | "EXTENDED")) => Ok(Some(kind)),
        Some(other) => Err(invalid(format!("Invalid supportType: {other}"))),
    }
}

/// The types of log that are to be written, if anything is said about them.
pub(super) fn logging(input: Json<'_>) -> Result<Option<BTreeSet<String>>, ApiError> {
    let Some(logging) = input.at("logging") else { return Ok(None) };
    let mut enabled = BTreeSet::new();
    for setup in logging.list("clusterLogging") {
        for kind in setup.texts("types") {
            if !LOG_TYPES.contains(&kind) {
                return Err(invalid(format!("Invalid log type: {kind}")));
            }
            if setup.boolean("enabled")? == Some(true) {
                enabled.insert(kind.to_owned());
            }
        }
    }
    Ok(Some(enabled))
}

/// Why a cluster will fail: there is no room for the network interfaces of its control plane.
fn failure(call: &Call<'_>, subnets: &[Subnet]) -> Option<Issue> {
    let tight = |subnet: &&Subnet| free_addresses(call.region, &subnet.head.id, subnet.cidr) < MIN_FREE_ADDRESSES;
    let resources: Vec<String> = subnets.iter().filter(tight).map(|subnet| subnet.head.id.clone()).collect();
    (!resources.is_empty()).then(|| Issue {
        code: "InsufficientFreeAddresses".to_owned(),
        message: "One or more of the subnets associated with your cluster does not have enough available IP addresses for Amazon \
                  EKS to perform cluster management operations. Free up addresses in the subnet(s), or associate different \
                  subnets to your cluster using the Amazon EKS update-cluster-config API"
            .to_owned(),
        resources,
    })
}

fn describe(call: &mut Call<'_>) -> Answer {
    Ok(json!({ "cluster": view::cluster(call.region, call.mint, call.cluster()?, call.now) }))
}

fn list(call: &mut Call<'_>) -> Answer {
    let (clusters, next) = call.page(call.region.clusters.iter().map(|cluster| cluster.name().to_owned()))?;
    Ok(json!({ "clusters": clusters, "nextToken": next }))
}

fn delete(call: &mut Call<'_>) -> Answer {
    let cluster = call.cluster()?.clone();
    let name = cluster.name();
    match view::cluster_status(call.region, &cluster, call.now) {
        // A second call changes nothing.
        "DELETING" => {
            return Ok(json!({ "cluster": view::cluster(call.region, call.mint, &cluster, call.now) }));
        }
        "CREATING" => return Err(busy("delete cluster", name, "its creation")),
        "UPDATING" => return Err(busy("delete cluster", name, "an update")),
        _ => {}
    }
    if cluster.deletion_protection {
        return Err(request(format!(
            "Cluster {name} has deletion protection enabled. Disable deletion protection before you delete it"
        ))
        .with("clusterName", name));
    }
    if let Some(group) = call.region.nodegroups.linked(name).next() {
        return Err(in_use("Cluster has nodegroups attached")
            .with("clusterName", name)
            .with("nodegroupName", group.name.clone()));
    }
    let deleted_at = call.after(name, "cluster is deleted", DELETE_MS);
    call.region.clusters.edit(name, |cluster| cluster.deletion = Some((call.now, deleted_at)));
    let cluster = call.cluster()?;
    Ok(json!({ "cluster": view::cluster(call.region, call.mint, cluster, call.now) }))
}
