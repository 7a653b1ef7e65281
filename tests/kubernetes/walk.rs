//! The walk through a kind's life that the contract promises, for each kind that lives in a cluster.

use std::collections::BTreeMap;

use meshplan::kinds::kubernetes::{load_balancer, namespace, secret, service_account_token};
use meshplan::model::Value;
use meshplan::resource::{Deletion, ErrorClass, LiveDocument, OutputClass, stored_outputs};
use serde_json::json;

use crate::resource::Resource;
use crate::stand_ins::stand_in;
use crate::{plane, run};

/// From nothing to a settled object: found only once it is made, made once however often it is asked for.
async fn begin(resource: &Resource) -> LiveDocument {
    let what = resource.kind.name();
    assert!(resource.read().await.unwrap().is_none(), "{what}: there before it was made");
    assert_eq!(resource.find().await.unwrap(), None);
    let id = resource.create().await.unwrap();
    assert_eq!(resource.create().await.unwrap(), id, "{what}: a repeated create is the same one");
    let live = resource.settle(&resource.spec).await;
    assert_eq!(resource.find().await.unwrap(), Some(id), "{what}: an interrupted create is found");
    for rule in resource.kind.outputs() {
        let output = live.outputs.value().get(rule.name).cloned();
        assert!(!matches!(output, None | Some(Value::Null)), "{what}: no {}", rule.name);
        if rule.class != OutputClass::Plain {
            let stored = stored_outputs(resource.kind, &live.outputs);
            assert_eq!(stored.value().get(rule.name), None, "{what}: {} is not to be stored", rule.name);
        }
    }
    live
}

/// From an object to nothing, twice.
async fn end(resource: &Resource) {
    resource.unmake().await;
    assert_eq!(resource.delete().await.unwrap(), Deletion::Accepted, "deleting what is gone is fine");
    assert_eq!(resource.find().await.unwrap(), None);
}

async fn is_somebody_elses(resource: Resource) {
    let error = resource.by_another().create().await.unwrap_err();
    assert_eq!(error.class, ErrorClass::Conflict);
    assert!(error.message.contains("exists already and is not meshplan's"), "{error}");
}

fn labels(value: &str) -> BTreeMap<String, String> {
    BTreeMap::from([("walk".to_owned(), value.to_owned())])
}

#[test]
fn each_kind_is_made_found_changed_and_removed() {
    let plane = stand_in!(plane());
    let example = namespace::Spec { name: "walk".to_owned(), labels: labels("one"), annotations: labels("a") };
    let space = || Resource::new(plane, "kubernetes.namespace", &example);
    run(async {
        begin(&space()).await;
        is_somebody_elses(space()).await;
        let changed = namespace::Spec { labels: labels("two"), annotations: BTreeMap::new(), ..example.clone() };
        let changed = space().declared(&changed);
        changed.settle(&space().spec).await;
        let seen = "jsonpath={.metadata.labels.walk}{.metadata.annotations.walk}";
        assert_eq!(plane.kubectl(&["get", "namespace", "walk", "-o", seen]).unwrap().stdout().unwrap(), "two");

        walk_a_secret().await;
        walk_a_token().await;
        walk_a_manifest().await;
        end(&changed).await;
    });
}

async fn walk_a_secret() {
    let plane = plane().unwrap();
    let spec = |value: &str| secret::Spec {
        namespace: "walk".to_owned(),
        name: "s".to_owned(),
        secret_type: "Opaque".to_owned(),
        labels: labels("one"),
        annotations: BTreeMap::new(),
        data: BTreeMap::from([("key".to_owned(), value.into()), (value.to_owned(), "x".into())]),
    };
    let one = || Resource::new(plane, "kubernetes.secret", &spec("hunter2"));
    assert!(
        !format!("{:?}", secret::Spec { data: BTreeMap::from([("k".to_owned(), "hunter2".into())]), ..spec("x") })
            .contains("hunter2")
    );
    let live = begin(&one()).await;
    is_somebody_elses(one()).await;
    let two = Resource::new(plane, "kubernetes.secret", &spec("swordfish"));
    let changes = two.changes(&live, &one().spec);
    let text = format!("{:?}", changes.iter().map(|change| (&change.before, &change.after)).collect::<Vec<_>>());
    assert!(!text.contains("\"hunter2\"") && !text.contains("\"swordfish\""), "{text}");
    two.settle(&one().spec).await;
    let data = ["get", "secret", "s", "-n", "walk", "-o", "jsonpath={.data}"];
    let data = plane.kubectl(&data).unwrap().stdout().unwrap();
    assert_eq!(data, r#"{"key":"c3dvcmRmaXNo","swordfish":"eA=="}"#, "a value that is no longer declared is gone");
    end(&two).await;
}

async fn walk_a_token() {
    let plane = plane().unwrap();
    let spec = service_account_token::Spec {
        namespace: "walk".to_owned(),
        name: "reader-token".to_owned(),
        service_account: "reader".to_owned(),
        labels: labels("one"),
        annotations: BTreeMap::new(),
    };
    let token = || Resource::new(plane, "kubernetes.service_account_token", &spec);
    let early = token().create().await.unwrap_err();
    assert_eq!((early.class, early.message.as_str()), (ErrorClass::NotYet, "there is no service account walk/reader"));
    plane.kubectl(&["create", "serviceaccount", "reader", "-n", "walk"]).unwrap().stdout().unwrap();
    let live = begin(&token()).await;
    is_somebody_elses(token()).await;
    let outputs = live.outputs.value();
    let text = |name: &str| outputs.get(name).and_then(Value::as_str).unwrap();
    assert!(text("ca_crt").starts_with("-----BEGIN CERTIFICATE-----"));
    let who = ["auth", "whoami", "-o", "jsonpath={.status.userInfo.username}", "--token", text("token")];
    let anonymous = plane.other_kubeconfig("anonymous", &plane.endpoint(), "", &plane.certificate()).unwrap();
    let who = plane.kubectl(&[&who[..], &["--kubeconfig", anonymous.to_str().unwrap()]].concat()).unwrap();
    assert_eq!(who.stdout().unwrap(), "system:serviceaccount:walk:reader");
    token()
        .declared(&service_account_token::Spec { labels: labels("two"), ..spec.clone() })
        .settle(&token().spec)
        .await;
    end(&token()).await;
}

async fn walk_a_manifest() {
    let plane = plane().unwrap();
    let service = |port: u16, labels: serde_json::Value| {
        json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "gateway", "namespace": "walk", "labels": labels },
            "spec": { "type": "LoadBalancer", "selector": { "app": "gateway" }, "ports": [{ "name": "tls", "port": port }] },
        })
    };
    let one = || Resource::manifest(plane, service(443, json!({ "a": "1", "b": "2" })));
    begin(&one()).await;
    is_somebody_elses(one()).await;
    let two = one().with(service(15443, json!({ "a": "2" })));
    two.settle(&one().spec).await;
    let seen = "jsonpath={.spec.ports[*].port} {.metadata.labels}";
    let seen = plane.kubectl(&["get", "service", "gateway", "-n", "walk", "-o", seen]).unwrap().stdout().unwrap();
    assert_eq!(seen, r#"15443 {"a":"2"}"#);

    let spec = load_balancer::Spec { namespace: "walk".to_owned(), service: "gateway".to_owned(), targets: None };
    let balancer = Resource::new(plane, "kubernetes.load_balancer", &spec);
    let live = begin(&balancer).await;
    assert_eq!(live.outputs.value().get("address"), Some(&"gateway-walk.elb.test".into()));
    assert!(two.changes(&two.ready().await, &two.spec).is_empty(), "the mark is not the Service's declaration");
    end(&balancer).await;
    end(&two).await;
    assert!(balancer.read().await.unwrap().is_none());
    assert_eq!(balancer.delete().await.unwrap(), Deletion::Accepted);
    let early = balancer.create().await.unwrap_err();
    assert_eq!((early.class, early.message.as_str()), (ErrorClass::NotYet, "there is no Service walk/gateway"));
}

#[test]
fn a_load_balancer_without_an_address_is_waited_for_and_diagnosed() {
    use meshplan::resource::Status;
    let plane = stand_in!(plane());
    plane.kubectl(&["create", "namespace", "no-lb"]).unwrap().stdout().unwrap();
    let manifest = json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": { "name": "gateway", "namespace": "no-lb", "annotations": { "test/no-lb": "yes" } },
        "spec": { "type": "LoadBalancer", "ports": [{ "port": 443 }] },
    });
    run(async {
        Resource::manifest(plane, manifest).make().await;
        let spec = load_balancer::Spec { namespace: "no-lb".to_owned(), service: "gateway".to_owned(), targets: None };
        let balancer = Resource::new(plane, "kubernetes.load_balancer", &spec);
        balancer.create().await.unwrap();
        let live = balancer.read().await.unwrap().unwrap();
        assert_eq!(live.status, Status::Pending("the Service has no address yet".to_owned()));
        assert_eq!(balancer.diagnose().await, Vec::<String>::new());
        let event = r#"{"apiVersion":"v1","kind":"Event","metadata":{"name":"e","namespace":"no-lb"},"type":"Warning",
            "reason":"FailedDeployModel","message":"no subnet is tagged for it.",
            "involvedObject":{"apiVersion":"v1","kind":"Service","namespace":"no-lb","name":"gateway"}}"#;
        plane.kubectl_with(&["create"], event).unwrap().stdout().unwrap();
        assert_eq!(balancer.diagnose().await, ["FailedDeployModel: no subnet is tagged for it"]);
        let address = r#"{"status":{"loadBalancer":{"ingress":[{"ip":"192.0.2.7"},{"hostname":"lb.test"}]}}}"#;
        let patch =
            ["patch", "service", "gateway", "-n", "no-lb", "--subresource=status", "--type=merge", "-p", address];
        plane.kubectl(&patch).unwrap().stdout().unwrap();
        let outputs = balancer.ready().await.outputs.value();
        assert_eq!(outputs.to_string(), r#"{ address = "192.0.2.7", addresses = ["192.0.2.7", "lb.test"] }"#);
    });
}
