//! Which controllers run in a cluster, and who they are to AWS.

use jiff::Timestamp;
use serde_json::Value;

use super::super::control::Control;
use super::super::parts::{annotation, core, holds, is_going, label, list, namespace, since, text};
use super::Class;
use crate::sandbox::eks;
use crate::sandbox::iam;
use crate::sandbox::world::rows::Role;

/// A controller that runs.
pub(super) struct Runner {
    /// Which Services are its.
    pub(super) class: Class,
    /// Since when it runs.
    pub(super) since: Timestamp,
    /// The name of the cluster that it puts into tags.
    pub(super) cluster: String,
    /// The VPC that it works in.
    pub(super) vpc: String,
    /// The role that it has.
    role: Option<Role>,
}

/// The controllers of a cluster that run.
pub(super) fn running(control: &mut Control<'_, '_>) -> Vec<Runner> {
    let cluster = control.cluster;
    let mut runners = Vec::new();
    if cluster.auto_mode.is_some() {
        runners.push(Runner {
            class: Class::AutoMode,
            since: cluster.settled_at,
            cluster: cluster.name().to_owned(),
            vpc: cluster.vpc_id.clone(),
            role: control.place.global.roles.linked(&cluster.role_arn).next().cloned(),
        });
    }
    let mut pods = control.list_if("", "pods", |pod| {
        label(pod, "app.kubernetes.io/name") == Some("aws-load-balancer-controller")
            && holds(pod, "Ready")
            && !is_going(pod)
    });
    pods.sort_by_key(|pod| since(pod, "Ready"));
    if let Some(pod) = pods.first() {
        let argument = |name: &str| {
            let mut arguments = list(pod, "/spec/containers/0/args").iter().filter_map(Value::as_str);
            arguments.find_map(|one| one.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
        };
        runners.push(Runner {
            class: Class::Controller,
            since: since(pod, "Ready").unwrap_or(control.now),
            cluster: argument("--cluster-name").unwrap_or_else(|| cluster.name().to_owned()),
            vpc: argument("--aws-vpc-id").unwrap_or_else(|| cluster.vpc_id.clone()),
            role: role_of(control, pod),
        });
    }
    runners
}

/// The role that a pod's service account has: by a pod identity, by the cluster's issuer of tokens, or that of its node.
fn role_of(control: &mut Control<'_, '_>, pod: &Value) -> Option<Role> {
    let (cluster, now) = (control.cluster, control.now);
    let (space, account) = (namespace(pod), text(pod, "/spec/serviceAccountName"));
    let annotated = control
        .get(&core("serviceaccounts", space, account))
        .and_then(|account| annotation(&account, "eks.amazonaws.com/role-arn").map(str::to_owned));
    let place = &*control.place;
    let agent = place.region.addons.get(&format!("{}/eks-pod-identity-agent", cluster.name()));
    let identity = place.region.pod_identities.linked(&format!("{}/{space}/{account}", cluster.name())).next();
    if let Some(identity) = identity.filter(|_| agent.is_some()) {
        return iam::role_for_service(place.global, &identity.role_arn, "pods.eks.amazonaws.com", now).ok().cloned();
    }
    if let Some(arn) = annotated {
        let issuer = eks::issuer(&place.region.name, &cluster.unique);
        let subject = format!("system:serviceaccount:{space}:{account}");
        return iam::role_for_service_account(place.global, &arn, &issuer, &subject, now).ok().cloned();
    }
    let group = place.region.nodegroups.linked(cluster.name()).next()?;
    place.global.roles.linked(&group.role_arn).next().cloned()
}

impl Runner {
    /// Refuses what the role does not allow, as AWS does.
    ///
    /// # Errors
    /// What the controller's client would say.
    pub(super) fn check(&self, control: &Control<'_, '_>, action: &str) -> Result<(), String> {
        let (service, operation) = action.split_once(':').unwrap_or(("ec2", action));
        let service = if service == "ec2" { "EC2" } else { "Elastic Load Balancing v2" };
        let Some(role) = &self.role else {
            return Err(format!(
                "operation error {service}: {operation}, get identity: get credentials: failed to refresh cached credentials, the \
                 service account of the controller has no role"
            ));
        };
        // EKS's own role for this has a managed policy for it, which is not looked into.
        if self.class == Class::AutoMode || iam::allows(role, action, control.now) {
            return Ok(());
        }
        Err(format!(
            "operation error {service}: {operation}, https response error StatusCode: 403, api error AccessDenied: User: \
             arn:aws:sts::{}:assumed-role/{}/aws-load-balancer-controller is not authorized to perform: {action}",
            control.place.mint.account, role.head.id
        ))
    }
}
