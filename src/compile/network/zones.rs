//! Which availability zones a network spans when the topology only says how many.
//!
//! They are chosen by *id*. A zone's id (`use1-az1`) means the same zone in every account, its name (`us-east-1a`) does
//! not; and the zones that EKS cannot use are known by their ids. So the choice needs no look at the account: the
//! same topology means the same zones everywhere.

use crate::topology::schema::{Azs, Region};

/// One zone of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Zone {
    /// The end of its resources' addresses: `a` in `private-a`.
    pub(super) suffix: String,
    /// Its name, if the topology names it.
    pub(super) name: Option<String>,
    /// Its id, if it has no name here.
    pub(super) id: Option<String>,
}

/// The zones of a network, in order, and a note if they were chosen here.
pub(super) fn zones(azs: &Azs, region: &Region) -> (Vec<Zone>, Option<String>) {
    match azs {
        Azs::Names(names) => (names.iter().map(|name| named(name, region)).collect(), None),
        Azs::Count(count) => {
            let wanted = usize::from(*count);
            let numbers = usable(region.as_str());
            let code = code(region.as_str());
            let ids: Vec<String> = numbers.iter().take(wanted).map(|number| format!("{code}-az{number}")).collect();
            let (list, region) = (ids.join(", "), region.as_str());
            let note = if ids.len() < wanted {
                format!("zones {list}: {region} has no more that EKS can use")
            } else {
                format!("zones {list}: the first {wanted} of {region} that EKS can use")
            };
            // The letter is the place in the network, not in AWS's name: it stays when the choice changes.
            let letters = ('a'..='z').map(String::from);
            let zones = ids.into_iter().zip(letters).map(|(id, suffix)| Zone { suffix, name: None, id: Some(id) });
            (zones.collect(), Some(note))
        }
    }
}

fn named(name: &str, region: &Region) -> Zone {
    if let Some((_, number)) = name.split_once("-az") {
        return Zone { suffix: format!("az{number}"), name: None, id: Some(name.to_owned()) };
    }
    let suffix = name.strip_prefix(region.as_str()).unwrap_or(name).trim_start_matches('-');
    let suffix = if suffix.is_empty() { name } else { suffix };
    Zone { suffix: suffix.to_owned(), name: Some(name.to_owned()), id: None }
}

/// The numbers of the zones that EKS can use. Regions have 1, 2 and 3, and these differ: "AZ IDs" in "AWS Regions and
/// Availability Zones", without use1-az3, usw1-az2 and cac1-az3 (EKS user guide, "VPC and subnet requirements"),
/// apne1-az3 (closed to new accounts) and cnn1-az4 (eksctl#3916).
fn usable(region: &str) -> &'static [u8] {
    match region {
        "us-east-1" => &[1, 2, 4, 5, 6],
        "us-west-1" => &[1, 3],
        "us-west-2" | "ap-northeast-2" => &[1, 2, 3, 4],
        "ca-central-1" | "ap-northeast-1" => &[1, 2, 4],
        "cn-north-1" => &[1, 2],
        _ => &[1, 2, 3],
    }
}

/// A region's prefix in zone ids, as AWS makes it: `us-west-2` is `usw2`, `ap-southeast-1` is `apse1`.
fn code(region: &str) -> String {
    region
        .split('-')
        .enumerate()
        .map(|(n, part)| match part {
            _ if n == 0 => part,
            "northeast" => "ne",
            "northwest" => "nw",
            "southeast" => "se",
            "southwest" => "sw",
            word => word.get(..1).filter(|first| !first.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(word),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(azs: &Azs, region: &str) -> Vec<String> {
        let (zones, _) = zones(azs, &region.parse().unwrap());
        zones.into_iter().map(|zone| format!("{}={}", zone.suffix, zone.id.or(zone.name).unwrap())).collect()
    }

    #[test]
    fn a_number_of_zones_is_chosen_by_id_without_those_that_eks_cannot_use() {
        assert_eq!(ids(&Azs::Count(3), "us-west-2"), ["a=usw2-az1", "b=usw2-az2", "c=usw2-az3"]);
        assert_eq!(ids(&Azs::Count(3), "us-east-1"), ["a=use1-az1", "b=use1-az2", "c=use1-az4"]);
        assert_eq!(ids(&Azs::Count(3), "us-west-1"), ["a=usw1-az1", "b=usw1-az3"]);
        assert_eq!(ids(&Azs::Count(2), "ap-southeast-3"), ["a=apse3-az1", "b=apse3-az2"]);
        assert_eq!(ids(&Azs::Count(2), "us-gov-west-1"), ["a=usgw1-az1", "b=usgw1-az2"]);
        assert_eq!(ids(&Azs::Count(2), "eu-central-1"), ["a=euc1-az1", "b=euc1-az2"]);
        let (_, note) = zones(&Azs::Count(3), &"us-west-1".parse().unwrap());
        assert_eq!(note.unwrap(), "zones usw1-az1, usw1-az3: us-west-1 has no more that EKS can use");
    }

    #[test]
    fn zones_that_are_written_are_taken_by_name_or_id() {
        let names = |names: &[&str]| Azs::Names(names.iter().map(ToString::to_string).collect());
        assert_eq!(ids(&names(&["us-west-2c", "us-west-2a"]), "us-west-2"), ["c=us-west-2c", "a=us-west-2a"]);
        assert_eq!(ids(&names(&["usw2-az4"]), "us-west-2"), ["az4=usw2-az4"]);
    }
}
