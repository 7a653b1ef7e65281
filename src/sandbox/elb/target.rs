//! Targets: registered, healthy after minutes, drained after five.

use super::target_group::{self, users};
use crate::sandbox::protocol::{ApiError, Node, Xml};
use crate::sandbox::query::{Answer, Call, Operation, constraint, reads, required, validation, writes};
use crate::sandbox::world::rows::TargetGroup;
use crate::sandbox::world::rows::elb::Target;

pub(super) const OPERATIONS: &[Operation] = &[
    writes("RegisterTargets", &["TargetGroupArn", "Targets"], register),
    writes("DeregisterTargets", &["TargetGroupArn", "Targets"], deregister),
    reads("DescribeTargetHealth", &["TargetGroupArn", "Targets"], health),
];

/// A network load balancer takes three to four minutes to call a new target healthy.
const HEALTHY_MS: (u64, u64) = (180_000, 240_000);
/// The default deregistration delay.
const DRAIN_SECONDS: i64 = 300;
/// How many targets a target group can have ("Quotas for your Network Load Balancers").
const MAX_TARGETS: usize = 1000;

/// The target that a part of a call names: id, port, zone.
fn named(params: &Node, group: &TargetGroup) -> Result<(String, u16, Option<String>), ApiError> {
    let id = required(params, "Id")?;
    let port = match params.text("Port") {
        None => group.port,
        Some(text) => text
            .parse()
            .map_err(|_| constraint(text, "targets.1.member.port", "have value less than or equal to 65535"))?,
    };
    Ok((id.to_owned(), port, params.text("AvailabilityZone").map(str::to_owned)))
}

fn invalid(message: String) -> ApiError {
    ApiError::new("InvalidTarget", message)
}

/// The zone of a target, if it can be one of the group.
fn zone(call: &Call<'_>, group: &TargetGroup, id: &str, given: Option<String>) -> Result<String, ApiError> {
    if group.target_type == "instance" {
        let instance = call.region.instances.seen(id, call.now);
        let usable = instance.filter(|instance| instance.state(call.now).1 == "running");
        return match usable {
            Some(instance) if instance.vpc_id == group.vpc_id => Ok(instance.zone.clone()),
            Some(_) => Err(invalid(format!(
                "The following targets are not in the target group VPC '{}': '{id}'",
                group.vpc_id
            ))),
            None => Err(invalid(format!(
                "The following targets are not in a running state and cannot be registered: '{id}'"
            ))),
        };
    }
    let address: std::net::IpAddr =
        id.parse().map_err(|_| validation(format!("The IP address '{id}' is not a valid IP address")))?;
    if address.is_ipv6() != group.ipv6 {
        let family = if group.ipv6 { "IPv6" } else { "IPv4" };
        return Err(validation(format!("The IP address '{id}' is not a valid {family} address")));
    }
    let subnet = call.region.subnets.linked(&group.vpc_id).find(|subnet| match address {
        std::net::IpAddr::V4(address) => subnet.cidr.contains(&address),
        std::net::IpAddr::V6(address) => subnet.ipv6.iter().any(|held| held.is_held() && held.block.contains(&address)),
    });
    match (subnet, given) {
        (Some(subnet), _) => Ok(subnet.zone.clone()),
        (None, Some(zone)) => Ok(zone),
        (None, None) => Err(invalid(format!(
            "You must specify an Availability Zone, or 'all', for the IP address '{id}', which is outside of the target group VPC '{}'",
            group.vpc_id
        ))),
    }
}

fn healthy_at(call: &Call<'_>, arn: &str, (id, port): (&str, u16)) -> jiff::Timestamp {
    call.mint.ready(call.now, arn, &format!("healthy {id} {port} {}", call.now), HEALTHY_MS.0, HEALTHY_MS.1)
}

/// Begins to check the health of a group's targets.
pub(super) fn check_again(call: &mut Call<'_>, arn: &str) {
    let Some(mut targets) = call.region.target_groups.get(arn).map(|group| group.targets.clone()) else { return };
    for target in &mut targets {
        target.healthy_at = healthy_at(call, arn, (&target.id, target.port));
    }
    call.region.target_groups.edit(arn, |group| group.targets = targets);
}

fn register(call: &mut Call<'_>) -> Answer {
    let arn = required(call.params, "TargetGroupArn")?;
    let group = target_group::find(call.region, arn)?;
    let mut targets = group.targets.clone();
    let given = call.params.list("Targets.member");
    if given.is_empty() {
        return Err(constraint("[]", "targets", "have length greater than or equal to 1"));
    }
    for params in given {
        let (id, port, given) = named(params, group)?;
        let zone = zone(call, group, &id, given)?;
        let registered =
            targets.iter().any(|target| target.id == id && target.port == port && target.drained_at.is_none());
        // One that is registered already stays as it is.
        if !registered {
            targets.retain(|target| target.id != id || target.port != port);
            let healthy_at = healthy_at(call, arn, (&id, port));
            targets.push(Target { id, port, zone, healthy_at, drained_at: None, failing: false });
        }
    }
    if targets.len() > MAX_TARGETS {
        return Err(ApiError::new("TooManyTargets", "The maximum number of targets has been reached"));
    }
    call.region.target_groups.edit(arn, |group| group.targets = targets);
    Ok(Xml::default())
}

fn deregister(call: &mut Call<'_>) -> Answer {
    let arn = required(call.params, "TargetGroupArn")?;
    let group = target_group::find(call.region, arn)?;
    let mut targets = group.targets.clone();
    let used = !users(call.region, arn).is_empty();
    let drained_at =
        call.mint.realistic.then(|| call.now.checked_add(jiff::SignedDuration::from_secs(DRAIN_SECONDS)).ok());
    for params in call.params.list("Targets.member") {
        let (id, port, _) = named(params, group)?;
        // Without a port all of them are meant.
        let any_port = params.text("Port").is_none();
        let is = |target: &Target| target.id == id && (any_port || target.port == port);
        match drained_at.flatten().filter(|_| used) {
            Some(at) => {
                for target in targets.iter_mut().filter(|target| is(target)) {
                    target.drained_at = target.drained_at.or(Some(at));
                }
            }
            None => targets.retain(|target| !is(target)),
        }
    }
    call.region.target_groups.edit(arn, |group| group.targets = targets);
    Ok(Xml::default())
}

/// State, reason, description.
fn state(call: &Call<'_>, target: &Target, used: bool) -> (&'static str, Option<(&'static str, &'static str)>) {
    if target.drained_at.is_some() {
        ("draining", Some(("Target.DeregistrationInProgress", "Target deregistration is in progress")))
    } else if !used {
        let why = "Target group is not configured to receive traffic from the load balancer";
        ("unused", Some(("Target.NotInUse", why)))
    } else if call.now < target.healthy_at {
        ("initial", Some(("Elb.RegistrationInProgress", "Target registration is in progress")))
    } else if target.failing {
        ("unhealthy", Some(("Target.FailedHealthChecks", "Health checks failed")))
    } else {
        ("healthy", None)
    }
}

fn health(call: &mut Call<'_>) -> Answer {
    let arn = required(call.params, "TargetGroupArn")?;
    let group = target_group::find(call.region, arn)?;
    let used = !users(call.region, arn).is_empty();
    let mut asked = Vec::new();
    for params in call.params.list("Targets.member") {
        let (id, port, _) = named(params, group)?;
        asked.push((id, port));
    }
    let is = |target: &Target, (id, port): &(String, u16)| target.id == *id && target.port == *port;
    let registered =
        group.targets.iter().filter(|target| asked.is_empty() || asked.iter().any(|asked| is(target, asked)));
    let unknown = asked.iter().filter(|asked| !group.targets.iter().any(|target| is(target, asked)));
    let check_port = |port: u16| {
        if group.check.port == "traffic-port" { port.to_string() } else { group.check.port.clone() }
    };
    let mut xml = Xml::default();
    xml.group("TargetHealthDescriptions", |xml| {
        for target in registered {
            let (state, why) = state(call, target, used);
            let zone = (group.target_type == "ip").then_some(target.zone.as_str());
            write(xml, (&target.id, target.port, zone), &check_port(target.port), state, why);
        }
        for (id, port) in unknown {
            let why = ("Target.NotRegistered", "Target is not registered to the target group");
            write(xml, (id, *port, None), &check_port(*port), "unused", Some(why));
        }
    });
    Ok(xml)
}

fn write(
    xml: &mut Xml,
    (id, port, zone): (&str, u16, Option<&str>),
    check_port: &str,
    state: &str,
    why: Option<(&str, &str)>,
) {
    xml.group("member", |xml| {
        xml.group("Target", |xml| {
            xml.text("Id", id).text("Port", port).optional("AvailabilityZone", zone);
        })
        .text("HealthCheckPort", check_port)
        .group("TargetHealth", |xml| {
            xml.text("State", state);
            if let Some((reason, description)) = why {
                xml.text("Reason", reason).text("Description", description);
            }
        });
    });
}
