//! What sweeps up after a cluster: things that others make inside of our network and that keep it from going.
//!
//! A sweep does nothing when it is made. It is taken down before all that it stands on, which is how it gets its place:
//! load balancers go while nodes, their controller, its role and their subnets still are; the network plug-in's interfaces
//! between the nodes and the cluster; what EKS leaves, between the cluster and its network.

use super::identity::Roles;
use super::{Lowering, controller_release};
use crate::kinds::teardown::Spec;
use crate::model::{Address, Reference};

impl Lowering<'_> {
    /// Answers the sweep of load balancers: Services stand on it, and go before it.
    pub(super) fn sweeps(
        &mut self,
        roles: &Roles,
        nodes: Option<&Address>,
        association: Option<&Address>,
    ) -> Option<Address> {
        let cluster = self.itself();
        let site = self.site;
        let vpc_id = site.vpc_id()?;
        // A cluster that is replaced takes its sweeps along: they are done before it goes.
        let spec = Spec { cluster: Reference::to(&cluster, "name").into(), vpc_id: vpc_id.clone() };

        let controller = roles.workloads.as_ref().map(|workloads| &workloads.controller);
        // Its pods delete the load balancers of Services that go, and let go of the Services then.
        let release = controller.map(|_| controller_release(self.cluster.name.as_str()));
        // Auto Mode's load balancers are EKS's own, so that there they hang on the cluster and its role.
        let workers = nodes.unwrap_or(&cluster);
        let before: Vec<&Address> = [Some(workers), controller, association, release.as_ref(), Some(&roles.node)]
            .into_iter()
            .flatten()
            .chain(&site.public)
            .chain(&site.private_subnet_addresses)
            .collect();
        let load_balancers = self.address("teardown.load_balancers", &[]);
        self.declare(load_balancers.clone(), &spec, &before);

        // Without managed nodes there is no network plug-in of ours to leave anything.
        if nodes.is_some() {
            self.declare(self.address("teardown.interfaces", &[]), &spec, &[&cluster]);
        }

        // This one stands below the cluster, and knows its name alone.
        let spec = Spec { cluster: self.cluster.name.as_str().into(), vpc_id };
        let before: Vec<&Address> = site.private_subnet_addresses.iter().collect();
        self.declare(self.address("teardown.remains", &[]), &spec, &before);
        Some(load_balancers)
    }
}
