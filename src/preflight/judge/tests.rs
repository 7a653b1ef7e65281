//! One region with three zones, and what may be wrong with what is wanted of it.

use super::super::ask::{Refusal, Version, Zone as Known};
use super::super::demand::Room;
use super::*;

fn answers() -> Answers {
    let zone = |n: u8, letter: char| Known {
        name: format!("us-west-2{letter}"),
        id: format!("usw2-az{n}"),
        is_available: n != 3,
    };
    let version = |name: &str, support| Version { name: name.to_owned(), support };
    let offered = [("m6i.large", 1), ("m6i.large", 2), ("m6i.large", 3), ("m7i.large", 1)];
    Answers {
        zones: Asked(Ok(vec![zone(1, 'a'), zone(2, 'b'), zone(3, 'c')])),
        offerings: Asked(Ok(offered.map(|(kind, n)| (kind.to_owned(), format!("usw2-az{n}"))).into())),
        versions: Asked(Ok(vec![
            version("1.32", Support::None),
            version("1.33", Support::Extended),
            version("1.35", Support::Standard),
        ])),
        clusters: Asked(Ok(BTreeSet::from(["production".to_owned()]))),
        address_quota: Asked(Ok(Some(5))),
        addresses: Asked(Ok(4)),
        vpcs: Asked(Ok(4)),
    }
}

fn nothing() -> Demand {
    Demand { region: "us-west-2".to_owned(), ..Demand::default() }
}

fn group(types: &[&str], zones: &[u8]) -> Group {
    Group {
        cluster: "c1".to_owned(),
        instance_types: types.iter().map(ToString::to_string).collect(),
        zones: zones.iter().map(|n| Zone::Id(format!("usw2-az{n}"))).collect(),
        origin: AttrPath::keys(&["clusters", "c1", "nodes", "instance_types"]),
    }
}

fn cluster(name: &str, version: &str) -> Cluster {
    Cluster {
        name: name.to_owned(),
        version: version.to_owned(),
        extended_support: false,
        is_new: true,
        origin: AttrPath::keys(&["clusters", name]),
    }
}

/// Severity, code and message of each finding; each has a way out.
fn told(demand: &Demand, answers: &Answers) -> Vec<String> {
    let told = judge(demand, answers).into_iter().map(|found| {
        assert!(!found.help.is_empty(), "{found:?}");
        format!("{:?} {}: {}", found.severity, found.code, found.message)
    });
    told.collect()
}

#[test]
fn what_is_offered_is_not_mentioned() {
    let mut demand = nothing();
    demand.zones.insert((Zone::Id("usw2-az1".to_owned()), AttrPath::root()));
    demand.zones.insert((Zone::Name("us-west-2b".to_owned()), AttrPath::root()));
    demand.groups.push(group(&["m6i.large"], &[1, 2, 3]));
    demand.clusters.push(cluster("c1", "1.35"));
    demand.addresses = Room { coming: 1, ..Room::default() };
    demand.vpcs = Room { coming: 1, ..Room::default() };
    assert_eq!(told(&demand, &answers()), Vec::<String>::new());
}

#[test]
fn zones_that_are_not_there() {
    let mut demand = nothing();
    for id in ["usw2-az3", "usw2-az9"] {
        demand.zones.insert((Zone::Id(id.to_owned()), AttrPath::root()));
    }
    assert_eq!(
        told(&demand, &answers()),
        [
            "Error zone-not-offered: the zone usw2-az3 is not available now",
            "Error zone-not-offered: this account has no zone usw2-az9 in us-west-2"
        ]
    );
}

#[test]
fn instance_types_by_zone() {
    let with = |group: Group| told(&Demand { groups: vec![group], ..nothing() }, &answers());
    assert_eq!(
        with(group(&["m7i.large"], &[1, 2])),
        ["Error instance-type-not-offered: usw2-az2 does not offer m7i.large for c1's nodes"]
    );
    assert_eq!(
        with(group(&["x9.large"], &[1, 2])),
        ["Error instance-type-not-offered: us-west-2 does not offer x9.large for c1's nodes"]
    );
    assert_eq!(
        with(group(&["m7i.large", "m6i.large"], &[1, 2])),
        ["Warning instance-type-not-offered: usw2-az2 does not offer m7i.large: c1's nodes there are of another type"]
    );
    assert_eq!(with(group(&["m7i.large"], &[])), Vec::<String>::new(), "somewhere in the region is enough");
}

#[test]
fn versions_and_names_of_clusters() {
    let mut demand = nothing();
    demand.clusters = vec![cluster("c1", "1.33"), cluster("c2", "1.32"), cluster("production", "1.99")];
    assert_eq!(
        told(&demand, &answers()),
        [
            "Error extended-support: Kubernetes 1.33 of c1 is in paid extended support now",
            "Error kubernetes-not-offered: EKS in us-west-2 does not offer Kubernetes 1.32, which c2 wants",
            "Error kubernetes-not-offered: EKS in us-west-2 does not offer Kubernetes 1.99, which production wants",
            "Error cluster-name-taken: there is an EKS cluster production in us-west-2 already, and state does not know it",
        ]
    );
    demand.clusters = vec![Cluster { extended_support: true, ..cluster("c1", "1.33") }];
    assert_eq!(told(&demand, &answers()), Vec::<String>::new());
}

#[test]
fn quotas_count_what_is_there_and_what_goes() {
    let mut demand = nothing();
    demand.addresses = Room { coming: 2, ..Room::default() };
    demand.vpcs = Room { coming: 2, ..Room::default() };
    assert_eq!(
        told(&demand, &answers()),
        [
            "Error quota-exceeded: us-west-2 would have 6 Elastic IP addresses, and the account may have 5 (4 are there)",
            "Warning quota: us-west-2 would have 6 VPCs, and 5 are the default quota (4 are there)",
        ]
    );
    demand.addresses.going = 1;
    assert!(told(&demand, &answers())[0].starts_with("Warning quota: "));
}

#[test]
fn what_may_not_be_read_is_a_warning() {
    let refusal = Refusal { operation: "ec2:DescribeVpcs", message: "UnauthorizedOperation: no".to_owned() };
    let answers = Answers { vpcs: Asked(Err(refusal)), ..answers() };
    let demand = Demand { vpcs: Room { coming: 9, ..Room::default() }, ..nothing() };
    assert_eq!(
        told(&demand, &answers),
        [
            "Warning not-checked: the number of VPCs in us-west-2 could not be checked: ec2:DescribeVpcs: UnauthorizedOperation: no"
        ]
    );
}
