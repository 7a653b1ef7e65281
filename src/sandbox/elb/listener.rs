//! Listeners: each forwards a port of a load balancer to a target group.

use super::target_group::{port, users};
use super::{check_arn, load_balancer, new_head, tags, target, target_group, write_next};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::query::{Answer, Call, Operation, Page, reads, required, validation, writes};
use crate::sandbox::world::rows::Listener;

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateListener", &["LoadBalancerArn", "Protocol", "Port", "DefaultActions", "Tags"], create),
    reads("DescribeListeners", &["LoadBalancerArn", "ListenerArns", "Marker", "PageSize"], describe),
    writes("DeleteListener", &["ListenerArn"], delete),
];

/// How many listeners a network load balancer can have ("Quotas for your Network Load Balancers").
const MAX_LISTENERS: usize = 50;

fn not_found() -> ApiError {
    ApiError::new("ListenerNotFound", "One or more listeners not found")
}

/// The group that the actions of a call forward to.
fn forwarded<'a>(call: &Call<'a>) -> Result<&'a str, ApiError> {
    let actions = call.params.list("DefaultActions.member");
    let [action] = actions.as_slice() else {
        return Err(validation("A listener of a network load balancer has exactly one default action"));
    };
    if required(action, "Type")? != "forward" {
        return Err(ApiError::new(
            "InvalidLoadBalancerAction",
            "Only forward actions are supported for listeners of network load balancers",
        ));
    }
    let groups = action.list("ForwardConfig.TargetGroups.member");
    match (action.text("TargetGroupArn"), groups.as_slice()) {
        (Some(arn), []) => Ok(arn),
        (_, [group]) => required(group, "TargetGroupArn"),
        _ => Err(validation("A forward action of a network load balancer names exactly one target group")),
    }
}

fn create(call: &mut Call<'_>) -> Answer {
    let arn = required(call.params, "LoadBalancerArn")?;
    let balancer = load_balancer::find(call.region, arn)?.clone();
    let protocol = match required(call.params, "Protocol")? {
        known @ ("TCP" | "UDP" | "TCP_UDP") => known,
        other => return Err(validation(format!("The sandbox has no listeners of the protocol {other}"))),
    };
    let port = port(call.params)?;
    let group_arn = forwarded(call)?;
    let group = target_group::find(call.region, group_arn)?.clone();
    let tags = tags(call)?;
    if group.vpc_id != balancer.vpc_id {
        return Err(ApiError::new(
            "InvalidConfigurationRequest",
            format!("The target group '{group_arn}' must be in the VPC '{}'", balancer.vpc_id),
        ));
    }
    if group.protocol != protocol {
        return Err(ApiError::new(
            "IncompatibleProtocols",
            format!("The protocol {} of the target group does not suit a {protocol} listener", group.protocol),
        ));
    }
    if group.ipv6 && !balancer.dual_stack {
        return Err(ApiError::new(
            "InvalidConfigurationRequest",
            "A load balancer of IP address type 'ipv4' cannot forward to a target group of IP address type 'ipv6'",
        ));
    }
    if users(call.region, group_arn).iter().any(|user| *user != arn) {
        return Err(ApiError::new(
            "TargetGroupAssociationLimit",
            format!("The following target groups cannot be associated with more than one load balancer: {group_arn}"),
        ));
    }
    if call.region.listeners.linked(arn).any(|listener| listener.port == port) {
        return Err(ApiError::new(
            "DuplicateListener",
            format!("A listener already exists on this port for this load balancer '{arn}'"),
        ));
    }
    if call.region.listeners.linked(arn).count() >= MAX_LISTENERS {
        return Err(ApiError::new("TooManyListeners", "The maximum number of listeners has been reached"));
    }
    let path = arn.rsplit_once(":loadbalancer/").map_or("", |(_, path)| path);
    let (head, _) = new_head(call, &format!("listener/{path}"), tags);
    let listener = Listener {
        head,
        load_balancer_arn: arn.to_owned(),
        protocol: protocol.to_owned(),
        port,
        target_group_arn: group_arn.to_owned(),
    };
    // Health is only checked from when the group is used.
    if users(call.region, group_arn).is_empty() {
        target::check_again(call, group_arn);
    }
    let mut xml = Xml::default();
    xml.members("Listeners", [&listener], write);
    call.region.listeners.insert(listener);
    Ok(xml)
}

fn write(xml: &mut Xml, listener: &Listener) {
    let group = &listener.target_group_arn;
    xml.text("ListenerArn", &listener.head.id)
        .text("LoadBalancerArn", &listener.load_balancer_arn)
        .text("Port", listener.port)
        .text("Protocol", &listener.protocol)
        .members("DefaultActions", [group], |xml, group| {
            xml.text("Type", "forward").text("TargetGroupArn", group).group("ForwardConfig", |xml| {
                xml.members("TargetGroups", [group], |xml, group| {
                    xml.text("TargetGroupArn", group);
                });
            });
        });
}

fn describe(call: &mut Call<'_>) -> Answer {
    let page = Page::parse(call.params, "PageSize", (400, 400))?;
    let (arns, balancer) = (call.params.texts("ListenerArns.member"), call.params.text("LoadBalancerArn"));
    match balancer {
        Some(arn) => drop(load_balancer::find(call.region, arn)?),
        None if arns.is_empty() => {
            return Err(validation("You must specify either listener ARNs or a load balancer ARN"));
        }
        None => {}
    }
    for arn in &arns {
        check_arn(arn, "listener/", "listener")?;
        call.region.listeners.get(arn).ok_or_else(not_found)?;
    }
    let chosen = |listener: &&Listener| {
        (arns.is_empty() || arns.contains(&listener.head.id.as_str()))
            && balancer.is_none_or(|balancer| balancer == listener.load_balancer_arn)
    };
    let (rows, next) = page.cut(call.region.listeners.iter().filter(chosen), |listener| listener.head.id.as_str());
    let mut xml = Xml::default();
    xml.members("Listeners", rows, write);
    write_next(&mut xml, next);
    Ok(xml)
}

fn delete(call: &mut Call<'_>) -> Answer {
    let arn = required(call.params, "ListenerArn")?;
    check_arn(arn, "listener/", "listener")?;
    call.region.listeners.remove(arn).map(|_| Xml::default()).ok_or_else(not_found)
}
