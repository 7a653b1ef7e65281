//! What happens inside clusters without anybody asking: the objects that controllers make of what is written.

mod api;
mod balancing;
mod mesh;
mod workloads;

use serde_json::{Value, json};

use super::*;
use crate::sandbox::kubernetes::charts::{self, Wanted};
use crate::sandbox::kubernetes::controllers::parts::{holds, list, name, namespace, set, text};
use crate::sandbox::kubernetes::objects::{Key, Objects, time};
use crate::sandbox::settle::settle;

/// A cluster, and what can be done with its objects.
struct Inside {
    base: Base,
    cluster: String,
}

const REGION: &str = "us-west-2";

/// What the AWS load balancer controller's role needs.
const BALANCING: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["elasticloadbalancing:*","ec2:*"],"Resource":"*"}]}"#;

/// Where an object is.
fn key(object: &Value) -> Key {
    let api = text(object, "/apiVersion");
    let group = api.split_once('/').map_or("", |(group, _)| group);
    let kind = text(object, "/kind").to_ascii_lowercase();
    let plural = match kind.as_str() {
        "networkpolicy" => "networkpolicies".to_owned(),
        "ingressclass" => "ingressclasses".to_owned(),
        kind => format!("{kind}s"),
    };
    let space = namespace(object);
    Key::new(group, &plural, (!space.is_empty()).then_some(space), name(object))
}

fn core(plural: &str, space: &str, name: &str) -> Key {
    Key::new("", plural, Some(space), name)
}

fn of_apps(plural: &str, space: &str, name: &str) -> Key {
    Key::new("apps", plural, Some(space), name)
}

fn deployment(space: &str, name: &str, replicas: u32, image: &str) -> Value {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "namespace": space },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": { "app": name } },
            "template": {
                "metadata": { "labels": { "app": name } },
                "spec": { "containers": [{
                    "name": name, "image": image, "ports": [{ "name": "http", "containerPort": 5000 }],
                }] },
            },
        },
    })
}

fn space(name: &str, labels: Value) -> Value {
    let mut space = json!({
        "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": name }, "spec": { "finalizers": ["kubernetes"] },
    });
    space["metadata"]["labels"] = labels;
    space
}

impl Inside {
    /// A cluster that runs, without nodes.
    async fn bare(sandbox: Sandbox, family: IpFamily) -> Self {
        let base = Base::new(sandbox).await;
        base.cluster("c1", family).await;
        Self { base, cluster: "c1".to_owned() }
    }

    /// A cluster with two nodes.
    async fn with_nodes(sandbox: Sandbox, family: IpFamily) -> Self {
        let inside = Self::bare(sandbox, family).await;
        inside.base.addons("c1").await;
        inside.base.nodes("c1").send().await.unwrap();
        while inside.base.nodes_status("c1").await != NodegroupStatus::Active {
            inside.sleep(5).await;
        }
        inside
    }

    async fn sleep(&self, seconds: u64) {
        self.base.sleep(seconds).await;
    }

    /// Does something with the objects, as an operation would: after everything has come to where it is by now.
    fn on<R>(&self, act: impl FnOnce(&mut Objects<'_>) -> R) -> R {
        let service = &self.base.sandbox.service;
        let now = service.clock.now();
        let mut state = service.state();
        settle(&mut state.world, &service.options.quotas, now);
        let place = state.world.place(REGION, now);
        act(&mut Objects::of(place.region, &self.cluster, now))
    }

    fn write(&self, object: Value) {
        self.on(|objects| objects.put(&key(&object), object));
    }

    fn edit(&self, key: &Key, change: impl FnOnce(&mut Value)) {
        self.on(|objects| {
            let mut object = objects.get(key).unwrap().clone();
            change(&mut object);
            objects.put(key, object);
        });
    }

    /// Asks for the deletion of what a finalizer holds, or takes it out.
    fn delete(&self, key: &Key) {
        self.on(|objects| {
            let mut object = objects.get(key).unwrap().clone();
            let held = !list(&object, "/metadata/finalizers").is_empty() || key.plural == "namespaces";
            if held {
                set(&mut object, &["metadata", "deletionTimestamp"], time(objects.now()).into());
                objects.put(key, object);
            } else {
                objects.remove(key);
            }
        });
    }

    fn read(&self, key: &Key) -> Option<Value> {
        self.on(|objects| objects.get(key).cloned())
    }

    fn list(&self, group: &str, plural: &str, space: &str) -> Vec<Value> {
        self.on(|objects| objects.list(group, plural, Some(space)).cloned().collect())
    }

    fn pods(&self, space: &str, app: &str) -> Vec<Value> {
        let of_app = |pod: &Value| pod["metadata"]["labels"]["app"] == app;
        self.list("", "pods", space).into_iter().filter(of_app).collect()
    }

    /// What was said about an object for a reason.
    fn said(&self, space: &str, reason: &str) -> Vec<String> {
        let events = self.list("", "events", space);
        let of_reason = events.iter().filter(|event| event["reason"] == reason);
        of_reason.map(|event| text(event, "/message").to_owned()).collect()
    }

    /// Installs a well-known chart, all at once.
    fn install(&self, name: &str, space: &str, chart: &str, values: &Value) {
        let wanted = Wanted { name, namespace: space, chart, version: None, values, upgrades: false };
        for object in charts::render(&wanted).unwrap().objects {
            self.write(object);
        }
    }

    /// Waits for a Deployment, and answers how many seconds it took.
    async fn available(&self, space: &str, name: &str) -> u64 {
        for waited in 0..120 {
            let found = self.read(&of_apps("deployments", space, name)).unwrap();
            let wanted = found["spec"]["replicas"].as_i64().unwrap_or(1);
            if found["status"]["availableReplicas"] == wanted && holds(&found, "Available") {
                return waited;
            }
            self.sleep(1).await;
        }
        panic!("{name} is not available: {:#?}", self.list("", "pods", space));
    }

    /// The load balancer controller with its role.
    async fn balance(&self) {
        let role = role(&self.base.sandbox, "balancing", "pods.eks.amazonaws.com", &[]).await;
        let put = self.base.iam.put_role_policy().role_name("balancing").policy_name("all");
        put.policy_document(BALANCING).send().await.unwrap();
        let identity = self.base.eks.create_pod_identity_association().cluster_name(&self.cluster);
        let identity = identity.namespace("kube-system").service_account("aws-load-balancer-controller");
        self.sleep(15).await;
        identity.role_arn(role).send().await.unwrap();
        self.install_controller();
        self.available("kube-system", "aws-load-balancer-controller").await;
    }

    fn install_controller(&self) {
        let values = json!({ "clusterName": self.cluster, "region": REGION, "vpcId": self.base.vpc });
        self.install("aws-load-balancer-controller", "kube-system", "aws-load-balancer-controller", &values);
    }
}
