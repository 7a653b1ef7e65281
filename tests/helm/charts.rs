//! The charts of the project: lint-clean in helm 3 and 4, documented value by value, and the same as what is declared.

use std::collections::BTreeMap;

use meshplan::kinds::kubernetes::manifest;
use meshplan::model::Value;

use crate::rig::charts;
use crate::stand_ins::stand_in;
use crate::{MAJORS, plane};

const OURS: [&str; 2] = ["charts/cross-network-gateway", "charts/sample"];
const OF_TESTS: [&str; 3] = ["tests/helm/charts/base", "tests/helm/charts/gateway", "tests/helm/charts/istiod"];

#[test]
fn every_chart_passes_the_strictest_lint() {
    let plane = stand_in!(plane());
    for major in MAJORS {
        for chart in OURS.iter().chain(&OF_TESTS) {
            let linted = plane.helm(major, &["lint", "--strict", charts(chart).to_str().unwrap()]).unwrap();
            let said = linted.stdout().unwrap();
            assert!(said.contains("0 chart(s) failed") && !said.contains("WARN"), "helm {major}, {chart}: {said}");
        }
    }
}

/// The paths of a chart's values: tables are gone into, unless a user fills them.
fn paths(values: &serde_json::Value, at: &str, found: &mut Vec<String>) {
    for (key, value) in values.as_object().unwrap() {
        let path = if at.is_empty() { key.clone() } else { format!("{at}.{key}") };
        if value.as_object().is_some_and(|fields| !fields.is_empty()) && path != "selector" {
            paths(value, &path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn the_readme_of_a_chart_lists_each_of_its_values_and_no_other() {
    for chart in OURS {
        let read = |file: &str| std::fs::read_to_string(charts(chart).join(file)).unwrap();
        let mut values = Vec::new();
        paths(&serde_saphyr::from_str(&read("values.yaml")).unwrap(), "", &mut values);
        let readme = read("README.md");
        let rows = readme
            .lines()
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`').map(|(name, _)| name.to_owned()));
        let mut rows: Vec<String> = rows.collect();
        rows.sort_unstable();
        values.sort_unstable();
        assert_eq!(rows, values, "{chart}");
    }
}

#[test]
fn the_sample_runs_a_version_of_its_own_in_each_cluster() {
    let plane = stand_in!(plane());
    for major in MAJORS {
        let render = |flag: &str, set: &str| {
            let chart = charts("charts/sample");
            let args = ["template", "sample", chart.to_str().unwrap(), "--namespace=sample", flag, set];
            plane.helm(major, &args).unwrap().stdout().unwrap()
        };
        let third = render("--set", "helloworld.versions={3},hub=registry.test");
        assert!(third.contains("name: helloworld-v3"), "{third}");
        assert!(third.contains("registry.test/examples-helloworld-v1:1.0") && third.contains("name: SERVICE_VERSION"));
        assert!(render("--set", "helloworld.versions={2}").contains("examples-helloworld-v2:1.0"));
        let none = render("--set-json", "helloworld.versions=[],curl.enabled=false");
        assert!(none.contains("kind: Service") && !none.contains("kind: Deployment"), "the name resolves everywhere");
        assert!(render("--set", "revision=1-31").contains("istio.io/rev: \"1-31\""));
    }
}

/// The manifests that a topology declares in a namespace of a cluster, of kinds that a chart has too.
fn declared(cluster: &str, namespace: &str, kinds: &[&str]) -> BTreeMap<String, Value> {
    let text = std::fs::read_to_string(charts("topologies/two-network.toml")).unwrap();
    let topology = meshplan::topology::parse(&text).topology.unwrap();
    let declarations = meshplan::compile::compile(&topology).declarations;
    let manifests = declarations.iter().filter(|d| d.address.kind() == "kubernetes.manifest");
    let of = |d: &meshplan::compile::Declaration| {
        let path = d.address.as_str().split('/').skip(1).map(str::to_owned).collect::<Vec<_>>();
        let [here, there, kind, name] = path.try_into().ok()?;
        let is_wanted = here == cluster && there == namespace && kinds.contains(&kind.as_str());
        is_wanted.then(|| (format!("{kind}/{name}"), d.spec.value().get("manifest").unwrap().clone()))
    };
    manifests.filter_map(of).collect()
}

/// What a chart renders, in the form in which manifests are declared.
fn rendered(major: u8, chart: &str, namespace: &str, set: &str) -> BTreeMap<String, Value> {
    let chart = charts(chart);
    let args = ["template", "r", chart.to_str().unwrap(), "--namespace", namespace, "--set", set];
    let text = plane().unwrap().helm(major, &args).unwrap().stdout().unwrap();
    let objects: Vec<Value> = text
        .split("\n---\n")
        .filter(|document| document.contains("kind:"))
        .map(|document| serde_saphyr::from_str(document.trim_start_matches("---\n")).unwrap())
        .collect();
    let name = |object: &Value| {
        let kind = object.get("kind").unwrap().as_str().unwrap().to_lowercase();
        format!("{kind}/{}", object.get("metadata").unwrap().get("name").unwrap().as_str().unwrap())
    };
    objects.iter().map(|object| (name(object), manifest::Spec::of(object).manifest)).collect()
}

#[test]
fn the_charts_make_what_a_topology_declares() {
    stand_in!(plane());
    for major in MAJORS {
        for number in 1..=2 {
            let cluster = format!("cluster-{number}");
            let sample = declared(&cluster, "sample", &["deployment", "service", "serviceaccount"]);
            assert_eq!(sample.len(), 5, "{sample:?}");
            let set = format!("helloworld.versions={{{number}}}");
            assert_eq!(rendered(major, "charts/sample", "sample", &set), sample, "helm {major}, {cluster}");
            let gateway = declared(&cluster, "istio-system", &["gateway"]);
            assert_eq!(gateway.len(), 1);
            let chart = rendered(major, "charts/cross-network-gateway", "istio-system", "port=15443");
            assert_eq!(chart, gateway, "helm {major}, {cluster}");
        }
    }
}
