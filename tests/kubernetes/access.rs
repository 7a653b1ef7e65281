//! Who may call, and what is said to those who may not: never that an object is gone.

use std::path::Path;

use meshplan::kinds::kubernetes::Kube;
use meshplan::model::Target;
use meshplan::resource::{Client, Cloud, ErrorClass};
use serde_json::json;

use crate::resource::Resource;
use crate::stand_ins::stand_in;
use crate::{access, cloud, cluster, no_aws, plane, run};

#[test]
fn those_who_are_refused_are_told_why_and_what_to_do() {
    let plane = stand_in!(plane());
    let ours = || {
        Resource::manifest(
            plane,
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "denied", "namespace": "default" } }),
        )
    };
    let token = plane.kubectl(&["create", "token", "default"]).unwrap().stdout().unwrap();
    let config = |name: &str, server: &str, token: &str, certificate: &Path| {
        plane.other_kubeconfig(name, server, token, certificate).unwrap()
    };
    let nobody = config("no-rights", &plane.endpoint(), token.trim(), &plane.certificate());
    let unknown = config("bad-token", &plane.endpoint(), "wrong", &plane.certificate());
    let nowhere = config("nowhere", "https://127.0.0.1:1", plane.token(), &plane.certificate());
    let key = plane.folder().join("other.key");
    let other = plane.folder().join("other.crt");
    let make = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=other", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&other)
        .output()
        .unwrap();
    assert!(make.status.success());
    let stranger = config("stranger", &plane.endpoint(), plane.token(), &other);
    run(async {
        for (file, class, said) in [
            (&nobody, ErrorClass::Denied, "its access entry needs a policy that grants this"),
            (&unknown, ErrorClass::Denied, "add an access entry for the caller (`admins` of the cluster)"),
            (&nowhere, ErrorClass::Transient, "is the endpoint reachable from here"),
            (&stranger, ErrorClass::Denied, "its certificate is not signed by the authority that the cluster names"),
        ] {
            let resource = ours().through(cloud(file));
            for error in [resource.read().await.unwrap_err(), resource.create().await.unwrap_err()] {
                assert_eq!(error.class, class, "{error}");
                assert!(error.message.contains(said), "{error}");
                assert!(!error.to_string().contains(token.trim()), "{error}");
            }
        }
        // A cluster that this run has made may not know its callers yet.
        for file in [&nobody, &unknown] {
            let cloud = Cloud::new(no_aws());
            cloud.offer_new_cluster(cluster(), access(file));
            assert_eq!(ours().through(cloud).read().await.unwrap_err().class, ErrorClass::NotYet);
        }
    });
}

#[test]
fn a_cluster_is_known_once_it_is_offered_and_its_client_changes_with_its_access() {
    let plane = stand_in!(plane());
    run(async {
        let target = Target::Cluster { cluster: cluster() };
        let cloud = Cloud::new(no_aws());
        assert_eq!(cloud.cluster(&cluster()), None);
        let error = cloud.client::<Kube>(&target).unwrap_err();
        assert!(error.message.contains("kubernetes.existing_cluster/test is not there yet"), "{error}");
        let file = plane.other_kubeconfig("first", "https://127.0.0.1:1", "x", &plane.certificate()).unwrap();
        cloud.offer_cluster(cluster(), access(&file));
        assert!(format!("{:?}", cloud.client::<Kube>(&target).unwrap()).contains("127.0.0.1:1"));
        cloud.offer_cluster(cluster(), access(&plane.kubeconfig()));
        assert_eq!(cloud.cluster(&cluster()), Some(access(&plane.kubeconfig())));
        let client = format!("{:?}", cloud.client::<Kube>(&target).unwrap());
        assert!(client.contains(&plane.endpoint()) && !client.contains(plane.token()), "{client}");

        let missing = access(Path::new("/nowhere/kubeconfig"));
        let error = Kube::open(&missing, &no_aws()).unwrap_err();
        assert!(error.message.starts_with("the kubeconfig file /nowhere/kubeconfig cannot be used"), "{error}");
        assert!(Kube::connect(&cloud, &Target::Local).is_err());
    });
}
