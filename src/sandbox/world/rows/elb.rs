//! The objects of Elastic Load Balancing (version 2). Their ids are their ARNs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Head, Row, is_false, row};

/// A network load balancer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LoadBalancer {
    pub(crate) head: Head,
    pub(crate) name: String,
    pub(crate) dns_name: String,
    pub(crate) vpc_id: String,
    pub(crate) internet_facing: bool,
    pub(crate) dual_stack: bool,
    /// Subnets by zone.
    pub(crate) subnets: BTreeMap<String, String>,
    pub(crate) groups: Vec<String>,
    /// Attributes that were changed; the others have their defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) attributes: BTreeMap<String, String>,
    pub(crate) active_at: Timestamp,
}

impl LoadBalancer {
    /// The state in the words of the API.
    pub(crate) fn state(&self, now: Timestamp) -> &'static str {
        if now >= self.active_at { "active" } else { "provisioning" }
    }

    /// What an attribute is.
    pub(crate) fn attribute(&self, key: &str) -> Option<&str> {
        let default = LOAD_BALANCER_ATTRIBUTES.iter().find(|(known, _)| *known == key).map(|(_, default)| *default);
        self.attributes.get(key).map(String::as_str).or(default)
    }
}

/// The attributes of a network load balancer, with their defaults.
pub(crate) const LOAD_BALANCER_ATTRIBUTES: &[(&str, &str)] = &[
    ("access_logs.s3.bucket", ""),
    ("access_logs.s3.enabled", "false"),
    ("access_logs.s3.prefix", ""),
    ("deletion_protection.enabled", "false"),
    ("dns_record.client_routing_policy", "any_availability_zone"),
    ("ipv6.deny_all_igw_traffic", "false"),
    ("load_balancing.cross_zone.enabled", "false"),
    ("zonal_shift.config.enabled", "false"),
];

row!(LoadBalancer, "load-balancer", |balancer| [&balancer.vpc_id]
    .into_iter()
    .chain(balancer.subnets.values())
    .chain(&balancer.groups)
    .cloned()
    .chain([format!("name/{}", balancer.name)])
    .collect());

/// A target group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TargetGroup {
    pub(crate) head: Head,
    pub(crate) name: String,
    pub(crate) protocol: String,
    pub(crate) port: u16,
    pub(crate) vpc_id: String,
    /// `instance` or `ip`.
    pub(crate) target_type: String,
    pub(crate) ipv6: bool,
    pub(crate) check: HealthCheck,
    /// By id and port.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) targets: Vec<Target>,
}

/// How a target group's health is checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HealthCheck {
    pub(crate) protocol: String,
    pub(crate) port: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) matcher: Option<String>,
    pub(crate) interval: i64,
    pub(crate) timeout: i64,
    pub(crate) healthy: i64,
    pub(crate) unhealthy: i64,
}

/// A registered target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) id: String,
    pub(crate) port: u16,
    pub(crate) zone: String,
    /// When it is healthy, once a load balancer uses the group.
    pub(crate) healthy_at: Timestamp,
    /// When it has drained, once it was deregistered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) drained_at: Option<Timestamp>,
    /// Whether its health checks fail, as whoever knows what is behind it says; the sandbox itself sends none.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) failing: bool,
}

row!(TargetGroup, "target-group", |group| vec![group.vpc_id.clone(), format!("name/{}", group.name)],
    due group.targets.iter().filter_map(|target| target.drained_at).min());

/// A listener of a load balancer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Listener {
    pub(crate) head: Head,
    pub(crate) load_balancer_arn: String,
    pub(crate) protocol: String,
    pub(crate) port: u16,
    /// The group that it forwards to.
    pub(crate) target_group_arn: String,
}

row!(Listener, "listener", |listener| vec![listener.load_balancer_arn.clone(), listener.target_group_arn.clone()]);
