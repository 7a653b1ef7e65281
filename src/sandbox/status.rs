//! What exists in a sandbox, counted per region and type.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;

use super::service::Service;
use super::settle::settle;
use crate::model::Clock as _;

/// What is no object of an account's: memories of calls, and what is inside of clusters.
const UNCOUNTED: &[&str] = &["client-token", "eks-update", "kubernetes-object", "kubernetes-store"];

/// What exists in a sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Status {
    /// The account that everything belongs to.
    pub account: String,
    /// The simulated time.
    pub now: Timestamp,
    /// How many objects there are, those that the account had from the start not counted.
    pub total: usize,
    /// The regions in which something was done or looked at, in the order of their names.
    pub regions: Vec<RegionStatus>,
}

/// What exists in one region.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegionStatus {
    /// The region's name.
    pub region: String,
    /// The types that occur.
    pub counts: Vec<Count>,
    /// How many objects the account had from the start: the default VPC and what is in it.
    pub native: usize,
}

/// How many objects of a type there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Count {
    /// The type as EC2's tags call it (`vpc`, `natgateway`, `elastic-ip`), or with its service before it (`iam-role`,
    /// `eks-cluster`).
    #[serde(rename = "type")]
    pub resource_type: &'static str,
    /// How many.
    pub count: usize,
}

impl Status {
    /// Counts; NAT gateways, instances and connections between VPCs that are only still listed (deleted, failed,
    /// terminated) do not count.
    pub(crate) fn of(service: &Service) -> Self {
        let now = service.clock.now();
        let mut state = service.state();
        settle(&mut state.world, &service.options.quotas, now);
        let regions: Vec<RegionStatus> = state
            .world
            .regions()
            .map(|region| {
                let listed = |table: &str| match table {
                    "natgateway" => region.nat_gateways.iter().filter(|nat| nat.released).count(),
                    "vpc-peering-connection" => {
                        region.vpc_peerings.iter().filter(|peering| peering.is_over(now)).count()
                    }
                    "instance" => region.instances.iter().filter(|instance| instance.released).count(),
                    _ => 0,
                };
                let counts = region.counts();
                let native = counts.iter().map(|(_, _, native)| native).sum();
                let counts = counts
                    .into_iter()
                    .filter(|(table, _, _)| !UNCOUNTED.contains(table))
                    .map(|(table, ours, _)| Count { resource_type: table, count: ours - listed(table) })
                    .filter(|count| count.count > 0)
                    .collect();
                RegionStatus { region: region.name.clone(), counts, native }
            })
            .collect();
        let total = regions.iter().flat_map(|region| &region.counts).map(|count| count.count).sum();
        Self { account: state.world.mint.account.clone(), now, total, regions }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "sandbox: account {}, simulated time {}, {} objects", self.account, self.now, self.total)?;
        for region in &self.regions {
            writeln!(f, "{}:", region.region)?;
            for count in &region.counts {
                writeln!(f, "  {:<30}{:>6}", count.resource_type, count.count)?;
            }
            if region.native > 0 {
                writeln!(f, "  {:<30}{:>6}", "(default VPC and its parts)", region.native)?;
            }
        }
        Ok(())
    }
}
