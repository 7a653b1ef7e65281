//! What the user adds to a cluster: further Helm releases, and objects from files.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value as Json;

use super::control_plane::ControlPlane;
use super::{Inside, document};
use crate::kinds::helm::release::{Chart, Spec};
use crate::kinds::kubernetes::{manifest, namespace};
use crate::model::{Address, AttrPath, Code, Diagnostic};
use crate::topology::ExtraRelease;

/// A file of manifests has what cannot be taken from one.
const MANIFEST: Code = Code("manifest");

/// Namespaces that are there without us, or are the mesh's own.
const GIVEN: [&str; 6] = ["default", "istio-system", "kube-node-lease", "kube-public", "kube-system", "sample"];

/// Kubernetes' own groups: their kinds are there in every cluster.
const NATIVE_SUFFIX: &str = ".k8s.io";

/// What the objects of files are to each other.
#[derive(Default)]
struct Given<'a> {
    /// The namespaces that are declared: by a file, or for a release.
    namespaces: BTreeMap<&'a str, Address>,
    /// The definitions of kinds that are declared: by group and kind.
    definitions: BTreeMap<(&'a str, &'a str), Address>,
}

impl Inside<'_> {
    pub(super) fn extras(&mut self, control_plane: &ControlPlane) {
        let cluster = self.cluster;
        let mut given = Given::default();
        let files =
            || cluster.manifests.iter().enumerate().flat_map(|(n, file)| file.objects.iter().map(move |o| (n, o)));
        for (_, object) in files() {
            self.note(object, &mut given);
        }
        for release in &cluster.releases {
            self.extra_release(release, control_plane, &mut given);
        }
        let mut declared = BTreeSet::new();
        for (n, object) in files() {
            self.extra_object(n, object, control_plane, &given, &mut declared);
        }
    }

    /// Remembers what other objects stand on.
    fn note<'a>(&self, object: &'a Json, given: &mut Given<'a>) {
        match (text(object, "/kind"), text(object, "/metadata/name")) {
            ("Namespace", name) => {
                given.namespaces.insert(name, self.address_of(object));
            }
            ("CustomResourceDefinition", _) => {
                let key = (text(object, "/spec/group"), text(object, "/spec/names/kind"));
                given.definitions.insert(key, self.address_of(object));
            }
            _ => {}
        }
    }

    fn extra_release<'a>(&mut self, release: &'a ExtraRelease, control_plane: &ControlPlane, given: &mut Given<'a>) {
        let name = release.namespace.as_str();
        // In a cluster of somebody else's a namespace is theirs to make.
        if !GIVEN.contains(&name) && !given.namespaces.contains_key(name) && self.cluster.existing.is_none() {
            let spec = namespace::Spec { name: name.to_owned(), labels: [].into(), annotations: [].into() };
            let address = self.address("kubernetes.namespace", &[name]);
            let cluster = self.ground.address.clone();
            self.declare(&address, &spec, &[&cluster]);
            given.namespaces.insert(name, address);
        }
        let address = self.address("helm.release", &[name, &release.name]);
        let chart = Chart {
            name: release.chart.clone(),
            repository: release.repository.clone(),
            version: release.version.clone(),
        };
        let values = document(Json::Object(release.values.clone()));
        let spec = Spec::new(&self.mesh.topology.mesh.id, &address, (name, &release.name), chart, values);
        let sample = self.sample_namespace(name);
        let ground = self.ground;
        let mut after: Vec<&Address> = vec![&control_plane.injector];
        after.extend(&ground.workers);
        // Its load balancers go with it, before what sweeps up.
        after.extend(&ground.sweep);
        after.extend(given.namespaces.get(name));
        after.extend(&sample);
        self.declare(&address, &spec, &after);
    }

    fn extra_object(
        &mut self,
        file: usize,
        object: &Json,
        control_plane: &ControlPlane,
        given: &Given<'_>,
        declared: &mut BTreeSet<Address>,
    ) {
        let origin = AttrPath::keys(&["clusters", self.name(), "manifests"]).index(file);
        let (kind, namespace) = (text(object, "/kind"), text(object, "/metadata/namespace"));
        let group = text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
        let address = self.address_of(object);
        let refuse = |message: String, help: &str| Diagnostic::error(MANIFEST, message).at(origin.clone()).help(help);
        if kind == "Secret" && group.is_empty() {
            let message =
                format!("the Secret {namespace}/{} is in a file of manifests", text(object, "/metadata/name"));
            let help = "a plan keeps manifests as they are: have an operator fetch its values, or apply it by hand";
            return self.compiled.diagnostics.push(refuse(message, help));
        }
        if !declared.insert(address.clone()) {
            let message = format!("{address} is in the manifests of {} twice", self.name());
            return self.compiled.diagnostics.push(refuse(message, "keep one of the two"));
        }
        let sample = self.sample_namespace(namespace);
        let ground = self.ground;
        let mut after: Vec<&Address> = vec![&ground.address];
        let is_basic = kind == "Namespace" || kind == "CustomResourceDefinition";
        if !is_basic {
            // Pods get their sidecars, and the control plane has a say in objects of its own kinds.
            after.push(&control_plane.injector);
        }
        // A Service that is a load balancer goes before what sweeps up.
        after.extend(ground.sweep.iter().filter(|_| !is_basic));
        after.extend(given.namespaces.get(namespace));
        after.extend(&sample);
        after.extend((namespace == super::ISTIO_SYSTEM).then_some(&control_plane.namespace));
        after.extend(given.definitions.get(&(group, kind)));
        let spec = manifest::Spec::of(&document(object.clone()));
        self.declare(&address, &spec, &after).origin(origin);
    }

    fn sample_namespace(&self, name: &str) -> Option<Address> {
        let is_ours = self.mesh.topology.sample.is_some() && name == "sample";
        is_ours.then(|| self.address("kubernetes.namespace", &[name]))
    }

    /// Two kinds of one name are told apart by their groups.
    fn address_of(&self, object: &Json) -> Address {
        let group = text(object, "/apiVersion").split_once('/').map_or("", |(group, _)| group);
        let mut kind = text(object, "/kind").to_ascii_lowercase();
        if group.contains('.') && !group.ends_with(NATIVE_SUFFIX) {
            kind = format!("{kind}.{group}");
        }
        let name: String = text(object, "/metadata/name")
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || "-_.:".contains(c) { c } else { '-' })
            .collect();
        match text(object, "/metadata/namespace") {
            "" => self.address("kubernetes.manifest", &[&kind, &name]),
            namespace => self.address("kubernetes.manifest", &[namespace, &kind, &name]),
        }
    }
}

fn text<'a>(object: &'a Json, path: &str) -> &'a str {
    object.pointer(path).and_then(Json::as_str).unwrap_or_default()
}
