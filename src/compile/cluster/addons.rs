//! The add-ons that EKS installs: what nodes need before they join, and what needs nodes.
//!
//! Without the network plug-in no node becomes ready, so it, the proxy and the identity agent come before the nodes; DNS
//! comes after them, because its pods need nodes to run on.

use serde_json::json;

use super::Lowering;
use super::identity::{CNI_ACCOUNT, Roles};
use crate::kinds::eks::addon;
use crate::model::{Address, AttrPath, Value};
use crate::topology::merge;
use crate::topology::schema::{IpFamily, Values, WorkloadIdentity};

const VPC_CNI: &str = "vpc-cni";
const KUBE_PROXY: &str = "kube-proxy";
const IDENTITY_AGENT: &str = "eks-pod-identity-agent";
const COREDNS: &str = "coredns";

/// What Auto Mode brings itself.
const BUILT_IN: [&str; 4] = [VPC_CNI, KUBE_PROXY, IDENTITY_AGENT, COREDNS];

impl Lowering<'_> {
    /// The add-ons that nodes wait for.
    pub(super) fn node_addons(&mut self, roles: &Roles) -> Vec<Address> {
        let (ours, notes) = self.cni_configuration();
        let mut before = vec![self.addon(VPC_CNI, &ours, Some(roles), &[], &notes)];
        before.push(self.addon(KUBE_PROXY, &Values::new(), None, &[], &[]));
        if self.cluster.workload_identity == WorkloadIdentity::PodIdentity {
            before.push(self.addon(IDENTITY_AGENT, &Values::new(), None, &[], &[]));
        }
        before
    }

    /// DNS, and the further add-ons of the topology: they run on nodes. Answers the DNS.
    pub(super) fn further_addons(&mut self, nodes: Option<&Address>) -> Option<Address> {
        let after: Vec<&Address> = nodes.into_iter().collect();
        let dns = nodes.map(|_| self.addon(COREDNS, &Values::new(), None, &after, &[]));
        let topology = self.mesh.topology;
        for name in topology.addons.keys().filter(|name| !BUILT_IN.contains(&name.as_str())) {
            self.addon(name, &Values::new(), None, &after, &[]);
        }
        dns
    }

    /// Which connections of the other family pods can open. An IPv4 pod's IPv6 connections are set up by both of the
    /// plug-in's containers; an IPv6 pod's IPv4 connections by the main one alone.
    fn cni_configuration(&self) -> (Values, Vec<String>) {
        let cluster = self.cluster;
        let mut ours = Values::new();
        let mut notes = Vec::new();
        match cluster.ip_family {
            IpFamily::Ipv4 if cluster.v6_egress => {
                let on = json!({ "ENABLE_V6_EGRESS": "true" });
                ours.insert("env".to_owned(), on.clone());
                ours.insert("init".to_owned(), json!({ "env": on }));
                notes.push(
                    "ENABLE_V6_EGRESS on both containers, because pods open IPv6 connections only if both have it"
                        .to_owned(),
                );
            }
            IpFamily::Ipv4 => {}
            IpFamily::Ipv6 => {
                let word = if cluster.v4_egress { "true" } else { "false" };
                ours.insert("env".to_owned(), json!({ "ENABLE_V4_EGRESS": word }));
                if cluster.v4_egress {
                    notes.push(
                        "ENABLE_V4_EGRESS, because IPv6 pods reach registries and IPv4 API servers through their node"
                            .to_owned(),
                    );
                }
            }
        }
        (ours, notes)
    }

    fn addon(
        &mut self,
        name: &str,
        ours: &Values,
        roles: Option<&Roles>,
        after: &[&Address],
        notes: &[String],
    ) -> Address {
        let address = self.address("eks.addon", &[name]);
        let given = self.mesh.topology.addons.get(name);
        // What is ours comes last: a rule refuses to have it said twice, and this is what it relies on.
        let mut configuration = given.map(|addon| addon.configuration.clone()).unwrap_or_default();
        merge(&mut configuration, ours);
        let role = roles.and_then(|roles| Some(Roles::arn(&roles.workloads.as_ref()?.vpc_cni)));
        let (pod_identity, service_account_role_arn) = match self.cluster.workload_identity {
            WorkloadIdentity::PodIdentity => {
                let account = CNI_ACCOUNT.to_owned();
                (role.map(|role_arn| addon::PodIdentity { service_account: account, role_arn }), None)
            }
            WorkloadIdentity::Irsa => (None, role),
        };
        let spec = addon::Spec {
            cluster: self.name(),
            name: name.to_owned(),
            version: given.map_or_else(|| "default".to_owned(), |addon| addon.version.clone()),
            kubernetes_version: self.cluster.kubernetes.to_string(),
            configuration: value(configuration),
            pod_identity,
            service_account_role_arn,
            tags: self.tags(&address, &self.label(name)),
        };
        let origin = match given {
            Some(_) => AttrPath::keys(&["addons", name]),
            None => self.origin.clone(),
        };
        self.declare(address.clone(), &spec, after).notes(notes).origin(origin);
        address
    }
}

fn value(values: Values) -> Value {
    // JSON without a hole is a document as it is.
    serde_json::from_value(serde_json::Value::Object(values)).unwrap_or_default()
}
