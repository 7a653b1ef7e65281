//! The inside of clusters, in meshes as small as they can be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;

use crate::compile::tests::{compiled, spec};
use crate::compile::{Compiled, Declaration, compile};
use crate::model::{Target, Value};
use crate::topology::parse;

const TWO: &str = "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n[networks.n2]\ncidr = \"10.2.0.0/16\"\nazs = 2\n\
                   [clusters.c1]\nnetwork = \"n1\"\n[clusters.c2]\nnetwork = \"n2\"\nip_family = \"ipv6\"\n";

fn declaration<'a>(compiled: &'a Compiled, address: &str) -> &'a Declaration {
    let found = compiled.declarations.iter().find(|declaration| declaration.address.as_str() == address);
    found.unwrap_or_else(|| panic!("{address} is not declared"))
}

fn declares(compiled: &Compiled, address: &str) -> bool {
    compiled.declarations.iter().any(|declaration| declaration.address.as_str() == address)
}

fn at(value: &Value, path: &str) -> String {
    path.split('/')
        .try_fold(value, |value, key| value.get(key))
        .map_or_else(|| "(none)".to_owned(), ToString::to_string)
}

fn field(compiled: &Compiled, address: &str, path: &str) -> String {
    at(&declaration(compiled, address).spec.value(), path)
}

/// What is inside of a cluster, a line each: what it refers to, and what else it waits for. Its own are without its name.
fn inside(compiled: &Compiled, cluster: &str) -> String {
    let short = |address: &crate::model::Address| address.as_str().replace(&format!("/{cluster}/"), "/");
    let is_inside = |declaration: &&Declaration| matches!(&declaration.target, Target::Cluster { cluster: of } if of.parts().last() == Some(cluster));
    let mut text = String::new();
    for declaration in compiled.declarations.iter().filter(is_inside) {
        let list = |addresses: &[crate::model::Address]| addresses.iter().map(short).collect::<Vec<_>>().join(" ");
        text.push_str(&short(&declaration.address));
        if !declaration.references.is_empty() {
            write!(text, " <- {}", list(&declaration.references)).unwrap();
        }
        if !declaration.depends_on.is_empty() {
            write!(text, " after {}", list(&declaration.depends_on)).unwrap();
        }
        text.push('\n');
    }
    text
}

/// Everything that has to be ready before this, whatever is between.
fn before<'a>(all: &BTreeMap<&'a str, &'a Declaration>, address: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![address.to_owned()];
    while let Some(next) = pending.pop() {
        for required in all[next.as_str()].requirements() {
            if reached.insert(required.to_string()) {
                pending.push(required.to_string());
            }
        }
    }
    reached
}

fn by_address(compiled: &Compiled) -> BTreeMap<&str, &Declaration> {
    compiled.declarations.iter().map(|declaration| (declaration.address.as_str(), declaration)).collect()
}

fn three_clusters() -> &'static str {
    "[clusters.c1]\nnetwork = \"n\"\n[clusters.c2]\nnetwork = \"n\"\n[clusters.c3]\nnetwork = \"n\"\n"
}

#[test]
fn two_clusters_in_two_networks() {
    let compiled = compiled(&format!("{TWO}[sample]\nenabled = true\n"));
    insta::assert_snapshot!("two_clusters_inside", inside(&compiled, "c1"));
    insta::assert_snapshot!(
        "east_west_service",
        spec(&compiled, "kubernetes.manifest/c1/istio-system/service/istio-eastwestgateway")
    );
    insta::assert_snapshot!("istiod_values", spec(&compiled, "helm.release/c2/istio-system/istiod"));
    insta::assert_snapshot!(
        "controller_values",
        spec(&compiled, "helm.release/c1/kube-system/aws-load-balancer-controller")
    );
    assert_eq!(
        field(&compiled, "kubernetes.namespace/c1/istio-system", "labels"),
        "{ topology.istio.io/network = \"n1\" }"
    );
    assert_eq!(
        spec(&compiled, "istio.remote_secret/c2/c1").lines().filter(|line| line.contains("output")).count(),
        3,
        "endpoint, authority and token are the other cluster's"
    );
    let gateway = "helm.release/c1/istio-system/istio-eastwestgateway";
    assert_eq!(
        field(&compiled, gateway, "values"),
        "{ autoscaling = { enabled = false }, networkGateway = \"n1\", replicaCount = 2, service = { type = \"None\" } }"
    );
}

/// Each committed topology: how many resources of which kinds are inside of its clusters.
#[test]
fn every_committed_topology() {
    let texts = [
        ("all-ipv6", include_str!("../../../topologies/all-ipv6.toml")),
        ("bring-your-own-vpc", include_str!("../../../topologies/bring-your-own-vpc.toml")),
        ("minimal", include_str!("../../../topologies/minimal.toml")),
        ("networks-only", include_str!("../../../topologies/networks-only.toml")),
        ("overlapping-cidrs", include_str!("../../../topologies/overlapping-cidrs.toml")),
        ("per-az-nat", include_str!("../../../topologies/per-az-nat.toml")),
        ("single-network", include_str!("../../../topologies/single-network.toml")),
        ("three-clusters-two-regions", include_str!("../../../topologies/three-clusters-two-regions.toml")),
        ("two-network", include_str!("../../../topologies/two-network.toml")),
    ];
    let mut table = String::new();
    for (name, text) in texts {
        let compiled = compile(&parse(text).topology.unwrap());
        assert_eq!(compiled.diagnostics, [], "{name}");
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for declaration in &compiled.declarations {
            let is_mesh = matches!(declaration.target, Target::Cluster { .. } | Target::Local);
            *counts.entry(declaration.address.kind()).or_default() += usize::from(is_mesh);
        }
        counts.retain(|_, n| *n > 0);
        let counts: Vec<String> = counts.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        writeln!(table, "{name}: {}", counts.join(", ")).unwrap();
    }
    insta::assert_snapshot!("committed_topologies", table);
}

#[test]
fn auto_mode_and_existing_clusters_have_load_balancers_of_their_own() {
    let compiled = compiled(
        "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n[networks.n2]\ncidr = \"10.2.0.0/16\"\nazs = 2\n\
         [networks.n3]\ncidr = \"10.3.0.0/16\"\n[east_west]\nallow = [\"203.0.113.0/24\"]\n\
         [clusters.auto]\nnetwork = \"n1\"\nnodes = { mode = \"auto\" }\n\
         [clusters.old]\nnetwork = \"n2\"\nexisting = { name = \"production\" }\n\
         [clusters.lab]\nnetwork = \"n3\"\nexisting = { kubeconfig = \"lab.yaml\" }\n",
    );
    let service = |cluster: &str, path: &str| {
        let address = format!("kubernetes.manifest/{cluster}/istio-system/service/istio-eastwestgateway");
        field(&compiled, &address, &format!("manifest/{path}"))
    };
    assert_eq!(service("auto", "spec/loadBalancerClass"), "\"eks.amazonaws.com/nlb\"");
    assert!(!service("auto", "metadata/annotations").contains("load-balancer-type"), "Auto Mode knows no such thing");
    assert_eq!(service("old", "spec/loadBalancerClass"), "\"service.k8s.aws/nlb\"");
    assert_eq!(service("lab", "spec/loadBalancerClass"), "(none)");
    assert_eq!(service("lab", "metadata/annotations"), "(none)");
    assert_eq!(service("lab", "spec/loadBalancerSourceRanges"), "[\"203.0.113.0/24\"]");
    for cluster in ["auto", "old", "lab"] {
        assert!(!declares(&compiled, &format!("helm.release/{cluster}/kube-system/aws-load-balancer-controller")));
    }
    let target = |address: &str| declaration(&compiled, address).target.to_string();
    assert!(target("helm.release/lab/istio-system/istiod").contains("kubernetes.existing_cluster/lab"));
    assert!(target("helm.release/old/istio-system/istiod").contains("eks.existing_cluster/old"));
    assert!(!declares(&compiled, "aws.vpc/n3"), "what only a kubeconfig leads to has no network here");
    assert!(compiled.notes.iter().any(|note| note.starts_with("the network n3 is not built")), "{:?}", compiled.notes);
}

#[test]
fn only_peers_are_let_in() {
    let ranges = |east_west: &str, more: &str| {
        let compiled = compiled(&format!("{TWO}{more}[east_west]\n{east_west}\n"));
        let of = |cluster: &str| {
            let address = format!("kubernetes.manifest/{cluster}/istio-system/service/istio-eastwestgateway");
            field(&compiled, &address, "manifest/spec/loadBalancerSourceRanges")
        };
        [of("c1"), of("c2")]
    };
    let eip = |n: &str| format!("(known after apply: aws.eip/{n}/nat.public_cidr)");
    let block = |n: &str| format!("(known after apply: aws.vpc/{n}.ipv6_cidr)");
    assert_eq!(
        ranges("allow = \"peers\"", ""),
        [format!("[{}, {}]", eip("n2"), block("n2")), format!("[{}, {}]", eip("n1"), block("n1"))]
    );
    assert_eq!(ranges("allow = \"any\"", ""), ["(none)", "(none)"]);
    assert_eq!(
        ranges("scheme = \"internal\"", "[peering.p]\nnetworks = [\"n1\", \"n2\"]\n"),
        [format!("[\"10.2.0.0/16\", {}]", block("n2")), format!("[\"10.1.0.0/16\", {}]", block("n1"))]
    );
}

#[test]
fn peers_that_come_from_nowhere_known_have_to_be_named() {
    let text = "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\n\
                [networks.n1]\ncidr = \"10.1.0.0/16\"\n[networks.n2]\ncidr = \"10.2.0.0/16\"\n\
                [clusters.c1]\nnetwork = \"n1\"\n[clusters.lab]\nnetwork = \"n2\"\nexisting = { kubeconfig = \"lab\" }\n";
    let compiled = compile(&parse(text).topology.unwrap());
    let [finding] = compiled.diagnostics.as_slice() else { panic!("{:#?}", compiled.diagnostics) };
    assert_eq!(finding.message, "nothing says from which addresses the pods of n2 connect to c1");
}

#[test]
fn more_peers_than_a_security_group_takes_are_warned_of() {
    let warnings = |n: usize| {
        let mut text =
            String::from("schema = 1\n[mesh]\nid = \"m\"\nregion = \"us-west-2\"\n[api_access]\npublic = \"any\"\n");
        for i in 0..n {
            writeln!(text, "[networks.n{i}]\ncidr = \"10.{i}.0.0/16\"\n[clusters.c{i}]\nnetwork = \"n{i}\"").unwrap();
        }
        compile(&parse(&text).topology.unwrap()).diagnostics.len()
    };
    assert_eq!((warnings(16), warnings(17)), (0, 1), "said once, for all gateways");
}

#[test]
fn one_network_needs_no_gateway() {
    let compiled = compiled(
        "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n[clusters.c1]\nnetwork = \"n1\"\n[clusters.c2]\nnetwork = \"n1\"\n",
    );
    for declaration in &compiled.declarations {
        assert!(!declaration.address.as_str().contains("eastwest"), "{}", declaration.address);
        assert!(!declaration.address.as_str().contains("cross-network"), "{}", declaration.address);
    }
    assert_eq!(
        field(&compiled, "kubernetes.namespace/c2/istio-system", "labels"),
        "{ topology.istio.io/network = \"n1\" }"
    );
    assert!(declares(&compiled, "istio.remote_secret/c1/c2") && declares(&compiled, "istio.remote_secret/c2/c1"));
}

#[test]
fn what_the_topology_says_of_the_control_plane_reaches_it() {
    let text = format!(
        "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\ntrust_domain = \"example.org\"\n\
         trust_domain_aliases = [\"old.example.org\"]\n{TWO}[ca]\nmulti_root = false\n[images]\nhub = \"registry.example/istio\"\n\
         [charts]\nistio = \"oci://registry.example/charts\"\n[sample]\nenabled = true\nport = 8080\n\
         [helm.istiod.values]\npilot = {{ traceSampling = 1 }}\n[clusters.c1.helm.istiod.values]\nautoscaleMin = 3\n"
    );
    let compiled = compile(&parse(&text).topology.unwrap());
    let istiod = |path: &str| field(&compiled, "helm.release/c1/istio-system/istiod", path);
    assert_eq!(istiod("values/global/hub"), "\"registry.example/istio\"");
    assert_eq!(istiod("values/meshConfig/trustDomain"), "\"example.org\"");
    assert_eq!(istiod("values/meshConfig/trustDomainAliases"), "[\"old.example.org\"]");
    assert_eq!(istiod("values/meshConfig/defaultConfig"), "(none)");
    assert_eq!(istiod("values/env"), "(none)");
    assert_eq!((istiod("values/autoscaleMin"), istiod("values/pilot/traceSampling")), ("3".to_owned(), "1".to_owned()));
    assert_eq!(istiod("chart"), "\"oci://registry.example/charts/istiod\"");
    let sample = "kubernetes.manifest/c2/sample";
    assert!(
        field(&compiled, &format!("{sample}/deployment/helloworld-v2"), "manifest/spec")
            .contains("registry.example/istio/examples-helloworld-v2:1.0")
    );
    let ports = field(&compiled, &format!("{sample}/service/helloworld"), "manifest/spec/ports");
    assert!(ports.contains("port = 8080") && ports.contains("targetPort = 5000"), "{ports}");
}

#[test]
fn values_of_the_sample_have_an_effect_or_are_named() {
    let with = |values: &str| {
        let text = format!(
            "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\n{TWO}[sample]\nenabled = true\n[helm.sample.values]\n{values}"
        );
        compile(&parse(&text).topology.unwrap())
    };
    let given = with("hub = \"h\"\ncurl = { image = \"c\" }\nhelloworld = { replicas = 3, tag = \"2\" }\n");
    assert_eq!(given.diagnostics, []);
    let of = |name: &str| field(&given, &format!("kubernetes.manifest/c1/sample/deployment/{name}"), "manifest/spec");
    assert!(of("curl").contains("image = \"c\"") && of("helloworld-v1").contains("h/examples-helloworld-v1:2"));
    assert!(of("helloworld-v1").contains("replicas = 3"));
    let unused = with("helloworld = { port = 80 }\n");
    assert!(unused.diagnostics.iter().all(|finding| !finding.is_error()));
    assert_eq!(unused.diagnostics[0].message, "`helloworld.port` of `sample` has no effect");
}

#[test]
fn further_versions_of_the_sample_are_the_first_under_another_name() {
    let clusters = three_clusters();
    let compiled = compiled(&format!("[networks.n]\ncidr = \"10.1.0.0/16\"\n{clusters}[sample]\nenabled = true\n"));
    let third =
        field(&compiled, "kubernetes.manifest/c3/sample/deployment/helloworld-v3", "manifest/spec/template/spec");
    assert!(third.contains("examples-helloworld-v1:1.0") && third.contains("SERVICE_VERSION"), "{third}");
    for cluster in ["c1", "c2", "c3"] {
        assert!(declares(&compiled, &format!("kubernetes.manifest/{cluster}/sample/service/helloworld")));
        assert!(declares(&compiled, &format!("kubernetes.manifest/{cluster}/sample/deployment/curl")));
    }
}

#[test]
fn an_authority_of_somebody_else_is_looked_at() {
    let compiled = compiled(&format!("{TWO}[ca]\nsource = \"external\"\n"));
    assert!(!declares(&compiled, "kubernetes.secret/c1/istio-system/cacerts"));
    let istiod = declaration(&compiled, "helm.release/c1/istio-system/istiod");
    assert!(istiod.depends_on.iter().any(|needed| needed.as_str() == "istio.existing_cacerts/c1"), "{istiod:?}");
    let arn = "arn:aws:acm-pca:us-west-2:111122223333:certificate-authority/1";
    let text = format!(
        "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\n{TWO}[ca]\nsource = \"acm-pca\"\n[ca.acm_pca]\narn = \"{arn}\"\n"
    );
    let refused = compile(&parse(&text).topology.unwrap());
    assert_eq!(refused.diagnostics[0].code.0, "ca-not-built", "a mesh without common trust is none");
}

#[test]
fn what_is_given_for_a_gateways_service_holds_for_ours() {
    let compiled = compiled(&format!(
        "{TWO}[ingress]\nenabled = true\nports = [443, 9000]\n[helm.istio-eastwestgateway.values]\n\
         networkGatewayPorts = {{ tls = {{ port = 443, targetPort = 15443 }} }}\n\
         service = {{ externalTrafficPolicy = \"Local\", annotations = {{ extra = \"yes\" }} }}\n"
    ));
    let service = |gateway: &str, path: &str| {
        let address = format!("kubernetes.manifest/c1/istio-system/service/{gateway}");
        field(&compiled, &address, &format!("manifest/{path}"))
    };
    assert!(service("istio-eastwestgateway", "metadata/annotations").contains("extra = \"yes\""));
    assert_eq!(service("istio-eastwestgateway", "spec/externalTrafficPolicy"), "\"Local\"");
    let ports = service("istio-eastwestgateway", "spec/ports");
    assert!(ports.contains("port = 443") && ports.contains("targetPort = 15443"), "{ports}");
    let values = field(&compiled, "helm.release/c1/istio-system/istio-eastwestgateway", "values/service");
    assert_eq!(values, "{ type = \"None\" }");
    let ports = service("istio-ingressgateway", "spec/ports");
    assert!(ports.contains("\"https\"") && ports.contains("\"tcp-9000\"") && !ports.contains("15012"), "{ports}");
    assert!(declares(&compiled, "kubernetes.load_balancer/c1/istio-system/istio-ingressgateway"));
}

#[test]
fn releases_and_manifests_of_the_users() {
    let text = "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\n[networks.n]\ncidr = \"10.1.0.0/16\"\n\
                [clusters.c]\nnetwork = \"n\"\n[[clusters.c.releases]]\nname = \"podinfo\"\nnamespace = \"apps\"\n\
                chart = \"oci://ghcr.io/podinfo\"\nversion = \"6.0.0\"\n[[clusters.c.manifests]]\nfile = \"a.yaml\"\n";
    let file = "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: things.example.org}\n\
                spec: {group: example.org, names: {kind: Thing}}\n---\napiVersion: v1\nkind: Namespace\nmetadata: {name: own}\n\
                ---\napiVersion: example.org/v1\nkind: Thing\nmetadata: {name: one, namespace: own}\n";
    let with = |file: &str| {
        let mut topology = parse(text).topology.unwrap();
        assert_eq!(topology.read_manifests(|_| Ok(file.to_owned())), []);
        compile(&topology)
    };
    let given = with(file);
    assert_eq!(given.diagnostics, []);
    let after = |address: &str| {
        declaration(&given, address).depends_on.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert!(after("helm.release/c/apps/podinfo").contains("kubernetes.namespace/c/apps"));
    let thing = after("kubernetes.manifest/c/own/thing.example.org/one");
    assert!(thing.contains("kubernetes.manifest/c/customresourcedefinition/things.example.org"), "{thing}");
    assert!(thing.contains("kubernetes.manifest/c/namespace/own") && thing.contains("istio.injector/c"), "{thing}");
    let twice = with(&format!("{file}---\n{file}"));
    assert!(twice.diagnostics[0].message.contains("twice"), "{:?}", twice.diagnostics);
    let secret = with("apiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: own}\nstringData: {a: b}\n");
    assert_eq!(secret.diagnostics[0].message, "the Secret own/s is in a file of manifests");
}

#[test]
fn control_planes_are_upgraded_one_after_the_other() {
    let clusters = three_clusters();
    let compiled = compiled(&format!("[networks.n]\ncidr = \"10.1.0.0/16\"\n{clusters}"));
    let waits = |cluster: &str| -> Vec<String> {
        let istiod = declaration(&compiled, &format!("helm.release/{cluster}/istio-system/istiod"));
        let all = by_address(&compiled);
        let made_after = before(&all, istiod.address.as_str());
        let elsewhere = |address: &&String| address.contains("istiod") || address.contains("injector");
        assert_eq!(made_after.iter().find(elsewhere), None, "{cluster} is made beside the others");
        istiod.update_after.iter().map(ToString::to_string).collect()
    };
    assert_eq!(waits("c1"), Vec::<String>::new());
    assert_eq!(waits("c2"), ["helm.release/c1/istio-system/istiod", "istio.injector/c1"]);
    assert_eq!(waits("c3").len(), 4);
}

/// A mesh of some shape: for each cluster its network, family, mode, and whose it is.
fn meshes() -> impl Strategy<Value = String> {
    let cluster = (0..3_usize, any::<bool>(), 0..4_usize);
    (proptest::collection::vec(cluster, 1..5), any::<[bool; 3]>(), 0..3_usize).prop_map(|(clusters, flags, shared)| {
        let [sample, ingress, external] = flags;
        let mut text =
            String::from("schema = 1\n[mesh]\nid = \"m\"\nregion = \"us-west-2\"\nallow_mixed_families = true\n");
        for n in 0..3 {
            let istio = if n == 2 && shared == 1 { "istio_network = \"n0\"\n" } else { "" };
            write!(text, "[networks.n{n}]\ncidr = \"10.{n}.0.0/16\"\nazs = 2\n{istio}").unwrap();
        }
        if shared == 1 {
            text.push_str("[peering.p]\nnetworks = [\"n0\", \"n2\"]\n");
        }
        text.push_str("[api_access]\ncidrs = [\"203.0.113.0/24\"]\n[east_west]\nallow = \"any\"\n");
        writeln!(text, "[sample]\nenabled = {sample}\n[ingress]\nenabled = {ingress}").unwrap();
        if external {
            text.push_str("[ca]\nsource = \"external\"\n");
        }
        for (n, (network, ipv6, how)) in clusters.iter().enumerate() {
            let family = if *ipv6 && *how == 0 { "ip_family = \"ipv6\"\n" } else { "" };
            let how = match how {
                1 => "nodes = { mode = \"auto\" }\n",
                2 => "existing = { name = \"theirs\" }\n",
                3 => "existing = { kubeconfig = \"k\" }\n",
                _ => "",
            };
            let how = how.replace("theirs", &format!("theirs-{n}"));
            write!(text, "[clusters.c{n}]\nnetwork = \"n{network}\"\n{family}{how}").unwrap();
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_mesh_its_parts_come_in_order(text in meshes()) {
        let parsed = parse(&text);
        // Some shapes are refused, for good reasons.
        let Some(topology) = parsed.topology else { return Ok(()) };
        let compiled = compile(&topology);
        prop_assert_eq!(&compiled.diagnostics, &[]);
        let all = by_address(&compiled);
        prop_assert_eq!(all.len(), compiled.declarations.len(), "each address once");
        let names: Vec<&str> = topology.clusters.values().map(|cluster| cluster.name.as_str()).collect();
        let n = names.len();
        prop_assert_eq!(all.keys().filter(|address| address.starts_with("istio.remote_secret/")).count(), n * (n - 1));
        for declaration in &compiled.declarations {
            for needed in declaration.requirements() {
                prop_assert!(all.contains_key(needed.as_str()), "{} needs {needed}", declaration.address);
            }
            let early = before(&all, declaration.address.as_str());
            prop_assert!(!early.contains(declaration.address.as_str()), "{} needs itself", declaration.address);
            let Target::Cluster { cluster } = &declaration.target else { continue };
            prop_assert!(early.contains(cluster.as_str()), "{} waits for its cluster", declaration.address);
            let is_remote_secret = declaration.address.kind() == "istio.remote_secret";
            let others = early.iter().find(|needed| {
                let inside = matches!(all[needed.as_str()].target, Target::Cluster { .. });
                inside && all[needed.as_str()].target != declaration.target
            });
            prop_assert!(is_remote_secret || others.is_none(), "{} waits for {others:?}", declaration.address);
        }
        for name in &names {
            let needs = |of: &str, what: &str| {
                let (of, what) = (of.replace('@', name), what.replace('@', name));
                !all.contains_key(of.as_str()) || !all.contains_key(what.as_str()) || before(&all, &of).contains(&what)
            };
            let istiod = "helm.release/@/istio-system/istiod";
            let gateway = "helm.release/@/istio-system/istio-eastwestgateway";
            let service = "kubernetes.manifest/@/istio-system/service/istio-eastwestgateway";
            for (of, what) in [
                (istiod, "kubernetes.secret/@/istio-system/cacerts"),
                (istiod, "istio.existing_cacerts/@"),
                (istiod, "helm.release/@/istio-system/istio-base"),
                (istiod, "eks.addon/@/coredns"),
                ("istio.injector/@", istiod),
                (gateway, "istio.injector/@"),
                ("helm.release/@/istio-system/istio-ingressgateway", "istio.injector/@"),
                ("kubernetes.manifest/@/istio-system/gateway/cross-network-gateway", "istio.injector/@"),
                ("kubernetes.manifest/@/sample/deployment/curl", "istio.injector/@"),
                (service, "teardown.load_balancers/@"),
                (service, "helm.release/@/kube-system/aws-load-balancer-controller"),
                ("teardown.load_balancers/@", "helm.release/@/kube-system/aws-load-balancer-controller"),
                ("helm.release/@/kube-system/aws-load-balancer-controller", "eks.nodegroup/@/nodes"),
                ("kubernetes.load_balancer/@/istio-system/istio-eastwestgateway", gateway),
                ("kubernetes.service_account_token/@/istio-system/istio-reader-service-account", "helm.release/@/istio-system/istio-base"),
            ] {
                prop_assert!(needs(of, what), "{name}: {of} waits for {what}");
            }
            let service_here = service.replace('@', name);
            if all.contains_key(service_here.as_str()) {
                let early = before(&all, &service_here);
                prop_assert!(!early.contains(&istiod.replace('@', name)), "{name}: a load balancer begins early");
            }
            for peer in names.iter().filter(|peer| *peer != name) {
                let secret = before(&all, &format!("istio.remote_secret/{name}/{peer}"));
                for what in [
                    format!("helm.release/{peer}/istio-system/istiod"),
                    format!("kubernetes.service_account_token/{peer}/istio-system/istio-reader-service-account"),
                    format!("kubernetes.namespace/{name}/istio-system"),
                ] {
                    prop_assert!(secret.contains(&what), "{name} is told of {peer} after {what}");
                }
                prop_assert!(!secret.contains(&format!("helm.release/{name}/istio-system/istiod")), "and need not run");
                let gateway = service.replace('@', peer);
                prop_assert!(!all.contains_key(gateway.as_str()) || secret.contains(&gateway), "and forgets it first");
            }
        }
    }
}
