//! Deletes security groups, one request a call: rules that name them first, then the groups.

use aws_sdk_ec2::types::{IpPermission, NetworkInterface, SecurityGroup};

use crate::kinds::sdk::listing::{filter, interfaces};
use crate::kinds::sdk::{Absence, Answer, Services};
use crate::resource::{Deletion, ErrorClass, ProviderError};

/// The most that one page of `DescribeSecurityGroupRules` holds.
const PAGE: i32 = 1000;

/// Takes one request's worth of the way to a VPC without the groups that `doomed` picks. `all` are the VPC's groups;
/// rules that name a doomed group are revoked in those that `own` picks, and nowhere else.
///
/// [`Deletion::Accepted`] when there is no such group.
pub(super) async fn sweep(
    services: &Services,
    all: &[SecurityGroup],
    doomed: impl Fn(&SecurityGroup) -> bool,
    own: impl Fn(&SecurityGroup) -> bool,
) -> Result<Deletion, ProviderError> {
    for group in all.iter().filter(|group| doomed(group)) {
        let Some(id) = group.group_id() else { continue };
        for other in all.iter().filter(|other| other.group_id() != Some(id) && names(other, id)) {
            if doomed(other) || own(other) {
                if revoke(services, other.group_id().unwrap_or_default(), id).await? {
                    return Ok(Deletion::Again);
                }
                continue;
            }
            let message = format!(
                "{} cannot be deleted: a rule of {} names it, and that group is not the cluster's; remove the rule",
                named(group),
                named(other)
            );
            return Err(ProviderError::new(ErrorClass::Conflict, "ec2:DeleteSecurityGroup", message));
        }
        let answer = services.ec2.delete_security_group().group_id(id).send().await;
        match answer.written("ec2:DeleteSecurityGroup").unless_absent() {
            Ok(_) => return Ok(Deletion::Again),
            Err(error) if error.class == ErrorClass::InUse => return held(services, group, error).await,
            Err(error) => return Err(error),
        }
    }
    Ok(Deletion::Accepted)
}

/// Whether a rule of `group` names the group `id`.
fn names(group: &SecurityGroup, id: &str) -> bool {
    let in_permission =
        |permission: &IpPermission| permission.user_id_group_pairs().iter().any(|pair| pair.group_id() == Some(id));
    group.ip_permissions().iter().any(in_permission) || group.ip_permissions_egress().iter().any(in_permission)
}

/// Revokes the rules of a group that name another, of one direction a request. `false` if there is none any more.
async fn revoke(services: &Services, group: &str, named: &str) -> Result<bool, ProviderError> {
    let request = services.ec2.describe_security_group_rules().filters(filter("group-id", group)).max_results(PAGE);
    let mut pages = request.into_paginator().send();
    let (mut ingress, mut egress) = (Vec::new(), Vec::new());
    while let Some(page) = pages.next().await {
        for rule in page.read("ec2:DescribeSecurityGroupRules")?.security_group_rules.unwrap_or_default() {
            let names_it = rule.referenced_group_info().and_then(|peer| peer.group_id()) == Some(named);
            if names_it && rule.group_id() == Some(group) {
                let list = if rule.is_egress() == Some(true) { &mut egress } else { &mut ingress };
                list.extend(rule.security_group_rule_id);
            }
        }
    }
    if !ingress.is_empty() {
        let request = services.ec2.revoke_security_group_ingress().group_id(group);
        let answer = request.set_security_group_rule_ids(Some(ingress)).send().await;
        answer.written("ec2:RevokeSecurityGroupIngress").unless_absent()?;
        return Ok(true);
    }
    if !egress.is_empty() {
        let request = services.ec2.revoke_security_group_egress().group_id(group);
        let answer = request.set_security_group_rule_ids(Some(egress)).send().await;
        answer.written("ec2:RevokeSecurityGroupEgress").unless_absent()?;
        return Ok(true);
    }
    Ok(false)
}

/// Why a group cannot go: something of AWS's that is on its way, or something that will stay.
async fn held(services: &Services, group: &SecurityGroup, refusal: ProviderError) -> Result<Deletion, ProviderError> {
    let id = group.group_id().unwrap_or_default();
    let holding = interfaces(services, vec![filter("group-id", id)]).await?;
    if let Some(staying) = holding.iter().find(|interface| !goes_by_itself(interface)) {
        let message = format!("{} cannot be deleted while {} is in it", named(group), described(staying));
        return Err(ProviderError { message, ..refusal.with_class(ErrorClass::Conflict) });
    }
    let what = match holding.as_slice() {
        [] => "something that refers to it".to_owned(),
        [one] => described(one),
        [one, rest @ ..] => format!("{} and {} more", described(one), rest.len()),
    };
    Ok(Deletion::Later(format!("{} is held by {what}", named(group))))
}

/// Whether an interface's owner removes it in its own time: a load balancer that was deleted, a control plane, or an
/// instance that is being terminated. One that an instance holds for good is told by the wait's end.
fn goes_by_itself(interface: &NetworkInterface) -> bool {
    let is_available = interface.status().is_some_and(|status| status.as_str() == "available");
    let description = interface.description().unwrap_or_default();
    interface.requester_managed() == Some(true)
        || is_available
        || ["ELB ", "Amazon EKS ", "aws-K8S-"].iter().any(|start| description.starts_with(start))
}

/// A group by its id and name.
fn named(group: &SecurityGroup) -> String {
    format!("{} ({})", group.group_id().unwrap_or("a security group"), group.group_name().unwrap_or("no name"))
}

/// An interface by its id, and what it says it is for or who holds it.
pub(super) fn described(interface: &NetworkInterface) -> String {
    let id = interface.network_interface_id().unwrap_or("an interface");
    let holder = interface.attachment().and_then(|attachment| attachment.instance_id());
    match (interface.description().filter(|text| !text.is_empty()), holder) {
        (Some(text), Some(holder)) => format!("{id} (`{text}`, attached to {holder})"),
        (Some(text), None) => format!("{id} (`{text}`)"),
        (None, Some(holder)) => format!("{id} (attached to {holder})"),
        (None, None) => id.to_owned(),
    }
}
