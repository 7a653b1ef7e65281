//! Istio's control plane in its cluster: injection, trust, and what goes wrong when the order is wrong.

use super::*;
use crate::sandbox::kubernetes::controllers::admission::{Operation, admit};

fn istiod_values() -> Value {
    json!({
        "global": { "meshID": "mesh1", "network": "network1", "multiCluster": { "clusterName": "cluster-1" } },
        "autoscaleEnabled": false,
        "replicaCount": 2,
    })
}

fn gateway_values() -> Value {
    json!({
        "networkGateway": "network1", "service": { "type": "None" }, "autoscaling": { "enabled": false }, "replicaCount": 2,
    })
}

fn cacerts(parts: &[&str]) -> Value {
    let data: serde_json::Map<String, Value> =
        parts.iter().map(|part| ((*part).to_owned(), data_encoding::BASE64.encode(b"the root\n").into())).collect();
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": { "name": "cacerts", "namespace": "istio-system" }, "data": data,
    })
}

const WHOLE: [&str; 4] = ["ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"];

fn webhook(inside: &Inside, plural: &str, name: &str) -> Value {
    inside.read(&Key::new("admissionregistration.k8s.io", plural, None, name)).unwrap()["webhooks"][0].clone()
}

#[tokio::test]
async fn a_control_plane_lets_itself_be_trusted_and_injects() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = Inside::with_nodes(sandbox.clone(), IpFamily::Ipv4).await;
            inside.write(space("istio-system", json!({ "topology.istio.io/network": "network1" })));
            inside.write(space("sample", json!({ "istio-injection": "enabled" })));
            inside.write(cacerts(&WHOLE));
            inside.install("istio-base", "istio-system", "base", &json!({}));
            // A gateway that comes before the injector: nobody replaces its image.
            inside.install("early", "istio-system", "gateway", &gateway_values());
            inside.sleep(30).await;
            let early = inside.pods("istio-system", "early").remove(0);
            let state = &early["status"]["containerStatuses"][0]["state"]["waiting"];
            assert_eq!(state["reason"], "ImagePullBackOff");
            assert_eq!(state["message"], "Back-off pulling image \"auto\"");

            inside.install("istiod", "istio-system", "istiod", &istiod_values());
            inside.install("istio-eastwestgateway", "istio-system", "gateway", &gateway_values());
            inside.write(deployment("sample", "helloworld-v1", 1, "helloworld:1"));
            let refused = inside.read(&of_apps("deployments", "sample", "helloworld-v1")).unwrap();
            let failure = list(&refused, "/status/conditions").iter().find(|one| one["type"] == "ReplicaFailure").unwrap();
            assert_eq!(
                failure["message"],
                "Internal error occurred: failed calling webhook \"namespace.sidecar-injector.istio.io\": failed to call webhook: \
                 Post \"https://istiod.istio-system.svc:443/inject?timeout=10s\": no endpoints available for service \"istiod\""
            );
            let took = inside.available("istio-system", "istiod").await;
            assert!((5..=25).contains(&took), "{took}");
            inside.sleep(3).await;
            let root = data_encoding::BASE64.encode(b"the root\n");
            let injector = webhook(&inside, "mutatingwebhookconfigurations", "istio-sidecar-injector");
            assert_eq!(text(&injector, "/clientConfig/caBundle"), root);
            let validator = webhook(&inside, "validatingwebhookconfigurations", "istio-validator-istio-system");
            assert_eq!(validator["failurePolicy"], "Fail");
            let default = webhook(&inside, "validatingwebhookconfigurations", "istiod-default-validator");
            assert_eq!(text(&default, "/clientConfig/caBundle"), root);
            let told = inside.read(&core("configmaps", "sample", "istio-ca-root-cert")).unwrap();
            assert_eq!(text(&told, "/data/root-cert.pem"), "the root\n");
            assert!(inside.read(&core("configmaps", "kube-system", "istio-ca-root-cert")).is_none());

            inside.available("istio-system", "istio-eastwestgateway").await;
            inside.available("sample", "helloworld-v1").await;
            let gateway = inside.pods("istio-system", "istio-eastwestgateway").remove(0);
            let proxy = &gateway["spec"]["containers"][0];
            assert_eq!(proxy["image"], "registry.istio.io/release/proxyv2:1.31.0");
            let value = |name: &str| {
                list(proxy, "/env").iter().find(|one| one["name"] == name).map(|one| text(one, "/value").to_owned())
            };
            assert_eq!(value("ISTIO_META_CLUSTER_ID").as_deref(), Some("cluster-1"));
            assert_eq!(value("ISTIO_META_REQUESTED_NETWORK_VIEW").as_deref(), Some("network1"));
            let sample = inside.pods("sample", "helloworld-v1").remove(0);
            let names: Vec<&str> = list(&sample, "/spec/containers").iter().map(|one| text(one, "/name")).collect();
            assert_eq!(names, ["helloworld-v1", "istio-proxy"]);
            assert_eq!(sample["metadata"]["labels"]["topology.istio.io/network"], "network1");
            let early = inside.pods("istio-system", "early").remove(0);
            assert!(!holds(&early, "Ready"), "a pod that was made before stays as it is");
            // Whoever deletes it gets another, which is injected.
            inside.on(|objects| objects.remove(&core("pods", "istio-system", name(&early))));
            inside.sleep(20).await;
            assert!(inside.pods("istio-system", "early").iter().any(|pod| holds(pod, "Ready")));
        })
        .await;
}

#[tokio::test]
async fn the_root_is_the_plugged_in_one_if_it_was_there_in_time() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = Inside::with_nodes(sandbox.clone(), IpFamily::Ipv4).await;
            inside.write(space("istio-system", json!({})));
            inside.install("istiod", "istio-system", "istiod", &istiod_values());
            inside.available("istio-system", "istiod").await;
            inside.sleep(3).await;
            let root = |inside: &Inside| {
                let told = inside.read(&core("configmaps", "istio-system", "istio-ca-root-cert")).unwrap();
                text(&told, "/data/root-cert.pem").to_owned()
            };
            let own = root(&inside);
            let (_, pem) = x509_parser::pem::parse_x509_pem(own.as_bytes()).unwrap();
            let certificate = pem.parse_x509().unwrap();
            assert!(certificate.is_ca() && certificate.verify_signature(None).is_ok());
            assert!(inside.read(&core("secrets", "istio-system", "istio-ca-secret")).is_some());

            inside.write(cacerts(&WHOLE));
            inside.sleep(60).await;
            assert_eq!(root(&inside), own, "a control plane that runs keeps its own authority");
            inside.edit(&of_apps("deployments", "istio-system", "istiod"), |object| {
                set(object, &["spec", "template", "metadata", "annotations", "restarted"], "now".into());
            });
            inside.sleep(60).await;
            assert_eq!(root(&inside), "the root\n");
        })
        .await;
}

#[tokio::test]
async fn an_authority_that_is_not_whole_keeps_the_control_plane_from_starting() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = Inside::with_nodes(sandbox.clone(), IpFamily::Ipv4).await;
            inside.write(space("istio-system", json!({})));
            inside.write(cacerts(&["ca-cert.pem", "root-cert.pem"]));
            inside.install("istiod", "istio-system", "istiod", &istiod_values());
            inside.sleep(60).await;
            let pod = inside.pods("istio-system", "istiod").remove(0);
            let state = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
            assert_eq!(state["reason"], "CrashLoopBackOff");
            assert!(text(state, "/message").contains("ca-key.pem, cert-chain.pem missing"), "{state}");
            inside.write(cacerts(&WHOLE));
            inside.available("istio-system", "istiod").await;
        })
        .await;
}

#[tokio::test]
async fn webhooks_are_asked_as_the_api_server_asks_them() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = Inside::with_nodes(sandbox.clone(), IpFamily::Ipv4).await;
            inside.write(space("istio-system", json!({})));
            inside.install("istio-base", "istio-system", "base", &json!({}));
            let gateway = |servers: Value| {
                json!({
                    "apiVersion": "networking.istio.io/v1", "kind": "Gateway",
                    "metadata": { "name": "cross", "namespace": "istio-system" }, "spec": { "servers": servers },
                })
            };
            let key = Key::new("networking.istio.io", "gateways", Some("istio-system"), "cross");
            let ask = |object: Value| inside.on(|objects| admit(objects, &key, Operation::Create, object));
            assert!(ask(gateway(json!([]))).is_ok(), "until the control plane says otherwise validation fails open");
            inside.install("istiod", "istio-system", "istiod", &istiod_values());
            inside.available("istio-system", "istiod").await;
            inside.sleep(3).await;
            let refused = ask(gateway(json!([]))).unwrap_err();
            assert_eq!(
                (refused.code, refused.message.as_str()),
                (
                    400,
                    "admission webhook \"validation.istio.io\" denied the request: configuration is invalid: gateway must have \
                     at least one server"
                )
            );
            let server = json!([{ "port": { "number": 15443, "name": "tls", "protocol": "TLS" }, "hosts": ["*.local"] }]);
            assert!(ask(gateway(server.clone())).is_ok());
            inside.edit(&of_apps("deployments", "istio-system", "istiod"), |object| object["spec"]["replicas"] = 0.into());
            let refused = ask(gateway(server)).unwrap_err();
            assert!(refused.message.contains("no endpoints available for service \"istiod\""), "{refused:?}");
        })
        .await;
}
