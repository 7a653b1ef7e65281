//! What clusters know of each other: a token that each gives out, and a Secret for every ordered pair.
//!
//! A cluster's peers are told of it when its control plane has made what the token may do, and forget it before its
//! gateway goes. They need not run for that: a control plane that starts later finds what it was told.

use crate::kinds::istio::remote_secret;
use crate::kinds::kubernetes::service_account_token;
use crate::model::{Address, Reference};
use crate::topology::Cluster;

use super::control_plane::{ControlPlane, istiod};
use super::service::EAST_WEST;
use super::{ISTIO_SYSTEM, Inside, address};
use crate::compile::cluster::address_of;

/// The service account that peers read by: the chart `base` makes it.
const READER: &str = "istio-reader-service-account";

impl Inside<'_> {
    /// Gives out a token, and takes in what the others gave out.
    pub(super) fn peers(&mut self, control_plane: &ControlPlane) {
        if self.mesh.topology.clusters.len() < 2 {
            return;
        }
        let spec = service_account_token::Spec {
            namespace: ISTIO_SYSTEM.to_owned(),
            // As istioctl names it.
            name: format!("{READER}-istio-remote-secret-token"),
            service_account: READER.to_owned(),
            labels: [].into(),
            annotations: [].into(),
        };
        self.declare(&token(self.name()), &spec, &[&control_plane.base]);
        let topology = self.mesh.topology;
        for peer in topology.clusters.values().filter(|peer| peer.name != self.cluster.name) {
            self.remote_secret(peer, control_plane);
        }
    }

    /// What this cluster knows of a peer.
    fn remote_secret(&mut self, peer: &Cluster, control_plane: &ControlPlane) {
        let name = peer.name.as_str();
        let token = token(name);
        let spec = remote_secret::Spec {
            namespace: ISTIO_SYSTEM.to_owned(),
            cluster: name.to_owned(),
            endpoint: Reference::to(&address_of(peer), "endpoint").into(),
            certificate_authority: Reference::to(&token, "ca_crt").into(),
            token: Reference::to(&token, "token").into(),
        };
        let istiod = istiod(name);
        let gateway = self.mesh.has_gateways.then(|| service_of(name));
        // The peer's control plane makes what the token may do.
        let after: Vec<&Address> = [&control_plane.namespace, &istiod].into_iter().chain(&gateway).collect();
        let address = self.address("istio.remote_secret", &[name]);
        self.declare(&address, &spec, &after);
    }
}

/// The token that a cluster gives out.
fn token(cluster: &str) -> Address {
    address("kubernetes.service_account_token", cluster, &[ISTIO_SYSTEM, READER])
}

fn service_of(cluster: &str) -> Address {
    super::service::address_of_service(cluster, EAST_WEST)
}
