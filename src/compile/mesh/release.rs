//! Helm releases: where their charts come from, and the user's values over ours.

use serde_json::Value as Json;

use super::{ISTIO_SYSTEM, Inside, document};
use crate::kinds::helm::release;
use crate::model::Address;
use crate::topology::merge;
use crate::topology::schema::{Release, Values};

/// A chart: its name or place, and the repository that it is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chart {
    chart: String,
    repository: Option<String>,
    /// Whether a version chooses among several; what is a local directory is what it is.
    is_versioned: bool,
}

impl Chart {
    /// A chart of this name in a source of several: a repository's URL, `oci://…` or a local directory.
    pub(super) fn of(source: &str, name: &str) -> Self {
        let source = source.trim_end_matches('/');
        if source.starts_with("oci://") {
            Self { chart: format!("{source}/{name}"), repository: None, is_versioned: true }
        } else if source.contains("://") {
            Self { chart: name.to_owned(), repository: Some(source.to_owned()), is_versioned: true }
        } else {
            Self { chart: format!("{source}/{name}"), repository: None, is_versioned: false }
        }
    }
}

impl Inside<'_> {
    /// Declares a release of one of Istio's charts, of the cluster's version, in the control plane's namespace.
    pub(super) fn istio_release(
        &mut self,
        which: Release,
        chart: &str,
        values: Json,
        after: &[&Address],
        update_after: Vec<Address>,
    ) -> Address {
        let chart = Chart::of(&self.mesh.topology.istio_charts, chart);
        let version = self.cluster.istio.to_string();
        self.release(Order { which, namespace: ISTIO_SYSTEM, chart, version, values }, after, update_after)
    }

    /// Declares a release with the user's values over ours. Values that are meshplan's are no user's: a rule sees to it.
    pub(super) fn release(&mut self, order: Order, after: &[&Address], update_after: Vec<Address>) -> Address {
        let Order { which, namespace, chart, version, values } = order;
        let mut values = fields(values);
        if let Some(given) = self.cluster.helm.get(&which) {
            merge(&mut values, given);
        }
        if which == Release::IstioEastwestgateway || which == Release::IstioIngressgateway {
            // The Service is ours, so that its load balancer can begin before there are pods.
            values.insert("service".to_owned(), serde_json::json!({ "type": "None" }));
        }
        let spec = release::Spec {
            name: which.as_str().to_owned(),
            namespace: namespace.to_owned(),
            chart: chart.chart,
            repository: chart.repository,
            version: chart.is_versioned.then_some(version),
            values: document(Json::Object(values)),
        };
        let address = self.address("helm.release", &[namespace, which.as_str()]);
        self.declare(&address, &spec, after).update_after(update_after);
        address
    }
}

/// A release that is to be declared.
pub(super) struct Order {
    pub(super) which: Release,
    pub(super) namespace: &'static str,
    pub(super) chart: Chart,
    pub(super) version: String,
    pub(super) values: Json,
}

fn fields(values: Json) -> Values {
    match values {
        Json::Object(fields) => fields,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => Values::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_of_charts_is_a_repository_a_registry_or_a_directory() {
        let of = |source: &str| {
            let Chart { chart, repository, is_versioned } = Chart::of(source, "base");
            (chart, repository.unwrap_or_default(), is_versioned)
        };
        let expected =
            |chart: &str, repository: &str, is_versioned| (chart.to_owned(), repository.to_owned(), is_versioned);
        assert_eq!(of("https://charts.example/"), expected("base", "https://charts.example", true));
        assert_eq!(of("oci://registry.example/charts"), expected("oci://registry.example/charts/base", "", true));
        assert_eq!(of("/srv/charts/"), expected("/srv/charts/base", "", false));
    }
}
