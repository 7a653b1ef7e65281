//! The sample applications: `helloworld` in as many versions as there are clusters, and `curl` to call it.
//!
//! Every cluster has the Service, because its name must resolve where it is called; each has one version, so that the
//! answers tell where they come from. There are images of two versions: further ones are the first under another name.

use serde_json::{Value as Json, json};

use super::Inside;
use super::control_plane::ControlPlane;
use super::release::lookup;
use crate::kinds::kubernetes::namespace;
use crate::model::Address;
use crate::topology::schema::Release;

const SAMPLE: &str = "sample";

/// Where Istio's images are, unless the topology says otherwise.
const HUB: &str = "registry.istio.io/release";

/// The image of `curl`, as Istio's own sample has it.
const CURL: &str = "docker.io/curlimages/curl:8.16.0";

/// The version of helloworld's images.
const TAG: &str = "1.0";

/// What of `[helm.sample.values]` has an effect: the chart `sample` has more, for use by hand.
const USED: [&str; 4] = ["hub", "curl.image", "helloworld.replicas", "helloworld.tag"];

/// The port that helloworld's container listens on.
const CONTAINER_PORT: u16 = 5000;

impl Inside<'_> {
    /// `number` is the cluster's among all of them, from 1.
    pub(super) fn sample(&mut self, number: usize, control_plane: &ControlPlane) {
        let Some(sample) = &self.mesh.topology.sample else { return };
        let labels = [("istio-injection".to_owned(), "enabled".to_owned())].into();
        let spec = namespace::Spec { name: SAMPLE.to_owned(), labels, annotations: [].into() };
        let address = self.address("kubernetes.namespace", &[SAMPLE]);
        let cluster = self.ground.address.clone();
        self.declare(&address, &spec, &[&cluster]);
        self.unused(Release::Sample, &USED);
        let given = |path: &str| self.cluster.helm.get(&Release::Sample).and_then(|values| lookup(values, path));
        let text = |path: &str| given(path).and_then(Json::as_str).map(str::to_owned);
        let hub = text("hub").or_else(|| self.mesh.topology.image_hub.clone()).unwrap_or_else(|| HUB.to_owned());
        let tag = text("helloworld.tag").unwrap_or_else(|| TAG.to_owned());
        let replicas = given("helloworld.replicas").and_then(Json::as_u64).unwrap_or(1);
        let client = text("curl.image").unwrap_or_else(|| CURL.to_owned());
        self.object(&service("helloworld", sample.port, CONTAINER_PORT), &[&address]);
        self.object(&service("curl", 80, 80), &[&address]);
        let account = self.object(&service_account("curl"), &[&address]).0;
        // Pods made before the injector is ready would have no sidecar.
        let ready = &control_plane.injector;
        self.object(&helloworld(number, &hub, &tag, replicas), &[&address, ready]);
        let after: [&Address; 3] = [&address, &account, ready];
        self.object(&curl(&client), &after);
    }
}

fn service(name: &str, port: u16, target: u16) -> Json {
    json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "name": name, "namespace": SAMPLE, "labels": { "app": name, "service": name } },
        "spec": { "ports": [{ "name": "http", "port": port, "targetPort": target }], "selector": { "app": name } },
    })
}

fn service_account(name: &str) -> Json {
    json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": name, "namespace": SAMPLE } })
}

fn helloworld(number: usize, hub: &str, tag: &str, replicas: u64) -> Json {
    let version = format!("v{number}");
    let image = if number == 2 { "v2" } else { "v1" };
    let labels = json!({ "app": "helloworld", "version": version });
    let mut container = json!({
        "name": "helloworld",
        "image": format!("{hub}/examples-helloworld-{image}:{tag}"),
        "imagePullPolicy": "IfNotPresent",
        "ports": [{ "containerPort": CONTAINER_PORT }],
        "resources": { "requests": { "cpu": "100m" } },
    });
    if number > 2 {
        container["env"] = json!([{ "name": "SERVICE_VERSION", "value": version }]);
    }
    deployment(&format!("helloworld-{version}"), replicas, &labels, &json!({ "containers": [container] }))
}

fn curl(image: &str) -> Json {
    let pod = json!({
        "serviceAccountName": "curl",
        "terminationGracePeriodSeconds": 0,
        "containers": [{
            "name": "curl",
            "image": image,
            "imagePullPolicy": "IfNotPresent",
            "command": ["/bin/sleep", "infinity"],
        }],
    });
    deployment("curl", 1, &json!({ "app": "curl" }), &pod)
}

fn deployment(name: &str, replicas: u64, labels: &Json, pod: &Json) -> Json {
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": name, "namespace": SAMPLE, "labels": labels },
        "spec": {
            "replicas": replicas,
            "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": pod },
        },
    })
}
