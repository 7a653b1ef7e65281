//! What a topology names by paths: where they lead, and the objects in files of manifests.
//!
//! Entry points: [`Topology::found_in`], and [`Topology::read_manifests`] for what the compiler needs of the files. It
//! opens none itself: the caller does.

use std::path::Path;

use serde_json::Value as Json;

use super::resolved::{ExistingCluster, Topology};
use crate::model::{AttrPath, Code, Diagnostic};

/// A file of manifests that cannot be used.
const MANIFEST_FILE: Code = Code("manifest-file");

impl Topology {
    /// Takes relative paths to be relative to this folder: the topology's.
    pub fn found_in(&mut self, folder: &Path) {
        self.ca.found_in(folder);
        let join = |path: &mut String| *path = folder.join(&*path).display().to_string();
        for chart in [&mut self.istio_charts, &mut self.load_balancer_controller_chart] {
            if is_directory(chart) {
                join(chart);
            }
        }
        for cluster in self.clusters.values_mut() {
            if let Some(ExistingCluster::Kubeconfig { file, .. }) = &mut cluster.existing {
                join(file);
            }
            cluster.manifests.iter_mut().for_each(|manifest| join(&mut manifest.file));
            for release in cluster.releases.iter_mut().filter(|release| release.repository.is_none()) {
                if is_directory(&release.chart) {
                    join(&mut release.chart);
                }
            }
        }
    }

    /// Takes in the objects of every file of manifests. `read` answers a file's text, or why it cannot.
    pub fn read_manifests(&mut self, mut read: impl FnMut(&str) -> Result<String, String>) -> Vec<Diagnostic> {
        let mut findings = Vec::new();
        for cluster in self.clusters.values_mut() {
            for (n, manifest) in cluster.manifests.iter_mut().enumerate() {
                match read(&manifest.file).and_then(|text| objects(&text)) {
                    Ok(objects) => manifest.objects = objects,
                    Err(why) => {
                        let message = format!("the manifests in `{}` cannot be used: {why}", manifest.file);
                        let at = AttrPath::keys(&["clusters", cluster.name.as_str(), "manifests"]).index(n).key("file");
                        findings.push(Diagnostic::error(MANIFEST_FILE, message).at(at));
                    }
                }
            }
        }
        findings
    }
}

/// Whether a chart, or a source of charts, is no URL.
fn is_directory(chart: &str) -> bool {
    !chart.contains("://")
}

/// The objects in a text of YAML documents. What is a list is its items.
fn objects(text: &str) -> Result<Vec<Json>, String> {
    let documents: Vec<Json> = serde_saphyr::from_multiple(text)
        .map_err(|error| format!("it is no YAML: {}", first_line(&error.to_string())))?;
    let mut objects = Vec::new();
    for document in documents {
        let is_list = document.get("kind").and_then(Json::as_str).is_some_and(|kind| kind.ends_with("List"));
        match document.get("items").and_then(Json::as_array) {
            Some(items) if is_list => objects.extend(items.iter().cloned()),
            Some(_) | None => objects.push(document),
        }
    }
    objects.iter().enumerate().find_map(|(n, object)| wrong(n + 1, object)).map_or(Ok(objects), Err)
}

/// Why a document is no object of Kubernetes.
fn wrong(number: usize, object: &Json) -> Option<String> {
    let text = |path: &str| object.pointer(path).and_then(Json::as_str).filter(|text| !text.is_empty());
    let missing = [("/apiVersion", "apiVersion"), ("/kind", "kind"), ("/metadata/name", "metadata.name")]
        .into_iter()
        .find(|(path, _)| text(path).is_none());
    missing.map(|(_, name)| format!("object {number} has no `{name}`"))
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::topology::parse;

    use super::*;

    const TEXT: &str = "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\n[charts]\nistio = \"charts\"\n\
        [networks.n]\ncidr = \"10.1.0.0/16\"\n[clusters.c]\nnetwork = \"n\"\n[[clusters.c.manifests]]\nfile = \"more.yaml\"\n\
        [[clusters.c.releases]]\nname = \"r\"\nnamespace = \"r\"\nchart = \"./r\"\n";

    #[test]
    fn paths_are_relative_to_the_topology() {
        let mut topology = parse(TEXT).topology.unwrap();
        topology.found_in(Path::new("/srv/mesh"));
        let cluster = &topology.clusters["c"];
        assert_eq!(topology.istio_charts, "/srv/mesh/charts");
        assert_eq!(topology.load_balancer_controller_chart, "https://aws.github.io/eks-charts");
        assert_eq!(
            (cluster.manifests[0].file.as_str(), cluster.releases[0].chart.as_str()),
            ("/srv/mesh/more.yaml", "/srv/mesh/./r")
        );
    }

    #[test]
    fn a_files_objects_are_taken_one_by_one() {
        let object = |name: &str| format!("apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n");
        let list =
            "apiVersion: v1\nkind: ConfigMapList\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: c}}\n";
        let text = format!("{}---\n# nothing\n---\n{}---\n{list}", object("a"), object("b"));
        let found = objects(&text).unwrap();
        let names: Vec<&str> = found.iter().filter_map(|object| object["metadata"]["name"].as_str()).collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert_eq!(objects("kind: Pod\n").unwrap_err(), "object 1 has no `apiVersion`");
        assert!(objects("a: [").unwrap_err().starts_with("it is no YAML: "));
    }

    #[test]
    fn a_file_that_cannot_be_used_is_named_where_it_is_written() {
        let mut topology = parse(TEXT).topology.unwrap();
        let findings = topology.read_manifests(|_| Err("it is not there".to_owned()));
        assert_eq!(findings[0].message, "the manifests in `more.yaml` cannot be used: it is not there");
        assert_eq!(topology.read_manifests(|_| Ok(String::new())), []);
    }
}
