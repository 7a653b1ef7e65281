//! A cluster's control plane, and who reaches it.
//!
//! It waits for its subnets, its role and the *addresses* of the peers' NAT gateways, which are known seconds after they
//! are asked for; never for a NAT gateway, a route or another cluster. So all clusters of a mesh are made side by side,
//! beside everything that takes time in their networks.

use super::identity::Roles;
use super::{Lowering, family};
use crate::kinds::eks::cluster as eks;
use crate::model::{Address, Input};
use crate::topology::schema::{IpFamily, PublicAccess};

/// Any IPv4 address.
const ANY_IPV4: &str = "0.0.0.0/0";
/// Any IPv6 address.
const ANY_IPV6: &str = "::/0";

/// The node pools that Auto Mode is made with: one for anything, one for what a cluster itself needs.
const NODE_POOLS: [&str; 2] = ["general-purpose", "system"];

/// Who reaches a public endpoint.
struct Reach {
    open: bool,
    ranges: Vec<Input<String>>,
    note: Option<String>,
}

impl Lowering<'_> {
    pub(super) fn control_plane(&mut self, roles: &Roles) -> Address {
        let address = self.itself();
        let topology = self.mesh.topology;
        let cluster = self.cluster;
        let reach = self.reach();
        let mut notes = cluster.notes.clone();
        notes.extend(reach.note.clone());
        if cluster.ip_family == IpFamily::Ipv4 && cluster.service_cidr.is_none() {
            notes.push(
                "services take 10.100.0.0/16 or 172.20.0.0/16, whichever EKS finds apart from the network".to_owned(),
            );
        }
        if self.is_auto() {
            notes.push("Auto Mode: EKS brings nodes, networking, DNS and load balancing itself".to_owned());
        }
        if !topology.extended_support {
            notes.push(format!(
                "standard support: EKS upgrades the control plane itself when that of {} ends",
                cluster.kubernetes
            ));
        }
        if !cluster.logging.is_empty() {
            notes.push(format!(
                "its logs go to the log group /aws/eks/{}/cluster, which CloudWatch charges for and which stays when the \
                 cluster goes",
                cluster.name
            ));
        }
        let spec = eks::Spec {
            name: cluster.name.as_str().to_owned(),
            role_arn: Roles::arn(&roles.control_plane),
            version: cluster.kubernetes.to_string(),
            subnet_ids: self.site.private_subnets.clone(),
            security_group_ids: cluster.security_groups.iter().map(|id| Input::from(id.as_str())).collect(),
            endpoint_public_access: reach.open,
            // What is in the network itself never goes out for it.
            endpoint_private_access: true,
            public_access_cidrs: reach.ranges,
            ip_family: family(cluster),
            service_ipv4_cidr: cluster.service_cidr.map(|cidr| cidr.to_string()),
            authentication_mode: "API".to_owned(),
            support_type: if topology.extended_support { "EXTENDED" } else { "STANDARD" }.to_owned(),
            auto_mode: self.is_auto().then(|| eks::AutoMode {
                node_pools: NODE_POOLS.map(str::to_owned).to_vec(),
                node_role_arn: Roles::arn(&roles.node),
            }),
            logging: cluster.logging.iter().map(|log| log.as_str().to_owned()).collect(),
            deletion_protection: cluster.deletion_protection,
            // Whoever runs meshplan must be able to put the mesh into it.
            bootstrap_creator_admin: true,
            tags: self.tags(&address, &self.label("")),
        };
        let remains = self.address("teardown.remains", &[]);
        let protected = cluster.protect;
        self.declare(address.clone(), &spec, &[&remains]).notes(&notes).protected(protected);
        address
    }

    /// Who reaches the public endpoint: operators, and the pods of every other network, whose control planes watch this
    /// one. Pods of the same network reach the private endpoint.
    fn reach(&self) -> Reach {
        let access = &self.mesh.topology.api_access;
        let ipv6 = self.cluster.ip_family == IpFamily::Ipv6;
        match access.public {
            PublicAccess::None => Reach { open: false, ranges: Vec::new(), note: None },
            PublicAccess::Any => {
                let any = [Some(ANY_IPV4), ipv6.then_some(ANY_IPV6)];
                Reach { open: true, ranges: any.into_iter().flatten().map(Input::from).collect(), note: None }
            }
            PublicAccess::Peers => {
                // The endpoint of an IPv4 cluster has no IPv6 address, and EKS takes no IPv6 range for it.
                let operators = access.cidrs.iter().filter(|range| ipv6 || range.addr().is_ipv4());
                let mut ranges: Vec<Input<String>> =
                    operators.map(|range| Input::Known(range.trunc().to_string())).collect();
                // Ranges that are there and do not fit open nothing: the rules have warned of them.
                let note = access.cidrs.is_empty().then(|| {
                    "the API server is open to any IPv4 address, because `api_access.cidrs` names no operator and \
                     nobody could reach it otherwise; it still asks who calls"
                        .to_owned()
                });
                if note.is_some() {
                    ranges.push(ANY_IPV4.into());
                }
                for (network, site) in self.mesh.sites {
                    if *network == &self.cluster.network || !self.mesh.members.contains_key(network) {
                        continue;
                    }
                    // Ranges within the range of everybody say nothing more.
                    if note.is_none() {
                        ranges.extend(site.nat_cidrs.iter().cloned());
                    }
                    if ipv6 {
                        ranges.extend(site.ipv6_cidr());
                    }
                }
                Reach { open: true, ranges, note }
            }
        }
    }
}
