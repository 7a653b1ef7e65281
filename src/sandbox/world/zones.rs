//! The regions and availability zones of the simulated cloud, with the real names and ids.
//!
//! Which name stands for which zone id differs per account on AWS; here the letters follow the ids, except that
//! the ids on which EKS control planes cannot live (use1-az3, usw1-az2, cac1-az3) exist and are mapped.

/// A region that is known by name.
pub(crate) struct KnownRegion {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its prefix in zone ids.
    pub(crate) code: &'static str,
    /// Letters of its zones' names, with the number of the zone id.
    pub(crate) zones: &'static [(char, u8)],
    /// Whether an account must opt in.
    pub(crate) opt_in: bool,
}

const fn region(name: &'static str, code: &'static str, zones: &'static [(char, u8)]) -> KnownRegion {
    KnownRegion { name, code, zones, opt_in: false }
}

/// Three zones a, b, c with the ids 1, 2, 3.
const ABC: &[(char, u8)] = &[('a', 1), ('b', 2), ('c', 3)];

/// Regions that accounts can use without opting in, and two that need it.
/// Source: "AWS Regions" and "Availability Zones" in the EC2 user guide; us-west-1, ca-central-1 and ap-northeast-1
/// give an account fewer zones than there are ids.
pub(crate) const REGIONS: &[KnownRegion] = &[
    region("ap-northeast-1", "apne1", &[('a', 4), ('c', 1), ('d', 2)]),
    region("ap-northeast-2", "apne2", &[('a', 1), ('b', 2), ('c', 3), ('d', 4)]),
    region("ap-northeast-3", "apne3", ABC),
    region("ap-south-1", "aps1", &[('a', 1), ('b', 3), ('c', 2)]),
    region("ap-southeast-1", "apse1", ABC),
    region("ap-southeast-2", "apse2", ABC),
    region("ca-central-1", "cac1", &[('a', 1), ('b', 2), ('d', 4)]),
    region("eu-central-1", "euc1", &[('a', 2), ('b', 3), ('c', 1)]),
    region("eu-north-1", "eun1", ABC),
    region("eu-west-1", "euw1", ABC),
    region("eu-west-2", "euw2", &[('a', 2), ('b', 3), ('c', 1)]),
    region("eu-west-3", "euw3", ABC),
    region("sa-east-1", "sae1", ABC),
    region("us-east-1", "use1", &[('a', 1), ('b', 2), ('c', 4), ('d', 6), ('e', 3), ('f', 5)]),
    region("us-east-2", "use2", ABC),
    region("us-west-1", "usw1", &[('a', 1), ('c', 3)]),
    region("us-west-2", "usw2", &[('a', 1), ('b', 2), ('c', 3), ('d', 4)]),
    KnownRegion { name: "af-south-1", code: "afs1", zones: ABC, opt_in: true },
    KnownRegion { name: "eu-south-1", code: "eus1", zones: ABC, opt_in: true },
];

/// An availability zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Zone {
    /// Its name in this account: `us-west-2a`.
    pub(crate) name: String,
    /// Its id in every account: `usw2-az1`.
    pub(crate) id: String,
}

/// The zones of a region; one that is not in the table has a, b and c.
pub(crate) fn zones(region: &str) -> Vec<Zone> {
    let known = REGIONS.iter().find(|known| known.name == region);
    let (code, letters) = known.map_or_else(|| (code_of(region), ABC), |known| (known.code.to_owned(), known.zones));
    letters
        .iter()
        .map(|(letter, number)| Zone { name: format!("{region}{letter}"), id: format!("{code}-az{number}") })
        .collect()
}

/// The prefix of zone ids, made as AWS makes it: `me-central-1` is `mec1`.
fn code_of(region: &str) -> String {
    let mut parts = region.split('-');
    let (place, direction, number) = (parts.next(), parts.next(), parts.next());
    let direction = match direction.unwrap_or_default() {
        "northeast" => "ne",
        "northwest" => "nw",
        "southeast" => "se",
        "southwest" => "sw",
        other => other.get(..1).unwrap_or_default(),
    };
    format!("{}{direction}{}", place.unwrap_or_default(), number.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_and_unknown_regions_have_zones() {
        let ids = |region: &str| zones(region).into_iter().map(|zone| zone.id).collect::<Vec<_>>();
        assert!(ids("us-east-1").contains(&"use1-az3".to_owned()));
        assert_eq!(ids("me-central-1"), ["mec1-az1", "mec1-az2", "mec1-az3"]);
        assert_eq!(ids("mx-central-1"), ["mxc1-az1", "mxc1-az2", "mxc1-az3"]);
    }
}
