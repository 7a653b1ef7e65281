//! What the user adds to a cluster: further Helm releases.

use super::control_plane::ControlPlane;
use super::{Inside, document};
use crate::kinds::helm::release::{Chart, Spec};
use crate::kinds::kubernetes::namespace;
use crate::model::Address;
use crate::topology::ExtraRelease;
use std::collections::BTreeMap;

/// Namespaces that are there without us, or are the mesh's own.
const GIVEN: [&str; 6] = ["default", "istio-system", "kube-node-lease", "kube-public", "kube-system", "sample"];

impl Inside<'_> {
    pub(super) fn extras(&mut self, control_plane: &ControlPlane) {
        let mut namespaces: BTreeMap<&str, Address> = BTreeMap::new();
        let cluster = self.cluster;
        for release in &cluster.releases {
            self.extra_release(release, control_plane, &mut namespaces);
        }
    }

    fn extra_release<'a>(
        &mut self,
        given: &'a ExtraRelease,
        control_plane: &ControlPlane,
        namespaces: &mut BTreeMap<&'a str, Address>,
    ) {
        let name = given.namespace.as_str();
        // In a cluster of somebody else's a namespace is theirs to make.
        if !GIVEN.contains(&name) && !namespaces.contains_key(name) && self.cluster.existing.is_none() {
            let spec = namespace::Spec { name: name.to_owned(), labels: [].into(), annotations: [].into() };
            let address = self.address("kubernetes.namespace", &[name]);
            let cluster = self.ground.address.clone();
            self.declare(&address, &spec, &[&cluster]);
            namespaces.insert(name, address);
        }
        let ground = self.ground;
        let shared = self.mesh.topology.sample.is_some().then(|| self.address("kubernetes.namespace", &["sample"]));
        let mut after: Vec<&Address> = vec![&control_plane.injector];
        after.extend(&ground.workers);
        after.extend(&ground.sweep);
        after.extend(namespaces.get(name));
        after.extend(shared.as_ref().filter(|_| name == "sample"));
        let address = self.address("helm.release", &[name, &given.name]);
        let chart = Chart {
            name: given.chart.clone(),
            repository: given.repository.clone(),
            version: given.version.clone(),
        };
        let values = document(serde_json::Value::Object(given.values.clone()));
        let spec = Spec::new(&self.mesh.topology.mesh.id, &address, (name, &given.name), chart, values);
        self.declare(&address, &spec, &after);
    }
}
