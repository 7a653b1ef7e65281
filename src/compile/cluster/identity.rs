//! A cluster's roles in IAM, and how its pods get them.
//!
//! Roles refer to nothing, so that they are made while the network is; only the roles of pods that are told by an OIDC
//! provider wait for the cluster, whose issuer is in their trust.

use std::collections::BTreeMap;

use super::Lowering;
use super::names::{Role, role};
use crate::kinds::eks::pod_identity_association;
use crate::kinds::iam::{oidc_provider, policies, role as iam_role};
use crate::model::{Address, Input, Reference, Value};
use crate::topology::schema::{IpFamily, WorkloadIdentity};

/// Where the VPC CNI and the load balancer controller run.
pub(super) const NAMESPACE: &str = "kube-system";
/// The service account of the VPC CNI.
pub(super) const CNI_ACCOUNT: &str = "aws-node";
/// The service account of the load balancer controller.
pub(super) const CONTROLLER_ACCOUNT: &str = "aws-load-balancer-controller";
/// Whom the tokens of service accounts are for.
const AUDIENCE: &str = "sts.amazonaws.com";

/// The addresses of a cluster's roles.
pub(super) struct Roles {
    pub(super) control_plane: Address,
    pub(super) node: Address,
    /// Of what runs on managed nodes; Auto Mode brings its own.
    pub(super) workloads: Option<WorkloadRoles>,
}

/// The roles of pods.
pub(super) struct WorkloadRoles {
    pub(super) vpc_cni: Address,
    pub(super) controller: Address,
}

/// What a role may do.
#[derive(Default)]
struct Permissions {
    managed: Vec<String>,
    inline: BTreeMap<String, Value>,
}

impl Roles {
    /// The ARN of a role.
    pub(super) fn arn(role: &Address) -> Input<String> {
        Reference::to(role, "arn").into()
    }
}

impl Lowering<'_> {
    /// The roles that EKS itself and the nodes take on.
    pub(super) fn roles(&mut self) -> Roles {
        let (partition, auto) = (self.partition(), self.is_auto());
        let mut control_plane =
            Permissions { managed: policies::cluster_managed(partition, auto), ..Permissions::default() };
        if auto && !self.mesh.topology.tags.is_empty() {
            control_plane.inline.insert("auto-mode-tags".to_owned(), policies::auto_mode_tags(partition));
        }
        let control_plane = self.role(Role::ControlPlane, policies::cluster_trust(auto), control_plane, Vec::new());
        // The VPC CNI has a role of its own, so that whoever gets at a node's credentials may not rewire the network.
        let node = Permissions { managed: policies::node_managed(partition, auto), ..Permissions::default() };
        let node = self.role(Role::Node, policies::node_trust(partition), node, Vec::new());
        let workloads = (!auto).then(|| WorkloadRoles {
            vpc_cni: self.address("iam.role", &[Role::VpcCni.part()]),
            controller: self.address("iam.role", &[Role::LoadBalancerController.part()]),
        });
        Roles { control_plane, node, workloads }
    }

    /// The roles that pods take on, by the way that the cluster chose.
    pub(super) fn workload_roles(&mut self, roles: &Roles) {
        if roles.workloads.is_none() {
            return;
        }
        let partition = self.partition();
        let provider = match self.cluster.workload_identity {
            WorkloadIdentity::PodIdentity => None,
            WorkloadIdentity::Irsa => Some(Value::Unknown(Reference::to(&self.oidc_provider(), "arn"))),
        };
        let trust = |account: &str| match &provider {
            None => policies::pod_identity_trust(),
            Some(provider) => policies::irsa_trust(provider, NAMESPACE, account),
        };
        let mut cni = Permissions::default();
        let note = self.grant_cni(&mut cni);
        self.role(Role::VpcCni, trust(CNI_ACCOUNT), cni, note.into_iter().collect());
        let mut controller = Permissions::default();
        controller.inline.insert("load-balancer-controller".to_owned(), policies::load_balancer_controller(partition));
        let declared = &self.mesh.topology.load_balancer_controller;
        let notes = if declared == policies::CONTROLLER_VERSION {
            Vec::new()
        } else {
            vec![format!(
                "its permissions are those that the controller's release {} asks for, and {declared} is declared",
                policies::CONTROLLER_VERSION
            )]
        };
        self.role(Role::LoadBalancerController, trust(CONTROLLER_ACCOUNT), controller, notes);
    }

    /// What the VPC CNI may do, and why it is what it is.
    fn grant_cni(&self, permissions: &mut Permissions) -> Option<String> {
        let partition = self.partition();
        match self.cluster.ip_family {
            IpFamily::Ipv4 => {
                permissions.managed.extend(policies::cni_ipv4_managed(partition));
                None
            }
            IpFamily::Ipv6 => {
                permissions.inline.insert("vpc-cni-ipv6".to_owned(), policies::cni_ipv6(partition));
                Some(
                    "a policy of its own, because AWS has none for the VPC CNI of an IPv6 cluster, and the one in its \
                     documentation lacks what release 1.22.1 and later ask for"
                        .to_owned(),
                )
            }
        }
    }

    /// What ties the load balancer controller's pods to their role: an association, where Pod Identity does it. With an
    /// OIDC provider the role's trust and an annotation of the service account do.
    pub(super) fn controller_identity(&mut self, roles: &Roles) -> Option<Address> {
        let workloads = roles.workloads.as_ref()?;
        if self.cluster.workload_identity != WorkloadIdentity::PodIdentity {
            return None;
        }
        let address = self.address("eks.pod_identity_association", &[CONTROLLER_ACCOUNT]);
        let spec = pod_identity_association::Spec {
            cluster: self.name(),
            namespace: NAMESPACE.to_owned(),
            service_account: CONTROLLER_ACCOUNT.to_owned(),
            role_arn: Roles::arn(&workloads.controller),
            tags: self.tags(&address, &self.label(CONTROLLER_ACCOUNT)),
        };
        self.declare(address.clone(), &spec, &[]);
        Some(address)
    }

    fn oidc_provider(&mut self) -> Address {
        let address = self.address("iam.oidc_provider", &[]);
        let spec = oidc_provider::Spec {
            url: Reference::to(&self.itself(), "oidc_issuer").into(),
            client_ids: vec![AUDIENCE.to_owned()],
            tags: self.tags(&address, &self.label("")),
        };
        self.declare(address.clone(), &spec, &[]);
        address
    }

    fn role(&mut self, which: Role, trust: Value, permissions: Permissions, mut notes: Vec<String>) -> Address {
        let address = self.address("iam.role", &[which.part()]);
        let mesh = &self.mesh.topology.mesh;
        let name = role(&mesh.id, self.cluster.name.as_str(), which);
        if !name.starts_with(&self.label("")) {
            notes.push(format!("named {name}, because IAM takes 64 characters"));
        }
        let spec = iam_role::Spec {
            path: mesh.role_path.clone(),
            trust,
            managed_policies: permissions.managed,
            inline_policies: permissions.inline,
            permissions_boundary: mesh.permissions_boundary.clone(),
            tags: self.tags(&address, &name),
            name,
        };
        self.declare(address.clone(), &spec, &[]).notes(&notes);
        address
    }
}
