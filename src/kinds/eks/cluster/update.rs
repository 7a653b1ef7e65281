//! Changes of a cluster in place: EKS takes one type of them a request, and works on it for minutes.

use std::collections::BTreeSet;

use aws_sdk_eks::types::{
    AuthenticationMode, ComputeConfigRequest, KubernetesNetworkConfigRequest, UpdateAccessConfigRequest,
    VpcConfigRequest,
};

use super::Spec;
use super::request::{compute_config, load_balancing, logging, reach, storage_config, upgrade_policy};
use crate::kinds::eks::client::Eks;
use crate::kinds::eks::error::Reclass;
use crate::kinds::eks::update::accepted;
use crate::kinds::eks::{describe, known, tags};
use crate::kinds::sdk::Answer;
use crate::resource::{ProviderError, Updated};

/// One request's worth of the way from `from` to `to`.
///
/// Who reaches the API server comes first: it is what the rest of the mesh waits for.
pub(super) async fn step(client: &Eks, name: &str, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
    let config = || client.api().update_cluster_config().name(name);
    let sorted = |inputs: &[crate::model::Input<String>]| {
        known(inputs).map(|mut texts| {
            texts.sort_unstable();
            texts
        })
    };
    let access_differs = from.endpoint_public_access != to.endpoint_public_access
        || from.endpoint_private_access != to.endpoint_private_access
        || sorted(&from.public_access_cidrs)? != sorted(&to.public_access_cidrs)?;
    let request = if access_differs {
        config().resources_vpc_config(reach(to, VpcConfigRequest::builder())?.build())
    } else if sorted(&from.subnet_ids)? != sorted(&to.subnet_ids)?
        || sorted(&from.security_group_ids)? != sorted(&to.security_group_ids)?
    {
        // One type of change to EKS. Both are said each time: an empty list takes the last group away.
        let places = VpcConfigRequest::builder()
            .set_subnet_ids(Some(known(&to.subnet_ids)?))
            .set_security_group_ids(Some(known(&to.security_group_ids)?));
        config().resources_vpc_config(places.build())
    } else if from.authentication_mode != to.authentication_mode {
        let mode = AuthenticationMode::from(to.authentication_mode.as_str());
        config().access_config(UpdateAccessConfigRequest::builder().authentication_mode(mode).build())
    } else if auto_mode_differs(from, to) {
        // All three together, on or off: EKS refuses one without the others.
        let on = to.auto_mode.is_some();
        let compute = match compute_config(to)? {
            Some(compute) => compute,
            None => ComputeConfigRequest::builder().enabled(false).build(),
        };
        let network = KubernetesNetworkConfigRequest::builder().elastic_load_balancing(load_balancing(on)).build();
        config().compute_config(compute).kubernetes_network_config(network).storage_config(storage_config(on))
    } else if from.version != to.version {
        return version(client, name, &to.version).await;
    } else if from.support_type != to.support_type {
        config().upgrade_policy(upgrade_policy(to))
    } else if logs(from) != logs(to) {
        config().logging(logging(to))
    } else if from.deletion_protection != to.deletion_protection {
        config().deletion_protection(to.deletion_protection)
    } else {
        return retag(client, name, from, to).await;
    };
    let answer = request.send().await.written("eks:UpdateClusterConfig").reclass();
    accepted(answer.map(|answer| answer.update))
}

fn logs(spec: &Spec) -> BTreeSet<&str> {
    spec.logging.iter().map(String::as_str).collect()
}

fn auto_mode_differs(from: &Spec, to: &Spec) -> bool {
    match (&from.auto_mode, &to.auto_mode) {
        (None, None) => false,
        (Some(from), Some(to)) => {
            let sorted = |pools: &[String]| {
                let mut pools = pools.to_vec();
                pools.sort_unstable();
                pools
            };
            from.node_role_arn != to.node_role_arn || sorted(&from.node_pools) != sorted(&to.node_pools)
        }
        (Some(_), None) | (None, Some(_)) => true,
    }
}

async fn version(client: &Eks, name: &str, version: &str) -> Result<Updated, ProviderError> {
    let answer = client.api().update_cluster_version().name(name).version(version).send().await;
    accepted(answer.written("eks:UpdateClusterVersion").reclass().map(|answer| answer.update))
}

/// Tags are set at once, also while an update is under way.
async fn retag(client: &Eks, name: &str, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
    let cluster = describe::cluster(client, name).await?;
    let arn = cluster.as_ref().and_then(|cluster| cluster.arn());
    tags::update(client, arn, "eks:DescribeCluster", &from.tags, &to.tags).await
}
