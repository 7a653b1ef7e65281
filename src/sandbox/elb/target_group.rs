//! Target groups.

use super::{check_arn, check_name, new_head, tags, write_next};
use crate::sandbox::protocol::{ApiError, Node, Xml};
use crate::sandbox::query::{Answer, Call, Operation, Page, constraint, reads, required, validation, writes};
use crate::sandbox::world::Region;
use crate::sandbox::world::rows::TargetGroup;
use crate::sandbox::world::rows::elb::HealthCheck;

pub(super) const OPERATIONS: &[Operation] = &[
    writes(
        "CreateTargetGroup",
        &[
            "Name",
            "Protocol",
            "Port",
            "VpcId",
            "HealthCheckProtocol",
            "HealthCheckPort",
            "HealthCheckEnabled",
            "HealthCheckPath",
            "HealthCheckIntervalSeconds",
            "HealthCheckTimeoutSeconds",
            "HealthyThresholdCount",
            "UnhealthyThresholdCount",
            "Matcher",
            "TargetType",
            "Tags",
            "IpAddressType",
        ],
        create,
    ),
    reads("DescribeTargetGroups", &["LoadBalancerArn", "TargetGroupArns", "Names", "Marker", "PageSize"], describe),
    writes("DeleteTargetGroup", &["TargetGroupArn"], delete),
];

/// The target group with this ARN.
pub(super) fn find<'a>(region: &'a Region, arn: &str) -> Result<&'a TargetGroup, ApiError> {
    check_arn(arn, "targetgroup/", "target group")?;
    region
        .target_groups
        .get(arn)
        .ok_or_else(|| ApiError::new("TargetGroupNotFound", "One or more target groups not found"))
}

/// A port as it stands in a call.
pub(super) fn port(params: &Node) -> Result<u16, ApiError> {
    let text = required(params, "Port")?;
    match text.parse::<u16>() {
        Ok(0) => Err(constraint(text, "Port", "have value greater than or equal to 1")),
        Ok(port) => Ok(port),
        Err(_) => Err(constraint(text, "Port", "have value less than or equal to 65535")),
    }
}

fn protocol(params: &Node) -> Result<&str, ApiError> {
    match required(params, "Protocol")? {
        known @ ("TCP" | "UDP" | "TCP_UDP" | "TLS") => Ok(known),
        other => Err(validation(format!(
            "The sandbox has no target groups of the protocol {other}, only those of network load balancers: TCP, UDP, TCP_UDP, TLS"
        ))),
    }
}

fn number(params: &Node, name: &str, usual: i64, (low, high): (i64, i64)) -> Result<i64, ApiError> {
    let Some(text) = params.text(name) else { return Ok(usual) };
    match text.parse::<i64>() {
        Ok(value) if (low..=high).contains(&value) => Ok(value),
        Ok(value) if value > high => Err(constraint(text, name, &format!("have value less than or equal to {high}"))),
        Ok(_) | Err(_) => Err(constraint(text, name, &format!("have value greater than or equal to {low}"))),
    }
}

/// How health is checked; the defaults are those of network load balancers.
fn health_check(params: &Node) -> Result<HealthCheck, ApiError> {
    let protocol = params.text("HealthCheckProtocol").unwrap_or("TCP");
    let over_http = match protocol {
        "TCP" => false,
        "HTTP" | "HTTPS" => true,
        other => return Err(validation(format!("Health check protocol '{other}' is not supported"))),
    };
    let path = params.text("HealthCheckPath");
    if !over_http && (path.is_some() || params.text("Matcher.HttpCode").is_some()) {
        return Err(ApiError::new(
            "InvalidConfigurationRequest",
            "Health check paths and matchers are not supported for health checks over TCP",
        ));
    }
    Ok(HealthCheck {
        protocol: protocol.to_owned(),
        port: params.text("HealthCheckPort").unwrap_or("traffic-port").to_owned(),
        path: over_http.then(|| path.unwrap_or("/").to_owned()),
        matcher: over_http.then(|| params.text("Matcher.HttpCode").unwrap_or("200-399").to_owned()),
        interval: number(params, "HealthCheckIntervalSeconds", 30, (5, 300))?,
        timeout: number(params, "HealthCheckTimeoutSeconds", if over_http { 6 } else { 10 }, (2, 120))?,
        healthy: number(params, "HealthyThresholdCount", 5, (2, 10))?,
        unhealthy: number(params, "UnhealthyThresholdCount", 2, (2, 10))?,
    })
}

fn create(call: &mut Call<'_>) -> Answer {
    let name = required(call.params, "Name")?;
    check_name(name, "Target group")?;
    let (protocol, port) = (protocol(call.params)?, port(call.params)?);
    let vpc_id = required(call.params, "VpcId")?;
    if call.region.vpcs.seen(vpc_id, call.now).is_none() {
        return Err(validation(format!("The VPC ID '{vpc_id}' is not found")));
    }
    let target_type = match call.params.text("TargetType").unwrap_or("instance") {
        known @ ("instance" | "ip") => known,
        other => {
            return Err(validation(format!(
                "Target type '{other}' is not valid for a network load balancer in the sandbox"
            )));
        }
    };
    let ipv6 = match call.params.text("IpAddressType").unwrap_or("ipv4") {
        "ipv4" => false,
        "ipv6" => true,
        other => return Err(validation(format!("IP address type '{other}' is not valid"))),
    };
    let check = health_check(call.params)?;
    let tags = tags(call)?;
    if let Some(made) = call.region.target_groups.linked(&format!("name/{name}")).next() {
        let same = made.protocol == protocol
            && made.port == port
            && made.vpc_id == vpc_id
            && made.target_type == target_type
            && made.ipv6 == ipv6
            && made.check == check;
        if same {
            return Ok(described(call, [made], None));
        }
        return Err(ApiError::new(
            "DuplicateTargetGroupName",
            format!("A target group with the same name '{name}' exists, but with different settings"),
        ));
    }
    if call.region.target_groups.len() >= call.quotas.target_groups {
        return Err(ApiError::new("TooManyTargetGroups", "The maximum number of target groups has been reached"));
    }
    let (head, _) = new_head(call, &format!("targetgroup/{name}"), tags);
    let group = TargetGroup {
        head,
        name: name.to_owned(),
        protocol: protocol.to_owned(),
        port,
        vpc_id: vpc_id.to_owned(),
        target_type: target_type.to_owned(),
        ipv6,
        check,
        targets: Vec::new(),
    };
    let xml = described(call, [&group], None);
    call.region.target_groups.insert(group);
    Ok(xml)
}

fn described<'a>(call: &Call<'_>, groups: impl IntoIterator<Item = &'a TargetGroup>, next: Option<String>) -> Xml {
    let mut xml = Xml::default();
    xml.members("TargetGroups", groups, |xml, group| write(xml, call, group));
    write_next(&mut xml, next);
    xml
}

/// The load balancers that use a group.
pub(super) fn users<'a>(region: &'a Region, arn: &str) -> Vec<&'a str> {
    let mut users: Vec<&str> =
        region.listeners.linked(arn).map(|listener| listener.load_balancer_arn.as_str()).collect();
    users.sort_unstable();
    users.dedup();
    users
}

fn write(xml: &mut Xml, call: &Call<'_>, group: &TargetGroup) {
    let check = &group.check;
    xml.text("TargetGroupArn", &group.head.id)
        .text("TargetGroupName", &group.name)
        .text("Protocol", &group.protocol)
        .text("Port", group.port)
        .text("VpcId", &group.vpc_id)
        .text("HealthCheckProtocol", &check.protocol)
        .text("HealthCheckPort", &check.port)
        .text("HealthCheckEnabled", true)
        .text("HealthCheckIntervalSeconds", check.interval)
        .text("HealthCheckTimeoutSeconds", check.timeout)
        .text("HealthyThresholdCount", check.healthy)
        .text("UnhealthyThresholdCount", check.unhealthy)
        .optional("HealthCheckPath", check.path.as_ref());
    if let Some(matcher) = &check.matcher {
        xml.group("Matcher", |xml| {
            xml.text("HttpCode", matcher);
        });
    }
    xml.members("LoadBalancerArns", users(call.region, &group.head.id), Xml::value)
        .text("TargetType", &group.target_type)
        .text("IpAddressType", if group.ipv6 { "ipv6" } else { "ipv4" });
}

fn describe(call: &mut Call<'_>) -> Answer {
    let page = Page::parse(call.params, "PageSize", (400, 400))?;
    let (arns, names) = (call.params.texts("TargetGroupArns.member"), call.params.texts("Names.member"));
    let balancer = call.params.text("LoadBalancerArn");
    if [!arns.is_empty(), !names.is_empty(), balancer.is_some()].iter().filter(|given| **given).count() > 1 {
        return Err(validation(
            "Target group names, target group ARNs and a load balancer ARN cannot be specified at the same time",
        ));
    }
    if let Some(arn) = balancer {
        super::load_balancer::find(call.region, arn)?;
    }
    for arn in &arns {
        find(call.region, arn)?;
    }
    for name in &names {
        if call.region.target_groups.linked(&format!("name/{name}")).next().is_none() {
            return Err(ApiError::new("TargetGroupNotFound", "One or more target groups not found"));
        }
    }
    let chosen = |group: &&TargetGroup| {
        (arns.is_empty() || arns.contains(&group.head.id.as_str()))
            && (names.is_empty() || names.contains(&group.name.as_str()))
            && balancer.is_none_or(|balancer| users(call.region, &group.head.id).contains(&balancer))
    };
    let (rows, next) = page.cut(call.region.target_groups.iter().filter(chosen), |group| group.head.id.as_str());
    Ok(described(call, rows, next))
}

fn delete(call: &mut Call<'_>) -> Answer {
    let arn = required(call.params, "TargetGroupArn")?;
    check_arn(arn, "targetgroup/", "target group")?;
    if call.region.listeners.linked(arn).next().is_some() {
        return Err(ApiError::new(
            "ResourceInUse",
            format!("Target group '{arn}' is currently in use by a listener or a rule"),
        ));
    }
    // One that is not there is no error.
    call.region.target_groups.remove(arn);
    Ok(Xml::default())
}
