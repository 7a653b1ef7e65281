//! The API server as its clients see it: requests in, answers out, on a world with one cluster.

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use super::auth::Clock;
use super::request::Asked;
use super::server::{Reply, handle};
use super::watch::Watch;
use super::*;
use crate::sandbox::world::World;
use crate::sandbox::world::ids::Mint;
use crate::sandbox::world::rows::{Head, Tags};

const REGION: &str = "us-west-2";
const NOW: Timestamp = Timestamp::constant(1_767_225_600, 0);
const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

/// A world with one cluster, and somebody who may do all.
struct Rig {
    world: World,
    now: Timestamp,
    authorization: Option<String>,
    agent: &'static str,
}

fn cluster(ipv6: bool) -> Cluster {
    let head = Head { id: "one".to_owned(), created_at: NOW, visible_at: NOW, tags: Tags::new(), native: false };
    Cluster {
        head,
        unique: "0123456789ABCDEF0123456789ABCDEF".to_owned(),
        role_arn: String::new(),
        version: "1.35".to_owned(),
        vpc_id: String::new(),
        subnets: Vec::new(),
        security_groups: Vec::new(),
        public_access: true,
        private_access: true,
        public_cidrs: Vec::new(),
        ipv6,
        service_cidr: if ipv6 { "fd12:3456:789a::/108" } else { "10.100.0.0/16" }.to_owned(),
        authentication_mode: "CONFIG_MAP".to_owned(),
        bootstrap_admin: true,
        auto_mode: None,
        support_type: "STANDARD".to_owned(),
        deletion_protection: false,
        zonal_shift: false,
        logging: std::collections::BTreeSet::new(),
        group_id: String::new(),
        settled_at: NOW,
        failure: None,
        deletion: None,
    }
}

/// A token as `eks-token` makes it, by credentials that are not the sandbox's own.
fn token() -> String {
    let url = "https://sts.us-west-2.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15\
               &X-Amz-Credential=AKIDEXAMPLE%2F20260101%2Fus-west-2%2Fsts%2Faws4_request&X-Amz-Date=20260101T000000Z\
               &X-Amz-SignedHeaders=host%3Bx-k8s-aws-id&X-Amz-Signature=00";
    format!("Bearer k8s-aws-v1.{}", data_encoding::BASE64URL_NOPAD.encode(url.as_bytes()))
}

impl Rig {
    fn new(ipv6: bool) -> Self {
        let mint =
            Mint { account: "123456789012".to_owned(), counter: 0, realistic: false, even: false, never_ready: false };
        let mut world = World::new(mint);
        world.place(REGION, NOW).region.clusters.insert(cluster(ipv6));
        let mut rig = Self { world, now: NOW, authorization: Some(token()), agent: "kubectl" };
        rig.pass(1);
        rig
    }

    /// Lets time pass.
    fn pass(&mut self, seconds: i64) {
        self.now = self.now.checked_add(seconds.seconds()).unwrap();
        crate::sandbox::settle::settle(&mut self.world, &Quotas::default(), self.now);
    }

    fn reply(&mut self, method: &str, target: &str, content_type: &str, body: &[u8]) -> Reply {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let asked = Asked {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            authorization: self.authorization.clone(),
            content_type: content_type.to_owned(),
            user_agent: self.agent.to_owned(),
            body: body.to_vec(),
            ..Asked::default()
        };
        let now = self.now;
        handle(&mut self.world.place(REGION, now), "one", &asked, now, Clock::Unknown)
    }

    fn send(&mut self, method: &str, target: &str, content_type: &str, body: &Value) -> (u16, Value) {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        match self.reply(method, target, content_type, &body) {
            Reply::Whole(response) => {
                let text = String::from_utf8_lossy(&response.body).into_owned();
                (response.status, serde_json::from_slice(&response.body).unwrap_or(Value::String(text)))
            }
            Reply::Watch(_) => panic!("it is a watch"),
        }
    }

    fn get(&mut self, target: &str) -> (u16, Value) {
        self.send("GET", target, "", &Value::Null)
    }

    #[expect(clippy::needless_pass_by_value, reason = "a document that a test writes is written where it is used")]
    fn post(&mut self, target: &str, body: Value) -> (u16, Value) {
        self.send("POST", target, "application/json", &body)
    }

    #[expect(clippy::needless_pass_by_value, reason = "a document that a test writes is written where it is used")]
    fn apply(&mut self, target: &str, manager: &str, body: Value) -> (u16, Value) {
        self.send("PATCH", &format!("{target}?fieldManager={manager}"), APPLY, &body)
    }

    fn delete(&mut self, target: &str) -> (u16, Value) {
        self.send("DELETE", target, "", &Value::Null)
    }
}

const MAPS: &str = "/api/v1/namespaces/default/configmaps";

#[expect(clippy::needless_pass_by_value, reason = "a document that a test writes is written where it is used")]
fn map(name: &str, data: Value) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": name }, "data": data })
}

fn said((status, answer): &(u16, Value)) -> (u16, &str, &str) {
    (*status, answer["reason"].as_str().unwrap_or_default(), answer["message"].as_str().unwrap_or_default())
}

#[test]
fn an_apply_creates_once_and_repeats_without_a_write() {
    let mut rig = Rig::new(false);
    let (status, made) = rig.apply(&format!("{MAPS}/x"), "m1", map("x", json!({ "a": "1" })));
    assert_eq!(status, 201);
    assert_eq!(made["metadata"]["managedFields"][0]["fieldsV1"], json!({ "f:data": { "f:a": {} } }));
    rig.pass(60);
    let (status, again) = rig.apply(&format!("{MAPS}/x"), "m1", map("x", json!({ "a": "1" })));
    assert_eq!((status, &again), (200, &made));

    let conflict = rig.apply(&format!("{MAPS}/x"), "m2", map("x", json!({ "a": "2" })));
    assert_eq!(said(&conflict), (409, "Conflict", "Apply failed with 1 conflict: conflict with \"m1\": .data.a"));
    assert_eq!(conflict.1["details"]["causes"][0]["reason"], "FieldManagerConflict");
    let forced =
        rig.send("PATCH", &format!("{MAPS}/x?fieldManager=m2&force=true"), APPLY, &map("x", json!({ "a": "2" })));
    assert_eq!((forced.0, &forced.1["data"]), (200, &json!({ "a": "2" })));
}

#[test]
fn an_apply_is_refused_in_the_words_of_a_real_server() {
    let mut rig = Rig::new(false);
    let untyped = json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" }, "dataa": {} });
    let refused = rig.apply(&format!("{MAPS}/x"), "m", untyped);
    let message =
        "failed to create typed patch object (default/x; /v1, Kind=ConfigMap): .dataa: field not declared in schema";
    assert_eq!(said(&refused), (500, "", message));
    let nowhere = rig.apply("/api/v1/namespaces/nope/configmaps/x", "m", map("x", json!({})));
    assert_eq!(said(&nowhere), (404, "NotFound", "namespaces \"nope\" not found"));
    assert_eq!(nowhere.1["details"], json!({ "name": "nope", "kind": "namespaces" }));
    let nobody = rig.send("PATCH", &format!("{MAPS}/x"), APPLY, &map("x", json!({})));
    assert_eq!((nobody.0, &nobody.1["reason"]), (422, &json!("Invalid")));
    let managed = json!({ "metadata": { "managedFields": [{ "manager": "m" }] } });
    assert_eq!(said(&rig.apply(&format!("{MAPS}/x"), "m", managed)).2, "metadata.managedFields must be nil");
    let unknown = rig.get("/apis/networking.istio.io/v1/namespaces/default/gateways/x");
    assert_eq!(unknown, (404, json!("404 page not found\n")));
}

#[test]
fn versions_identities_and_names_are_held() {
    let mut rig = Rig::new(false);
    let (status, made) = rig.post(MAPS, map("x", json!({ "a": "1" })));
    assert_eq!(status, 201);
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "kubectl");
    let taken = rig.post(MAPS, map("x", json!({})));
    assert_eq!(said(&taken), (409, "AlreadyExists", "configmaps \"x\" already exists"));
    let mut changed = made.clone();
    changed["data"]["a"] = "2".into();
    assert_eq!(rig.send("PUT", &format!("{MAPS}/x"), "application/json", &changed).0, 200);
    let stale = rig.send("PUT", &format!("{MAPS}/x"), "application/json", &changed);
    assert_eq!(said(&stale).0, 409);
    assert!(
        said(&stale).2.starts_with("Operation cannot be fulfilled on configmaps \"x\": the object has been modified")
    );
    let other = json!({ "preconditions": { "uid": "other" } });
    let kept = rig.send("DELETE", &format!("{MAPS}/x"), "application/json", &other);
    assert!(said(&kept).2.contains("the UID in the precondition (other) does not match the UID in record"), "{kept:?}");
    let (status, begun) = rig.post(MAPS, json!({ "metadata": { "generateName": "y-" } }));
    assert_eq!((status, begun["metadata"]["name"].as_str().unwrap().len()), (201, 7));
    let wrong = rig.post(MAPS, map("UPPER", json!({})));
    assert_eq!((wrong.0, wrong.1["details"]["causes"][0]["field"].as_str()), (422, Some("metadata.name")));
    let gone = rig.delete(&format!("{MAPS}/x"));
    assert_eq!(
        (gone.0, &gone.1["status"], &gone.1["details"]["uid"]),
        (200, &json!("Success"), &made["metadata"]["uid"])
    );
    assert_eq!(said(&rig.get(&format!("{MAPS}/x"))), (404, "NotFound", "configmaps \"x\" not found"));
}

#[test]
fn finalizers_hold_what_is_deleted() {
    let mut rig = Rig::new(false);
    let mut held = map("x", json!({}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    rig.post(MAPS, held);
    let (status, going) = rig.delete(&format!("{MAPS}/x"));
    assert_eq!((status, going["kind"].as_str()), (200, Some("ConfigMap")));
    assert!(going["metadata"]["deletionTimestamp"].is_string());
    let more = json!({ "metadata": { "finalizers": ["example.com/hold", "example.com/more"] } });
    let refused = rig.send("PATCH", &format!("{MAPS}/x"), MERGE, &more);
    assert!(said(&refused).2.contains("no new finalizers can be added if the object is being deleted"), "{refused:?}");
    let free = json!({ "metadata": { "finalizers": null } });
    assert_eq!(rig.send("PATCH", &format!("{MAPS}/x"), MERGE, &free).0, 200);
    assert_eq!(rig.get(&format!("{MAPS}/x")).0, 404);
}

fn deployment(image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "web" },
        "spec": {
            "selector": { "matchLabels": { "app": "web" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": image, "ports": [{ "containerPort": 80 }] }] },
            },
        },
    })
}

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/default/deployments";

#[test]
fn workloads_get_their_defaults_and_are_patched_strategically() {
    let mut rig = Rig::new(false);
    let (status, made) = rig.post(DEPLOYMENTS, deployment("nginx:1"));
    assert_eq!(status, 201, "{made}");
    assert_eq!((&made["spec"]["replicas"], &made["metadata"]["generation"]), (&json!(1), &json!(1)));
    assert_eq!(made["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"], "IfNotPresent");
    let sidecar =
        json!({ "spec": { "template": { "spec": { "containers": [{ "name": "proxy", "image": "envoy" }] } } } });
    let (status, patched) = rig.send("PATCH", &format!("{DEPLOYMENTS}/web"), STRATEGIC, &sidecar);
    assert_eq!((status, patched["spec"]["template"]["spec"]["containers"].as_array().unwrap().len()), (200, 2));
    assert_eq!(patched["metadata"]["generation"], 2);
    let moved = json!({ "spec": { "selector": { "matchLabels": { "app": "web", "x": "y" } } } });
    let refused = rig.send("PATCH", &format!("{DEPLOYMENTS}/web"), MERGE, &moved);
    assert!(said(&refused).2.contains("field is immutable"), "{refused:?}");
    let (_, scaled) =
        rig.send("PATCH", &format!("{DEPLOYMENTS}/web/scale"), MERGE, &json!({ "spec": { "replicas": 3 } }));
    assert_eq!((scaled["kind"].as_str(), &scaled["spec"]["replicas"]), (Some("Scale"), &json!(3)));
    let strange = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "b" }, "spec": { "replicaz": 1 } });
    let strict = rig.post(&format!("{DEPLOYMENTS}?fieldValidation=Strict"), strange);
    let message = "Deployment in version \"v1\" cannot be handled as a Deployment: strict decoding error: unknown field \"spec.replicaz\"";
    assert_eq!(said(&strict), (400, "BadRequest", message));
}

#[test]
fn an_applied_deployment_that_is_applied_again_is_not_written() {
    let mut rig = Rig::new(false);
    let (_, made) = rig.apply(&format!("{DEPLOYMENTS}/web"), "meshplan", deployment("nginx:1"));
    let dry = rig.send(
        "PATCH",
        &format!("{DEPLOYMENTS}/web?fieldManager=meshplan&dryRun=All"),
        APPLY,
        &deployment("nginx:1"),
    );
    assert_eq!(dry.1["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    let (_, again) = rig.apply(&format!("{DEPLOYMENTS}/web"), "meshplan", deployment("nginx:1"));
    assert_eq!(again["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"], "{again}\n{made}");
}

#[test]
fn services_get_addresses_of_the_clusters_family() {
    for (ipv6, family, start) in [(false, "IPv4", "10.100."), (true, "IPv6", "fd12:3456:789a::")] {
        let mut rig = Rig::new(ipv6);
        let service = |families: Value| {
            json!({
                "metadata": { "name": "web" },
                "spec": { "type": "LoadBalancer", "ports": [{ "port": 80 }], "ipFamilies": families },
            })
        };
        let (status, made) = rig.post("/api/v1/namespaces/default/services?dryRun=All", service(Value::Null));
        assert_eq!(status, 201, "{made}");
        assert_eq!(made["spec"]["ipFamilies"], json!([family]));
        assert!(made["spec"]["clusterIP"].as_str().unwrap().starts_with(start), "{made}");
        assert!(made["spec"]["ports"][0]["nodePort"].is_u64());
        let other = if ipv6 { "IPv4" } else { "IPv6" };
        let refused = rig.post("/api/v1/namespaces/default/services", service(json!([other])));
        let message = format!(
            "Service \"web\" is invalid: spec.ipFamilies[0]: Invalid value: \"{other}\": not configured on this cluster"
        );
        assert_eq!(said(&refused), (422, "Invalid", message.as_str()));
    }
}

#[test]
fn lists_are_selected_and_come_in_pages() {
    let mut rig = Rig::new(false);
    for name in ["a", "b", "c"] {
        let mut one = map(name, json!({}));
        one["metadata"]["labels"] = json!({ "name": name, "owner": "helm" });
        rig.post(MAPS, one);
    }
    let names = |list: &Value| -> Vec<String> {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let (_, selected) = rig.get(&format!("{MAPS}?labelSelector=name%3Db%2Cowner%3Dhelm"));
    assert_eq!((names(&selected), selected["kind"].as_str()), (vec!["b".to_owned()], Some("ConfigMapList")));
    let (_, named) = rig.get(&format!("{MAPS}?fieldSelector=metadata.name%3Dc"));
    assert_eq!(names(&named), ["c"]);
    let (_, first) = rig.get(&format!("{MAPS}?labelSelector=owner&limit=2"));
    assert_eq!(
        (names(&first), &first["metadata"]["remainingItemCount"]),
        (vec!["a".to_owned(), "b".to_owned()], &json!(1))
    );
    let token = first["metadata"]["continue"].as_str().unwrap().to_owned();
    assert_eq!(names(&rig.get(&format!("{MAPS}?labelSelector=owner&limit=2&continue={token}")).1), ["c"]);
    assert_eq!(rig.get(&format!("{MAPS}?fieldSelector=spec.x%3Dc")).0, 400);
}

#[test]
fn definitions_are_served_at_once_and_their_objects_are_checked() {
    let mut rig = Rig::new(false);
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "gateways.demo.test" },
        "spec": {
            "group": "demo.test", "scope": "Namespaced",
            "names": { "plural": "gateways", "kind": "Gateway", "shortNames": ["gw"] },
            "versions": [{
                "name": "v1", "served": true, "storage": true, "subresources": { "status": {} },
                "schema": { "openAPIV3Schema": { "type": "object", "properties": {
                    "spec": { "type": "object", "required": ["size"], "properties": {
                        "size": { "type": "integer", "minimum": 1 }, "mode": { "type": "string", "default": "a" },
                    } },
                    "status": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
                } } },
            }],
        },
    });
    let (status, made) = rig.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition);
    assert_eq!(status, 201, "{made}");
    assert!(made["status"]["conditions"].as_array().unwrap().iter().any(|one| one["type"] == "Established"));
    let (_, served) = rig.get("/apis/demo.test/v1");
    assert_eq!(served["resources"][0]["shortNames"], json!(["gw"]));
    let (_, document) = rig.get("/openapi/v3/apis/demo.test/v1");
    let patch = &document["paths"]["/apis/demo.test/v1/namespaces/{namespace}/gateways/{name}"]["patch"];
    assert!(patch["parameters"].as_array().unwrap().iter().any(|one| one["name"] == "fieldValidation"));
    let gateways = "/apis/demo.test/v1/namespaces/default/gateways";
    let gateway = |size: Value| json!({ "apiVersion": "demo.test/v1", "kind": "Gateway", "metadata": { "name": "x" }, "spec": { "size": size } });
    let (status, one) = rig.post(gateways, gateway(2.into()));
    assert_eq!(
        (status, &one["spec"], &one["metadata"]["generation"]),
        (201, &json!({ "size": 2, "mode": "a" }), &json!(1))
    );
    let wrong = rig.apply(&format!("{gateways}/x"), "m", gateway("big".into()));
    assert!(said(&wrong).2.ends_with(".spec.size: expected numeric (int or float), got string"), "{wrong:?}");
    let small = rig.send("PATCH", &format!("{gateways}/x"), MERGE, &json!({ "spec": { "size": 0 } }));
    assert_eq!((small.0, &small.1["details"]["causes"][0]["field"]), (422, &json!("spec.size")));
    rig.delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.demo.test");
    assert_eq!(rig.get(&format!("{gateways}/x")).0, 404);
    assert_eq!(rig.get("/apis/demo.test/v1"), (404, json!("404 page not found\n")));
}

#[test]
fn callers_are_told_apart() {
    let mut rig = Rig::new(false);
    rig.authorization = None;
    let anonymous = rig.get("/api/v1/namespaces");
    let message = "namespaces is forbidden: User \"system:anonymous\" cannot list resource \"namespaces\" in API group \"\" at the cluster scope";
    assert_eq!(said(&anonymous), (403, "Forbidden", message));
    assert_eq!(rig.get("/version").0, 200);
    rig.authorization = Some("Bearer nonsense".to_owned());
    assert_eq!(said(&rig.get("/api/v1/namespaces")), (401, "Unauthorized", "Unauthorized"));
}

#[test]
fn service_accounts_may_what_their_bindings_say() {
    let mut rig = Rig::new(false);
    rig.post("/api/v1/namespaces/default/serviceaccounts", json!({ "metadata": { "name": "reader" } }));
    let (status, request) = rig.post("/api/v1/namespaces/default/serviceaccounts/reader/token", json!({}));
    assert_eq!(status, 201, "{request}");
    let secret = json!({
        "metadata": { "name": "reader-token", "annotations": { "kubernetes.io/service-account.name": "reader" } },
        "type": "kubernetes.io/service-account-token",
    });
    rig.post("/api/v1/namespaces/default/secrets", secret);
    rig.pass(5);
    let (_, filled) = rig.get("/api/v1/namespaces/default/secrets/reader-token");
    let held = data_encoding::BASE64.decode(filled["data"]["token"].as_str().unwrap().as_bytes()).unwrap();
    let held = String::from_utf8(held).unwrap();
    let admin = rig.authorization.clone();
    for token in [held.as_str(), request["status"]["token"].as_str().unwrap()] {
        rig.authorization = Some(format!("Bearer {token}"));
        let refused = rig.get("/api/v1/namespaces/default/pods");
        let message = "pods is forbidden: User \"system:serviceaccount:default:reader\" cannot list resource \"pods\" in API group \"\" in the namespace \"default\"";
        assert_eq!(said(&refused), (403, "Forbidden", message));
    }
    rig.authorization.clone_from(&admin);
    let role = json!({ "metadata": { "name": "r" }, "rules": [{ "apiGroups": [""], "resources": ["pods"], "verbs": ["list"] }] });
    rig.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", role);
    let binding = json!({
        "metadata": { "name": "r" },
        "roleRef": { "kind": "ClusterRole", "name": "r" },
        "subjects": [{ "kind": "ServiceAccount", "name": "reader", "namespace": "default" }],
    });
    assert_eq!(rig.post("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", binding).0, 201);
    rig.authorization = Some(format!("Bearer {held}"));
    assert_eq!(rig.get("/api/v1/namespaces/default/pods").0, 200);
    assert_eq!(rig.get("/api/v1/namespaces/default/secrets").0, 403);
    rig.authorization = admin;
    rig.delete("/api/v1/namespaces/default/secrets/reader-token");
    rig.authorization = Some(format!("Bearer {held}"));
    assert_eq!(rig.get("/api/v1/namespaces/default/pods").0, 401, "its Secret is gone");
}

#[test]
fn watches_tell_what_changed_since_a_version() {
    let mut rig = Rig::new(false);
    rig.post(MAPS, map("a", json!({})));
    let Reply::Watch(mut all) = rig.reply(
        "GET",
        &format!("{MAPS}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan"),
        "",
        b"",
    ) else {
        panic!("it is no watch")
    };
    let version = rig.get(MAPS).1["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let Reply::Watch(mut later) = rig.reply("GET", &format!("{MAPS}?watch=1&resourceVersion={version}"), "", b"")
    else {
        panic!("it is no watch")
    };
    let look = |rig: &mut Rig, watch: &mut Watch| -> Vec<(String, String)> {
        let now = rig.now;
        let place = rig.world.place(REGION, now);
        let (events, _) = watch.look(&Objects::of(place.region, "one", now));
        let told = |event: &Value| {
            let name = event["object"]["metadata"]["name"].as_str().unwrap_or_default();
            (event["type"].as_str().unwrap().to_owned(), name.to_owned())
        };
        events.iter().map(told).collect()
    };
    let event = |kind: &str, name: &str| (kind.to_owned(), name.to_owned());
    let first = look(&mut rig, &mut all);
    assert!(first.contains(&event("ADDED", "a")) && first.last() == Some(&event("BOOKMARK", "")), "{first:?}");
    rig.post(MAPS, map("b", json!({})));
    rig.send("PATCH", &format!("{MAPS}/a"), MERGE, &json!({ "data": { "x": "1" } }));
    rig.delete(&format!("{MAPS}/b"));
    let changes = [event("MODIFIED", "a"), event("DELETED", "b")];
    assert_eq!(look(&mut rig, &mut all), changes);
    assert_eq!(look(&mut rig, &mut later), changes);
    assert_eq!(look(&mut rig, &mut later), []);
    let refused = rig.get(&format!("{MAPS}?watch=1&sendInitialEvents=true"));
    assert_eq!(refused.0, 422);
}
