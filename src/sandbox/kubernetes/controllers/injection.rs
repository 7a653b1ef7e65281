//! Istio's injection: a pod gets a proxy, or the proxy that it is gets its image.
//!
//! Entry point: [`inject`]. What the templates write follows from the chart's values in the ConfigMap that the control plane
//! reads; the parts that only tune a proxy are left out.

use serde_json::{Value, json};

use super::parts::{annotation, core, label, list, name, set, set_missing, text};
use crate::sandbox::kubernetes::objects::{Key, Objects};

/// What a control plane knows of the pods that it injects.
struct Mesh {
    image: String,
    cluster: String,
    network: String,
    id: String,
    trust_domain: String,
    discovery: String,
}

/// The pod as the injector of a control plane changes it.
pub(super) fn inject(objects: &Objects<'_>, istiod: &Value, revision: &str, key: &Key, pod: Value) -> Value {
    let mut pod = pod;
    if pod["spec"]["hostNetwork"] == true || annotation(&pod, "sidecar.istio.io/status").is_some() {
        return pod;
    }
    let mesh = mesh(objects, istiod, revision);
    let gateway =
        annotation(&pod, "inject.istio.io/templates").is_some_and(|named| named.split(',').any(|one| one == "gateway"));
    let network = label(&pod, "topology.istio.io/network").map_or_else(|| mesh.network.clone(), str::to_owned);
    let mut containers = list(&pod, "/spec/containers").to_vec();
    let own = containers.iter().position(|container| container["name"] == "istio-proxy");
    let mut proxy = own.map_or_else(|| json!({ "name": "istio-proxy" }), |place| containers.remove(place));
    if text(&proxy, "/image").is_empty() || proxy["image"] == "auto" {
        set(&mut proxy, &["image"], mesh.image.as_str().into());
    }
    let role = if gateway { "router" } else { "sidecar" };
    set_missing(&mut proxy, &["args"], json!(["proxy", role, "--domain", "$(POD_NAMESPACE).svc.cluster.local"]));
    let status_port = json!({ "containerPort": 15090, "protocol": "TCP", "name": "http-envoy-prom" });
    set_missing(&mut proxy, &["ports"], json!([status_port]));
    let probe = json!({ "httpGet": { "path": "/healthz/ready", "port": 15021 }, "periodSeconds": 15 });
    set_missing(&mut proxy, &["readinessProbe"], probe);
    let environment = environment(&mesh, &network, &pod, list(&proxy, "/env"));
    set(&mut proxy, &["env"], environment.into());
    if gateway {
        containers.insert(0, proxy);
    } else {
        containers.push(proxy);
        let mut beginning = list(&pod, "/spec/initContainers").to_vec();
        beginning
            .insert(0, json!({ "name": "istio-init", "image": mesh.image, "args": ["istio-iptables", "-p", "15001"] }));
        set(&mut pod, &["spec", "initContainers"], beginning.into());
        set(&mut pod, &["metadata", "labels", "security.istio.io/tlsMode"], "istio".into());
    }
    set(&mut pod, &["spec", "containers"], containers.into());
    let service = label(&pod, "app.kubernetes.io/name").or_else(|| label(&pod, "app")).unwrap_or(&key.name).to_owned();
    let version = label(&pod, "version").unwrap_or("latest").to_owned();
    set_missing(&mut pod, &["metadata", "labels", "service.istio.io/canonical-name"], service.into());
    set_missing(&mut pod, &["metadata", "labels", "service.istio.io/canonical-revision"], version.into());
    set_missing(&mut pod, &["metadata", "labels", "istio.io/rev"], revision.into());
    if !network.is_empty() {
        set_missing(&mut pod, &["metadata", "labels", "topology.istio.io/network"], network.into());
    }
    let status = json!({
        "initContainers": if gateway { json!(null) } else { json!(["istio-init"]) },
        "containers": ["istio-proxy"],
        "volumes": ["istio-envoy", "istio-data", "istio-podinfo", "istio-token", "istiod-ca-cert"],
        "revision": revision,
    });
    set(&mut pod, &["metadata", "annotations", "sidecar.istio.io/status"], status.to_string().into());
    pod
}

fn environment(mesh: &Mesh, network: &str, pod: &Value, own: &[Value]) -> Vec<Value> {
    let field = |path: &str| json!({ "fieldRef": { "fieldPath": path } });
    let workload = label(pod, "app").unwrap_or_else(|| name(pod));
    let mut all = vec![
        json!({ "name": "CA_ADDR", "value": mesh.discovery }),
        json!({ "name": "POD_NAME", "valueFrom": field("metadata.name") }),
        json!({ "name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace") }),
        json!({ "name": "INSTANCE_IP", "valueFrom": field("status.podIP") }),
        json!({ "name": "SERVICE_ACCOUNT", "valueFrom": field("spec.serviceAccountName") }),
        json!({ "name": "ISTIO_META_CLUSTER_ID", "value": mesh.cluster }),
        json!({ "name": "ISTIO_META_WORKLOAD_NAME", "value": workload }),
        json!({ "name": "TRUST_DOMAIN", "value": mesh.trust_domain }),
    ];
    for (name, value) in [("ISTIO_META_NETWORK", network), ("ISTIO_META_MESH_ID", mesh.id.as_str())] {
        if !value.is_empty() {
            all.push(json!({ "name": name, "value": value }));
        }
    }
    // What the pod itself says counts.
    all.retain(|one| !own.iter().any(|said| said["name"] == one["name"]));
    all.extend(own.iter().cloned());
    all
}

fn mesh(objects: &Objects<'_>, istiod: &Value, revision: &str) -> Mesh {
    let namespace = text(istiod, "/metadata/namespace");
    let suffix = if revision == "default" { String::new() } else { format!("-{revision}") };
    let read = |map: &str, field: &str| {
        let map = objects.get(&core("configmaps", namespace, &format!("{map}{suffix}")));
        map.map(|map| map["data"][field].as_str().unwrap_or_default().to_owned()).unwrap_or_default()
    };
    let values: Value = serde_json::from_str(&read("istio-sidecar-injector", "values")).unwrap_or_default();
    let configuration: Value = serde_saphyr::from_str(&read("istio", "mesh")).unwrap_or_default();
    let global = &values["global"];
    let said = |path: &str, otherwise: &str| match global.pointer(path) {
        Some(Value::String(text)) if !text.is_empty() => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        Some(_) | None => otherwise.to_owned(),
    };
    let image = said("/proxy/image", "proxyv2");
    let image = if image.contains('/') {
        image
    } else {
        let tag = istiod_tag(istiod);
        format!("{}/{image}:{}", said("/hub", "registry.istio.io/release"), said("/tag", &tag))
    };
    Mesh {
        image,
        cluster: said("/multiCluster/clusterName", "Kubernetes"),
        network: said("/network", ""),
        id: said("/meshID", ""),
        trust_domain: match text(&configuration, "/trustDomain") {
            "" => "cluster.local".to_owned(),
            domain => domain.to_owned(),
        },
        discovery: format!("istiod{suffix}.{namespace}.svc:15012"),
    }
}

/// The version in the image of a control plane.
fn istiod_tag(istiod: &Value) -> String {
    let image = text(istiod, "/spec/containers/0/image");
    image.rsplit_once(':').map_or("latest", |(_, tag)| tag).to_owned()
}
