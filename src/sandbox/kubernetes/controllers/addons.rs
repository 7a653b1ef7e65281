//! What EKS add-ons run in a cluster: a workload each, as far as a mesh sees it.

use serde_json::{Value, json};

use super::control::Control;
use super::parts::{label, set};
use crate::sandbox::kubernetes::objects::Key;
use crate::sandbox::world::rows::Addon;

/// An add-on: its name, and kind and name of its workload.
const ADDONS: &[(&str, &str, &str)] = &[
    ("coredns", "deployments", "coredns"),
    ("eks-pod-identity-agent", "daemonsets", "eks-pod-identity-agent"),
    ("kube-proxy", "daemonsets", "kube-proxy"),
    ("vpc-cni", "daemonsets", "aws-node"),
];

/// On what an add-on made: which one.
const MADE_BY: &str = "eks.amazonaws.com/component";

pub(super) fn run(control: &mut Control<'_, '_>) {
    for &(addon, plural, workload) in ADDONS {
        let id = format!("{}/{addon}", control.cluster.name());
        let now = control.now;
        let row = control.place.region.addons.get(&id);
        let row = row.filter(|row| row.deleted_at.is_none_or(|at| at > now)).cloned();
        let key = Key::new("apps", plural, Some("kube-system"), workload);
        if let Some(row) = row {
            put(control, &key, &row);
        } else if control.get(&key).is_some_and(|object| label(&object, MADE_BY) == Some(workload)) {
            control.delete(&key);
        }
    }
}

fn put(control: &mut Control<'_, '_>, key: &Key, addon: &Addon) {
    let name = key.name.as_str();
    let account = Key::new("", "serviceaccounts", Some("kube-system"), name);
    control.ensure(&account, || json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {} }));
    if name == "coredns" {
        put_dns(control);
    }
    let is_daemon = key.plural == "daemonsets";
    let configuration: Value =
        addon.configuration.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null);
    let labels = json!({ "k8s-app": name, MADE_BY: name });
    let repository = format!("602401143452.dkr.ecr.{}.amazonaws.com", control.place.region.name);
    let image = |part: &str| format!("{repository}/{part}:{}", addon.version);
    let mut pod = json!({
        "serviceAccountName": name,
        "priorityClassName": "system-node-critical",
        "tolerations": [{ "operator": "Exists" }],
        "containers": [{ "name": name, "image": image(&format!("eks/{name}")) }],
    });
    if is_daemon {
        set(&mut pod, &["hostNetwork"], true.into());
    }
    if name == "aws-node" {
        // What the add-on's configuration says of the environment, as the chart in it renders that.
        let container = json!([{
            "name": name, "image": image("amazon-k8s-cni"), "env": environment(&configuration["env"]),
        }]);
        let init = json!([{
            "name": "aws-vpc-cni-init", "image": image("amazon-k8s-cni-init"),
            "env": environment(&configuration["init"]["env"]),
        }]);
        set(&mut pod, &["containers"], container);
        set(&mut pod, &["initContainers"], init);
    }
    let mut workload = control.get(key).unwrap_or_else(|| json!({ "apiVersion": "apps/v1" }));
    set(&mut workload, &["kind"], if is_daemon { "DaemonSet" } else { "Deployment" }.into());
    for (label, value) in labels.as_object().into_iter().flatten() {
        set(&mut workload, &["metadata", "labels", label], value.clone());
    }
    set(&mut workload, &["spec", "selector"], json!({ "matchLabels": { "k8s-app": name } }));
    set(&mut workload, &["spec", "template"], json!({ "metadata": { "labels": labels }, "spec": pod }));
    if !is_daemon {
        let replicas = configuration["replicaCount"].as_i64().unwrap_or(2);
        set(&mut workload, &["spec", "replicas"], replicas.into());
    }
    control.put(key, workload);
}

/// An environment as containers have it, from one as the add-on's configuration has it.
fn environment(configured: &Value) -> Value {
    let pairs = configured.as_object().into_iter().flatten();
    pairs.map(|(name, value)| json!({ "name": name, "value": value.as_str().unwrap_or_default() })).collect()
}

/// The Service by which pods find the cluster's names.
fn put_dns(control: &mut Control<'_, '_>) {
    let service = Key::new("", "services", Some("kube-system"), "kube-dns");
    control.ensure(&service, || {
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "labels": { "k8s-app": "kube-dns", "kubernetes.io/name": "CoreDNS" } },
            "spec": {
                "selector": { "k8s-app": "coredns" },
                "ports": [
                    { "name": "dns", "port": 53, "protocol": "UDP", "targetPort": 53 },
                    { "name": "dns-tcp", "port": 53, "protocol": "TCP", "targetPort": 53 },
                ],
                "type": "ClusterIP",
            },
            "status": { "loadBalancer": {} },
        })
    });
}
