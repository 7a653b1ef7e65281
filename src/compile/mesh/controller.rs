//! The AWS Load Balancer Controller: it makes the load balancers of Services, on managed nodes.
//!
//! Auto Mode has one of its own, and on an existing cluster it is the owner's.

use serde_json::json;

use super::Inside;
use super::release::{Order, chart};
use crate::model::{Address, Input, Reference};
use crate::topology::schema::Release;

/// Where it runs.
const KUBE_SYSTEM: &str = "kube-system";

impl Inside<'_> {
    pub(super) fn controller(&mut self) -> Option<Address> {
        let controller = self.ground.controller.as_ref()?;
        let topology = self.mesh.topology;
        let mut values = json!({
            "clusterName": self.name(),
            // Given, they need not be asked of the node, which nodes with a hop limit of one refuse to pods.
            "region": self.site.region,
            "replicaCount": 2,
            "serviceAccount": { "create": true, "name": Release::AwsLoadBalancerController.as_str() },
            // Services name their class themselves.
            "enableServiceMutatorWebhook": false,
            // An upgrade changes no certificate of its webhooks.
            "keepTLSSecret": true,
        });
        if controller.association.is_none() {
            // The role trusts the cluster's issuer, and the account has to say which role it takes on.
            let role: Input<String> = Reference::to(&controller.role, "arn").into();
            values["serviceAccount"]["annotations"] = json!({ "eks.amazonaws.com/role-arn": role });
        }
        if let Some(vpc) = self.site.vpc_id() {
            values["vpcId"] = json!(vpc);
        }
        let which = Release::AwsLoadBalancerController;
        let chart = chart(&topology.load_balancer_controller_chart, which.as_str(), &topology.load_balancer_controller);
        let order = Order { which, namespace: KUBE_SYSTEM, chart, values };
        let mut after: Vec<&Address> = vec![&self.ground.address, &controller.role];
        after.extend(&self.ground.workers);
        after.extend(&controller.association);
        Some(self.release(order, &after, Vec::new()))
    }
}
