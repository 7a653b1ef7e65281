//! A mesh as state knows it: which clusters have a control plane, which networks they are in, and what each can reach.

use std::collections::BTreeMap;

use ipnet::IpNet;

use crate::cli::session::aws_region;
use crate::model::{Address, Value};
use crate::state::{Record, State};
use crate::verify::{Cluster, Family, Mesh, Reach, Sample, Version};

/// The kinds that are clusters.
const CLUSTERS: [&str; 3] = ["eks.cluster", "eks.existing_cluster", "kubernetes.existing_cluster"];

/// The port of the sample, and how many requests are sent, unless somebody says otherwise.
const SAMPLE: Sample = Sample { requests: 20, port: 5000 };

/// An Istio that nothing is known of is taken to be as new as this version knows.
const NEWEST: Version = Version { major: 1, minor: 31, patch: 0 };

/// The mesh of a state.
pub(super) fn of(state: &State, requests: Option<u32>) -> Mesh {
    let clusters: BTreeMap<String, Cluster> =
        state.records.iter().filter_map(|(address, record)| cluster(state, address, record)).collect();
    let sample = clusters.keys().find_map(|name| {
        let service = state.records.get(&at("kubernetes.manifest", &[name, "sample", "service", "helloworld"])?)?;
        let spec = service.spec.value();
        let port = spec.get("manifest")?.get("spec")?.get("ports").and_then(first)?.get("port").and_then(number);
        Some(Sample { requests: requests.unwrap_or(SAMPLE.requests), port: port.unwrap_or(SAMPLE.port) })
    });
    Mesh { id: state.mesh.clone(), clusters, sample }
}

/// A cluster that has a control plane of the mesh.
fn cluster(state: &State, address: &Address, record: &Record) -> Option<(String, Cluster)> {
    if !CLUSTERS.contains(&address.kind()) {
        return None;
    }
    let (_, name) = address.as_str().split_once('/')?;
    let record_of = |kind: &str, parts: &[&str]| state.records.get(&at(kind, parts)?);
    let namespace = record_of("kubernetes.namespace", &[name, "istio-system"])?.spec.value();
    let network = namespace.get("labels")?.get("topology.istio.io/network")?.as_str()?.to_owned();
    let injector = record_of("istio.injector", &[name]).map(|record| record.spec.value());
    let version = injector.as_ref().and_then(|spec| spec.get("version")?.as_str().and_then(version));
    let is_eks = address.kind() != "kubernetes.existing_cluster";
    let spec = record.spec.value();
    let egress = record_of("eks.addon", &[name, "vpc-cni"]).map(|record| record.spec.value());
    let place = record.depends_on.iter().find_map(network_of);
    let cluster = Cluster {
        address: address.clone(),
        network,
        region: aws_region(&record.target).map(str::to_owned),
        eks: is_eks.then(|| text(&record.outputs.value(), "name").or_else(|| text(&spec, "name"))).flatten(),
        reach: Reach {
            dns64: place.is_some_and(|place| has_dns64(state, place)),
            ..reach(is_eks, &spec, egress.as_ref())
        },
        istio: version.unwrap_or(NEWEST),
        leaves_from: place.map(|place| leaves_from(state, place)).unwrap_or_default(),
    };
    Some((name.to_owned(), cluster))
}

/// Which families its pods connect to. Of clusters that are not EKS's it is not known: then no family is ruled out.
fn reach(is_eks: bool, spec: &Value, cni: Option<&Value>) -> Reach {
    let switch = |path: &[&str]| {
        let found = path.iter().try_fold(cni?.get("configuration")?, |value, key| value.get(key))?;
        Some(found.as_str()? == "true")
    };
    let auto = spec.get("auto_mode").is_some_and(|auto| *auto != Value::Null);
    match text(spec, "ip_family").as_deref() {
        Some("ipv6") => Reach {
            pods: Family::Ipv6,
            other: !auto && switch(&["env", "ENABLE_V4_EGRESS"]) != Some(false),
            dns64: false,
        },
        Some(_) => Reach {
            pods: Family::Ipv4,
            other: switch(&["env", "ENABLE_V6_EGRESS"]) == Some(true)
                && switch(&["init", "env", "ENABLE_V6_EGRESS"]) == Some(true),
            dns64: false,
        },
        None => Reach { pods: Family::Ipv4, other: !is_eks, dns64: false },
    }
}

/// The network of the topology that something stands in.
fn network_of(address: &Address) -> Option<&str> {
    matches!(address.kind(), "aws.subnet" | "aws.vpc" | "aws.existing_network")
        .then(|| address.as_str().split('/').nth(1))
        .flatten()
}

fn has_dns64(state: &State, network: &str) -> bool {
    let prefix = format!("aws.subnet/{network}/");
    let mut subnets = state.records.iter().filter(|(address, _)| address.as_str().starts_with(&prefix));
    subnets.any(|(_, record)| record.spec.value().get("enable_dns64") == Some(&Value::Bool(true)))
}

/// Where the connections of a network's pods come from: its NAT gateways' addresses and its IPv6 block.
fn leaves_from(state: &State, network: &str) -> Vec<IpNet> {
    let mut all: Vec<IpNet> = Vec::new();
    let eips = format!("aws.eip/{network}");
    for (address, record) in &state.records {
        let is_eip = address.as_str().strip_prefix(&eips).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        if is_eip {
            all.extend(text(&record.outputs.value(), "public_cidr").and_then(|range| range.parse::<IpNet>().ok()));
        }
    }
    for kind in ["aws.vpc", "aws.existing_network"] {
        let Some(record) = at(kind, &[network]).and_then(|address| state.records.get(&address)) else { continue };
        let outputs = record.outputs.value();
        all.extend(text(&outputs, "ipv6_cidr").and_then(|range| range.parse::<IpNet>().ok()));
        if let Some(Value::Array(ranges)) = outputs.get("nat_cidrs") {
            all.extend(ranges.iter().filter_map(|range| range.as_str()?.parse::<IpNet>().ok()));
        }
    }
    all
}

fn at(kind: &str, parts: &[&str]) -> Option<Address> {
    format!("{kind}/{}", parts.join("/")).parse().ok()
}

fn text(value: &Value, field: &str) -> Option<String> {
    value.get(field)?.as_str().map(str::to_owned)
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::Number(number) => number.to_string().parse().ok(),
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) | Value::Unknown(_) => {
            None
        }
    }
}

/// The first of a list; one that was keyed by something is a table.
fn first(value: &Value) -> Option<&Value> {
    match value {
        Value::Array(items) => items.first(),
        Value::Object(fields) => fields.values().next(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Unknown(_) => None,
    }
}

fn version(text: &str) -> Option<Version> {
    let mut numbers = text.split(['.', '-']).map_while(|part| part.parse().ok());
    Some(Version { major: numbers.next()?, minor: numbers.next()?, patch: numbers.next().unwrap_or_default() })
}
