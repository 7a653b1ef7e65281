//! The optional gateway for traffic from outside of the mesh.

use serde_json::{Map, json};

use super::Inside;
use super::control_plane::ControlPlane;
use super::service::{Front, Port, STATUS_PORT};
use crate::model::Address;
use crate::topology::schema::Release;

impl Inside<'_> {
    pub(super) fn ingress(&mut self, control_plane: &ControlPlane, controller: Option<&Address>) {
        let Some(ingress) = &self.mesh.topology.ingress else { return };
        let which = Release::IstioIngressgateway;
        // What is for the mesh alone, istiod's own ports among it, is never opened here.
        let ports = ingress.ports.iter().map(|port| Port { name: port_name(*port), port: *port });
        let front = Front {
            which,
            labels: Map::new(),
            ports: [Port::new("status-port", STATUS_PORT)].into_iter().chain(ports).collect(),
            scheme: ingress.scheme,
            sources: Vec::new(),
            name: None,
        };
        let service = self.service(&front, &control_plane.namespace, controller, &[]);
        let values = json!({ "replicaCount": ingress.replicas, "autoscaling": { "enabled": false } });
        let pods = self.istio_release(which, "gateway", values, &[&control_plane.injector], Vec::new());
        self.load_balancer(which, ingress.ports.first().copied(), &[&service, &pods]);
    }
}

/// A port's name, by which Istio tells its protocol.
fn port_name(port: u16) -> String {
    match port {
        80 => "http2".to_owned(),
        443 => "https".to_owned(),
        other => format!("tcp-{other}"),
    }
}
