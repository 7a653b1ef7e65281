//! What is left of a mesh in one region: networks, clusters, load balancers, logs.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{InstanceStateName, NatGatewayState};

use crate::kinds::sdk::listing::{filter, interfaces, load_balancers, log_group, map};
use crate::kinds::sdk::{Absence, Answer};
use crate::model::event::Leftover;
use crate::resource::ProviderError;

use super::{Finds, Look, MESH};

/// The most that one page of EC2's lists holds.
const PAGE: i32 = 1000;

const ADDRESS: &str = "a public IPv4 address is billed by the hour, in use or not";
const BALANCER: &str = "a load balancer is billed by the hour and by traffic";
const CLUSTER: &str = "a control plane is billed by the hour";
const ENDPOINT: &str = "an interface endpoint is billed by the hour and by traffic";
const INSTANCE: &str = "an instance is billed by the second while it runs, and its volumes always";
const LOGS: &str = "logs are billed by the month for what they store";
const NAT: &str = "a NAT gateway is billed by the hour and by traffic";
const NODES: &str = "its instances are billed by the second";
const VOLUME: &str = "a volume or snapshot is billed by the month for its size";

/// All looks at a region.
pub(super) async fn look(look: &Look<'_>, finds: &mut Finds) {
    finds.take(look.region, tagged(look).await);
    finds.take(look.region, nat_gateways(look).await);
    finds.take(look.region, addresses(look).await);
    finds.take(look.region, in_vpcs(look).await);
    finds.take(look.region, balancers(look).await);
    finds.take(look.region, clusters(look).await);
    finds.take(look.region, logs(look).await);
}

/// Everything of EC2's that carries the mesh's tag, whatever it is. NAT gateways and instances keep their tags for an
/// hour after they are gone, so those have looks of their own.
async fn tagged(look: &Look<'_>) -> Result<Vec<Leftover>, ProviderError> {
    let request = look.services.ec2.describe_tags();
    let request = request.filters(filter("key", MESH)).filters(filter("value", look.mesh)).max_results(PAGE);
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    let mut instances = Vec::new();
    while let Some(page) = pages.next().await {
        for tag in page.read("ec2:DescribeTags")?.tags.unwrap_or_default() {
            let is_tag = tag.key() == Some(MESH) && tag.value() == Some(look.mesh);
            let (Some(id), true) = (tag.resource_id(), is_tag) else { continue };
            let (what, cost) = match tag.resource_type().map(aws_sdk_ec2::types::ResourceType::as_str) {
                Some("natgateway") => continue,
                Some("instance") => {
                    instances.push(id.to_owned());
                    continue;
                }
                Some("elastic-ip") => ("Elastic IP address", Some(ADDRESS)),
                Some("vpc-endpoint") => ("VPC endpoint", Some(ENDPOINT)),
                Some("volume") => ("volume", Some(VOLUME)),
                Some("snapshot") => ("snapshot", Some(VOLUME)),
                Some("vpc") => ("VPC", None),
                Some(other) => (other, None),
                None => ("EC2 object", None),
            };
            found.push(look.left(&what.replace('-', " "), id, true, cost));
        }
    }
    found.extend(running(look, instances).await?);
    Ok(found)
}

async fn running(look: &Look<'_>, ids: Vec<String>) -> Result<Vec<Leftover>, ProviderError> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let by_id = aws_sdk_ec2::types::Filter::builder().name("instance-id").set_values(Some(ids)).build();
    let mut pages = look.services.ec2.describe_instances().filters(by_id).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let reservations = page.read("ec2:DescribeInstances")?.reservations.unwrap_or_default();
        for instance in reservations.into_iter().flat_map(|it| it.instances.unwrap_or_default()) {
            let state = instance.state().and_then(|state| state.name());
            let is_gone = matches!(state, Some(InstanceStateName::Terminated | InstanceStateName::ShuttingDown));
            if let (Some(id), false) = (instance.instance_id(), is_gone) {
                found.push(look.left("instance", id, true, Some(INSTANCE)));
            }
        }
    }
    Ok(found)
}

/// NAT gateways that are not deleted, ours by their tag or in a VPC of ours.
async fn nat_gateways(look: &Look<'_>) -> Result<Vec<Leftover>, ProviderError> {
    let mut pages = look.services.ec2.describe_nat_gateways().max_results(PAGE).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        for gateway in page.read("ec2:DescribeNatGateways")?.nat_gateways.unwrap_or_default() {
            let ours = look.is_ours(map(gateway.tags()).iter().map(|(key, value)| (key.as_str(), value.as_str())));
            let here = gateway.vpc_id().is_some_and(|vpc| look.places.vpcs.contains(vpc));
            let is_gone = matches!(gateway.state(), Some(NatGatewayState::Deleted));
            if let (Some(id), true, false) = (gateway.nat_gateway_id(), ours || here, is_gone) {
                found.push(look.left("NAT gateway", id, ours, Some(NAT)));
            }
        }
    }
    Ok(found)
}

/// Addresses that are held by an interface in a VPC of ours. Those with our tag are found by it.
async fn addresses(look: &Look<'_>) -> Result<Vec<Leftover>, ProviderError> {
    let answer = look.services.ec2.describe_addresses().send().await.read("ec2:DescribeAddresses")?;
    let held = vpc_interfaces(look).await?;
    let addresses = answer.addresses.unwrap_or_default().into_iter();
    let found = addresses.filter_map(|address| {
        let interface = address.network_interface_id()?;
        held.contains_key(interface).then_some(())?;
        let ours = look.is_ours(map(address.tags()).iter().map(|(key, value)| (key.as_str(), value.as_str())));
        Some(look.left("Elastic IP address", address.allocation_id()?, ours, Some(ADDRESS)))
    });
    Ok(found.collect())
}

/// The interfaces in VPCs of ours, by id, with what they say they are for.
async fn vpc_interfaces(
    look: &Look<'_>,
) -> Result<BTreeMap<String, aws_sdk_ec2::types::NetworkInterface>, ProviderError> {
    let mut found = BTreeMap::new();
    for vpc in &look.places.vpcs {
        for interface in interfaces(look.services, vec![filter("vpc-id", vpc)]).await? {
            if let (Some(id), true) = (interface.network_interface_id.clone(), interface.vpc_id() == Some(vpc)) {
                found.insert(id, interface);
            }
        }
    }
    Ok(found)
}

async fn in_vpcs(look: &Look<'_>) -> Result<Vec<Leftover>, ProviderError> {
    let found = vpc_interfaces(look).await?.into_iter().map(|(id, interface)| {
        let tags = map(interface.tag_set());
        let ours = look.is_ours(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let what = match interface.description().filter(|text| !text.is_empty()) {
            Some(text) => format!("network interface `{text}`"),
            None => "network interface".to_owned(),
        };
        look.left(&what, &id, ours, None)
    });
    Ok(found.collect())
}

/// Load balancers: ours by their tag, in a VPC of ours, or made by a controller in one of our clusters.
async fn balancers(look: &Look<'_>) -> Result<Vec<Leftover>, ProviderError> {
    let found = load_balancers(look.services, |_| true).await?.into_iter().filter_map(|balancer| {
        let ours = look.is_ours(balancer.tags.iter().map(|(key, value)| (key.as_str(), value.as_str())));
        let here = balancer.object.vpc_id().is_some_and(|vpc| look.places.vpcs.contains(vpc));
        let of_cluster = ["elbv2.k8s.aws/cluster", "eks:eks-cluster-name"]
            .iter()
            .any(|key| balancer.tags.get(*key).is_some_and(|name| look.places.clusters.contains(name)));
        let ours = ours || of_cluster;
        (ours || here).then(|| look.left("load balancer", &balancer.arn, ours, Some(BALANCER)))
    });
    Ok(found.collect())
}

/// Clusters that carry the mesh's tag, and the node groups of each.
async fn clusters(look: &Look<'_>) -> Result<Vec<Leftover>, ProviderError> {
    let mut pages = look.services.eks.list_clusters().into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        names.extend(page.read("eks:ListClusters")?.clusters.unwrap_or_default());
    }
    let mut found = Vec::new();
    for name in names {
        let answer = look.services.eks.describe_cluster().name(&name).send().await;
        let answer = answer.read("eks:DescribeCluster").unless_absent()?;
        let Some(cluster) = answer.and_then(|answer| answer.cluster) else { continue };
        let tags = cluster.tags.iter().flatten().map(|(key, value)| (key.as_str(), value.as_str()));
        if !look.is_ours(tags) {
            continue;
        }
        found.push(look.left("EKS cluster", &name, true, Some(CLUSTER)));
        let mut pages = look.services.eks.list_nodegroups().cluster_name(&name).into_paginator().send();
        while let Some(page) = pages.next().await {
            let Some(page) = page.read("eks:ListNodegroups").unless_absent()? else { break };
            let groups = page.nodegroups.unwrap_or_default();
            found.extend(
                groups.iter().map(|group| look.left("EKS node group", &format!("{name}/{group}"), true, Some(NODES))),
            );
        }
    }
    Ok(found)
}

/// The logs of control planes that were ours.
async fn logs(look: &Look<'_>) -> Result<Vec<Leftover>, ProviderError> {
    let mut found = Vec::new();
    for cluster in &look.places.clusters {
        if let Some(name) = log_group(look.services, cluster).await? {
            found.push(look.left("log group", &name, true, Some(LOGS)));
        }
    }
    Ok(found)
}
