//! Load balancers of clusters that are about to go, whose Services are somebody else's.
//!
//! Entry point: [`load_balancers`]. A teardown deletes them, and with them the addresses that their users know: whoever
//! asks for the teardown should have said so.

use serde::Serialize;

use crate::kinds::sdk::Services;
use crate::kinds::sdk::listing;
use crate::model::Target;
use crate::resource::{Cloud, ProviderError, RemoteId};

use super::Sweep;
use super::belongs::Cluster;
use crate::resource::KindRules as _;

/// The tag that names the Service (or Ingress) that a load balancer was made for: `NAMESPACE/NAME`.
const STACKS: [&str; 3] = ["service.k8s.aws/stack", "ingress.k8s.aws/stack", "service.eks.amazonaws.com/stack"];

/// A load balancer that goes with a cluster, although its Service is not ours.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Foreign {
    /// The cluster.
    pub cluster: String,
    /// Whose it is: the Service as `NAMESPACE/NAME`, if the load balancer says it.
    pub service: Option<String>,
    /// The load balancer's name.
    pub load_balancer: String,
    /// Its region.
    pub region: String,
}

/// The load balancers of some clusters in one region whose Services are not `ours`, sorted. The clusters are given by the
/// ids of their sweeps; `ours` is asked with a cluster's name and a Service as `NAMESPACE/NAME`.
pub async fn load_balancers(
    cloud: &Cloud,
    region: &str,
    sweeps: &[RemoteId],
    ours: impl Fn(&str, &str) -> bool,
) -> Result<Vec<Foreign>, ProviderError> {
    let clusters: Vec<Cluster> =
        sweeps.iter().map(|id| Cluster::parse(Sweep::LoadBalancers.name(), id)).collect::<Result<_, _>>()?;
    let services = cloud.client::<Services>(&Target::aws(region))?;
    let in_vpc = |vpc: Option<&str>| clusters.iter().any(|cluster| vpc == Some(&cluster.vpc));
    let balancers = listing::load_balancers(&services, |balancer| in_vpc(balancer.vpc_id())).await?;
    let mut found: Vec<Foreign> = balancers
        .iter()
        .filter_map(|balancer| {
            let cluster = clusters
                .iter()
                .find(|cluster| balancer.object.vpc_id() == Some(&cluster.vpc) && cluster.balances(&balancer.tags))?;
            let service = STACKS.iter().find_map(|key| balancer.tags.get(*key)).cloned();
            let is_ours = service.as_ref().is_some_and(|service| ours(&cluster.name, service));
            (!is_ours).then(|| Foreign {
                cluster: cluster.name.clone(),
                service,
                load_balancer: balancer.object.load_balancer_name().unwrap_or(&balancer.arn).to_owned(),
                region: region.to_owned(),
            })
        })
        .collect();
    found.extend(classic(&services, region, &clusters).await?);
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Classic load balancers, which Kubernetes makes where no controller does. Their interfaces tell: `ELB NAME`, in a
/// security group that Kubernetes made for the cluster.
async fn classic(services: &Services, region: &str, clusters: &[Cluster]) -> Result<Vec<Foreign>, ProviderError> {
    let mut vpcs: Vec<&str> = clusters.iter().map(|cluster| cluster.vpc.as_str()).collect();
    vpcs.sort_unstable();
    vpcs.dedup();
    let mut found = Vec::new();
    for vpc in vpcs {
        let interfaces = listing::interfaces(services, vec![listing::filter("vpc-id", vpc)]).await?;
        let named: Vec<_> = interfaces
            .iter()
            .filter_map(|interface| {
                let name = interface.description()?.strip_prefix("ELB ")?;
                (!name.contains('/')).then_some((name, interface))
            })
            .collect();
        if named.is_empty() {
            continue;
        }
        let groups = listing::security_groups(services, vpc).await?;
        for (name, interface) in named {
            let owner = clusters.iter().find(|cluster| {
                interface
                    .groups()
                    .iter()
                    .any(|of| groups.iter().any(|group| group.group_id() == of.group_id() && cluster.owns_group(group)))
            });
            if let Some(owner) = owner {
                found.push(Foreign {
                    cluster: owner.name.clone(),
                    service: None,
                    load_balancer: format!("{name} (classic)"),
                    region: region.to_owned(),
                });
            }
        }
    }
    Ok(found)
}
