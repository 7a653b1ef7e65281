//! Values and releases given by the user: R6 and R30 (values that are meshplan's), R9 and R32.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::codes::{CONTROLLER_VALUES, GATEWAY_PORT, NAMESPACE_SAMENESS, OWNED_VALUE, RESERVED_RELEASE};
use super::{Checked, enumerate, value};
use crate::model::{AttrPath, Code, Diagnostic};
use crate::topology::schema::{HelmTables, Release, Values};

/// The namespaces that every cluster of the mesh shares.
const SHARED_NAMESPACES: [&str; 2] = ["istio-system", "sample"];

/// The port of traffic between networks: istiod ignores a gateway that does not have it.
const GATEWAY: u16 = 15443;

/// A value that is meshplan's to set: the release, the path in its values, and where it is said instead.
type Owned = (Release, &'static [&'static str], &'static str);

const OWNED: [Owned; 19] = [
    (Release::IstioBase, &["global", "enableReaderRBAC"], "remote clusters read through it"),
    (Release::Istiod, &["global", "meshID"], "write `id` in `[mesh]`"),
    (Release::Istiod, &["global", "network"], "write `istio_network` in the network's table"),
    (Release::Istiod, &["global", "multiCluster"], "the cluster's name is its table's key"),
    (Release::Istiod, &["global", "enableReaderRBAC"], "remote clusters read through it"),
    (Release::Istiod, &["meshConfig", "trustDomain"], "write `trust_domain` in `[mesh]`"),
    (Release::Istiod, &["meshConfig", "trustDomainAliases"], "write `trust_domain_aliases` in `[mesh]`"),
    (
        Release::Istiod,
        &["meshConfig", "defaultConfig", "proxyMetadata", "PROXY_CONFIG_XDS_AGENT"],
        "write `multi_root` in `[ca]`",
    ),
    (Release::Istiod, &["env", "ISTIO_MULTIROOT_MESH"], "write `multi_root` in `[ca]`"),
    (Release::Istiod, &["env", "ISTIO_DUAL_STACK"], "pods and services on EKS have one family, so it must stay off"),
    (Release::IstioEastwestgateway, &["networkGateway"], "write `istio_network` in the network's table"),
    (Release::IstioEastwestgateway, &["env", "ISTIO_META_REQUESTED_NETWORK_VIEW"], "it follows from the network"),
    (Release::IstioEastwestgateway, &["replicaCount"], "write `replicas` in `[east_west]`"),
    (Release::IstioEastwestgateway, &["name"], "its Service finds its pods by it"),
    (
        Release::IstioEastwestgateway,
        &["service", "type"],
        "its Service is a load balancer, and made before the release",
    ),
    (Release::IstioIngressgateway, &["replicaCount"], "write `replicas` in `[ingress]`"),
    (Release::IstioIngressgateway, &["name"], "its Service finds its pods by it"),
    (Release::IstioIngressgateway, &["service", "type"], "its Service is a load balancer, and made before the release"),
    (Release::IstioIngressgateway, &["networkGateway"], "that makes an east-west gateway of it"),
];

const CONTROLLER: [Owned; 3] = [
    (Release::AwsLoadBalancerController, &["clusterName"], "it follows from the cluster"),
    (Release::AwsLoadBalancerController, &["region"], "it follows from the network"),
    (Release::AwsLoadBalancerController, &["vpcId"], "it follows from the network"),
];

/// The environment variables of the VPC CNI that decide the pods' egress, and where that is said instead.
const EGRESS: [(&str, &str); 2] = [
    ("ENABLE_V6_EGRESS", "write `v6_egress` in the cluster's table"),
    ("ENABLE_V4_EGRESS", "write `v4_egress` in the cluster's table"),
];

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    if let Some(tables) = &checked.written.helm {
        values(tables, &AttrPath::keys(&["helm"]), diagnostics);
    }
    for (name, table) in checked.written.clusters.iter().flatten() {
        if let Some(tables) = &table.helm {
            values(tables, &AttrPath::keys(&["clusters", name, "helm"]), diagnostics);
        }
    }
    egress(checked, diagnostics);
    releases(checked, diagnostics);
    sameness(checked, diagnostics);
}

fn lookup<'a>(values: &'a Values, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(values.get(*first)?, |value, key| value.get(key))
}

fn owned(code: Code, name: &str, at: AttrPath, instead: &str) -> Diagnostic {
    Diagnostic::error(code, format!("`{name}` is meshplan's to set"))
        .at(at)
        .note("it must be the same everywhere, or agree with what is built")
        .help(format!("remove it: {instead}"))
}

/// R6, R30 and R32: values that would break the mesh.
fn values(tables: &HelmTables, at: &AttrPath, diagnostics: &mut Vec<Diagnostic>) {
    for (release, table) in tables {
        let Some(values) = &table.values else { continue };
        let at = at.key(release.as_str()).key("values");
        for (code, list) in [(OWNED_VALUE, OWNED.as_slice()), (CONTROLLER_VALUES, CONTROLLER.as_slice())] {
            for (_, path, instead) in list.iter().filter(|(owner, ..)| owner == release) {
                if lookup(values, path).is_some() {
                    let at = path.iter().fold(at.clone(), |at, key| at.key(key));
                    diagnostics.push(owned(code, &path.join("."), at, instead));
                }
            }
        }
        if *release == Release::IstioEastwestgateway {
            for path in [&["service", "ports"][..], &["networkGatewayPorts"][..]] {
                let Some(Value::Array(ports)) = lookup(values, path) else { continue };
                if !ports.iter().any(|port| port.get("port").and_then(Value::as_u64) == Some(u64::from(GATEWAY))) {
                    diagnostics.push(
                        Diagnostic::error(GATEWAY_PORT, format!("the east-west gateway must listen on {GATEWAY}"))
                            .at(path.iter().fold(at.clone(), |at, key| at.key(key)))
                            .note("istiod ignores a gateway without it, so that no traffic crosses networks")
                            .help(format!("add `{{ name = \"tls\", port = {GATEWAY}, targetPort = {GATEWAY} }}`, or leave the ports out")),
                    );
                }
            }
        }
    }
}

/// R21: egress is set on both of the CNI's containers, or nothing works; so it is set in one place.
fn egress(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(configuration) = checked
        .written
        .addons
        .as_ref()
        .and_then(|addons| addons.get("vpc-cni"))
        .and_then(|addon| addon.configuration.as_ref())
    else {
        return;
    };
    for path in [&["env"][..], &["init", "env"][..]] {
        for (name, instead) in EGRESS {
            let path: Vec<&str> = path.iter().copied().chain([name]).collect();
            if lookup(configuration, &path).is_some() {
                let at =
                    path.iter().fold(AttrPath::keys(&["addons", "vpc-cni", "configuration"]), |at, key| at.key(key));
                diagnostics.push(owned(OWNED_VALUE, name, at, instead));
            }
        }
    }
}

fn own_namespace(release: Release) -> &'static str {
    match release {
        Release::IstioBase
        | Release::Istiod
        | Release::IstioEastwestgateway
        | Release::IstioIngressgateway
        | Release::CrossNetworkGateway => "istio-system",
        Release::Sample => "sample",
        Release::AwsLoadBalancerController => "kube-system",
    }
}

/// R9: further releases replace neither the mesh's own nor each other.
fn releases(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for (name, table) in checked.written.clusters.iter().flatten() {
        let mut seen: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for (n, release) in table.releases.iter().flatten().enumerate() {
            let (Some(release_name), Some(namespace)) = (&release.name, &release.namespace) else { continue };
            let at = |n: usize| AttrPath::keys(&["clusters", name, "releases"]).index(n).key("name");
            let own =
                Release::ALL.into_iter().find(|own| own.as_str() == release_name && own_namespace(*own) == namespace);
            if let Some(own) = own {
                diagnostics.push(
                    Diagnostic::error(
                        RESERVED_RELEASE,
                        format!("{namespace}/{release_name} is a release of the mesh itself"),
                    )
                    .at(at(n))
                    .help(format!("for other values write `[clusters.{name}.helm.{}.values]`", own.as_str())),
                );
            }
            if let Some(first) = seen.insert((namespace, release_name), n) {
                diagnostics.push(
                    Diagnostic::error(RESERVED_RELEASE, format!("{name} has two releases {namespace}/{release_name}"))
                        .at(at(n))
                        .related(value(at(first)), "first here")
                        .help("give them different names, or merge them"),
                );
            }
        }
    }
}

/// R9: a namespace means the same in every cluster of a mesh.
fn sameness(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut holders: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    let mut first: BTreeMap<(&str, &str), AttrPath> = BTreeMap::new();
    let shared = |namespace: &str| SHARED_NAMESPACES.contains(&namespace);
    for cluster in checked.clusters() {
        for (n, release) in cluster.releases.iter().enumerate().filter(|(_, release)| shared(&release.namespace)) {
            let key = (release.namespace.as_str(), release.name.as_str());
            holders.entry(key).or_default().insert(cluster.name.as_str());
            first.entry(key).or_insert_with(|| {
                AttrPath::keys(&["clusters", cluster.name.as_str(), "releases"]).index(n).key("namespace")
            });
        }
    }
    for ((namespace, release), holders) in holders {
        let missing: Vec<&str> =
            checked.clusters().map(|cluster| cluster.name.as_str()).filter(|name| !holders.contains(name)).collect();
        let Some(at) = first.remove(&(namespace, release)).filter(|_| !missing.is_empty()) else { continue };
        diagnostics.push(
            Diagnostic::warning(NAMESPACE_SAMENESS, format!("{namespace}/{release} is not in {}", enumerate(&missing)))
                .at(at)
                .note(format!("a mesh takes the namespace {namespace} of every cluster for one and the same"))
                .help("add the release to every cluster, or use a namespace of its own"),
        );
    }
}
