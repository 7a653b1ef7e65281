//! What sweeps up after a cluster: things that others make inside of our network and that keep it from going.
//!
//! A sweep does nothing when it is made. It is taken down before all that it stands on, which is how it gets its place:
//! load balancers go while nodes, the controller's role and their subnets still are; the network plug-in's interfaces
//! between the nodes and the cluster; what EKS leaves, between the cluster and its network.

use super::Lowering;
use super::identity::Roles;
use crate::kinds::teardown::Spec;
use crate::model::Address;

impl Lowering<'_> {
    pub(super) fn sweeps(&mut self, roles: &Roles, nodes: Option<&Address>, association: Option<&Address>) {
        let cluster = self.itself();
        let spec = Spec { cluster: self.cluster.name.as_str().to_owned(), vpc_id: self.site.vpc_id() };
        let site = self.site;

        let controller = roles.workloads.as_ref().map(|workloads| &workloads.controller);
        // Auto Mode's load balancers are EKS's own, so that there they hang on the cluster and its role.
        let workers = nodes.unwrap_or(&cluster);
        let before: Vec<&Address> = [Some(workers), controller, association, Some(&roles.node)]
            .into_iter()
            .flatten()
            .chain(&site.public)
            .chain(&site.private_subnet_addresses)
            .collect();
        self.declare(self.address("teardown.load_balancers", &[]), &spec, &before);

        // Without managed nodes there is no network plug-in of ours to leave anything.
        if nodes.is_some() {
            self.declare(self.address("teardown.interfaces", &[]), &spec, &[&cluster]);
        }

        let before: Vec<&Address> = site.private_subnet_addresses.iter().collect();
        self.declare(self.address("teardown.remains", &[]), &spec, &before);
    }
}
