//! Nodes: instances of node groups that joined, and those that EKS Auto Mode starts for pods that fit nowhere.
//!
//! A node is ready when its group's nodes are; it stays a while after its instance was asked to end, without taking new
//! pods, and takes its pods along when it goes.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::control::Control;
use super::parts::{holds, list, name, set, set_condition, text};
use crate::sandbox::eks;
use crate::sandbox::kubernetes::objects::Key;
use crate::sandbox::world::rows::{Instance, Outcome};

/// From an instance that runs to a node that is ready, where its group's nodes are ready already.
const JOIN_MS: (u64, u64) = (15_000, 30_000);

/// How long a node is drained before its instance ends.
const DRAIN: SignedDuration = SignedDuration::from_secs(20);

/// From the first pod that fits nowhere to an instance that Auto Mode starts.
const LAUNCH_MS: (u64, u64) = (2_000, 6_000);

/// From that instance to its node: 60 to 120 s after the pod in all.
const AUTO_JOIN_MS: (u64, u64) = (55_000, 100_000);

/// A machine that is or becomes a node.
struct Machine {
    instance: Instance,
    joins_at: Timestamp,
    labels: BTreeMap<String, String>,
    taints: Vec<Value>,
    version: String,
}

pub(super) fn run(control: &mut Control<'_, '_>) {
    start_for_pending_pods(control);
    let machines = machines(control);
    let mut names = Vec::new();
    for machine in machines {
        let name = node_name(&control.place.region.name, &machine.instance);
        if !control.has_come(machine.joins_at) {
            continue;
        }
        let leaves_at = machine
            .instance
            .termination
            .map(|(asked, ends)| asked.checked_add(DRAIN).map_or(ends, |drained| drained.min(ends)));
        if leaves_at.is_some_and(|at| control.has_come(at)) {
            continue;
        }
        put(control, &name, &machine);
        names.push(name);
    }
    let gone: Vec<Key> = control.objects().keys("", "nodes", None);
    for key in gone.iter().filter(|key| !names.contains(&key.name)) {
        // A node that somebody wrote has no machine and stays.
        if control.get(key).is_some_and(|node| text(&node, "/spec/providerID").starts_with("aws:///")) {
            control.delete(key);
        }
    }
}

fn machines(control: &Control<'_, '_>) -> Vec<Machine> {
    let region = &*control.place.region;
    let cluster = control.cluster;
    let mut machines = Vec::new();
    for group in region.nodegroups.linked(cluster.name()) {
        let Outcome::Active(since) = group.outcome else { continue };
        for instance in group.instances.iter().filter_map(|id| region.instances.get(id)) {
            let joined = control.after(instance.running_at, &instance.head.id, "joins", JOIN_MS);
            let mut labels = group.labels.clone();
            labels.extend([
                ("eks.amazonaws.com/nodegroup".to_owned(), group.name.clone()),
                ("eks.amazonaws.com/capacityType".to_owned(), group.capacity_type.clone()),
                ("eks.amazonaws.com/nodegroup-image".to_owned(), instance.image_id.clone()),
            ]);
            machines.push(Machine {
                instance: instance.clone(),
                // Those that the group began with are ready when it is.
                joins_at: if instance.head.created_at <= group.head.created_at { since } else { joined.max(since) },
                labels,
                taints: group.taints.clone(),
                version: group.version.clone(),
            });
        }
    }
    for instance in eks::auto_nodes(region, cluster) {
        let labels = [("eks.amazonaws.com/compute-type", "auto"), ("karpenter.sh/nodepool", "general-purpose")];
        machines.push(Machine {
            joins_at: control.after(instance.head.created_at, &instance.head.id, "joins", AUTO_JOIN_MS),
            labels: labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
            taints: Vec::new(),
            version: cluster.version.clone(),
            instance: instance.clone(),
        });
    }
    machines
}

/// The name of an instance inside its VPC, which its node has.
fn node_name(region: &str, instance: &Instance) -> String {
    let [a, b, c, d] = instance.private_ip.octets();
    let suffix = if region == "us-east-1" { "ec2.internal".to_owned() } else { format!("{region}.compute.internal") };
    format!("ip-{a}-{b}-{c}-{d}.{suffix}")
}

fn put(control: &mut Control<'_, '_>, name: &str, machine: &Machine) {
    let key = Key::new("", "nodes", None, name);
    let instance = &machine.instance;
    let mut node = control.get(&key).unwrap_or_else(|| json!({ "apiVersion": "v1", "kind": "Node", "metadata": {} }));
    let region = control.place.region.name.clone();
    let zone = instance.zone.as_str();
    let arm = ["g.", "gd.", "gn."].iter().any(|mark| instance.instance_type.contains(mark));
    let arch = if arm { "arm64" } else { "amd64" };
    let own = [
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", arch),
        ("node.kubernetes.io/instance-type", instance.instance_type.as_str()),
        ("topology.kubernetes.io/region", region.as_str()),
        ("topology.kubernetes.io/zone", zone),
    ];
    let of_group = machine.labels.iter().map(|(key, value)| (key.as_str(), value.as_str()));
    for (label, value) in own.into_iter().chain(of_group) {
        set(&mut node, &["metadata", "labels", label], value.into());
    }
    set(&mut node, &["spec", "providerID"], format!("aws:///{zone}/{}", instance.head.id).into());
    let mut taints: Vec<Value> = machine.taints.iter().map(taint).collect();
    if instance.termination.is_some() {
        taints.push(json!({ "key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule" }));
        set(&mut node, &["spec", "unschedulable"], true.into());
    }
    if !taints.is_empty() {
        set(&mut node, &["spec", "taints"], taints.into());
    }
    let address = match (control.cluster.ipv6, instance.ipv6.first()) {
        (true, Some(address)) => address.to_string(),
        (true, None) | (false, _) => instance.private_ip.to_string(),
    };
    let addresses = [("InternalIP", address.as_str()), ("InternalDNS", name), ("Hostname", name)]
        .map(|(kind, address)| json!({ "type": kind, "address": address }));
    set(&mut node, &["status", "addresses"], json!(addresses));
    let room = json!({ "cpu": "1930m", "memory": "7080Mi", "pods": max_pods(&instance.instance_type).to_string() });
    set(&mut node, &["status", "allocatable"], room.clone());
    set(&mut node, &["status", "capacity"], room);
    let info = json!({
        "architecture": arch,
        "containerRuntimeVersion": "containerd://2.1.5",
        "kubeletVersion": format!("v{}.0-eks-sandbox", machine.version),
        "operatingSystem": "linux",
        "osImage": "Amazon Linux 2023",
    });
    set(&mut node, &["status", "nodeInfo"], info);
    let ready = ("KubeletReady", "kubelet is posting ready status");
    // A node that is drained is ready to its end.
    set_condition(&mut node, "Ready", true, ready, control.now);
    control.put(&key, node);
}

/// A taint as EKS writes it, as Kubernetes writes it.
fn taint(taint: &Value) -> Value {
    let effect = match text(taint, "/effect") {
        "NO_EXECUTE" => "NoExecute",
        "PREFER_NO_SCHEDULE" => "PreferNoSchedule",
        _ => "NoSchedule",
    };
    let mut written = json!({ "key": taint["key"], "effect": effect });
    if !text(taint, "/value").is_empty() {
        set(&mut written, &["value"], taint["value"].clone());
    }
    written
}

/// How many pods a node takes: by the addresses that its interfaces have (Amazon EKS, "max-pods-calculator").
pub(super) fn max_pods(instance_type: &str) -> u32 {
    match instance_type.rsplit('.').next().unwrap_or_default() {
        "nano" | "micro" => 4,
        "small" => 11,
        "medium" => 17,
        "large" => 29,
        "xlarge" | "2xlarge" => 58,
        _ => 110,
    }
}

/// Whether pods can go to a node.
pub(super) fn takes_pods(node: &Value) -> bool {
    holds(node, "Ready") && node["spec"]["unschedulable"] != true
}

/// Auto Mode: pods that fit nowhere get a node.
fn start_for_pending_pods(control: &mut Control<'_, '_>) {
    let Some(auto) = control.cluster.auto_mode.as_ref() else { return };
    if auto.node_pools.is_empty() || auto.node_role_arn.is_none() {
        return;
    }
    let waiting = control.list_if("", "pods", |pod| {
        text(pod, "/spec/nodeName").is_empty()
            && list(pod, "/status/conditions").iter().any(|one| one["reason"] == "Unschedulable")
    });
    let Some(first) = waiting.iter().min_by_key(|pod| (super::parts::created(pod), name(pod).to_owned())) else {
        return;
    };
    let launch = control.after(super::parts::created(first), super::parts::uid(first), "node", LAUNCH_MS);
    if !control.has_come(launch) {
        return;
    }
    // Those that are on their way may take them all.
    let joined = control.objects().list("", "nodes", None).count();
    let coming = eks::auto_nodes(control.place.region, control.cluster).count().saturating_sub(joined);
    let each = usize::try_from(max_pods("large")).unwrap_or(usize::MAX);
    if coming * each < waiting.len() {
        eks::start_auto_node(control.place, control.cluster, control.now);
    }
}
