//! From the first install to the last object: what is applied reads back, what others do is seen, what goes leaves what
//! was there before.

use meshplan::resource::Status;
use serde_json::json;

use crate::rig::Release;
use crate::stand_ins::stand_in;
use crate::{MAJORS, plane, run};

#[test]
fn a_release_is_installed_changed_repaired_and_removed() {
    let plane = stand_in!(plane());
    run(async {
        for major in MAJORS {
            let values = json!({
                "global": { "meshID": "mesh1", "network": "network1", "multiCluster": { "clusterName": "cluster-1" } },
                "meshConfig": { "trustDomain": "cluster.local", "accessLogFile": null }, "autoscaleMin": 1.0,
            });
            let release = Release::new(plane, "life", major, "istiod", values.clone());
            let objects = |release: &Release| {
                let kinds = "deployments,services,configmaps,secrets,serviceaccounts,hpa,pdb,replicasets,pods";
                release.kubectl(&["get", kinds, "--output=name"])
            };
            let before = objects(&release);
            assert!(release.read().await.is_none() && release.find().await.is_none());

            let live = release.make().await;
            assert_eq!(release.paths(&live), Vec::<String>::new(), "what was applied reads back");
            let outputs = live.outputs.value().to_string();
            assert_eq!(outputs, r#"{ revision = 1, status = "deployed", version = "1.30.3" }"#);
            assert!(release.find().await.is_some());
            release.create().await.unwrap();
            assert_eq!(release.ready().await.outputs, live.outputs, "a create that is repeated changes nothing");
            let listed = release.helm(&["list", "--output=json"]);
            assert!(listed.contains(r#""revision":"1""#) && listed.contains("istiod-1.30.3"), "{listed}");
            let account = release.uid("serviceaccount/istiod");

            let mut other = values.clone();
            other["env"] = json!({ "ISTIO_MULTIROOT_MESH": "true" });
            let release = release.with("istiod", other);
            assert_eq!(release.paths(&live), ["values.env.ISTIO_MULTIROOT_MESH"]);
            let live = release.settle().await;
            assert!(live.outputs.value().to_string().contains("revision = 2"), "one upgrade: {live:?}");
            let env = "jsonpath={.spec.template.spec.containers[0].env[*].name}";
            assert_eq!(release.kubectl(&["get", "deployment/istiod", "-o", env]), "CLUSTER_ID ISTIO_MULTIROOT_MESH");

            drifts(&release).await;
            assert_eq!(release.uid("serviceaccount/istiod"), account, "nothing was ever deleted");

            release.unmake().await;
            let gone = |now: &str| {
                now.lines().all(|line| before.contains(line) || line.contains("pod/") || line.contains("replicaset"))
            };
            let after = objects(&release);
            assert!(gone(&after), "left behind: {after}");
        }
    });
}

/// What others did to it is seen and put right.
async fn drifts(release: &Release) {
    let chart = crate::rig::charts("tests/helm/charts/istiod").display().to_string();
    release.helm(&[
        "upgrade",
        "istiod",
        &chart,
        "--reuse-values",
        "--set",
        "autoscaleMin=2,sidecarInjectorWebhook.x=1",
    ]);
    let live = release.ready().await;
    assert_eq!(release.paths(&live), ["values.autoscaleMin", "values.sidecarInjectorWebhook"], "it is still ours");
    release.settle().await;
    let values = release.helm(&["get", "values", "istiod", "--output=json"]);
    assert!(!values.contains("sidecarInjectorWebhook"), "{values}");

    release.kubectl(&["delete", "deployment/istiod"]);
    let live = release.read().await.unwrap();
    assert_eq!(release.paths(&live), ["status"]);
    assert!(matches!(&live.status, Status::Degraded(why) if why.contains("Deployment")), "{:?}", live.status);
    release.settle().await;

    release.helm(&["rollback", "istiod", "1"]);
    let live = release.ready().await;
    assert_eq!(release.paths(&live), ["values.env.ISTIO_MULTIROOT_MESH"]);
    release.settle().await;
}

#[test]
fn workloads_that_do_not_start_say_why_and_take_the_change_that_mends_them() {
    let plane = stand_in!(plane());
    run(async {
        for major in MAJORS {
            let release = Release::new(plane, "stuck", major, "istiod", json!({ "nodeSelector": { "never": "yes" } }));
            release.create().await.unwrap();
            let mut said = String::new();
            for _ in 0..400 {
                if let Status::Degraded(why) = release.read().await.unwrap().status {
                    said = why;
                }
                if said.contains("FailedScheduling") {
                    break;
                }
                tokio::time::sleep(crate::rig::PAUSE).await;
            }
            assert!(said.contains("istiod: 0 of 1 pods are ready (FailedScheduling: "), "{said}");
            let diagnosis = release.diagnose().await;
            assert!(diagnosis.len() == 1 && diagnosis[0].contains("FailedScheduling"), "{diagnosis:?}");
            let release = release.with("istiod", json!({}));
            assert_eq!(release.paths(&release.read().await.unwrap()), ["values.nodeSelector"]);
            release.settle().await;
            release.unmake().await;
        }
    });
}

#[test]
fn definitions_of_kinds_and_their_objects_survive_their_release() {
    let plane = stand_in!(plane());
    run(async {
        // Cluster-wide objects: one at a time.
        for major in MAJORS {
            let namespace = format!("base-{major}");
            let release =
                Release::new(plane, "base", major, "base", json!({ "global": { "istioNamespace": namespace } }));
            release.make().await;
            let gateway = format!(
                r#"{{"apiVersion":"networking.istio.io/v1","kind":"Gateway","metadata":{{"name":"g","namespace":"{namespace}"}},"spec":{{"a":1}}}}"#
            );
            plane.kubectl_with(&["apply"], &gateway).unwrap().stdout().unwrap();
            let uid = release.uid("gateways.networking.istio.io/g");
            let values = json!({ "global": { "istioNamespace": namespace }, "defaultRevision": "other" });
            let release = release.with("base", values);
            release.settle().await;
            release.unmake().await;
            assert_eq!(release.uid("gateways.networking.istio.io/g"), uid);
            let definitions = ["gateways.networking.istio.io", "virtualservices.networking.istio.io"];
            plane.kubectl(&[&["delete", "crd"][..], &definitions].concat()).unwrap().stdout().unwrap();
        }
    });
}
