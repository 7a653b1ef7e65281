//! What EKS is asked for a cluster: the parts of a create and of the updates, each made of a spec.

use aws_sdk_eks::types::builders::VpcConfigRequestBuilder;
use aws_sdk_eks::types::{
    AuthenticationMode, BlockStorage, ComputeConfigRequest, CreateAccessConfigRequest, ElasticLoadBalancing,
    IpFamily as ApiIpFamily, KubernetesNetworkConfigRequest, LogSetup, LogType, Logging, StorageConfigRequest,
    SupportType, UpgradePolicyRequest, VpcConfigRequest,
};

use super::{IpFamily, LOG_TYPES, Spec};
use crate::kinds::eks::known;
use crate::resource::ProviderError;

/// Where its network interfaces are, and who reaches the API server.
pub(super) fn vpc_config(spec: &Spec) -> Result<VpcConfigRequest, ProviderError> {
    let groups = known(&spec.security_group_ids)?;
    Ok(reach(spec, VpcConfigRequest::builder())?
        .set_subnet_ids(Some(known(&spec.subnet_ids)?))
        .set_security_group_ids((!groups.is_empty()).then_some(groups))
        .build())
}

/// Every log, on or off: what a request does not name stays as it is.
pub(super) fn logging(spec: &Spec) -> Logging {
    let setups = [true, false].map(|enabled| {
        let types = LOG_TYPES.iter().filter(|log| spec.logging.iter().any(|on| on == *log) == enabled);
        let types: Vec<LogType> = types.map(|log| LogType::from(*log)).collect();
        (!types.is_empty()).then(|| LogSetup::builder().set_types(Some(types)).enabled(enabled).build())
    });
    Logging::builder().set_cluster_logging(Some(setups.into_iter().flatten().collect())).build()
}

/// Who reaches the API server.
pub(super) fn reach(spec: &Spec, config: VpcConfigRequestBuilder) -> Result<VpcConfigRequestBuilder, ProviderError> {
    let cidrs = known(&spec.public_access_cidrs)?;
    Ok(config
        .endpoint_public_access(spec.endpoint_public_access)
        .endpoint_private_access(spec.endpoint_private_access)
        .set_public_access_cidrs((!cidrs.is_empty()).then_some(cidrs)))
}

/// The families and ranges of its network, which a create alone can say.
pub(super) fn network_config(spec: &Spec) -> KubernetesNetworkConfigRequest {
    KubernetesNetworkConfigRequest::builder()
        .ip_family(match spec.ip_family {
            IpFamily::Ipv4 => ApiIpFamily::Ipv4,
            IpFamily::Ipv6 => ApiIpFamily::Ipv6,
        })
        .set_service_ipv4_cidr(spec.service_ipv4_cidr.clone())
        .set_elastic_load_balancing(spec.auto_mode.is_some().then(|| load_balancing(true)))
        .build()
}

/// How callers are mapped to users.
pub(super) fn access_config(spec: &Spec) -> CreateAccessConfigRequest {
    CreateAccessConfigRequest::builder()
        .authentication_mode(AuthenticationMode::from(spec.authentication_mode.as_str()))
        .bootstrap_cluster_creator_admin_permissions(spec.bootstrap_creator_admin)
        .build()
}

/// What happens at the end of its version's support.
pub(super) fn upgrade_policy(spec: &Spec) -> UpgradePolicyRequest {
    UpgradePolicyRequest::builder().support_type(SupportType::from(spec.support_type.as_str())).build()
}

/// Auto Mode's nodes; `None` where it is not declared.
pub(super) fn compute_config(spec: &Spec) -> Result<Option<ComputeConfigRequest>, ProviderError> {
    let Some(auto) = &spec.auto_mode else { return Ok(None) };
    let config = ComputeConfigRequest::builder()
        .enabled(true)
        .set_node_pools(Some(auto.node_pools.clone()))
        .node_role_arn(auto.node_role_arn.known()?);
    Ok(Some(config.build()))
}

/// Auto Mode's load balancers.
pub(super) fn load_balancing(enabled: bool) -> ElasticLoadBalancing {
    ElasticLoadBalancing::builder().enabled(enabled).build()
}

/// Auto Mode's volumes.
pub(super) fn storage_config(enabled: bool) -> StorageConfigRequest {
    let block = BlockStorage::builder().enabled(enabled).build();
    StorageConfigRequest::builder().block_storage(block).build()
}
