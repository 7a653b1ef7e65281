//! Lost answers and a killed API server: what is there afterwards is found, and made once.

use meshplan::resource::{Deletion, ErrorClass};
use serde_json::json;

use crate::control_plane::{ControlPlane, Family};
use crate::proxy::Proxy;
use crate::resource::Resource;
use crate::stand_ins::stand_in;
use crate::{cloud, plane, run};

fn settings(name: &str, color: &str) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name, "namespace": "default" },
        "data": { "color": color },
    })
}

#[test]
fn a_lost_answer_is_ambiguous_and_its_effect_is_found() {
    let plane = stand_in!(plane());
    let proxy = Proxy::start(plane.address());
    let kubeconfig = plane.other_kubeconfig("proxied", &proxy.endpoint(), plane.token(), &plane.certificate()).unwrap();
    run(async {
        let through = || cloud(&kubeconfig);
        let one = Resource::manifest(plane, settings("lost", "blue")).through(through());
        assert_eq!(one.find().await.unwrap(), None); // the connection is there and the kinds are known

        // A create looks first; the answer that is lost is the second.
        proxy.lose_after(1);
        let error = one.create().await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Ambiguous, "{error}");
        assert_eq!(one.read().await.unwrap_err().class, ErrorClass::Transient);
        proxy.mend();
        let id = one.find().await.unwrap();
        assert_eq!(id, Some(one.id()), "its effect is found by its token");
        assert_eq!(one.create().await.unwrap(), one.id(), "and repeating it makes no other");
        let live = one.settle(&one.spec).await;

        let two = Resource::manifest(plane, settings("lost", "red")).through(through());
        assert!(two.read().await.unwrap().is_some());
        proxy.lose_after(0);
        assert_eq!(two.update(&live, &one.spec).await.unwrap_err().class, ErrorClass::Ambiguous);
        proxy.mend();
        let live = two.ready().await;
        assert!(two.changes(&live, &one.spec).is_empty(), "the update happened");

        proxy.lose_after(1);
        assert_eq!(two.delete().await.unwrap_err().class, ErrorClass::Ambiguous);
        proxy.mend();
        assert_eq!(two.delete().await.unwrap(), Deletion::Accepted);
        assert!(two.read().await.unwrap().is_none());
    });
}

#[test]
fn an_api_server_that_is_killed_and_comes_back_is_carried_on_with() {
    let mut plane = stand_in!(ControlPlane::start(Family::Ipv6));
    run(async {
        let resources: Vec<Resource> =
            (0..8).map(|n| Resource::manifest(&plane, settings(&format!("killed-{n}"), "blue"))).collect();
        for resource in &resources[..4] {
            resource.make().await;
        }
        plane.kill_api_server();
        let down = resources[4].create().await.unwrap_err();
        assert_eq!(down.class, ErrorClass::Transient, "{down}");
        assert!(down.message.starts_with("cannot connect to https://127.0.0.1:"), "{down}");
        assert!(down.message.ends_with("a VPN)?"), "{down}");
        let down = resources[0].read().await.unwrap_err();
        assert_eq!(down.class, ErrorClass::Transient, "not there is not the same as not answering: {down}");
        plane.restart_api_server().unwrap();
        for resource in &resources[..4] {
            assert_eq!(resource.find().await.unwrap(), Some(resource.id()));
        }
        for resource in &resources[4..] {
            assert_eq!(resource.find().await.unwrap(), None);
            resource.make().await;
        }
        for resource in &resources {
            resource.unmake().await;
        }
    });
}
