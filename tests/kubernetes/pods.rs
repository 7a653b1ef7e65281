//! Commands in pods and requests of their ports, as far as an API server without kubelets takes them: what it says of
//! pods, containers and callers that are not as they should be.

use meshplan::kinds::kubernetes::Kube;
use meshplan::resource::ErrorClass;

use crate::stand_ins::stand_in;
use crate::{access, no_aws, plane, run};

const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"asked","namespace":"default"},
    "spec":{"containers":[{"name":"main","image":"an-image"}]}}"#;

#[test]
fn what_an_api_server_refuses_has_a_class_and_a_way_out() {
    let plane = stand_in!(plane());
    plane.kubectl_with(&["apply", "-f", "-"], POD).unwrap().stdout().unwrap();
    let ready = ["wait", "--for=condition=Ready", "pod/asked", "-n", "default", "--timeout=60s"];
    plane.kubectl(&ready).unwrap().stdout().unwrap();
    let token = plane.kubectl(&["create", "token", "default"]).unwrap().stdout().unwrap();
    let file = plane.other_kubeconfig("no-exec", &plane.endpoint(), token.trim(), &plane.certificate()).unwrap();
    run(async {
        // A client needs a runtime around it from the start.
        let kube = Kube::open(&access(&plane.kubeconfig()), &no_aws()).unwrap();
        let nobody = Kube::open(&access(&file), &no_aws()).unwrap();
        let exec =
            async |kube: &Kube, pod, container| kube.exec("default", pod, container, &["true"]).await.unwrap_err();
        let forward = async |kube: &Kube, pod| kube.get_in_pod("default", pod, 8080, "/").await.unwrap_err();

        for error in [exec(&kube, "nobody", "main").await, forward(&kube, "nobody").await] {
            assert_eq!((error.class, error.code.as_deref()), (ErrorClass::Conflict, Some("NotFound")), "{error}");
            assert!(error.message.contains("pods \"nobody\" not found"), "{error}");
        }
        let error = exec(&kube, "asked", "other").await;
        assert_eq!(error.class, ErrorClass::Invalid, "{error}");
        assert!(error.message.contains("container other is not valid for pod asked"), "{error}");
        // Behind this node is no kubelet.
        for error in [exec(&kube, "asked", "main").await, forward(&kube, "asked").await] {
            assert_eq!(error.class, ErrorClass::Transient, "{error}");
            assert!(error.message.contains("kubelet (port 10250)"), "{error}");
        }
        for (error, resource) in
            [(exec(&nobody, "asked", "main").await, "pods/exec"), (forward(&nobody, "asked").await, "pods/portforward")]
        {
            assert_eq!(error.class, ErrorClass::Denied, "{error}");
            assert!(error.message.contains(&format!("it takes `create` on {resource}")), "{error}");
            assert!(!error.to_string().contains(token.trim()), "{error}");
        }
    });
}
