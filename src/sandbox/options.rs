//! What can be chosen about a sandbox.

use super::clock::Speed;
use super::faults::Faults;
use crate::model::fuse::Fuse;

/// How a sandbox behaves. [`Options::default`] is what people get: realistic, persistent, without faults.
#[derive(Debug, Clone)]
pub struct Options {
    /// How fast virtual time passes.
    pub speed: Speed,
    /// What goes wrong.
    pub faults: Faults,
    /// How much of a real cloud's slowness there is.
    pub profile: Profile,
    /// Whether everything that takes time takes the middle of its range, instead of a time that is drawn for each
    /// object: for comparing runs of different sizes, of which a larger one meets a slower slowest object.
    pub even: bool,
    /// The fuse of the crash harness.
    pub fuse: Fuse,
    /// The account that everything belongs to: twelve digits. A world that persists keeps the one it began with.
    pub account: String,
    /// Whether the world outlives the process.
    pub persist: bool,
    /// How many objects there can be.
    pub quotas: Quotas,
    /// How many calls there can be; `None` for no limit.
    pub throttle: Option<Throttle>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            speed: Speed::default(),
            faults: Faults::default(),
            profile: Profile::Realistic,
            even: false,
            fuse: Fuse::never(),
            account: "123456789012".to_owned(),
            persist: true,
            quotas: Quotas::default(),
            throttle: Some(Throttle::default()),
        }
    }
}

impl Options {
    /// Calls and states take no time, nothing lags, nothing is limited: for benchmarks of what is above.
    #[must_use]
    pub fn unhindered() -> Self {
        Self {
            speed: Speed::Unlimited,
            profile: Profile::ZeroLatency,
            quotas: Quotas::unlimited(),
            throttle: None,
            ..Self::default()
        }
    }
}

/// How much of a real cloud's slowness there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Profile {
    /// Calls have latency, states take time, new objects are seen late.
    #[default]
    Realistic,
    /// Everything is there at once.
    ZeroLatency,
}

/// How many objects an account can have. The defaults are those of a fresh account ("Amazon VPC quotas", "Quotas for your
/// Network Load Balancers", "IAM and STS quotas").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quotas {
    /// VPCs per region, the default one included.
    pub vpcs: usize,
    /// Subnets per VPC.
    pub subnets_per_vpc: usize,
    /// Internet gateways per region.
    pub internet_gateways: usize,
    /// Egress-only internet gateways per region.
    pub egress_gateways: usize,
    /// Elastic IP addresses per region.
    pub addresses: usize,
    /// NAT gateways per availability zone.
    pub nat_gateways_per_zone: usize,
    /// Route tables per VPC.
    pub route_tables_per_vpc: usize,
    /// Routes per route table and family, without the local ones.
    pub routes_per_table: usize,
    /// Security groups per region.
    pub security_groups: usize,
    /// Rules per security group and direction.
    pub rules_per_group: usize,
    /// Network load balancers per region.
    pub load_balancers: usize,
    /// Target groups per region.
    pub target_groups: usize,
    /// Roles of the account.
    pub roles: usize,
}

impl Default for Quotas {
    fn default() -> Self {
        Self {
            vpcs: 5,
            subnets_per_vpc: 200,
            internet_gateways: 5,
            egress_gateways: 5,
            addresses: 5,
            nat_gateways_per_zone: 5,
            route_tables_per_vpc: 200,
            routes_per_table: 50,
            security_groups: 2500,
            rules_per_group: 60,
            load_balancers: 50,
            target_groups: 3000,
            roles: 1000,
        }
    }
}

impl Quotas {
    /// No quota at all.
    #[must_use]
    pub fn unlimited() -> Self {
        Self {
            vpcs: usize::MAX,
            subnets_per_vpc: usize::MAX,
            internet_gateways: usize::MAX,
            egress_gateways: usize::MAX,
            addresses: usize::MAX,
            nat_gateways_per_zone: usize::MAX,
            route_tables_per_vpc: usize::MAX,
            routes_per_table: usize::MAX,
            security_groups: usize::MAX,
            rules_per_group: usize::MAX,
            load_balancers: usize::MAX,
            target_groups: usize::MAX,
            roles: usize::MAX,
        }
    }
}

/// A token bucket per operation and region: so many calls at once, so many a second in the long run.
///
/// Source of the defaults: "Request throttling for the Amazon EC2 API", table of request token buckets: each API is
/// evaluated individually;
/// non-mutating actions have 100 tokens and get 20 a second, mutating actions 50 and 5.
#[derive(Debug, Clone, PartialEq)]
pub struct Throttle {
    /// Tokens of an operation that reads, and how many come back a second.
    pub reads: (f64, f64),
    /// The same for an operation that writes.
    pub writes: (f64, f64),
}

impl Default for Throttle {
    fn default() -> Self {
        Self { reads: (100.0, 20.0), writes: (50.0, 5.0) }
    }
}
