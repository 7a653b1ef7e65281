//! The security groups of load balancers: one for each, whom it lets in; one for all of a cluster, by which they reach
//! its pods.

use ipnet::IpNet;
use serde_json::Value;

use super::super::control::Control;
use super::Class;
use super::deploy::ask;
use super::model::Model;
use super::runner::Runner;
use crate::model::Digest;
use crate::sandbox::ec2;
use crate::sandbox::world::rows::{Peer, SecurityGroupRule, Tags};

/// What the rules are described with by which load balancers reach pods.
const SHARED: &str = "elbv2.k8s.aws/targetGroupBinding=shared";

/// A security group with a name, made if there is none.
fn ensure(
    control: &mut Control<'_, '_>,
    runner: &Runner,
    (name, description): (&str, &str),
    tags: &Tags,
) -> Result<String, String> {
    let key = format!("{}/{name}", runner.vpc);
    if let Some(group) = control.place.region.security_groups.linked(&key).next() {
        return Ok(group.head.id.clone());
    }
    let mut params = vec![
        ("GroupName".to_owned(), name.to_owned()),
        ("GroupDescription".to_owned(), description.to_owned()),
        ("VpcId".to_owned(), runner.vpc.clone()),
        ("TagSpecification.1.ResourceType".to_owned(), "security-group".to_owned()),
    ];
    for (number, (key, value)) in tags.iter().enumerate() {
        params.push((format!("TagSpecification.1.Tag.{}.Key", number + 1), key.clone()));
        params.push((format!("TagSpecification.1.Tag.{}.Value", number + 1), value.clone()));
    }
    ask(control, runner, "ec2:CreateSecurityGroup", &params)?;
    let made = control.place.region.security_groups.linked(&key).next().map(|group| group.head.id.clone());
    let id = made.ok_or_else(|| format!("security group {name} was made and is not there"))?;
    // The controller waits until it sees what it made.
    let now = control.now;
    control.place.region.security_groups.edit(&id, |group| group.head.visible_at = now);
    Ok(id)
}

/// The name of the group that a cluster's load balancers share.
fn shared_name(cluster: &str) -> String {
    let digest = Digest::of_parts(&[cluster.as_bytes()]).to_string();
    let plain: String = cluster.chars().filter(char::is_ascii_alphanumeric).take(232).collect();
    format!("k8s-traffic-{plain}-{}", digest.get(..10).unwrap_or_default())
}

/// Makes the groups of a load balancer what they should be, and answers them.
pub(super) fn provide(control: &mut Control<'_, '_>, runner: &Runner, model: &Model) -> Result<Vec<String>, String> {
    let (cluster, prefix) = runner.class.tag();
    let mut tags = model.tags.clone();
    tags.insert(format!("{prefix}/resource"), "ManagedLBSecurityGroup".to_owned());
    let own = ensure(control, runner, (&model.group, "[k8s] Managed SecurityGroup for LoadBalancer"), &tags)?;
    let resource = match runner.class {
        Class::Controller => "elbv2.k8s.aws/resource",
        Class::AutoMode => "eks:resource",
    };
    let tags =
        Tags::from([(cluster.to_owned(), runner.cluster.clone()), (resource.to_owned(), "backend-sg".to_owned())]);
    let name = shared_name(&runner.cluster);
    let shared = ensure(control, runner, (&name, "[k8s] Shared Backend SecurityGroup for LoadBalancer"), &tags)?;
    let_in(control, runner, &own, model)?;
    open_pods(control, runner, &shared)?;
    Ok(vec![own, shared])
}

/// Writes down whom a load balancer lets in.
fn let_in(control: &mut Control<'_, '_>, runner: &Runner, group: &str, model: &Model) -> Result<(), String> {
    let mut wanted: Vec<(i64, Peer)> = Vec::new();
    for port in &model.ports {
        for source in &model.sources {
            let peer = match source {
                IpNet::V4(block) => Peer::Ipv4(*block),
                IpNet::V6(block) => Peer::Ipv6(*block),
            };
            wanted.push((i64::from(port.listens), peer));
        }
    }
    let rules = ingress(control, group);
    let is = |rule: &SecurityGroupRule, (port, peer): &(i64, Peer)| {
        rule.protocol == "tcp" && rule.ports == Some((*port, *port)) && rule.peer == *peer
    };
    for rule in rules.iter().filter(|rule| !wanted.iter().any(|wanted| is(rule, wanted))) {
        revoke(control, runner, rule)?;
    }
    for (port, peer) in wanted.iter().filter(|wanted| !rules.iter().any(|rule| is(rule, wanted))) {
        let source = match peer {
            Peer::Ipv4(block) => ("IpRanges.1.CidrIp", block.to_string()),
            Peer::Ipv6(block) => ("Ipv6Ranges.1.CidrIpv6", block.to_string()),
            Peer::Group(id) | Peer::PrefixList(id) => ("Groups.1.GroupId", id.clone()),
        };
        authorize(control, runner, group, ((*port, *port), source), None)?;
    }
    Ok(())
}

fn ingress(control: &Control<'_, '_>, group: &str) -> Vec<SecurityGroupRule> {
    let rules = control.place.region.security_group_rules.linked(group);
    rules.filter(|rule| !rule.egress && rule.group_id == group).cloned().collect()
}

fn authorize(
    control: &mut Control<'_, '_>,
    runner: &Runner,
    group: &str,
    ((from, to), (field, source)): ((i64, i64), (&str, String)),
    description: Option<&str>,
) -> Result<(), String> {
    let at = |field: &str| format!("IpPermissions.1.{field}");
    let mut params = vec![
        ("GroupId".to_owned(), group.to_owned()),
        (at("IpProtocol"), "tcp".to_owned()),
        (at("FromPort"), from.to_string()),
        (at("ToPort"), to.to_string()),
        (at(field), source),
    ];
    if let Some(description) = description {
        let list = field.split('.').next().unwrap_or_default();
        params.push((at(&format!("{list}.1.Description")), description.to_owned()));
    }
    ask(control, runner, "ec2:AuthorizeSecurityGroupIngress", &params)
}

fn revoke(control: &mut Control<'_, '_>, runner: &Runner, rule: &SecurityGroupRule) -> Result<(), String> {
    let params =
        [("GroupId".to_owned(), rule.group_id.clone()), ("SecurityGroupRuleId.1".to_owned(), rule.head.id.clone())];
    ask(control, runner, "ec2:RevokeSecurityGroupIngress", &params)
}

/// The rules of the cluster's own group that let its load balancers in.
fn open_rules(control: &Control<'_, '_>) -> Vec<SecurityGroupRule> {
    let shared = |rule: &SecurityGroupRule| rule.description.as_deref() == Some(SHARED);
    let mut rules = ingress(control, &control.cluster.group_id);
    rules.retain(shared);
    rules
}

/// Lets the load balancers of a cluster reach the ports of its pods that they lead to, and those that they check.
fn open_pods(control: &mut Control<'_, '_>, runner: &Runner, shared: &str) -> Result<(), String> {
    let (key, _) = runner.class.tag();
    let mut ports: Vec<i64> = Vec::new();
    for group in control.place.region.target_groups.linked(&runner.vpc) {
        if group.head.tags.get(key) == Some(&runner.cluster) {
            ports.push(i64::from(group.port));
            ports.extend(group.check.port.parse::<i64>().ok());
        }
    }
    let (Some(from), Some(to)) = (ports.iter().min().copied(), ports.iter().max().copied()) else { return Ok(()) };
    let rules = open_rules(control);
    let is = |rule: &&SecurityGroupRule| rule.ports == Some((from, to)) && rule.peer == Peer::Group(shared.to_owned());
    if rules.iter().any(|rule| is(&rule)) {
        return Ok(());
    }
    for rule in &rules {
        revoke(control, runner, rule)?;
    }
    let own = control.cluster.group_id.clone();
    authorize(control, runner, &own, ((from, to), ("Groups.1.GroupId", shared.to_owned())), Some(SHARED))
}

/// Takes away the groups of a Service whose load balancer is gone; those that all share go with the last one.
pub(super) fn withdraw(
    control: &mut Control<'_, '_>,
    runner: &Runner,
    _service: &Value,
    stack: &Tags,
) -> Result<(), String> {
    let (key, _) = runner.class.tag();
    let groups: Vec<(String, Tags)> = control
        .place
        .region
        .security_groups
        .linked(&runner.vpc)
        .filter(|group| group.head.tags.get(key) == Some(&runner.cluster))
        .map(|group| (group.head.id.clone(), group.head.tags.clone()))
        .collect();
    let is_own = |tags: &Tags| stack.iter().all(|(key, value)| tags.get(key) == Some(value));
    for (id, _) in groups.iter().filter(|(_, tags)| is_own(tags)) {
        delete(control, runner, id)?;
    }
    let is_shared = |tags: &Tags| tags.values().any(|value| value == "backend-sg");
    let others = groups.iter().any(|(_, tags)| !is_own(tags) && !is_shared(tags));
    if others {
        return Ok(());
    }
    for rule in open_rules(control) {
        revoke(control, runner, &rule)?;
    }
    for (id, _) in groups.iter().filter(|(_, tags)| is_shared(tags)) {
        delete(control, runner, id)?;
    }
    Ok(())
}

fn delete(control: &mut Control<'_, '_>, runner: &Runner, id: &str) -> Result<(), String> {
    if control.place.region.security_groups.get(id).is_none() {
        return Ok(());
    }
    ask(control, runner, "ec2:DeleteSecurityGroup", &[("GroupId".to_owned(), id.to_owned())])
}

/// Runs an operation of EC2.
pub(super) fn call(
    control: &mut Control<'_, '_>,
    operation: &str,
    params: &crate::sandbox::protocol::Params,
) -> Result<(), crate::sandbox::protocol::ApiError> {
    let limits = (control.quotas, control.now);
    ec2::ask(operation, params, control.place, limits)
}
