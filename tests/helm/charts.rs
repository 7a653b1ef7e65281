//! The charts of the project: lint-clean in helm 3 and 4, and documented value by value.

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
        let render = |set: &str| {
            let chart = charts("charts/sample");
            let args = ["template", "sample", chart.to_str().unwrap(), "--namespace=sample", "--set", set];
            plane.helm(major, &args).unwrap().stdout().unwrap()
        };
        let third = render("helloworld.versions={3},hub=registry.test");
        assert!(third.contains("name: helloworld-v3"), "{third}");
        assert!(third.contains("registry.test/examples-helloworld-v1:1.0") && third.contains("name: SERVICE_VERSION"));
        assert!(render("helloworld.versions={2}").contains("examples-helloworld-v2:1.0"));
        let none = render("helloworld.versions={},curl.enabled=false");
        assert!(none.contains("kind: Service") && !none.contains("kind: Deployment"), "the name resolves everywhere");
        assert!(render("revision=1-31").contains("istio.io/rev: \"1-31\""));
    }
}
