//! Services: an address of the cluster's family, and the endpoints behind it, in both forms that there are.

use serde_json::{Value, json};

use super::control::Control;
use super::parts::{
    core, holds, is_going, list, name, namespace, number, owner, safe_suffix, selects_plainly, set, set_missing, text,
    uid,
};
use super::pods;
use crate::sandbox::kubernetes::objects::Key;
use crate::sandbox::kubernetes::services;
use crate::sandbox::world::ids::number_of;

const SLICES: (&str, &str) = ("discovery.k8s.io", "endpointslices");

pub(super) fn run(control: &mut Control<'_, '_>) {
    for service in control.list_if("", "services", |service| !is_going(service)) {
        let service = furnish(control, service);
        if service["spec"]["selector"].as_object().is_some_and(|selector| !selector.is_empty()) {
            expose(control, &service);
        }
    }
    forget(control);
}

/// Gives a Service what it lacks.
fn furnish(control: &mut Control<'_, '_>, mut service: Value) -> Value {
    let kind = match text(&service, "/spec/type") {
        "" => "ClusterIP".to_owned(),
        kind => kind.to_owned(),
    };
    set_missing(&mut service, &["spec", "type"], kind.as_str().into());
    if kind == "ExternalName" {
        return service;
    }
    if text(&service, "/spec/clusterIP").is_empty() {
        // The API refuses a Service that it cannot give an address; a controller's own is left without.
        let _ = services::allocate(&control.objects(), &mut service, None);
    }
    set_missing(&mut service, &["status", "loadBalancer"], json!({}));
    control.put(&core("services", namespace(&service), name(&service)), service.clone());
    service
}

/// The pods that a Service selects and that have an address.
pub(super) fn pods_behind(control: &mut Control<'_, '_>, service: &Value) -> Vec<Value> {
    let objects = control.objects();
    let pods = objects.list("", "pods", Some(namespace(service)));
    pods.filter(|pod| {
        selects_plainly(&service["spec"]["selector"], &pod["metadata"]["labels"])
            && !text(pod, "/status/podIP").is_empty()
            && !matches!(text(pod, "/status/phase"), "Succeeded" | "Failed")
            && !is_going(pod)
    })
    .cloned()
    .collect()
}

/// Writes the endpoints of a Service.
fn expose(control: &mut Control<'_, '_>, service: &Value) {
    let pods = pods_behind(control, service);
    let ports = list(service, "/spec/ports");
    // Pods of one Service have their ports alike, or a slice would be made for each kind of them.
    let resolved: Vec<Value> = ports
        .iter()
        .filter_map(|port| {
            let own = number(port, "/port")?;
            let target = pods.first().map_or(Some(own), |pod| pods::port(pod, &port["targetPort"], own))?;
            let mut resolved = json!({ "port": target, "protocol": protocol(port) });
            for field in ["name", "appProtocol"] {
                if !text(port, &format!("/{field}")).is_empty() {
                    set(&mut resolved, &[field], port[field].clone());
                }
            }
            Some(resolved)
        })
        .collect();
    put_slice(control, service, &pods, &resolved);
    put_endpoints(control, service, &pods, &resolved);
}

fn protocol(port: &Value) -> &str {
    match text(port, "/protocol") {
        "" => "TCP",
        protocol => protocol,
    }
}

fn reference(pod: &Value) -> Value {
    json!({ "kind": "Pod", "name": name(pod), "namespace": namespace(pod), "uid": uid(pod) })
}

fn put_slice(control: &mut Control<'_, '_>, service: &Value, pods: &[Value], ports: &[Value]) {
    let published = service["spec"]["publishNotReadyAddresses"] == true;
    let mut endpoints = Vec::new();
    for pod in pods {
        let node = Key::new("", "nodes", None, text(pod, "/spec/nodeName"));
        let zone = control
            .get(&node)
            .map_or(Value::Null, |node| node["metadata"]["labels"]["topology.kubernetes.io/zone"].clone());
        let ready = holds(pod, "Ready") || published;
        endpoints.push(json!({
            "addresses": [pod["status"]["podIP"]],
            "conditions": { "ready": ready, "serving": holds(pod, "Ready"), "terminating": false },
            "nodeName": pod["spec"]["nodeName"],
            "zone": zone,
            "targetRef": reference(pod),
        }));
    }
    let mut labels = service["metadata"]["labels"].clone();
    if !labels.is_object() {
        labels = json!({});
    }
    set(&mut labels, &["kubernetes.io/service-name"], name(service).into());
    set(&mut labels, &["endpointslice.kubernetes.io/managed-by"], "endpointslice-controller.k8s.io".into());
    let suffix = safe_suffix(number_of(&[uid(service).as_bytes()]), 5);
    let key = Key::new(SLICES.0, SLICES.1, Some(namespace(service)), &format!("{}-{suffix}", name(service)));
    // A port without a name has an empty one there, which kubectl relies on.
    let named = |port: &Value| {
        let mut port = port.clone();
        set_missing(&mut port, &["name"], "".into());
        port
    };
    let ports: Vec<Value> = ports.iter().map(named).collect();
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "generateName": format!("{}-", name(service)), "labels": labels, "ownerReferences": owner(service),
        },
        "addressType": if control.cluster.ipv6 { "IPv6" } else { "IPv4" },
        "endpoints": endpoints,
        "ports": ports,
    });
    control.put(&key, slice);
}

fn put_endpoints(control: &mut Control<'_, '_>, service: &Value, pods: &[Value], ports: &[Value]) {
    let published = service["spec"]["publishNotReadyAddresses"] == true;
    let (ready, other): (Vec<&Value>, Vec<&Value>) = pods.iter().partition(|pod| holds(pod, "Ready") || published);
    let addresses = |pods: &[&Value]| -> Vec<Value> {
        pods.iter()
            .map(|pod| {
                json!({ "ip": pod["status"]["podIP"], "nodeName": pod["spec"]["nodeName"], "targetRef": reference(pod) })
            })
            .collect()
    };
    let mut object = json!({ "apiVersion": "v1", "kind": "Endpoints", "metadata": {} });
    if service["metadata"]["labels"].is_object() {
        set(&mut object, &["metadata", "labels"], service["metadata"]["labels"].clone());
    }
    if !pods.is_empty() {
        let mut subset = json!({ "ports": ports });
        for (field, pods) in [("addresses", ready), ("notReadyAddresses", other)] {
            if !pods.is_empty() {
                set(&mut subset, &[field], addresses(&pods).into());
            }
        }
        set(&mut object, &["subsets"], json!([subset]));
    }
    control.put(&core("endpoints", namespace(service), name(service)), object);
}

/// Takes away the endpoints of Services that are gone. Slices go with their owner.
fn forget(control: &mut Control<'_, '_>) {
    for key in control.objects().keys("", "endpoints", None) {
        let service = Key { plural: "services".to_owned(), ..key.clone() };
        if !control.has(&service) {
            control.delete(&key);
        }
    }
}
