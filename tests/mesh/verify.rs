//! A mesh that was applied works, and one in which something was broken says what.

use http::Method;
use serde_json::json;

use crate::place::{Place, shown};

const SYSTEM: &str = "/api/v1/namespaces/istio-system";

#[test]
fn an_apply_ends_with_a_mesh_that_works() {
    let (place, applied) = Place::applied("works", "two-network.toml");
    let text = shown(&applied);
    assert!(text.contains("Verify: 12 of 12 checks hold in 2 pairs"), "{text}");
    assert_eq!(text.matches("note: helm is not run in the sandbox: releases are recorded").count(), 1, "{text}");
    let outputs = shown(&place.run(&["outputs"]));
    assert!(outputs.contains("pki.root/mesh1.key = (sealed to 1 public key)"), "{outputs}");
    assert!(outputs.contains("pki.root/mesh1.certificate = (PEM, 1 block)"), "{outputs}");
    assert_eq!(place.codes(0), [] as [&str; 0]);
    let looked = place.run(&["verify"]);
    assert!(looked.status.success());
    assert!(
        shown(&looked).contains("cluster-1  cluster-2  ok     ok             ok        ok             ok         ok")
    );
}

/// One mesh, broken in one way after another; what each leaves is put right by an apply.
#[test]
fn what_was_broken_is_named_and_an_apply_puts_it_right() {
    let (place, _) = Place::applied("broken", "two-network.toml");
    let gateway = "/apis/networking.istio.io/v1/namespaces/istio-system/gateways/cross-network-gateway";
    let service = &format!("{SYSTEM}/services/istio-eastwestgateway");
    let secret = &format!("{SYSTEM}/secrets/istio-remote-secret-cluster-2");

    place.ask("cluster-1", Method::DELETE, secret, None);
    assert_eq!(place.codes(0), ["remote-secret-missing"]);
    mend(&place);

    place.ask(
        "cluster-1",
        Method::PATCH,
        secret,
        Some(json!({ "metadata": { "labels": { "istio/multiCluster": null } } })),
    );
    assert_eq!(place.codes(0), ["remote-secret-unlabelled"]);
    mend(&place);

    place.ask("cluster-2", Method::DELETE, gateway, None);
    assert_eq!(place.codes(0), ["gateway-listener-missing"]);
    mend(&place);

    let label = json!({ "metadata": { "labels": { "topology.istio.io/network": null } } });
    place.ask("cluster-2", Method::PATCH, service, Some(label));
    assert!(place.codes(0).contains(&"gateway-unlabelled".to_owned()));
    mend(&place);

    place.admit("cluster-2", &["203.0.113.0/24"]);
    assert_eq!(place.codes(0), ["remote-api-not-admitted"]);
    mend(&place);
}

fn mend(place: &Place) {
    let applied = place.run(&["apply", "mesh.toml", "--yes"]);
    assert!(applied.status.success(), "{}", shown(&applied));
}
