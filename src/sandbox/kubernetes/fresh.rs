//! What a cluster has from the start.

use serde_json::{Value, json};

use super::auth::roles;
use super::objects::{Key, Objects};
use crate::sandbox::world::rows::Cluster;

/// The namespaces that every cluster has.
const NAMESPACES: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];

/// Furnishes a cluster that begins to run.
pub(super) fn furnish(objects: &mut Objects<'_>, cluster: &Cluster) {
    roles::furnish(objects);
    for name in NAMESPACES {
        objects.put(&Key::new("", "namespaces", None, name), namespace(name));
    }
    let address = first_address(&cluster.service_cidr).unwrap_or_default();
    let service = json!({
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": { "labels": { "component": "apiserver", "provider": "kubernetes" } },
        "spec": {
            "clusterIP": address,
            "clusterIPs": [address],
            "internalTrafficPolicy": "Cluster",
            "ipFamilies": [if cluster.ipv6 { "IPv6" } else { "IPv4" }],
            "ipFamilyPolicy": "SingleStack",
            "ports": [{ "name": "https", "port": 443, "protocol": "TCP", "targetPort": 443 }],
            "sessionAffinity": "None",
            "type": "ClusterIP",
        },
        "status": { "loadBalancer": {} },
    });
    objects.put(&Key::new("", "services", Some("default"), "kubernetes"), service);
}

fn namespace(name: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": { "labels": { "kubernetes.io/metadata.name": name } },
        "spec": { "finalizers": ["kubernetes"] },
        "status": { "phase": "Active" },
    })
}

/// The first address of a block of services, which is the API's own.
fn first_address(block: &str) -> Option<String> {
    let block: ipnet::IpNet = block.parse().ok()?;
    block.hosts().find(|address| *address != block.network()).map(|address| address.to_string())
}
