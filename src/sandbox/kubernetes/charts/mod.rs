//! The objects of well-known charts, for when nobody runs Helm: Istio's `base`, `istiod` and `gateway`, and the AWS load
//! balancer controller's.
//!
//! Entry points: [`render`], and [`Record`] for what Helm stores of a release. The objects have the names, labels and shapes
//! that the charts give them, as far as a mesh and its control plane look at them; a chart that is not known here has no
//! objects, and whoever installs it should be told ([`NOTE`], [`Rendered::is_known`]). Pure: nothing is asked of a cluster.

mod base;
mod definitions;
mod gateway;
mod istiod;
mod load_balancer_controller;
mod record;
mod values;

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

pub use self::record::{Damaged, Record};

/// What a run says where releases are recorded and Helm is not run.
pub const NOTE: &str = "helm is not run in the sandbox: releases are recorded, and the objects of the charts base, istiod, \
                        gateway and aws-load-balancer-controller are made as those charts make them";

/// What a run says of a release whose chart is not known.
#[must_use]
pub fn note_on_unknown(release: &str, chart: &str) -> String {
    format!("the sandbox does not know the chart {chart}: the release {release} is recorded, and has no objects")
}

/// A release that is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its namespace.
    pub namespace: &'a str,
    /// The chart: a name, an `oci://` reference, a directory or an archive.
    pub chart: &'a str,
    /// The chart's version.
    pub version: Option<&'a str>,
    /// Its values, which go over the chart's own.
    pub values: &'a Value,
    /// Whether it comes after another revision.
    pub upgrades: bool,
}

/// A release as its chart renders it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendered {
    /// The chart's name.
    pub chart: String,
    /// The chart's version.
    pub version: String,
    /// The version of what it installs.
    pub app_version: String,
    /// Its objects, in the order in which Helm makes them.
    pub objects: Vec<Value>,
    /// Whether the chart is one of those that are known here.
    pub is_known: bool,
}

/// A known chart: its name, the version that is the newest here, and what it renders.
struct Chart {
    name: &'static str,
    newest: &'static str,
    objects: fn(&Release<'_>) -> Result<Vec<Value>, String>,
}

const CHARTS: &[Chart] = &[
    Chart { name: "base", newest: ISTIO, objects: |release| Ok(base::objects(release)) },
    Chart { name: "istiod", newest: ISTIO, objects: istiod::objects },
    Chart { name: "gateway", newest: ISTIO, objects: gateway::objects },
    Chart { name: "aws-load-balancer-controller", newest: "3.5.0", objects: load_balancer_controller::objects },
];

/// The newest Istio that is known here.
const ISTIO: &str = "1.31.0";

/// What a chart's templates see.
struct Release<'a> {
    name: &'a str,
    namespace: &'a str,
    chart: &'a str,
    version: &'a str,
    upgrades: bool,
    values: &'a Value,
}

/// Whether a chart is known here: by its name, whatever it is called from.
#[must_use]
pub fn is_known(chart: &str) -> bool {
    let named = chart_name(chart);
    CHARTS.iter().any(|known| known.name == named)
}

/// The objects of a release.
///
/// # Errors
/// What Helm would say of values that the chart cannot do without.
pub fn render(wanted: &Wanted<'_>) -> Result<Rendered, String> {
    let named = chart_name(wanted.chart);
    let Some(chart) = CHARTS.iter().find(|chart| chart.name == named) else {
        let version = wanted.version.unwrap_or("0.0.0").to_owned();
        return Ok(Rendered {
            chart: named.to_owned(),
            app_version: version.clone(),
            version,
            objects: Vec::new(),
            is_known: false,
        });
    };
    let version = wanted.version.unwrap_or(chart.newest).trim_start_matches('v').to_owned();
    let release = Release {
        name: wanted.name,
        namespace: wanted.namespace,
        chart: chart.name,
        version: &version,
        upgrades: wanted.upgrades,
        values: wanted.values,
    };
    let mut objects = (chart.objects)(&release)?;
    objects.sort_by_key(|object| rank(object["kind"].as_str().unwrap_or_default()));
    let app_version =
        if chart.name == "aws-load-balancer-controller" { format!("v{version}") } else { version.clone() };
    Ok(Rendered { chart: chart.name.to_owned(), version, app_version, objects, is_known: true })
}

/// The objects as YAML documents, as Helm prints them.
#[must_use]
pub fn manifest(rendered: &Rendered) -> String {
    let mut manifest = String::new();
    for object in &rendered.objects {
        let kind = object["kind"].as_str().unwrap_or_default().to_ascii_lowercase();
        // A JSON document is a YAML document: what could not be written as YAML is written so.
        let text = serde_saphyr::to_string(object).unwrap_or_else(|_| format!("{object}\n"));
        let _ = write!(manifest, "---\n# Source: {}/templates/{kind}.yaml\n{text}", rendered.chart);
    }
    manifest
}

/// The name of a chart: the last part of what it is referred to by.
fn chart_name(reference: &str) -> &str {
    let last = reference.trim_end_matches('/').rsplit('/').next().unwrap_or(reference);
    let last = last.trim_end_matches(".tgz");
    // An archive's name ends with its version.
    let stem = last.rmatch_indices('-').find(|(at, _)| {
        last.get(at + 1..).is_some_and(|rest| rest.trim_start_matches('v').starts_with(|c: char| c.is_ascii_digit()))
    });
    let stem = stem.and_then(|(at, _)| last.get(..at)).unwrap_or(last);
    // The folders of Istio's own sources.
    if stem == "istio-discovery" { "istiod" } else { stem }
}

/// Where a kind stands in the order in which Helm makes objects (`pkg/release/util/kind_sorter.go`).
fn rank(kind: &str) -> usize {
    const ORDER: [&str; 18] = [
        "Namespace",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "ServiceAccount",
        "Secret",
        "ConfigMap",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "Service",
        "DaemonSet",
        "Deployment",
        "HorizontalPodAutoscaler",
        "IngressClass",
        "MutatingWebhookConfiguration",
        "ValidatingWebhookConfiguration",
    ];
    ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len())
}

impl Release<'_> {
    /// The labels that Istio's charts give to everything.
    fn istio_labels(&self, name: &str) -> Map<String, Value> {
        [
            ("app.kubernetes.io/name", name),
            ("app.kubernetes.io/managed-by", "Helm"),
            ("app.kubernetes.io/instance", self.name),
            ("app.kubernetes.io/part-of", "istio"),
            ("app.kubernetes.io/version", self.version),
        ]
        .into_iter()
        .map(|(key, value)| (key.to_owned(), value.into()))
        .chain([("helm.sh/chart".to_owned(), format!("{}-{}", self.chart, self.version).into())])
        .collect()
    }
}

/// A map with more in it.
fn with(mut map: Map<String, Value>, more: &[(&str, &str)]) -> Value {
    for (key, value) in more {
        map.insert((*key).to_owned(), (*value).into());
    }
    Value::Object(map)
}

/// An object's beginning.
fn object(api_version: &str, kind: &str, namespace: Option<&str>, name: &str, labels: Value) -> Value {
    let mut object = json!({ "apiVersion": api_version, "kind": kind, "metadata": { "name": name } });
    object["metadata"]["labels"] = labels;
    if let Some(namespace) = namespace {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}

/// A rule of a role.
fn rule(groups: &[&str], resources: &[&str], verbs: &[&str]) -> Value {
    json!({ "apiGroups": groups, "resources": resources, "verbs": verbs })
}

/// What binds a role to a service account of a namespace.
fn binding(mut object: Value, kind: &str, role: &str, (namespace, account): (&str, &str)) -> Value {
    object["roleRef"] = json!({ "apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role });
    object["subjects"] = json!([{ "kind": "ServiceAccount", "name": account, "namespace": namespace }]);
    object
}

#[cfg(test)]
mod tests;
