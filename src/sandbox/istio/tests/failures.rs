//! The failures that meshes are known for, one at a time: one thing is broken, and verify names that thing.

use std::collections::BTreeSet;

use jiff::ToSpan;
use serde_json::json;

use super::objects::{self, encode, gateway_object, key, kubeconfig, remote_secret, sample, system};
use super::*;
use crate::sandbox::EPOCH;
use crate::sandbox::world::rows::{PeeringSide, Route, RouteTable, RouteTarget, VpcPeering};
use crate::verify::{Check, Verdict};

#[track_caller]
fn assert_codes(lab: &Lab, expected: &[&'static str]) {
    let report = lab.verify();
    let codes: BTreeSet<&str> = report.concerns().iter().map(|concern| concern.cause.code).collect();
    assert_eq!(
        codes,
        expected.iter().copied().collect(),
        "{}",
        crate::verify::text::render(&report, |_, text| text.to_owned())
    );
    assert_eq!(report.holds(), expected.is_empty());
}

fn secret_of_2() -> crate::sandbox::kubernetes::objects::Key {
    remote_secret(&Site::ipv6(2)).0
}

#[test]
fn a_mesh_that_works_is_green() {
    let lab = Lab::pair();
    let report = lab.verify();
    assert!(report.holds(), "{}", crate::verify::text::render(&report, |_, text| text.to_owned()));
    assert!(report.pairs.iter().flat_map(|pair| &pair.findings).all(|one| matches!(one.verdict, Verdict::Pass(_))));
    assert_eq!(report.pairs.len(), 2);
    insta::assert_snapshot!(crate::verify::text::render(&report, |_, text| text.to_owned()));
}

#[test]
fn three_clusters_of_which_two_share_a_network() {
    let third = Site { network: 1, ..Site::ipv4(3) };
    let lab = Lab::new(&[Site::ipv4(1), Site::ipv6(2), third]);
    assert_codes(&lab, &[]);
    let report = lab.verify();
    let pair = report.pairs.iter().find(|pair| pair.reader == "cluster-1" && pair.peer == "cluster-3").unwrap();
    assert!(matches!(pair.verdict(Check::Gateways), Some(Verdict::Skipped(_))));
    assert!(matches!(pair.verdict(Check::Traffic), Some(Verdict::Pass(_))));
}

#[test]
fn one_network_needs_no_gateways() {
    let of = |number| Site { network: 1, ..Site::ipv4(number) };
    let lab = Lab::new(&[of(1), of(2)]);
    for cluster in ["cluster-1", "cluster-2"] {
        lab.remove(cluster, &system("services", "istio-eastwestgateway"));
        lab.remove(cluster, &system("pods", "istio-eastwestgateway-1"));
        lab.remove(cluster, &gateway_object());
    }
    assert_codes(&lab, &[]);
    // The security group of the peer's nodes lets nobody else in.
    lab.cloud(|region| drop(region.security_group_rules.remove("sgr-2-1")));
    assert_codes(&lab, &["requests-failed"]);
}

#[test]
fn one_mesh_network_over_two_vpcs_takes_routes_both_ways() {
    let of = |number| Site { network: 1, ..Site::ipv4(number) };
    let lab = Lab::new(&[of(1), of(2)]);
    let vpc = || "vpc-2".to_owned();
    lab.cloud(|region| {
        region.subnets.edit("subnet-2", |subnet| subnet.vpc_id = vpc());
        region.clusters.edit("cluster-2", |cluster| cluster.vpc_id = vpc());
        region.route_tables.edit("rtb-2", |table| table.vpc_id = vpc());
    });
    assert_codes(&lab, &["requests-failed"]);
    let side = |vpc_id: &str| PeeringSide {
        region: rig::REGION.to_owned(),
        vpc_id: vpc_id.to_owned(),
        blocks: Vec::new(),
        ipv6: Vec::new(),
        dns: true,
    };
    let to_peer = |table: &mut RouteTable, destination: &str| {
        let target = RouteTarget::Peering("pcx-1".to_owned());
        table.routes.push(Route { destination: destination.parse().unwrap(), target });
    };
    lab.cloud(|region| {
        region.vpc_peerings.insert(VpcPeering {
            head: rig::head("pcx-1"),
            requester: side("vpc-1"),
            accepter: side("vpc-2"),
            settled_at: EPOCH,
            failure: None,
            active_at: Some(EPOCH),
            deleted_at: None,
        });
        region.route_tables.edit("rtb-1", |table| to_peer(table, "10.2.0.0/16"));
    });
    assert_codes(&lab, &["requests-failed"]);
    lab.cloud(|region| {
        region.route_tables.edit("rtb-2", |table| to_peer(table, "10.1.0.0/16"));
    });
    assert_codes(&lab, &[]);
}

#[test]
fn a_cluster_alone_has_itself_to_talk_to() {
    assert_codes(&Lab::new(&[Site::ipv4(1)]), &[]);
}

// Only the local version answers.

#[test]
fn f01_without_a_remote_secret_the_peer_is_unknown() {
    let lab = Lab::pair();
    lab.remove("cluster-1", &secret_of_2());
    assert_codes(&lab, &["remote-secret-missing"]);
    let report = lab.verify();
    let pair = report.pairs.iter().find(|pair| pair.reader == "cluster-1").unwrap();
    assert_eq!(pair.verdict(Check::Traffic), Some(&Verdict::Follows(Check::ControlPlane)));
    assert_eq!(report.pairs.iter().filter(|pair| pair.holds()).count(), 1, "the other way works");
    insta::assert_snapshot!(crate::verify::text::render(&report, |_, text| text.to_owned()));
}

#[test]
fn f01_the_key_of_a_remote_secret_is_the_clusters_name() {
    for wrong in ["cluster-two", "cluster-1"] {
        let lab = Lab::pair();
        lab.edit("cluster-1", &secret_of_2(), |secret| {
            let kubeconfig = secret["data"]["cluster-2"].clone();
            secret["data"] = json!({ wrong: kubeconfig });
        });
        let codes = lab.codes();
        assert!(codes.contains("remote-secret-wrong-key"), "{codes:?}");
    }
}

#[test]
fn f01_a_remote_secret_without_its_label_is_not_seen() {
    let lab = Lab::pair();
    lab.edit("cluster-1", &secret_of_2(), |secret| secret["metadata"]["labels"] = json!({}));
    assert_codes(&lab, &["remote-secret-unlabelled"]);
}

#[test]
fn f01_a_kubeconfig_that_runs_a_program_is_refused() {
    let lab = Lab::pair();
    lab.edit("cluster-1", &secret_of_2(), |secret| {
        let good = kubeconfig(&Site::ipv6(2), "t");
        let text = good.replace(
            "    token: t",
            "    exec:\n      apiVersion: client.authentication.k8s.io/v1\n      command: aws",
        );
        secret["data"]["cluster-2"] = json!(encode(&text));
    });
    assert_codes(&lab, &["remote-secret-unusable"]);
}

#[test]
fn f01_an_istiod_that_was_not_told_its_clusters_name() {
    let lab = Lab::pair();
    for pod in ["istiod-1", "istiod-2"] {
        lab.edit("cluster-1", &system("pods", pod), |pod| pod["spec"]["containers"][0]["env"] = json!([]));
    }
    assert_codes(&lab, &["cluster-name-mismatch"]);
}

#[test]
fn f02_an_istiod_that_resolves_no_host_names_knows_no_gateway() {
    let lab = Lab::pair();
    for pod in ["istiod-1", "istiod-2"] {
        lab.edit("cluster-1", &system("pods", pod), |pod| {
            let off = json!({ "name": "RESOLVE_HOSTNAME_GATEWAYS", "value": "false" });
            pod["spec"]["containers"][0]["env"].as_array_mut().unwrap().push(off);
        });
    }
    let codes = lab.codes();
    assert!(codes.contains("gateway-hostname-ignored"), "{codes:?}");
}

#[test]
fn f03_different_roots_do_not_trust_each_other() {
    let lab = Lab::pair();
    let other = objects::Certificates::new();
    lab.edit("cluster-2", &system("secrets", "cacerts"), |secret| secret["data"] = other.cacerts("cluster-2"));
    for namespace in ["istio-system", "sample"] {
        lab.edit("cluster-2", &key("", "configmaps", Some(namespace), "istio-ca-root-cert"), |map| {
            map["data"]["root-cert.pem"] = json!(other.root());
        });
    }
    assert_codes(&lab, &["roots-differ"]);
    // Requests say so too, where they land on the peer.
    let command = ["curl", "-sS", "helloworld.sample:5000/hello?n=[1-2]"].map(str::to_owned);
    let exec = crate::sandbox::istio::Exec { namespace: "sample", pod: "curl-1", container: "curl", command: &command };
    let ran = crate::sandbox::istio::exec(&lab.world.borrow(), (rig::REGION, "cluster-1"), &exec, NOW);
    assert!(String::from_utf8(ran.stdout).unwrap().contains("CERTIFICATE_VERIFY_FAILED"));
}

#[test]
fn f03_without_cacerts_istiod_signs_for_itself() {
    let lab = Lab::pair();
    lab.remove("cluster-2", &system("secrets", "cacerts"));
    assert_codes(&lab, &["cacerts-missing"]);
}

#[test]
fn f04_intermediates_of_one_name_and_number_are_taken_for_each_other() {
    let lab = Lab::pair();
    // As a script makes them that numbers from one.
    let twin = |lab: &Lab| lab.certificates.cacerts_numbered("Istio Intermediate CA", 1);
    for cluster in ["cluster-1", "cluster-2"] {
        let data = twin(&lab);
        lab.edit(cluster, &system("secrets", "cacerts"), |secret| secret["data"] = data);
    }
    assert_codes(&lab, &["intermediates-twins"]);
}

#[test]
fn f05_an_injector_that_is_not_reached_makes_no_pods() {
    let lab = Lab::pair();
    lab.remove("cluster-2", &system("pods", "istio-eastwestgateway-1"));
    lab.put(
        "cluster-2",
        &system("events", "istio-eastwestgateway.1"),
        json!({
            "type": "Warning", "reason": "FailedCreate",
            "message": "Error creating: Internal error occurred: failed calling webhook \"object.sidecar-injector.istio.io\": failed to call webhook: Post \"https://istiod.istio-system.svc:443/inject?timeout=10s\": context deadline exceeded",
        }),
    );
    assert_codes(&lab, &["injector-unreachable"]);
}

#[test]
fn f06_a_gateway_made_before_the_injector_has_no_image() {
    let lab = Lab::pair();
    lab.edit("cluster-2", &system("pods", "istio-eastwestgateway-1"), |pod| {
        pod["spec"]["containers"][0]["image"] = json!("auto");
        pod["status"]["conditions"][0]["status"] = json!("False");
        pod["status"]["containerStatuses"][0]["state"] =
            json!({ "waiting": { "reason": "ImagePullBackOff", "message": "Back-off pulling image \"auto\"" } });
    });
    assert_codes(&lab, &["gateway-image-auto"]);
}

#[test]
fn f07_without_its_gateway_object_a_gateway_does_not_listen() {
    let lab = Lab::pair();
    lab.remove("cluster-2", &gateway_object());
    assert_codes(&lab, &["gateway-listener-missing"]);
}

#[test]
fn f07_targets_that_are_not_there_or_never_healthy() {
    let lab = Lab::pair();
    lab.cloud(|region| {
        let ids: Vec<String> = region.target_groups.iter().map(|group| group.head.id.clone()).collect();
        region.target_groups.edit(&ids[1], |group| group.targets.clear());
    });
    assert_codes(&lab, &["targets-none"]);
}

#[test]
fn f08_a_classic_load_balancer_is_none_that_passes_tls_on() {
    let lab = Lab::pair();
    lab.edit("cluster-2", &system("services", "istio-eastwestgateway"), |service| {
        service["status"]["loadBalancer"]["ingress"][0]["hostname"] = json!("a1b2c3-123.us-west-2.elb.amazonaws.com");
    });
    let codes = lab.codes();
    assert!(codes.contains("gateway-hostname-unresolved"), "{codes:?}");
}

#[test]
fn f09_an_api_server_that_does_not_admit_the_peer() {
    let lab = Lab::pair();
    lab.cloud(|region| {
        region.clusters.edit("cluster-2", |cluster| cluster.public_cidrs = vec!["203.0.113.0/24".to_owned()]);
    });
    assert_codes(&lab, &["remote-api-not-admitted"]);
    let report = lab.verify();
    let cause = report.concerns()[0].cause.clone();
    assert_eq!(
        cause.what,
        "cluster-2's API server admits only 203.0.113.0/24 (publicAccessCidrs), and cluster-1's istiod comes from 52.10.0.1/32"
    );
    assert!(!cause.settles);
    lab.cloud(|region| {
        region.clusters.edit("cluster-2", |cluster| cluster.public_access = false);
    });
    assert_codes(&lab, &["remote-api-private"]);
}

#[test]
fn f09_without_a_nat_gateway_nothing_leaves() {
    let lab = Lab::pair();
    lab.cloud(|region| drop(region.nat_gateways.remove("nat-1")));
    let codes = lab.codes();
    assert!(codes.contains("remote-unsynced"), "{codes:?}");
}

#[test]
fn f10_a_rotated_token_is_refused_until_the_secret_says_it() {
    let lab = Lab::pair();
    let name = "istio-reader-service-account-istio-remote-secret-token";
    lab.edit("cluster-2", &system("secrets", name), |secret| secret["data"]["token"] = json!(encode("another")));
    assert_codes(&lab, &["remote-token-refused"]);
    lab.remove("cluster-2", &system("secrets", name));
    assert_codes(&lab, &["reader-token-missing"]);
}

#[test]
fn f10_a_reader_that_may_not_read() {
    let lab = Lab::pair();
    let binding =
        key("rbac.authorization.k8s.io", "clusterrolebindings", None, "istio-reader-clusterrole-istio-system");
    lab.remove("cluster-2", &binding);
    assert_codes(&lab, &["reader-without-permission"]);
}

#[test]
fn f10_a_new_secret_takes_twelve_seconds() {
    let lab = Lab::pair();
    let lately = NOW.checked_sub(5.seconds()).unwrap();
    lab.edit("cluster-1", &secret_of_2(), |secret| {
        secret["metadata"]["managedFields"] = json!([{ "manager": "meshplan", "time": lately.to_string() }]);
    });
    assert_codes(&lab, &["remote-still-syncing"]);
    assert!(lab.verify().may_settle());
}

#[test]
fn f12_ipv6_proxies_get_no_endpoint_of_an_ipv4_gateway() {
    let lab = Lab::new(&[Site { dualstack: false, ..Site::ipv4(1) }, Site::ipv6(2)]);
    assert_codes(&lab, &["gateway-family"]);
    let report = lab.verify();
    assert_eq!(
        report.concerns()[0].cause.what,
        "the gateway of network1 has only IPv4 addresses and cluster-2's proxies are IPv6 only: Istio 1.30 and newer drop the endpoint, without a word"
    );
}

#[test]
fn f13_ipv6_egress_that_one_container_was_not_told_of_is_none() {
    let reader = Site { egress: true, istio: "1.29.7", ..Site::ipv4(1) };
    let lab = Lab::new(&[reader, Site { istio: "1.29.7", ..Site::ipv4(2) }]);
    lab.cloud(|region| {
        region.addons.edit("cluster-1/vpc-cni", |addon| {
            addon.configuration = Some(json!({ "init": { "env": { "ENABLE_V6_EGRESS": "true" } } }).to_string());
        });
    });
    let codes = lab.codes();
    assert!(codes.contains("requests-failed"), "{codes:?}");
}

#[test]
fn f19_a_load_balancer_takes_its_time() {
    let lab = Lab::pair();
    lab.cloud(|region| {
        let ids: Vec<String> = region.target_groups.iter().map(|group| group.head.id.clone()).collect();
        let later = NOW.checked_add(60.seconds()).unwrap();
        region.target_groups.edit(&ids[0], |group| group.targets[0].healthy_at = later);
    });
    assert_codes(&lab, &["targets-registering"]);
    assert!(lab.verify().may_settle());
    lab.cloud(|region| {
        let ids: Vec<String> = region.load_balancers.iter().map(|one| one.head.id.clone()).collect();
        let later = NOW.checked_add(60.seconds()).unwrap();
        region.load_balancers.edit(&ids[0], |balancer| balancer.active_at = later);
    });
    let codes = lab.codes();
    assert!(codes.contains("gateway-hostname-unresolved"), "{codes:?}");
}

#[test]
fn f20_a_root_that_is_not_published_yet() {
    let lab = Lab::pair();
    let other = objects::Certificates::new();
    lab.edit("cluster-1", &key("", "configmaps", Some("sample"), "istio-ca-root-cert"), |map| {
        map["data"]["root-cert.pem"] = json!(other.root());
    });
    assert_codes(&lab, &["root-not-published"]);
}

// What else goes wrong between networks.

#[test]
fn a_gateway_without_its_label_or_port_is_none() {
    let lab = Lab::pair();
    let service = system("services", "istio-eastwestgateway");
    lab.edit("cluster-2", &service, |service| service["metadata"]["labels"] = json!({}));
    let codes = lab.codes();
    assert!(codes.contains("gateway-unlabelled"), "{codes:?}");

    let lab = Lab::pair();
    lab.edit("cluster-2", &service, |service| service["spec"]["ports"] = json!([{ "port": 15021 }]));
    let codes = lab.codes();
    assert!(codes.contains("gateway-port-missing"), "{codes:?}");

    let lab = Lab::pair();
    lab.edit("cluster-2", &service, |service| service["status"] = json!({}));
    let codes = lab.codes();
    assert!(codes.contains("gateway-no-address"), "{codes:?}");

    let lab = Lab::pair();
    lab.remove("cluster-2", &service);
    let codes = lab.codes();
    assert!(codes.contains("gateway-service-missing"), "{codes:?}");
}

#[test]
fn pods_that_say_they_are_in_another_network() {
    let lab = Lab::pair();
    lab.edit("cluster-2", &sample("pods", "helloworld-v2-5b75657f75-x7b2d"), |pod| {
        pod["metadata"]["labels"]["topology.istio.io/network"] = json!("network9");
    });
    let codes = lab.codes();
    assert!(codes.contains("endpoints-bypass-gateway"), "{codes:?}");
}

#[test]
fn a_namespace_that_is_labelled_with_another_network() {
    let lab = Lab::pair();
    lab.edit("cluster-2", &key("", "namespaces", None, "istio-system"), |namespace| {
        namespace["metadata"]["labels"]["topology.istio.io/network"] = json!("network9");
    });
    assert_codes(&lab, &["network-label"]);
}

#[test]
fn the_sample_is_asked_for_where_it_is_needed() {
    let lab = Lab::pair();
    lab.remove("cluster-1", &sample("services", "helloworld"));
    let codes = lab.codes();
    assert!(codes.contains("sample-service-missing"), "{codes:?}");

    let lab = Lab::pair();
    lab.edit("cluster-2", &sample("pods", "helloworld-v2-5b75657f75-x7b2d"), |pod| {
        pod["spec"]["containers"].as_array_mut().unwrap().truncate(1);
    });
    let codes = lab.codes();
    assert!(codes.contains("sample-without-proxy"), "{codes:?}");

    let mut lab = Lab::pair();
    lab.mesh.sample = None;
    let report = lab.verify();
    assert!(report.holds());
    assert_eq!(report.notes.len(), 1);
}

#[test]
fn an_istiod_that_is_not_ready_or_not_there() {
    let lab = Lab::pair();
    lab.edit("cluster-1", &system("pods", "istiod-1"), |pod| {
        pod["status"]["conditions"][0]["status"] = json!("False");
        pod["status"]["containerStatuses"][0]["state"] = json!({ "waiting": { "reason": "CrashLoopBackOff" } });
    });
    assert_codes(&lab, &["istiod-not-ready"]);
    lab.remove("cluster-1", &system("pods", "istiod-1"));
    lab.remove("cluster-1", &system("pods", "istiod-2"));
    let codes = lab.codes();
    assert!(codes.contains("istiod-absent"), "{codes:?}");
}

#[test]
fn source_ranges_that_leave_the_peer_out() {
    let lab = Lab::pair();
    lab.cloud(|region| {
        let ids: Vec<String> = region.load_balancers.iter().map(|one| one.head.id.clone()).collect();
        region.load_balancers.edit(&ids[1], |balancer| balancer.groups = vec!["sg-front".to_owned()]);
    });
    let codes = lab.codes();
    assert!(codes.contains("requests-failed"), "{codes:?}");
}
