//! Helm releases: where their charts come from, and the user's values over ours.

use serde_json::Value as Json;

use super::{ISTIO_SYSTEM, Inside, document};
use crate::kinds::helm::release::{Chart, Spec};
use crate::model::{Address, AttrPath, Code, Diagnostic};
use crate::topology::merge;
use crate::topology::schema::{Release, Values};

/// A given value has no effect.
const UNUSED_VALUE: Code = Code("unused-value");

/// A chart of this name and version in a source of several: a repository's URL, `oci://…` or a local directory. What is
/// in a directory is what it is: no version chooses among several.
pub(super) fn chart(source: &str, name: &str, version: &str) -> Chart {
    let source = source.trim_end_matches('/');
    let version = Some(version.to_owned());
    if source.starts_with("oci://") {
        Chart { name: format!("{source}/{name}"), repository: None, version }
    } else if source.contains("://") {
        Chart { name: name.to_owned(), repository: Some(source.to_owned()), version }
    } else {
        Chart { name: format!("{source}/{name}"), repository: None, version: None }
    }
}

impl Inside<'_> {
    /// Declares a release of one of Istio's charts, of the cluster's version, in the control plane's namespace.
    pub(super) fn istio_release(
        &mut self,
        which: Release,
        name: &str,
        values: Json,
        after: &[&Address],
        update_after: Vec<Address>,
    ) -> Address {
        let chart = chart(&self.mesh.topology.istio_charts, name, &self.cluster.istio.to_string());
        self.release(Order { which, namespace: ISTIO_SYSTEM, chart, values }, after, update_after)
    }

    /// Declares a release with the user's values over ours. Values that are meshplan's are no user's: a rule sees to it.
    pub(super) fn release(&mut self, order: Order, after: &[&Address], update_after: Vec<Address>) -> Address {
        let Order { which, namespace, chart, values } = order;
        let mut values = fields(values);
        if let Some(given) = self.cluster.helm.get(&which) {
            merge(&mut values, given);
        }
        if which == Release::IstioEastwestgateway || which == Release::IstioIngressgateway {
            // The Service is ours, so that its load balancer can begin before there are pods.
            values.insert("service".to_owned(), serde_json::json!({ "type": "None" }));
        }
        let address = self.address("helm.release", &[namespace, which.as_str()]);
        let values = document(Json::Object(values));
        let spec = Spec::new(&self.mesh.topology.mesh.id, &address, (namespace, which.as_str()), chart, values);
        self.declare(&address, &spec, after).update_after(update_after);
        address
    }
}

impl Inside<'_> {
    /// Warns of given values that have no effect, for what is a chart to others and objects here. `used` are the others.
    pub(super) fn unused(&mut self, which: Release, used: &[&str]) {
        let Some(given) = self.cluster.helm.get(&which) else { return };
        let mut paths = Vec::new();
        leaves(given, "", &mut paths);
        paths.retain(|path| !used.contains(&path.as_str()));
        if let Some(path) = paths.first() {
            let name = which.as_str();
            let finding = Diagnostic::warning(UNUSED_VALUE, format!("`{path}` of `{name}` has no effect"));
            let help = if used.is_empty() {
                "nothing of it can be set".to_owned()
            } else {
                format!("it takes {}", used.join(", "))
            };
            let at = AttrPath::keys(&["helm", name, "values"]);
            let finding = finding.at(at).help(help);
            // What is said for all clusters is said once.
            if !self.compiled.diagnostics.contains(&finding) {
                self.compiled.diagnostics.push(finding);
            }
        }
    }
}

/// The paths of values, with dots.
fn leaves(values: &Values, prefix: &str, paths: &mut Vec<String>) {
    for (key, value) in values {
        match value.as_object() {
            Some(fields) => leaves(fields, &format!("{prefix}{key}."), paths),
            None => paths.push(format!("{prefix}{key}")),
        }
    }
}

/// The value at a path with dots.
pub(super) fn lookup<'a>(values: &'a Values, path: &str) -> Option<&'a Json> {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let value = values.get(first)?;
    rest.map_or(Some(value), |rest| lookup(value.as_object()?, rest))
}

/// A release that is to be declared.
pub(super) struct Order {
    pub(super) which: Release,
    pub(super) namespace: &'static str,
    pub(super) chart: Chart,
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
            let Chart { name, repository, version } = chart(source, "base", "1.31.0");
            (name, repository.unwrap_or_default(), version.is_some())
        };
        let expected = |name: &str, repository: &str, version| (name.to_owned(), repository.to_owned(), version);
        assert_eq!(of("https://charts.example/"), expected("base", "https://charts.example", true));
        assert_eq!(of("oci://registry.example/charts"), expected("oci://registry.example/charts/base", "", true));
        assert_eq!(of("/srv/charts/"), expected("/srv/charts/base", "", false));
    }
}
