//! A cluster's control plane: its namespace, its authority, and Istio's first two charts.

use serde_json::{Value as Json, json};

use super::{ISTIO_SYSTEM, Inside, address};
use crate::compile::trust;
use crate::kinds::istio::{existing_cacerts, injector};
use crate::kinds::kubernetes::{namespace, secret};
use crate::model::{Address, Input, Reference};
use crate::topology::schema::Release;

/// The Secret that istiod takes its authority from.
const CACERTS: &str = "cacerts";

/// The keys of [`CACERTS`], and the outputs of a cluster's authority that they hold.
const KEYS: [(&str, &str); 4] =
    [("ca-cert.pem", "certificate"), ("ca-key.pem", "key"), ("root-cert.pem", "root"), ("cert-chain.pem", "chain")];

/// The label that says which network the pods of a namespace are in: also of those without a sidecar.
pub(super) const NETWORK_LABEL: &str = "topology.istio.io/network";

/// The parts of a control plane that others stand on.
pub(super) struct ControlPlane {
    /// The namespace.
    pub(super) namespace: Address,
    /// The definitions of Istio's kinds, and the service account of its peers.
    pub(super) base: Address,
    /// The control plane itself.
    pub(super) istiod: Address,
    /// That it puts sidecars into pods.
    pub(super) injector: Address,
}

impl Inside<'_> {
    /// `earlier` are the control planes that an upgrade has done before this one.
    pub(super) fn control_plane(&mut self, earlier: &[Address]) -> ControlPlane {
        let namespace = self.istio_system();
        let authority = self.authority(&namespace);
        let base = self.base(&namespace);
        let istiod = self.istiod(&authority, &base, earlier);
        let injector = self.injector(&istiod);
        ControlPlane { namespace, base, istiod, injector }
    }

    fn istio_system(&mut self) -> Address {
        let labels = [(NETWORK_LABEL.to_owned(), self.network.istio_network.clone())].into();
        let spec = namespace::Spec { name: ISTIO_SYSTEM.to_owned(), labels, annotations: [].into() };
        let address = self.address("kubernetes.namespace", &[ISTIO_SYSTEM]);
        let cluster = self.ground.address.clone();
        self.declare(&address, &spec, &[&cluster]);
        address
    }

    /// The cluster's authority, where istiod finds it: it must be there first, or istiod makes one of its own that no
    /// other cluster trusts.
    fn authority(&mut self, namespace: &Address) -> Address {
        let Some(authority) = trust::authority(self.mesh.topology, self.name()) else {
            let address = self.address("istio.existing_cacerts", &[]);
            let spec = existing_cacerts::Spec { namespace: ISTIO_SYSTEM.to_owned(), cluster: self.endpoint() };
            let note =
                format!("somebody else puts the Secret {CACERTS} there: it is checked before istiod, and nothing else");
            self.declare(&address, &spec, &[namespace]).notes(&[note]);
            return address;
        };
        let data = KEYS.map(|(key, output)| (key.to_owned(), Reference::to(&authority, output).into()));
        let spec = secret::Spec {
            namespace: ISTIO_SYSTEM.to_owned(),
            name: CACERTS.to_owned(),
            secret_type: "Opaque".to_owned(),
            labels: [].into(),
            annotations: [].into(),
            data: data.into(),
        };
        let address = self.address("kubernetes.secret", &[ISTIO_SYSTEM, CACERTS]);
        let note = "istiod takes a renewed authority from it without a restart, and workloads get certificates of it \
                    within a day"
            .to_owned();
        // Without it istiod signs for itself from its next start on: whoever takes it away should have said so.
        let protect = self.cluster.protect;
        self.declare(&address, &spec, &[namespace]).notes(&[note]).protected(protect);
        address
    }

    fn base(&mut self, namespace: &Address) -> Address {
        let values = json!({
            "defaultRevision": "default",
            // With it comes the service account that the peers' control planes read by.
            "global": { "enableReaderRBAC": true },
        });
        self.istio_release(Release::IstioBase, "base", values, &[namespace], Vec::new())
    }

    fn istiod(&mut self, authority: &Address, base: &Address, earlier: &[Address]) -> Address {
        let values = self.istiod_values();
        let mut after = vec![authority, base];
        after.extend(&self.ground.workers);
        self.istio_release(Release::Istiod, "istiod", values, &after, earlier.to_vec())
    }

    fn istiod_values(&self) -> Json {
        let topology = self.mesh.topology;
        let mut values = json!({
            "global": {
                "meshID": topology.mesh.id,
                "network": self.network.istio_network,
                // Without it every cluster is called `Kubernetes`.
                "multiCluster": { "clusterName": self.name() },
                "enableReaderRBAC": true,
            },
            "meshConfig": { "trustDomain": topology.mesh.trust_domain, "accessLogFile": "/dev/stdout" },
            "autoscaleMin": 2,
        });
        if let Some(hub) = &topology.image_hub {
            values["global"]["hub"] = json!(hub);
        }
        if !topology.mesh.trust_domain_aliases.is_empty() {
            values["meshConfig"]["trustDomainAliases"] = json!(topology.mesh.trust_domain_aliases);
        }
        if topology.ca.multi_root {
            // Workloads learn it when they start, so that it is on long before a second root is needed.
            values["meshConfig"]["defaultConfig"] = json!({ "proxyMetadata": { "PROXY_CONFIG_XDS_AGENT": "true" } });
            values["env"] = json!({ "ISTIO_MULTIROOT_MESH": "true" });
        }
        values
    }

    fn injector(&mut self, istiod: &Address) -> Address {
        let spec = injector::Spec {
            namespace: ISTIO_SYSTEM.to_owned(),
            version: self.cluster.istio.to_string(),
            cluster: self.endpoint(),
        };
        let address = injector(self.name());
        self.declare(&address, &spec, &[istiod]);
        address
    }

    /// The URL of the cluster's API server, once there is one: another cluster has another.
    pub(super) fn endpoint(&self) -> Input<String> {
        Reference::to(&self.ground.address, "endpoint").into()
    }
}

/// That a cluster's control plane puts sidecars into pods.
fn injector(cluster: &str) -> Address {
    address("istio.injector", cluster, &[])
}

/// The release of a cluster's control plane.
pub(super) fn istiod(cluster: &str) -> Address {
    address("helm.release", cluster, &[ISTIO_SYSTEM, Release::Istiod.as_str()])
}
