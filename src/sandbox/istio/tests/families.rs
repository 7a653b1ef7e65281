//! Which address families work with which, and with which Istio: every cell of the table.
//!
//! The reader is cluster-1, the peer cluster-2; what is looked at is what the reader gets.

use super::*;
use crate::verify::{Check, Verdict};

/// What the reader gets: whether a check holds, and the codes of the causes of all.
fn seen(reader: Site, peer: Site) -> (bool, Vec<&'static str>) {
    let lab = Lab::new(&[reader, peer]);
    let report = lab.verify();
    let pair = report.pairs.iter().find(|pair| pair.reader == "cluster-1").unwrap();
    let causes = pair.findings.iter().filter_map(|finding| match &finding.verdict {
        Verdict::Fail(causes) => Some(causes.iter().map(|cause| cause.code)),
        Verdict::Pass(_) | Verdict::Follows(_) | Verdict::Skipped(_) => None,
    });
    let mut codes: Vec<&str> = causes.flatten().collect();
    codes.sort_unstable();
    codes.dedup();
    (matches!(pair.verdict(Check::Traffic), Some(Verdict::Pass(_))), codes)
}

fn old(site: Site) -> Site {
    Site { istio: "1.29.7", ..site }
}

fn ipv4_only(site: Site) -> Site {
    Site { dualstack: false, ..site }
}

#[test]
fn ipv4_pods_use_the_ipv4_addresses_of_either() {
    assert_eq!(seen(Site::ipv4(1), ipv4_only(Site::ipv4(2))), (true, vec![]));
    assert_eq!(seen(Site::ipv4(1), Site::ipv4(2)), (true, vec![]));
}

#[test]
fn before_istio_1_30_ipv4_pods_are_given_ipv6_addresses_that_they_cannot_use() {
    let (_, codes) = seen(old(Site::ipv4(1)), old(Site::ipv4(2)));
    assert_eq!(codes, ["gateway-families-mixed", "requests-failed"]);
    assert_eq!(seen(old(Site::ipv4(1)), ipv4_only(old(Site::ipv4(2)))), (true, vec![]));
}

#[test]
fn with_ipv6_egress_ipv4_pods_use_both() {
    let reader = || Site { egress: true, ..Site::ipv4(1) };
    assert_eq!(seen(reader(), Site::ipv4(2)), (true, vec![]));
    assert_eq!(seen(old(reader()), old(Site::ipv4(2))), (true, vec![]));
}

#[test]
fn ipv6_pods_lose_the_endpoints_of_an_ipv4_gateway_with_istio_1_30() {
    let peer = || ipv4_only(Site::ipv4(2));
    assert_eq!(seen(Site::ipv6(1), peer()), (false, vec!["gateway-family"]));
    // Their node translates, and an older istiod tells them.
    assert_eq!(seen(old(Site::ipv6(1)), old(peer())), (true, vec![]));
    assert_eq!(seen(Site::ipv6(1), Site::ipv4(2)), (true, vec![]));
}

#[test]
fn dns64_gives_an_ipv4_gateway_addresses_that_ipv6_pods_can_use() {
    let reader = Site { dns64: true, ..Site::ipv6(1) };
    assert_eq!(seen(reader, ipv4_only(Site::ipv4(2))), (true, vec![]));
}

#[test]
fn without_ipv4_egress_ipv6_pods_do_not_reach_an_ipv4_api_server() {
    let reader = || Site { egress: false, ..Site::ipv6(1) };
    let (works, codes) = seen(reader(), Site::ipv4(2));
    assert!(!works);
    assert_eq!(codes, ["remote-api-family"]);
    // The network's resolver and NAT gateway make up for it.
    assert_eq!(seen(Site { dns64: true, ..reader() }, Site::ipv4(2)), (true, vec![]));
    assert_eq!(seen(reader(), Site::ipv6(2)), (true, vec![]));
}
