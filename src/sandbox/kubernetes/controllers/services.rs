//! Services: an address of the cluster's family, and the endpoints behind it, in both forms that there are.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::control::Control;
use super::parts::{
    core, holds, is_going, list, name, namespace, number, owner, safe_suffix, selects_plainly, set, set_missing, text,
    uid,
};
use super::pods;
use crate::sandbox::kubernetes::objects::Key;
use crate::sandbox::world::ids::number_of;

/// The ports of nodes that Services get.
const NODE_PORTS: (u64, u64) = (30_000, 2_768);

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
    let family = if control.cluster.ipv6 { "IPv6" } else { "IPv4" };
    let missing = text(&service, "/spec/clusterIP").is_empty();
    if missing && let Some(address) = address(control, &service) {
        set(&mut service, &["spec", "clusterIP"], address.to_string().into());
    }
    let cluster_ip = service["spec"]["clusterIP"].clone();
    let defaults = [
        ("clusterIPs", json!([cluster_ip])),
        ("ipFamilies", json!([family])),
        ("ipFamilyPolicy", json!("SingleStack")),
        ("internalTrafficPolicy", json!("Cluster")),
        ("sessionAffinity", json!("None")),
    ];
    for (field, value) in defaults {
        set_missing(&mut service, &["spec", field], value);
    }
    if kind == "LoadBalancer" || kind == "NodePort" {
        set_missing(&mut service, &["spec", "externalTrafficPolicy"], "Cluster".into());
        if kind == "LoadBalancer" {
            set_missing(&mut service, &["spec", "allocateLoadBalancerNodePorts"], true.into());
        }
        if kind == "NodePort" || service["spec"]["allocateLoadBalancerNodePorts"] != false {
            give_node_ports(control, &mut service);
        }
    }
    set_missing(&mut service, &["status", "loadBalancer"], json!({}));
    control.put(&core("services", namespace(&service), name(&service)), service.clone());
    service
}

/// A free address of the cluster's block of services.
fn address(control: &mut Control<'_, '_>, service: &Value) -> Option<IpAddr> {
    let block: IpNet = control.cluster.service_cidr.parse().ok()?;
    let used: Vec<String> =
        control.objects().list("", "services", None).map(|one| text(one, "/spec/clusterIP").to_owned()).collect();
    let seed = control.place.mint.number(&["service", uid(service)]);
    // The first sixteen are given out by hand (the API's own, the DNS Service's), and no block has fewer than 4,000.
    (0..2_000_u64).find_map(|step| {
        let host = 16 + (seed.wrapping_add(step)) % 4_000;
        let address = match block {
            IpNet::V4(block) => {
                IpAddr::V4(block.network().to_bits().checked_add(u32::try_from(host).ok()?).map(Into::into)?)
            }
            IpNet::V6(block) => IpAddr::V6(block.network().to_bits().checked_add(u128::from(host)).map(Into::into)?),
        };
        (block.contains(&address) && !used.contains(&address.to_string())).then_some(address)
    })
}

/// Gives each port of a Service a port of the nodes.
fn give_node_ports(control: &mut Control<'_, '_>, service: &mut Value) {
    if list(service, "/spec/ports").iter().all(|port| number(port, "/nodePort").is_some()) {
        return;
    }
    let mut used: Vec<i64> = control
        .objects()
        .list("", "services", None)
        .flat_map(|one| list(one, "/spec/ports"))
        .filter_map(|port| number(port, "/nodePort"))
        .collect();
    let mut ports = list(service, "/spec/ports").to_vec();
    for port in &mut ports {
        if number(port, "/nodePort").is_some() {
            continue;
        }
        let seed = number_of(&[uid(service).as_bytes(), port["port"].to_string().as_bytes()]);
        let free = (0..NODE_PORTS.1)
            .filter_map(|step| i64::try_from(NODE_PORTS.0 + seed.wrapping_add(step) % NODE_PORTS.1).ok())
            .find(|one| !used.contains(one));
        if let Some(free) = free {
            used.push(free);
            set(port, &["nodePort"], free.into());
        }
    }
    set(service, &["spec", "ports"], ports.into());
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
