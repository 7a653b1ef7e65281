//! The sweeps: steps that do nothing when they are made, and in a teardown remove what others left behind.
//!
//! A cluster leaves load balancers, interfaces and security groups that no declaration names: controllers in it made
//! them. Each sweep stands in the graph between what has to go before it and what cannot go while such things are
//! there; its delete removes them, one request a call, and waits for those that are on their way.
//!
//! A sweep touches nothing but the cluster's own, in the one VPC: known by tags that name the cluster exactly. It
//! never deletes an interface that is in use. Entry points: the kind [`Sweep`], and [`foreign`] for what is worth a
//! warning before. What belongs to a cluster is decided in `belongs`.

mod belongs;
pub mod foreign;
mod groups;
mod interfaces;
mod load_balancers;
mod remains;

use serde::{Deserialize, Serialize};

use crate::kinds::sdk::Services;
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, Input, Reference};
use crate::resource::{
    Api, Created, Deletion, Expected, KindRules, Live, OutputRule, Ownership, Possession, ProviderError, RemoteId,
    ResourceKind, Status, Updated, WaitPolicy,
};
use belongs::Cluster;

/// The kinds of sweeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sweep {
    /// `teardown.load_balancers`: load balancers, target groups and their security groups, while the nodes and the
    /// controller are still there.
    LoadBalancers,
    /// `teardown.interfaces`: interfaces that the nodes' network plug-in left, between the nodes and the cluster.
    Interfaces,
    /// `teardown.remains`: interfaces, security groups and the log group that the cluster itself left, between it and
    /// the network.
    Remains,
}

/// What is declared of a sweep.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The cluster's name in EKS.
    pub cluster: String,
    /// The VPC it is in.
    pub vpc_id: Input<String>,
}

/// A sweep yields nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {}

impl KindRules for Sweep {
    fn name(&self) -> &'static str {
        match self {
            Self::LoadBalancers => "teardown.load_balancers",
            Self::Interfaces => "teardown.interfaces",
            Self::Remains => "teardown.remains",
        }
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "cluster", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "vpc_id", traits: &[FieldTrait::Immutable] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        &[]
    }

    // Where all went well there is little to do: the controller deletes its load balancers with their Services, and
    // EKS its group and interfaces with the cluster, some of them after it says that the cluster is gone.
    fn expected(&self) -> Expected {
        let delete = match self {
            Self::LoadBalancers => 3.0,
            Self::Interfaces => 3.0,
            Self::Remains => 10.0,
        };
        Expected { create: 0.0, update: 0.0, delete }
    }

    fn api(&self) -> Api {
        match self {
            Self::LoadBalancers => Api::ElasticLoadBalancing,
            Self::Interfaces | Self::Remains => Api::Ec2,
        }
    }

    // As eksctl looks (pkg/elb/cleanup.go): every five seconds, for ten minutes at most; and half as long again for
    // interfaces of a load balancer that take their time.
    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(1_000, 5_000, 900)
    }

    fn possession(&self) -> Possession {
        Possession::Recorded
    }
}

impl ResourceKind for Sweep {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Services;

    fn example() -> Spec {
        Spec {
            cluster: "mesh1-cluster-1".to_owned(),
            vpc_id: Reference::to(&Address::new("aws.vpc", &["network1"]), "vpc_id").into(),
        }
    }

    /// A sweep is what its record says.
    async fn read_many(
        &self,
        _: &Services,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        ids.iter().map(|id| Cluster::parse(self.name(), id).map(|cluster| Some(live(&cluster)))).collect()
    }

    /// Makes nothing but the record.
    async fn create(&self, _: &Services, spec: &Spec, _: &Ownership) -> Result<Created<Spec, Outputs>, ProviderError> {
        let cluster = Cluster::new(&spec.cluster, spec.vpc_id.known()?);
        Ok(Created { id: cluster.id(), live: Some(live(&cluster)) })
    }

    async fn find(&self, _: &Services, spec: &Spec, _: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        Ok(Some(Cluster::new(&spec.cluster, spec.vpc_id.known()?).id()))
    }

    /// Nothing of it can change.
    async fn update(&self, _: &Services, _: &RemoteId, _: &Spec, _: &Spec) -> Result<Updated, ProviderError> {
        Ok(Updated::Done)
    }

    async fn delete(&self, services: &Services, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let cluster = Cluster::parse(self.name(), id)?;
        match self {
            Self::LoadBalancers => load_balancers::sweep(services, &cluster).await,
            Self::Interfaces => interfaces::sweep(services, &cluster).await,
            Self::Remains => remains::sweep(services, &cluster).await,
        }
    }
}

fn live(cluster: &Cluster) -> Live<Spec, Outputs> {
    let spec = Spec { cluster: cluster.name.clone(), vpc_id: Input::Known(cluster.vpc.clone()) };
    Live { spec, outputs: Outputs {}, status: Status::Ready }
}
