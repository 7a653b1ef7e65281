//! Makes that of AWS what a model says, and takes it away: through the operations that any caller has.

use serde_json::Value;

use super::super::control::Control;
use super::groups;
use super::model::{Model, Port, stack};
use super::runner::Runner;
use crate::sandbox::elb;
use crate::sandbox::protocol::Params;
use crate::sandbox::world::rows::{LoadBalancer, Tags};

/// One call to AWS with the controller's role (`ec2:CreateSecurityGroup`).
///
/// # Errors
/// What the controller's client says.
pub(super) fn ask(
    control: &mut Control<'_, '_>,
    runner: &Runner,
    action: &str,
    params: &[(String, String)],
) -> Result<(), String> {
    runner.check(control, action)?;
    let mut all = Params::default();
    for (name, value) in params {
        all.set(name, value);
    }
    let (service, operation) = action.split_once(':').unwrap_or(("ec2", action));
    let limits = (control.quotas, control.now);
    let (called, result) = if service == "ec2" {
        ("EC2", groups::call(control, operation, &all))
    } else {
        ("Elastic Load Balancing v2", elb::ask(operation, &all, control.place, limits))
    };
    result.map_err(|error| {
        format!(
            "operation error {called}: {operation}, https response error StatusCode: {}, api error {}: {}",
            error.status, error.code, error.message
        )
    })
}

const ELB: &str = "elasticloadbalancing";

fn elb_ask(
    control: &mut Control<'_, '_>,
    runner: &Runner,
    operation: &str,
    params: &[(&str, String)],
) -> Result<(), String> {
    let params: Vec<(String, String)> =
        params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    ask(control, runner, &format!("{ELB}:{operation}"), &params)
}

fn with_tags(params: &mut Vec<(String, String)>, tags: &Tags) {
    for (number, (key, value)) in tags.iter().enumerate() {
        params.push((format!("Tags.member.{}.Key", number + 1), key.clone()));
        params.push((format!("Tags.member.{}.Value", number + 1), value.clone()));
    }
}

/// Makes a Service's load balancer what the model says, and answers it.
///
/// # Errors
/// The first thing that AWS refused.
pub(super) fn deploy(
    control: &mut Control<'_, '_>,
    runner: &Runner,
    service: &Value,
    model: &Model,
) -> Result<LoadBalancer, String> {
    let stack = stack(runner, service);
    let (_, prefix) = runner.class.tag();
    let resource = format!("{prefix}/resource");
    let mut groups = Vec::new();
    for port in &model.ports {
        let mut tags = model.tags.clone();
        let id = format!("{}/{}:{}", super::namespace(service), super::name(service), port.listens);
        tags.insert(resource.clone(), id);
        groups.push(target_group(control, runner, port, &tags)?);
    }
    let security = groups::provide(control, runner, model)?;
    let mut tags = model.tags.clone();
    tags.insert(resource, "LoadBalancer".to_owned());
    // One of another scheme is another one.
    for old in balancers(control, runner, &stack).iter().filter(|old| old.name != model.name) {
        remove_balancer(control, runner, old)?;
    }
    let balancer = load_balancer(control, runner, model, (&security, &tags))?;
    listen(control, runner, &balancer, model, &groups)?;
    for (port, arn) in model.ports.iter().zip(&groups) {
        register(control, runner, port, arn)?;
    }
    forget_target_groups(control, runner, &stack, &groups)?;
    Ok(balancer)
}

/// The load balancers with these tags.
fn balancers(control: &Control<'_, '_>, runner: &Runner, tags: &Tags) -> Vec<LoadBalancer> {
    let own = |balancer: &&LoadBalancer| tags.iter().all(|(key, value)| balancer.head.tags.get(key) == Some(value));
    control.place.region.load_balancers.linked(&runner.vpc).filter(own).cloned().collect()
}

/// The target groups with these tags.
fn target_groups(control: &Control<'_, '_>, runner: &Runner, tags: &Tags) -> Vec<String> {
    let groups = control.place.region.target_groups.linked(&runner.vpc);
    groups
        .filter(|group| tags.iter().all(|(key, value)| group.head.tags.get(key) == Some(value)))
        .map(|group| group.head.id.clone())
        .collect()
}

fn load_balancer(
    control: &mut Control<'_, '_>,
    runner: &Runner,
    model: &Model,
    (security, tags): (&[String], &Tags),
) -> Result<LoadBalancer, String> {
    let key = format!("name/{}", model.name);
    if control.place.region.load_balancers.linked(&key).next().is_none() {
        let kind = if model.dual_stack { "dualstack" } else { "ipv4" };
        let mut params: Vec<(String, String)> = [
            ("Name", model.name.as_str()),
            ("Type", "network"),
            ("Scheme", if model.internet_facing { "internet-facing" } else { "internal" }),
            ("IpAddressType", kind),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
        for (number, subnet) in model.subnets.iter().enumerate() {
            params.push((format!("SubnetMappings.member.{}.SubnetId", number + 1), subnet.clone()));
        }
        for (number, group) in security.iter().enumerate() {
            params.push((format!("SecurityGroups.member.{}", number + 1), group.clone()));
        }
        with_tags(&mut params, tags);
        ask(control, runner, &format!("{ELB}:CreateLoadBalancer"), &params)?;
    }
    let found = control.place.region.load_balancers.linked(&key).next().cloned();
    let balancer = found.ok_or_else(|| format!("load balancer {} was made and is not there", model.name))?;
    let changed: Vec<(&String, &String)> =
        model.attributes.iter().filter(|(key, value)| balancer.attribute(key) != Some(value.as_str())).collect();
    if !changed.is_empty() {
        let mut params = vec![("LoadBalancerArn".to_owned(), balancer.head.id.clone())];
        for (number, (key, value)) in changed.into_iter().enumerate() {
            params.push((format!("Attributes.member.{}.Key", number + 1), key.clone()));
            params.push((format!("Attributes.member.{}.Value", number + 1), value.clone()));
        }
        ask(control, runner, &format!("{ELB}:ModifyLoadBalancerAttributes"), &params)?;
    }
    if balancer.groups != security && !balancer.groups.is_empty() {
        let mut params = vec![("LoadBalancerArn".to_owned(), balancer.head.id.clone())];
        for (number, group) in security.iter().enumerate() {
            params.push((format!("SecurityGroups.member.{}", number + 1), group.clone()));
        }
        ask(control, runner, &format!("{ELB}:SetSecurityGroups"), &params)?;
    }
    Ok(balancer)
}

fn target_group(control: &mut Control<'_, '_>, runner: &Runner, port: &Port, tags: &Tags) -> Result<String, String> {
    let key = format!("name/{}", port.group);
    if control.place.region.target_groups.linked(&key).next().is_none() {
        let mut params: Vec<(String, String)> = [
            ("Name", port.group.clone()),
            ("Protocol", "TCP".to_owned()),
            ("Port", port.leads_to.to_string()),
            ("VpcId", runner.vpc.clone()),
            ("TargetType", if port.by_address { "ip" } else { "instance" }.to_owned()),
            ("IpAddressType", if port.ipv6 { "ipv6" } else { "ipv4" }.to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        params.extend(port.check.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        with_tags(&mut params, tags);
        ask(control, runner, &format!("{ELB}:CreateTargetGroup"), &params)?;
    }
    let found = control.place.region.target_groups.linked(&key).next().map(|group| group.head.id.clone());
    found.ok_or_else(|| format!("target group {} was made and is not there", port.group))
}

/// Makes the listeners of a load balancer those of the model.
fn listen(
    control: &mut Control<'_, '_>,
    runner: &Runner,
    balancer: &LoadBalancer,
    model: &Model,
    groups: &[String],
) -> Result<(), String> {
    let arn = &balancer.head.id;
    let existing: Vec<(String, u16, String)> = control
        .place
        .region
        .listeners
        .linked(arn)
        .map(|listener| (listener.head.id.clone(), listener.port, listener.target_group_arn.clone()))
        .collect();
    let wanted: Vec<(u16, &String)> = model.ports.iter().map(|port| port.listens).zip(groups).collect();
    for (id, port, group) in &existing {
        if !wanted.contains(&(*port, group)) {
            elb_ask(control, runner, "DeleteListener", &[("ListenerArn", id.clone())])?;
        }
    }
    for (port, group) in wanted {
        if existing.iter().any(|(_, known, of)| *known == port && of == group) {
            continue;
        }
        let params = [
            ("LoadBalancerArn", arn.clone()),
            ("Protocol", "TCP".to_owned()),
            ("Port", port.to_string()),
            ("DefaultActions.member.1.Type", "forward".to_owned()),
            ("DefaultActions.member.1.TargetGroupArn", group.clone()),
        ];
        elb_ask(control, runner, "CreateListener", &params)?;
    }
    Ok(())
}

/// Makes the targets of a group those that the Service has.
fn register(control: &mut Control<'_, '_>, runner: &Runner, port: &Port, arn: &str) -> Result<(), String> {
    let Some(group) = control.place.region.target_groups.get(arn) else { return Ok(()) };
    let registered: Vec<String> =
        group.targets.iter().filter(|target| target.drained_at.is_none()).map(|target| target.id.clone()).collect();
    let new = port.targets.iter().filter(|target| !registered.contains(target));
    let gone = registered.iter().filter(|target| !port.targets.contains(target));
    let named = |targets: Vec<&String>| {
        let mut params = vec![("TargetGroupArn".to_owned(), arn.to_owned())];
        for (number, target) in targets.into_iter().enumerate() {
            params.push((format!("Targets.member.{}.Id", number + 1), target.clone()));
            params.push((format!("Targets.member.{}.Port", number + 1), port.leads_to.to_string()));
        }
        params
    };
    let (new, gone) = (named(new.collect()), named(gone.collect()));
    if gone.len() > 1 {
        ask(control, runner, &format!("{ELB}:DeregisterTargets"), &gone)?;
    }
    if new.len() > 1 {
        ask(control, runner, &format!("{ELB}:RegisterTargets"), &new)?;
    }
    Ok(())
}

/// Deletes target groups of a Service that it has no use for any more.
fn forget_target_groups(
    control: &mut Control<'_, '_>,
    runner: &Runner,
    stack: &Tags,
    keep: &[String],
) -> Result<(), String> {
    for arn in target_groups(control, runner, stack) {
        if !keep.contains(&arn) {
            elb_ask(control, runner, "DeleteTargetGroup", &[("TargetGroupArn", arn)])?;
        }
    }
    Ok(())
}

fn remove_balancer(control: &mut Control<'_, '_>, runner: &Runner, balancer: &LoadBalancer) -> Result<(), String> {
    elb_ask(control, runner, "DeleteLoadBalancer", &[("LoadBalancerArn", balancer.head.id.clone())])
}

/// Takes away what was made for a Service.
///
/// # Errors
/// The first thing that AWS refused; what is gone by then stays so.
pub(super) fn withdraw(control: &mut Control<'_, '_>, runner: &Runner, service: &Value) -> Result<(), String> {
    let stack = stack(runner, service);
    for balancer in balancers(control, runner, &stack) {
        remove_balancer(control, runner, &balancer)?;
    }
    forget_target_groups(control, runner, &stack, &[])?;
    groups::withdraw(control, runner, service, &stack)
}
