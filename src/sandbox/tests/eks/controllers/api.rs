//! Namespaces, their contents and their end; service accounts' tokens; definitions; garbage.

use super::*;

#[tokio::test]
async fn a_namespace_has_an_account_and_a_root_and_goes_when_nothing_holds_what_is_in_it() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = Inside::bare(sandbox.clone(), IpFamily::Ipv4).await;
            inside.write(space("mesh", json!({})));
            assert!(inside.read(&core("serviceaccounts", "mesh", "default")).is_some());
            let root = inside.read(&core("configmaps", "mesh", "kube-root-ca.crt")).unwrap();
            assert!(text(&root, "/data/ca.crt").starts_with("-----BEGIN CERTIFICATE-----"));
            let found = inside.read(&Key::new("", "namespaces", None, "mesh")).unwrap();
            assert_eq!(found["status"]["phase"], "Active");
            assert_eq!(found["metadata"]["labels"]["kubernetes.io/metadata.name"], "mesh");

            inside.write(json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": { "name": "held", "namespace": "mesh", "finalizers": ["service.k8s.aws/resources"] },
                "spec": { "type": "ClusterIP", "ports": [{ "port": 80 }] },
            }));
            let mesh = Key::new("", "namespaces", None, "mesh");
            inside.delete(&mesh);
            inside.sleep(60).await;
            let found = inside.read(&mesh).unwrap();
            assert_eq!(found["status"]["phase"], "Terminating");
            assert!(inside.read(&core("serviceaccounts", "mesh", "default")).is_none());
            let remaining = list(&found, "/status/conditions").iter().find(|one| one["type"] == "NamespaceFinalizersRemaining");
            assert_eq!(
                remaining.unwrap()["message"],
                "Some content in the namespace has finalizers remaining: service.k8s.aws/resources in 1 resource instances"
            );
            // Whoever holds it lets go.
            inside.on(|objects| objects.remove(&core("services", "mesh", "held")));
            assert!(inside.read(&mesh).is_none());

            inside.write(space("short", json!({})));
            let short = Key::new("", "namespaces", None, "short");
            inside.delete(&short);
            assert!(inside.read(&short).is_some(), "the controller waits until it has been quiet for a while");
            inside.sleep(6).await;
            assert!(inside.read(&short).is_none());
        })
        .await;
}

#[tokio::test]
async fn a_token_secret_is_filled_for_an_account_that_is_there() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = Inside::bare(sandbox.clone(), IpFamily::Ipv4).await;
            let secret = |name: &str, account: &str| {
                json!({
                    "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
                    "metadata": {
                        "name": name, "namespace": "default",
                        "annotations": { "kubernetes.io/service-account.name": account },
                    },
                })
            };
            inside.write(secret("reader", "default"));
            inside.write(secret("nobodys", "nobody"));
            let found = inside.read(&core("secrets", "default", "reader")).unwrap();
            let decoded = |field: &str| {
                let data = text(&found["data"], &format!("/{field}"));
                String::from_utf8(data_encoding::BASE64.decode(data.as_bytes()).unwrap()).unwrap()
            };
            assert_eq!(decoded("token").split('.').count(), 3, "a signed token");
            assert_eq!(decoded("namespace"), "default");
            let root = inside.read(&core("configmaps", "default", "kube-root-ca.crt")).unwrap();
            assert_eq!(decoded("ca.crt"), text(&root, "/data/ca.crt"));
            assert!(inside.read(&core("secrets", "default", "nobodys")).is_none());
            inside.delete(&core("serviceaccounts", "default", "default"));
            // The namespace makes its account anew, and that is another one.
            assert!(inside.read(&core("secrets", "default", "reader")).is_none());
        })
        .await;
}

#[tokio::test]
async fn what_an_object_owned_goes_after_it() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = Inside::with_nodes(sandbox.clone(), IpFamily::Ipv4).await;
            inside.write(deployment("default", "app", 2, "app:1"));
            inside.available("default", "app").await;
            assert_eq!(inside.pods("default", "app").len(), 2);
            inside.delete(&of_apps("deployments", "default", "app"));
            assert!(inside.pods("default", "app").is_empty());
            assert!(inside.list("apps", "replicasets", "default").is_empty());

            // In the foreground the owner stays until they are gone, and whoever is orphaned stays.
            for (finalizer, left) in [("foregroundDeletion", 0), ("orphan", 1)] {
                inside.write(deployment("default", "app", 1, "app:1"));
                inside.available("default", "app").await;
                let key = of_apps("deployments", "default", "app");
                inside.edit(&key, |object| set(object, &["metadata", "finalizers"], json!([finalizer])));
                inside.delete(&key);
                assert!(inside.read(&key).is_none(), "{finalizer}");
                assert_eq!(inside.pods("default", "app").len(), left, "{finalizer}");
            }
        })
        .await;
}

#[tokio::test]
async fn a_cluster_in_which_nothing_is_due_is_left_alone() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = Inside::with_nodes(sandbox.clone(), IpFamily::Ipv4).await;
            inside.write(deployment("default", "app", 2, "app:1"));
            inside.available("default", "app").await;
            inside.sleep(700).await;
            let before = inside.on(|objects| objects.revision());
            let seen = |inside: &Inside| {
                let service = &inside.base.sandbox.service;
                let mut state = service.state();
                state.world.place(REGION, service.clock.now()).region.watched.clusters.get("c1").copied()
            };
            let watched = seen(&inside).unwrap();
            assert_eq!(watched.due, None);
            inside.sleep(3600).await;
            assert_eq!(inside.on(|objects| objects.revision()), before);
            assert_eq!(seen(&inside), Some(watched));
        })
        .await;
}
