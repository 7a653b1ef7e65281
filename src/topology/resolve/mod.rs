//! Defaults and derived values: from the document as written to the [`Topology`] that is meant.
//!
//! Entry point: [`resolve`]. It is total: what lacks a required key is reported and left out, so that the rules
//! still see everything else. Whether the result makes sense is for the rules.

mod families;

use std::collections::{BTreeMap, BTreeSet};

use super::decode::under;
use super::resolved::{
    Addon, ApiAccess, Ca, CaFiles, Cluster, ClusterName, EastWest, ExistingCluster, ExistingNetwork, ExtraRelease,
    Ingress, Intermediate, ManifestFile, Mesh, Move, Network, NetworkName, Nodes, Peering, Sample, Topology,
};
use super::rules::{INVALID_MOVE, MISSING_KEY};
use super::schema::{
    Azs, CaTable, ClusterTable, Document, DurationText, ExistingClusterTable, HelmTables, IpAddressType, IpFamily,
    IstioVersion, KubernetesVersion, NetworkTable, NodeMode, NodesTable, Region, Release, ReleaseTable, Sources,
    Values,
};
use crate::model::diagnostic::did_you_mean;
use crate::model::{Address, AttrPath, Diagnostic, Segment};

/// The Istio release of a topology that names none.
pub const DEFAULT_ISTIO: IstioVersion = IstioVersion { major: 1, minor: 31, patch: 0 };
/// The Kubernetes version of a topology that names none: the newest that is neither new nor near its end.
pub const DEFAULT_KUBERNETES: KubernetesVersion = KubernetesVersion { major: 1, minor: 35 };
/// The AWS Load Balancer Controller of a topology that names none.
const DEFAULT_LOAD_BALANCER_CONTROLLER: &str = "3.5.0";
const DEFAULT_ISTIO_CHARTS: &str = "https://istio-release.storage.googleapis.com/charts";
const DEFAULT_EKS_CHARTS: &str = "https://aws.github.io/eks-charts";
/// Enough for istiod, a gateway and sidecars on two nodes, and Nitro, so that it serves IPv6 as well.
const DEFAULT_INSTANCE_TYPE: &str = "m6i.large";
/// EKS's own default for a managed node's root volume.
const DEFAULT_DISK_GIB: u32 = 20;
const DEFAULT_AZS: u8 = 3;

/// Applies defaults and derives the rest. `set_aside` are the paths that could not be decoded: what is missing
/// there has been reported already.
pub(crate) fn resolve(
    document: &Document,
    set_aside: &BTreeSet<AttrPath>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Topology {
    let mut required = Required { set_aside, diagnostics };
    let mesh = document.mesh.clone().unwrap_or_default();
    let versions = document.versions.clone().unwrap_or_default();
    let at_mesh = AttrPath::keys(&["mesh"]);
    let id = required.take(mesh.id.clone(), &at_mesh, "id", "id = \"mesh1\"").unwrap_or_default();
    let networks = networks(document, &mut required);
    let clusters = clusters(document, &networks, &mut required);
    let moved = moves(document, &mut required);
    let ca = authority(document.ca.clone().unwrap_or_default(), &mut required);
    let peerings = peerings(document, &mut required);
    let east_west = document.east_west.clone().unwrap_or_default();
    let api_access = document.api_access.clone().unwrap_or_default();
    let ingress = document.ingress.clone().unwrap_or_default();
    let sample = document.sample.clone().unwrap_or_default();
    let charts = document.charts.clone().unwrap_or_default();
    let mut topology = Topology {
        mesh: Mesh {
            id,
            trust_domain: mesh.trust_domain.unwrap_or_else(|| "cluster.local".to_owned()),
            trust_domain_aliases: mesh.trust_domain_aliases.unwrap_or_default(),
            allow_mixed_families: mesh.allow_mixed_families.unwrap_or(false),
            permissions_boundary: mesh.permissions_boundary,
            role_path: mesh.role_path.unwrap_or_else(|| "/".to_owned()),
        },
        load_balancer_controller: versions
            .load_balancer_controller
            .unwrap_or_else(|| DEFAULT_LOAD_BALANCER_CONTROLLER.to_owned()),
        extended_support: versions.extended_support.unwrap_or(false),
        tags: document.tags.clone().unwrap_or_default(),
        networks,
        clusters,
        peerings,
        api_access: ApiAccess {
            public: api_access.public.unwrap_or_default(),
            cidrs: api_access.cidrs.unwrap_or_default().into_iter().map(|cidr| cidr.0).collect(),
            admins: api_access.admins.unwrap_or_default(),
        },
        east_west: EastWest {
            scheme: east_west.scheme.unwrap_or_default(),
            allow: east_west.allow.unwrap_or(Sources::Peers),
            replicas: east_west.replicas.unwrap_or(2),
        },
        ingress: ingress.enabled.unwrap_or(false).then(|| Ingress {
            scheme: ingress.scheme.unwrap_or_default(),
            ports: ingress.ports.unwrap_or_else(|| vec![80, 443]),
            replicas: ingress.replicas.unwrap_or(2),
        }),
        ca,
        sample: sample
            .enabled
            .unwrap_or(false)
            .then(|| Sample { requests: sample.requests.unwrap_or(20), port: sample.port.unwrap_or(5000) }),
        addons: document
            .addons
            .iter()
            .flatten()
            .map(|(name, addon)| {
                let version = addon.version.clone().unwrap_or_else(|| "default".to_owned());
                (name.clone(), Addon { version, configuration: addon.configuration.clone().unwrap_or_default() })
            })
            .collect(),
        istio_charts: charts.istio.unwrap_or_else(|| DEFAULT_ISTIO_CHARTS.to_owned()),
        load_balancer_controller_chart: charts
            .load_balancer_controller
            .unwrap_or_else(|| DEFAULT_EKS_CHARTS.to_owned()),
        image_hub: document.images.clone().unwrap_or_default().hub,
        moved,
    };
    families::derive(document, &mut topology);
    topology
}

/// Takes keys that must be written, and reports those that are not.
struct Required<'a> {
    set_aside: &'a BTreeSet<AttrPath>,
    diagnostics: &'a mut Vec<Diagnostic>,
}

impl Required<'_> {
    fn take<T>(&mut self, value: Option<T>, table: &AttrPath, key: &str, example: &str) -> Option<T> {
        if value.is_none() {
            let at = table.key(key);
            let mut around = Some(at.clone());
            let mut mistaken = under(self.set_aside, &at).next().is_some();
            while let Some(path) = around.filter(|_| !mistaken) {
                mistaken = self.set_aside.contains(&path);
                around = path.parent();
            }
            // A key that was meant to be this one has been reported with its right name.
            let misspelt = under(self.set_aside, table).any(|path| {
                matches!(path.segments().get(table.segments().len()..), Some([Segment::Key(written)])
                    if did_you_mean(written, [key]).is_some())
            });
            if !mistaken && !misspelt {
                self.diagnostics.push(
                    Diagnostic::error(MISSING_KEY, format!("`{table}` needs the key `{key}`"))
                        .at(table.clone())
                        .label(format!("`{key}` is missing"))
                        .help(format!("add `{example}`")),
                );
            }
        }
        value
    }
}

fn networks(document: &Document, required: &mut Required<'_>) -> BTreeMap<NetworkName, Network> {
    let region = document.mesh.as_ref().and_then(|mesh| mesh.region.as_ref());
    let mut networks = BTreeMap::new();
    for (name, table) in document.networks.iter().flatten() {
        if let Some(network) = network(name, table, region, required) {
            networks.insert(network.name.clone(), network);
        }
    }
    networks
}

fn network(
    name: &str,
    table: &NetworkTable,
    default_region: Option<&Region>,
    required: &mut Required<'_>,
) -> Option<Network> {
    let at = AttrPath::keys(&["networks", name]);
    let cidr = required.take(table.cidr, &at, "cidr", "cidr = \"10.1.0.0/16\"");
    let region = table.region.as_ref().or(default_region).cloned();
    // A mistake in `[mesh]` is reported there, once, and not again at each network that takes its region from it.
    let mesh = AttrPath::keys(&["mesh"]);
    let region = if under(required.set_aside, &mesh).next().is_some() {
        region
    } else {
        required.take(region, &at, "region", "region = \"us-west-2\"` here, or `mesh.region = \"us-west-2\"")
    };
    let existing = table.existing.as_ref().map(|existing| {
        let at = at.key("existing");
        let vpc_id = required.take(existing.vpc_id.clone(), &at, "vpc_id", "vpc_id = \"vpc-0123456789abcdef0\"");
        let private =
            required.take(existing.private_subnets.clone(), &at, "private_subnets", "private_subnets = [\"subnet-…\"]");
        let public =
            required.take(existing.public_subnets.clone(), &at, "public_subnets", "public_subnets = [\"subnet-…\"]");
        ExistingNetwork {
            vpc_id: vpc_id.unwrap_or_default(),
            private_subnets: private.unwrap_or_default(),
            public_subnets: public.unwrap_or_default(),
            manage_tags: existing.manage_tags.unwrap_or(false),
        }
    });
    Some(Network {
        name: NetworkName::new(name),
        region: region?,
        cidr: cidr?.0,
        azs: table.azs.clone().unwrap_or(Azs::Count(DEFAULT_AZS)),
        nat: table.nat.unwrap_or_default(),
        dual_stack: table.dual_stack.unwrap_or(false),
        dns64: table.dns64.unwrap_or(false),
        istio_network: table.istio_network.clone().unwrap_or_else(|| name.to_owned()),
        existing,
        protect: table.protect.unwrap_or(true),
        notes: Vec::new(),
    })
}

fn clusters(
    document: &Document,
    networks: &BTreeMap<NetworkName, Network>,
    required: &mut Required<'_>,
) -> BTreeMap<ClusterName, Cluster> {
    let mut clusters = BTreeMap::new();
    for (name, table) in document.clusters.iter().flatten() {
        let cluster = cluster(name, table, document, required);
        // A cluster in no known network is reported by its rule; nothing else can be said about it.
        if let Some(cluster) = cluster.filter(|cluster| networks.contains_key(&cluster.network)) {
            clusters.insert(cluster.name.clone(), cluster);
        }
    }
    clusters
}

fn cluster(name: &str, table: &ClusterTable, document: &Document, required: &mut Required<'_>) -> Option<Cluster> {
    let at = AttrPath::keys(&["clusters", name]);
    let network = required.take(table.network.clone(), &at, "network", "network = \"network1\"");
    let versions = document.versions.clone().unwrap_or_default();
    let own_versions = table.versions.clone().unwrap_or_default();
    let defaults = document.defaults.as_ref().and_then(|defaults| defaults.nodes.clone()).unwrap_or_default();
    let nodes = nodes(table.nodes.clone().unwrap_or_default(), defaults);
    let ip_family = table.ip_family.unwrap_or_default();
    let releases = table.releases.iter().flatten().enumerate();
    let releases = releases.filter_map(|(n, table)| release(table, &at.key("releases").index(n), required)).collect();
    let manifests = table.manifests.iter().flatten().enumerate();
    let manifests = manifests
        .filter_map(|(n, manifest)| {
            required.take(
                manifest.file.clone(),
                &at.key("manifests").index(n),
                "file",
                "file = \"manifests/extra.yaml\"",
            )
        })
        .map(|file| ManifestFile { file, objects: Vec::new() })
        .collect();
    Some(Cluster {
        name: ClusterName::new(name),
        network: NetworkName::new(&network?),
        ip_family,
        role: table.role.unwrap_or_default(),
        primary: table.primary.as_deref().map(ClusterName::new),
        service_cidr: table.service_cidr.map(|cidr| cidr.0),
        v6_egress: table.v6_egress.unwrap_or(false),
        // Auto Mode offers no setting of the VPC CNI, and reportedly no IPv4 egress from IPv6 pods.
        v4_egress: ip_family == IpFamily::Ipv6 && table.v4_egress.unwrap_or(nodes.mode == NodeMode::Managed),
        istio: own_versions.istio.or(versions.istio).unwrap_or(DEFAULT_ISTIO),
        kubernetes: own_versions.kubernetes.or(versions.kubernetes).unwrap_or(DEFAULT_KUBERNETES),
        nodes,
        existing: table.existing.as_ref().and_then(existing_cluster),
        workload_identity: table.workload_identity.unwrap_or_default(),
        deletion_protection: table.deletion_protection.unwrap_or(false),
        logging: table.logging.iter().flatten().copied().collect(),
        security_groups: table.security_groups.clone().unwrap_or_default(),
        gateway: IpAddressType::Ipv4,
        load_balancer_name: table.load_balancer_name.clone(),
        helm: helm_values(document.helm.as_ref(), table.helm.as_ref()),
        releases,
        manifests,
        protect: table.protect.unwrap_or(true),
        notes: Vec::new(),
    })
}

/// `None` when it is neither of the two forms: a rule reports that.
fn existing_cluster(table: &ExistingClusterTable) -> Option<ExistingCluster> {
    match (&table.name, &table.kubeconfig) {
        (Some(name), None) => Some(ExistingCluster::Eks { name: name.clone() }),
        (None, Some(file)) => Some(ExistingCluster::Kubeconfig { file: file.clone(), context: table.context.clone() }),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn nodes(own: NodesTable, defaults: NodesTable) -> Nodes {
    let min = own.min.or(defaults.min).unwrap_or(2);
    let max = own.max.or(defaults.max).unwrap_or(5.max(min));
    Nodes {
        mode: own.mode.or(defaults.mode).unwrap_or_default(),
        instance_types: own
            .instance_types
            .or(defaults.instance_types)
            .unwrap_or_else(|| vec![DEFAULT_INSTANCE_TYPE.to_owned()]),
        min,
        max,
        desired: own.desired.or(defaults.desired).unwrap_or(min),
        capacity: own.capacity.or(defaults.capacity).unwrap_or_default(),
        ami: own.ami.or(defaults.ami).unwrap_or_default(),
        disk_gib: own.disk_gib.or(defaults.disk_gib).unwrap_or(DEFAULT_DISK_GIB),
    }
}

fn release(table: &ReleaseTable, at: &AttrPath, required: &mut Required<'_>) -> Option<ExtraRelease> {
    let name = required.take(table.name.clone(), at, "name", "name = \"podinfo\"");
    let namespace = required.take(table.namespace.clone(), at, "namespace", "namespace = \"podinfo\"");
    let chart =
        required.take(table.chart.clone(), at, "chart", "chart = \"oci://ghcr.io/stefanprodan/charts/podinfo\"");
    Some(ExtraRelease {
        name: name?,
        namespace: namespace?,
        chart: chart?,
        repository: table.repository.clone(),
        version: table.version.clone(),
        values: table.values.clone().unwrap_or_default(),
    })
}

fn helm_values(mesh: Option<&HelmTables>, own: Option<&HelmTables>) -> BTreeMap<Release, Values> {
    let mut merged: BTreeMap<Release, Values> = BTreeMap::new();
    for (release, table) in [mesh, own].into_iter().flatten().flatten() {
        merge(merged.entry(*release).or_default(), table.values.as_ref().unwrap_or(&Values::new()));
    }
    merged
}

/// Merges `over` into `base`: tables key by key, anything else replaced whole, as Helm does.
pub(crate) fn merge(base: &mut Values, over: &Values) {
    use serde_json::Value;
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Object(base)), Value::Object(over)) => merge(base, over),
            _ => {
                base.insert(key.clone(), value.clone());
            }
        }
    }
}

fn moves(document: &Document, required: &mut Required<'_>) -> Vec<Move> {
    let at = AttrPath::keys(&["moved"]);
    let mut moves = Vec::new();
    for (n, table) in document.moved.iter().flatten().enumerate() {
        let at = at.index(n);
        let from = required.take(table.from.clone(), &at, "from", "from = \"aws.vpc/old\"");
        let to = required.take(table.to.clone(), &at, "to", "to = \"aws.vpc/new\"");
        let mut address = |key: &str, text: Option<String>| -> Option<Address> {
            text?
                .parse()
                .map_err(|error: crate::model::AddressError| {
                    required.diagnostics.push(Diagnostic::error(INVALID_MOVE, error.to_string()).at(at.key(key)));
                })
                .ok()
        };
        if let (Some(from), Some(to)) = (address("from", from), address("to", to)) {
            moves.push(Move { from, to });
        }
    }
    moves
}

fn peerings(document: &Document, required: &mut Required<'_>) -> BTreeMap<String, Peering> {
    let mut peerings = BTreeMap::new();
    for (name, table) in document.peering.iter().flatten() {
        let at = AttrPath::keys(&["peering", name]);
        if let Some(networks) =
            required.take(table.networks.clone(), &at, "networks", "networks = [\"network1\", \"network2\"]")
        {
            let networks = networks.iter().map(|network| NetworkName::new(network)).collect();
            peerings.insert(name.clone(), Peering { networks, via: table.via.unwrap_or_default() });
        }
    }
    peerings
}

fn authority(table: CaTable, required: &mut Required<'_>) -> Ca {
    let at = AttrPath::keys(&["ca", "files"]);
    let files = table.files.and_then(|files| {
        let root = required.take(files.root, &at, "root", "root = \"pki/root-cert.pem\"");
        let mut intermediates = BTreeMap::new();
        for (cluster, table) in files.intermediates.into_iter().flatten() {
            let at = at.key("intermediates").key(&cluster);
            let cert = required.take(table.cert, &at, "cert", "cert = \"pki/ca-cert.pem\"");
            let key = required.take(table.key, &at, "key", "key = \"pki/ca-key.pem\"");
            let chain = required.take(table.chain, &at, "chain", "chain = \"pki/cert-chain.pem\"");
            if let (Some(cert), Some(key), Some(chain)) = (cert, key, chain) {
                intermediates.insert(ClusterName::new(&cluster), Intermediate { cert, key, chain });
            }
        }
        Some(CaFiles { root: root?, key: files.key, intermediates })
    });
    let acm_pca = table.acm_pca.and_then(|pca| {
        required.take(
            pca.arn,
            &AttrPath::keys(&["ca", "acm_pca"]),
            "arn",
            "arn = \"arn:aws:acm-pca:us-west-2:111122223333:certificate-authority/…\"",
        )
    });
    Ca {
        source: table.source.unwrap_or_default(),
        key: table.key.unwrap_or_default(),
        root_ttl: table.root_ttl.unwrap_or(DurationText::days(3_650)),
        intermediate_ttl: table.intermediate_ttl.unwrap_or(DurationText::days(730)),
        min_validity: table.min_validity.unwrap_or(DurationText::days(90)),
        multi_root: table.multi_root.unwrap_or(true),
        recipients: table.recipients.unwrap_or_default(),
        files,
        acm_pca,
    }
}
