//! What a Service asks for, in the words of AWS: the annotations of the AWS load balancer controller.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde_json::Value;

use super::super::control::Control;
use super::super::parts::{annotation, holds, list, name, namespace, number, text, texts, uid};
use super::super::{pods, services};
use super::Class;
use super::runner::Runner;
use crate::model::Digest;
use crate::sandbox::world::Region;
use crate::sandbox::world::ranges::free_addresses;
use crate::sandbox::world::rows::{Subnet, Tags};

/// What the annotations begin with.
const PREFIX: &str = "service.beta.kubernetes.io/aws-load-balancer-";

/// How many free addresses a subnet must have.
const MIN_FREE_ADDRESSES: usize = 8;

/// What a Service asks for.
pub(super) struct Model {
    pub(super) name: String,
    pub(super) internet_facing: bool,
    pub(super) dual_stack: bool,
    pub(super) subnets: Vec<String>,
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) ports: Vec<Port>,
    /// Whom it lets in.
    pub(super) sources: Vec<IpNet>,
    /// The name of its security group.
    pub(super) group: String,
    /// On everything that is made for the Service.
    pub(super) tags: Tags,
}

/// One port of a load balancer, and what it leads to.
pub(super) struct Port {
    pub(super) listens: u16,
    /// The name of its target group.
    pub(super) group: String,
    /// The port of the targets.
    pub(super) leads_to: u16,
    pub(super) by_address: bool,
    pub(super) ipv6: bool,
    pub(super) check: Vec<(&'static str, String)>,
    /// Addresses or instances.
    pub(super) targets: Vec<String>,
}

impl Class {
    /// The tag that says whose cluster's something is, and what the tags that say more begin with.
    pub(super) fn tag(self) -> (&'static str, &'static str) {
        match self {
            Self::Controller => ("elbv2.k8s.aws/cluster", "service.k8s.aws"),
            Self::AutoMode => ("eks:eks-cluster-name", "service.eks.amazonaws.com"),
        }
    }
}

/// The tags by which everything of a Service is found again.
pub(super) fn stack(runner: &Runner, service: &Value) -> Tags {
    let (cluster, prefix) = runner.class.tag();
    let stack = format!("{}/{}", namespace(service), name(service));
    Tags::from([(cluster.to_owned(), runner.cluster.clone()), (format!("{prefix}/stack"), stack)])
}

/// A name as the controller makes it: what it is for, and a digest.
fn generated(service: &Value, parts: &[&str]) -> String {
    let plain = |text: &str| -> String { text.chars().filter(char::is_ascii_alphanumeric).take(8).collect() };
    let bytes: Vec<&[u8]> = parts.iter().map(|part| part.as_bytes()).collect();
    let digest = Digest::of_parts(&bytes).to_string();
    let digest = digest.get(..10).unwrap_or_default();
    format!("k8s-{}-{}-{digest}", plain(namespace(service)), plain(name(service)))
}

impl Model {
    /// Reads a Service.
    ///
    /// # Errors
    /// What the controller says of one that it cannot make sense of.
    pub(super) fn of(control: &mut Control<'_, '_>, runner: &Runner, service: &Value) -> Result<Self, String> {
        let said = |suffix: &str| annotation(service, &format!("{PREFIX}{suffix}"));
        let internet_facing = match said("scheme").unwrap_or("internal") {
            "internet-facing" => true,
            "internal" => false,
            other => return Err(format!("unknown scheme: {other}")),
        };
        let dual_stack = match said("ip-address-type").unwrap_or("ipv4") {
            "dualstack" => true,
            "ipv4" => false,
            other => return Err(format!("unknown IPAddressType: {other}")),
        };
        let scheme = if internet_facing { "internet-facing" } else { "internal" };
        let balancer = match said("name") {
            Some(name) if name.len() > 32 => {
                return Err("load balancer name cannot be longer than 32 characters".to_owned());
            }
            Some(name) => name.to_owned(),
            None => generated(service, &[&runner.cluster, uid(service), scheme]),
        };
        let subnets = subnets(control.place.region, runner, said("subnets"), internet_facing)?;
        let ipv6 = texts(service, "/spec/ipFamilies").contains(&"IPv6");
        if ipv6 && !dual_stack {
            return Err("unsupported IPv6 configuration, lb not dual-stack".to_owned());
        }
        let sources = sources(service, said("source-ranges"), dual_stack)?;
        let mut ports = Vec::new();
        for port in list(service, "/spec/ports") {
            ports.push(Port::of(control, runner, service, (port, ipv6))?);
        }
        let mut tags = pairs(said("additional-resource-tags").unwrap_or_default());
        tags.extend(stack(runner, service));
        Ok(Self {
            name: balancer,
            internet_facing,
            dual_stack,
            subnets,
            attributes: pairs(said("attributes").unwrap_or_default()),
            ports,
            sources,
            group: generated(service, &[&runner.cluster, name(service), namespace(service), uid(service)]),
            tags,
        })
    }
}

impl Port {
    fn of(
        control: &mut Control<'_, '_>,
        runner: &Runner,
        service: &Value,
        (port, ipv6): (&Value, bool),
    ) -> Result<Self, String> {
        let said = |suffix: &str| annotation(service, &format!("{PREFIX}{suffix}"));
        let by_address = match (said("nlb-target-type"), said("type"), runner.class) {
            (Some("ip" | "nlb-ip"), _, _) | (None, Some("nlb-ip"), _) | (None, _, Class::AutoMode) => true,
            (Some("instance") | None, _, _) => false,
            (Some(other), _, _) => {
                return Err(format!("unsupported targetType: {other} when EnableIPTargetType is true"));
            }
        };
        let narrow = |number: i64| u16::try_from(number).map_err(|_| format!("port {number} is out of range"));
        let own = number(port, "/port").unwrap_or_default();
        let behind = services::pods_behind(control, service);
        let (target, targets) = if by_address {
            let target = behind.first().map_or(Some(own), |pod| pods::port(pod, &port["targetPort"], own));
            let ready = behind.iter().filter(|pod| holds(pod, "Ready"));
            (target.unwrap_or(own), ready.map(|pod| text(pod, "/status/podIP").to_owned()).collect())
        } else {
            let node_port = number(port, "/nodePort")
                .ok_or_else(|| "unable to support instance target type with an unallocated NodePort".to_owned())?;
            let nodes = control.list_if("", "nodes", pods_go_to);
            let id = |node: &Value| text(node, "/spec/providerID").rsplit('/').next().unwrap_or_default().to_owned();
            (node_port, nodes.iter().map(id).collect())
        };
        let protocol = said("healthcheck-protocol").unwrap_or("TCP").to_ascii_uppercase();
        let checked = said("healthcheck-port").unwrap_or("traffic-port");
        if checked != "traffic-port" && checked.parse::<u16>().is_err() {
            return Err(format!("invalid health check port {checked}"));
        }
        let mut check = vec![
            ("HealthCheckProtocol", protocol.clone()),
            ("HealthCheckPort", checked.to_owned()),
            ("HealthCheckIntervalSeconds", said("healthcheck-interval").unwrap_or("10").to_owned()),
            ("HealthyThresholdCount", said("healthcheck-healthy-threshold").unwrap_or("3").to_owned()),
            ("UnhealthyThresholdCount", said("healthcheck-unhealthy-threshold").unwrap_or("3").to_owned()),
        ];
        if protocol != "TCP" {
            check.push(("HealthCheckPath", said("healthcheck-path").unwrap_or("/").to_owned()));
        }
        let kind = if by_address { "ip" } else { "instance" };
        let (listens, target) = (narrow(own)?, narrow(target)?);
        let parts: Vec<String> = vec![
            runner.cluster.clone(),
            uid(service).to_owned(),
            target.to_string(),
            own.to_string(),
            kind.to_owned(),
            protocol,
        ];
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Ok(Self { listens, group: generated(service, &parts), leads_to: target, by_address, ipv6, check, targets })
    }
}

fn pods_go_to(node: &Value) -> bool {
    super::super::nodes::takes_pods(node)
}

/// `key=value,key=value`.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned())).collect()
}

/// Whom a load balancer lets in.
fn sources(service: &Value, said: Option<&str>, dual_stack: bool) -> Result<Vec<IpNet>, String> {
    let mut texts: Vec<&str> = texts(service, "/spec/loadBalancerSourceRanges");
    if texts.is_empty() {
        texts = said.unwrap_or_default().split(',').map(str::trim).filter(|text| !text.is_empty()).collect();
    }
    if texts.is_empty() {
        texts = if dual_stack { vec!["0.0.0.0/0", "::/0"] } else { vec!["0.0.0.0/0"] };
    }
    let mut sources: Vec<IpNet> = Vec::new();
    for text in texts {
        let source: IpNet = text.parse().map_err(|_| format!("invalid CIDR address: {text}"))?;
        if source.addr().is_ipv6() && !dual_stack {
            return Err(format!("unsupported v6 cidr {text} when lb is not dualstack"));
        }
        if !sources.contains(&source.trunc()) {
            sources.push(source.trunc());
        }
    }
    Ok(sources)
}

/// The subnets of a load balancer: those that are named, or those that are tagged for it, one in each zone.
fn subnets(
    region: &Region,
    runner: &Runner,
    named: Option<&str>,
    internet_facing: bool,
) -> Result<Vec<String>, String> {
    if let Some(named) = named {
        let mut ids = Vec::new();
        for wanted in named.split(',').map(str::trim) {
            let is = |subnet: &&Subnet| {
                subnet.head.id == wanted || subnet.head.tags.get("Name").is_some_and(|name| name == wanted)
            };
            let found = region.subnets.linked(&runner.vpc).find(is);
            let found =
                found.ok_or_else(|| format!("failed to resolve subnet {wanted}: not found in {}", runner.vpc))?;
            ids.push(found.head.id.clone());
        }
        return Ok(ids);
    }
    let role = if internet_facing { "kubernetes.io/role/elb" } else { "kubernetes.io/role/internal-elb" };
    let own = format!("kubernetes.io/cluster/{}", runner.cluster);
    let mut by_zone: BTreeMap<&str, &Subnet> = BTreeMap::new();
    let mut tagged = 0;
    for subnet in region.subnets.linked(&runner.vpc) {
        let tags = &subnet.head.tags;
        if !tags.get(role).is_some_and(|value| value.is_empty() || value == "1") {
            continue;
        }
        tagged += 1;
        // One that is tagged for other clusters only is not for this one.
        let foreign = tags.keys().any(|key| key.starts_with("kubernetes.io/cluster/")) && !tags.contains_key(&own);
        if foreign || free_addresses(region, &subnet.head.id, subnet.cidr) < MIN_FREE_ADDRESSES {
            continue;
        }
        by_zone.entry(&subnet.zone).or_insert(subnet);
    }
    if by_zone.is_empty() {
        return Err(format!(
            "couldn't auto-discover subnets: unable to resolve at least one subnet ({tagged} match VPC and tags: [{role}])"
        ));
    }
    Ok(by_zone.values().map(|subnet| subnet.head.id.clone()).collect())
}
