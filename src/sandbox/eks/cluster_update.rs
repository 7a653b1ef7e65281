//! Changes to clusters: one kind of change per call, one change at a time.

use serde_json::json;

use super::refusal::{busy, invalid, request};
use super::update::begin;
use super::{Answer, Call, Operation, checks, cluster, traces, versions, view, writes};
use crate::sandbox::protocol::{ApiError, Json};
use crate::sandbox::world::rows::{Change, Cluster};

pub(super) const OPERATIONS: &[Operation] =
    &[writes("UpdateClusterConfig", config), writes("UpdateClusterVersion", version)];

/// C1 of the domain model: 2 to 10 minutes for the configuration, 8 to 25 for a version.
const CONFIG_MS: (u64, u64) = (120_000, 600_000);
const VERSION_MS: (u64, u64) = (480_000, 1_500_000);

/// By how many minor versions nodes may be older than their control plane (Kubernetes version skew policy).
const NODE_SKEW: u16 = 3;

/// What an update does: its kind, what it lists, and the cluster that it makes.
type Planned = (&'static str, Vec<(String, String)>, Cluster);

/// The cluster, if it can be changed now.
fn changeable(call: &Call<'_>, what: &str) -> Result<Cluster, ApiError> {
    let cluster = call.cluster()?;
    let name = cluster.name();
    match view::cluster_status(call.region, cluster, call.now) {
        "ACTIVE" => Ok(cluster.clone()),
        "UPDATING" => {
            let update = view::underway(call.region, name, (None, None), call.now);
            let id = update.map(|update| format!("update {}", update.head.id)).unwrap_or_default();
            Err(busy(what, name, &id))
        }
        "CREATING" => Err(busy(what, name, "its creation")),
        "DELETING" => Err(busy(what, name, "its deletion")),
        _ => Err(request(format!("Cluster '{name}' is not in ACTIVE status")).with("clusterName", name)),
    }
}

fn config(call: &mut Call<'_>) -> Answer {
    if let Some(update) = call.replayed_update()? {
        return Ok(update);
    }
    let input = call.input;
    let old = call.cluster()?.clone();
    let name = old.name().to_owned();
    let planned: Vec<Planned> = [
        network(call, &old),
        logging(input, &old),
        access(input, &old),
        auto_mode(call, &old),
        support(input, &old),
        zonal_shift(input, &old),
        protection(input, &old),
    ]
    .into_iter()
    .filter_map(Result::transpose)
    .collect::<Result<_, ApiError>>()
    .map_err(|error| error.with("clusterName", name.clone()))?;
    let mut planned = planned.into_iter();
    let Some((kind, params, new)) = planned.next() else {
        return Err(invalid("The request does not say what to update").with("clusterName", name));
    };
    if planned.next().is_some() {
        return Err(invalid("Only one type of update can be allowed.").with("clusterName", name));
    }
    changeable(call, kind)?;
    if new.logging != old.logging {
        traces::log_group(call, &new);
    }
    Ok(begin(call, kind, params, Change::Cluster(Box::new(new)), CONFIG_MS))
}

/// Endpoint access, subnets and security groups: three kinds of change, though all in one member.
fn network(call: &Call<'_>, old: &Cluster) -> Result<Option<Planned>, ApiError> {
    let Some(config) = call.input.at("resourcesVpcConfig") else { return Ok(None) };
    let mut new = old.clone();
    let (subnets, groups) = (config.texts("subnetIds"), config.texts("securityGroupIds"));
    let endpoint = ["endpointPublicAccess", "endpointPrivateAccess", "publicAccessCidrs"];
    let wants_endpoint = endpoint.iter().any(|member| config.at(member).is_some());
    // An empty list of groups takes them away; of subnets there is none.
    let says_groups = config.at("securityGroupIds").is_some();
    if wants_endpoint && (says_groups || !subnets.is_empty()) {
        return Err(invalid("Only one type of update can be allowed."));
    }
    if wants_endpoint {
        new.public_access = config.boolean("endpointPublicAccess")?.unwrap_or(old.public_access);
        new.private_access = config.boolean("endpointPrivateAccess")?.unwrap_or(old.private_access);
        if config.at("publicAccessCidrs").is_some() {
            new.public_cidrs = checks::public_cidrs(&config.texts("publicAccessCidrs"), old.ipv6)?;
        }
        if new.public_cidrs.is_empty() {
            new.public_cidrs = cluster::everyone(old.ipv6);
        }
        if !new.public_access && !new.private_access {
            return Err(invalid("Private and public endpoint access cannot be disabled at the same time"));
        }
        let said = format!(
            "endpointPrivateAccess: {} , endpointPublicAccess: {}, and Public Endpoint Restrictions: [{}]",
            new.private_access,
            new.public_access,
            new.public_cidrs.join(", ")
        );
        if (new.public_access, new.private_access, &new.public_cidrs)
            == (old.public_access, old.private_access, &old.public_cidrs)
        {
            return Err(invalid(format!("Cluster is already at the desired configuration with {said}")));
        }
        let params = vec![
            ("EndpointPublicAccess".to_owned(), new.public_access.to_string()),
            ("EndpointPrivateAccess".to_owned(), new.private_access.to_string()),
            ("PublicAccessCidrs".to_owned(), json!(new.public_cidrs).to_string()),
        ];
        return Ok(Some(("EndpointAccessUpdate", params, new)));
    }
    if !subnets.is_empty() {
        let found = checks::subnets(call, &subnets, old.ipv6)?;
        if found.iter().any(|subnet| subnet.vpc_id != old.vpc_id) {
            return Err(invalid(format!("Provided subnets must belong to the cluster's VPC {}", old.vpc_id)));
        }
        new.subnets = subnets.into_iter().map(str::to_owned).collect();
    }
    if says_groups {
        checks::security_groups(call, &groups, &old.vpc_id)?;
        new.security_groups = groups.into_iter().map(str::to_owned).collect();
    }
    if (&new.subnets, &new.security_groups) == (&old.subnets, &old.security_groups) {
        return Err(invalid(
            "Cluster is already at the desired configuration with the given subnets and security groups",
        ));
    }
    let params = vec![
        ("SubnetIds".to_owned(), json!(new.subnets).to_string()),
        ("SecurityGroups".to_owned(), json!(new.security_groups).to_string()),
    ];
    Ok(Some(("VpcConfigUpdate", params, new)))
}

fn logging(input: Json<'_>, old: &Cluster) -> Result<Option<Planned>, ApiError> {
    let Some(enabled) = cluster::logging(input)? else { return Ok(None) };
    let mut new = old.clone();
    // What is not named stays as it is.
    for setup in input.list("logging.clusterLogging") {
        for kind in setup.texts("types") {
            new.logging.remove(kind);
        }
    }
    new.logging.extend(enabled);
    if new.logging == old.logging {
        return Err(invalid("No changes needed for the logging config provided"));
    }
    let params =
        vec![("ClusterLogging".to_owned(), input.at("logging").map(|at| at.value().to_string()).unwrap_or_default())];
    Ok(Some(("LoggingUpdate", params, new)))
}

fn access(input: Json<'_>, old: &Cluster) -> Result<Option<Planned>, ApiError> {
    let Some(mode) = input.text("accessConfig.authenticationMode") else { return Ok(None) };
    let order = ["CONFIG_MAP", "API_AND_CONFIG_MAP", "API"];
    let rank = |mode: &str| order.iter().position(|known| *known == mode);
    match (rank(&old.authentication_mode), rank(mode)) {
        (Some(have), Some(want)) if want == have + 1 => {}
        (_, None) => return Err(invalid(format!("Invalid authenticationMode: {mode}"))),
        _ => {
            return Err(invalid(format!(
                "Unsupported authentication mode update from {} to {mode}",
                old.authentication_mode
            )));
        }
    }
    let new = Cluster { authentication_mode: mode.to_owned(), ..old.clone() };
    Ok(Some(("AccessConfigUpdate", vec![("AuthenticationMode".to_owned(), mode.to_owned())], new)))
}

fn auto_mode(call: &Call<'_>, old: &Cluster) -> Result<Option<Planned>, ApiError> {
    let input = call.input;
    if ["computeConfig", "storageConfig", "kubernetesNetworkConfig"].iter().all(|member| input.at(member).is_none()) {
        return Ok(None);
    }
    let new = Cluster { auto_mode: cluster::auto_mode(input)?, ..old.clone() };
    if new.auto_mode == old.auto_mode {
        return Err(invalid("No changes needed for the Auto Mode configuration provided"));
    }
    if let Some(auto) = &new.auto_mode {
        let before = old.auto_mode.as_ref().and_then(|auto| auto.node_role_arn.as_ref());
        if before.is_some() && before != auto.node_role_arn.as_ref() {
            return Err(invalid("The nodeRoleArn of EKS Auto Mode cannot be changed once it is set"));
        }
        cluster::check_pools(auto)?;
        checks::cluster_role(call, &old.role_arn, true)?;
    }
    let params = vec![(
        "ComputeConfig".to_owned(),
        input.at("computeConfig").map(|at| at.value().to_string()).unwrap_or_default(),
    )];
    Ok(Some(("AutoModeUpdate", params, new)))
}

fn support(input: Json<'_>, old: &Cluster) -> Result<Option<Planned>, ApiError> {
    let Some(kind) = cluster::support_type(input)? else { return Ok(None) };
    if kind == old.support_type {
        return Err(invalid(format!("Cluster is already at the desired configuration with supportType: {kind}")));
    }
    let params = vec![("UpgradePolicy".to_owned(), json!({ "supportType": kind }).to_string())];
    Ok(Some(("UpgradePolicyUpdate", params, Cluster { support_type: kind.to_owned(), ..old.clone() })))
}

fn zonal_shift(input: Json<'_>, old: &Cluster) -> Result<Option<Planned>, ApiError> {
    let Some(enabled) = input.boolean("zonalShiftConfig.enabled")? else { return Ok(None) };
    if enabled == old.zonal_shift {
        return Err(invalid("No changes needed for the zonal shift config provided"));
    }
    let params = vec![("ZonalShiftConfig".to_owned(), json!({ "enabled": enabled }).to_string())];
    Ok(Some(("ZonalShiftConfigUpdate", params, Cluster { zonal_shift: enabled, ..old.clone() })))
}

fn protection(input: Json<'_>, old: &Cluster) -> Result<Option<Planned>, ApiError> {
    let Some(enabled) = input.boolean("deletionProtection")? else { return Ok(None) };
    if enabled == old.deletion_protection {
        return Err(invalid("No changes needed for the deletion protection provided"));
    }
    let params = vec![("DeletionProtection".to_owned(), enabled.to_string())];
    Ok(Some(("DeletionProtectionUpdate", params, Cluster { deletion_protection: enabled, ..old.clone() })))
}

fn version(call: &mut Call<'_>) -> Answer {
    if let Some(update) = call.replayed_update()? {
        return Ok(update);
    }
    let asked = call.input.required("version")?.to_owned();
    let old = call.cluster()?.clone();
    let name = old.name().to_owned();
    let named = |error: ApiError| error.with("clusterName", name.clone());
    versions::offered(&asked).map_err(named)?;
    let (have, want) = (versions::minor(&old.version).unwrap_or_default(), versions::minor(&asked).unwrap_or_default());
    if have == want {
        return Err(named(invalid(format!("Cluster is already at version {asked}"))));
    }
    if want != have + 1 {
        return Err(named(invalid(format!(
            "Unsupported Kubernetes minor version update from {} to {asked}",
            old.version
        ))));
    }
    let late = |version: &str| versions::minor(version).unwrap_or_default() + NODE_SKEW < want;
    if let Some(group) = call.region.nodegroups.linked(&name).find(|group| late(&group.version)) {
        return Err(named(request(format!(
            "Nodegroup {} must be updated before the cluster: its version {} is more than {NODE_SKEW} minor versions older than {asked}",
            group.name, group.version
        ))));
    }
    changeable(call, "VersionUpdate")?;
    let params = vec![("Version".to_owned(), asked.clone()), ("PlatformVersion".to_owned(), "eks.9".to_owned())];
    Ok(begin(call, "VersionUpdate", params, Change::Cluster(Box::new(Cluster { version: asked, ..old })), VERSION_MS))
}
