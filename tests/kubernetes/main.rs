//! Objects of the Kubernetes API on real control planes, one IPv4 and one IPv6: API servers that were not written here
//! say what an apply is, what a conflict is, and what is left after a crash.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod access;
mod conflicts;
#[path = "../support/control_plane.rs"]
mod control_plane;
mod definitions;
mod faults;
mod pods;
mod proxy;
mod resource;
mod sockets;
#[path = "../support/stand_ins.rs"]
mod stand_ins;
mod walk;

use std::path::Path;
use std::sync::OnceLock;

use aws_config::{BehaviorVersion, SdkConfig};
use control_plane::{ControlPlane, Family};
use meshplan::model::Address;
use meshplan::resource::{Cloud, ClusterAccess, ClusterAuth};
use stand_ins::Trouble;

/// The control plane that most tests share, each in namespaces of its own.
fn plane() -> Result<&'static ControlPlane, &'static Trouble> {
    static PLANE: OnceLock<Result<ControlPlane, Trouble>> = OnceLock::new();
    PLANE.get_or_init(|| ControlPlane::start(Family::Ipv4)).as_ref()
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The address of the resource that would be the cluster.
fn cluster() -> Address {
    Address::new("kubernetes.existing_cluster", &["test"])
}

fn no_aws() -> SdkConfig {
    SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build()
}

fn access(kubeconfig: &Path) -> ClusterAccess {
    let file = kubeconfig.to_str().unwrap().to_owned();
    ClusterAccess {
        endpoint: String::new(),
        certificate_authority: String::new(),
        auth: ClusterAuth::Kubeconfig { file, context: None },
    }
}

/// A cloud in which the cluster is known by a kubeconfig file.
fn cloud(kubeconfig: &Path) -> Cloud {
    let cloud = Cloud::new(no_aws());
    cloud.offer_cluster(cluster(), access(kubeconfig));
    cloud
}

#[test]
fn two_control_planes_run_side_by_side_and_leave_nothing() {
    let (first, second) = stand_ins::stand_in!(ControlPlane::start_two());
    run(async {
        for (plane, family, unspecified) in [(&first, "IPv4", "."), (&second, "IPv6", ":")] {
            let service = resource::Resource::manifest(
                plane,
                serde_json::json!({
                    "apiVersion": "v1", "kind": "Service", "metadata": { "name": "family", "namespace": "default" },
                    "spec": { "ports": [{ "port": 80 }], "ipFamilies": [family] },
                }),
            );
            service.make().await;
            let address = ["get", "service", "family", "-n", "default", "-o", "jsonpath={.spec.clusterIP}"];
            let address = plane.kubectl(&address).unwrap().stdout().unwrap();
            assert!(address.contains(unspecified), "{family}: {address}");
        }
    });
    let folders = [first.folder().to_owned(), second.folder().to_owned()];
    let addresses = [first.address(), second.address()];
    drop((first, second));
    assert!(folders.iter().all(|folder| !folder.exists()));
    assert!(addresses.iter().all(|address| std::net::TcpStream::connect(address).is_err()));
}
