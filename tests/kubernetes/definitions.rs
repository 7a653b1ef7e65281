//! What an API server makes of a manifest is no drift: defaults, other notations, and kinds that are made in the same
//! plan as their objects.

use meshplan::resource::{ErrorClass, Status};
use serde_json::{Value as Json, json};

use crate::resource::Resource;
use crate::stand_ins::stand_in;
use crate::{plane, run};

fn definition() -> Json {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "routes.mesh.test" },
        "spec": {
            "group": "mesh.test", "scope": "Namespaced",
            "names": { "kind": "Route", "plural": "routes" },
            "versions": [
                { "name": "v1", "served": true, "storage": true, "schema": schema() },
                { "name": "v1beta1", "served": true, "storage": false, "schema": schema() },
            ],
        },
    })
}

/// A list that is compared as a whole, whose items have a default.
fn schema() -> Json {
    json!({ "openAPIV3Schema": { "type": "object", "properties": { "spec": { "type": "object", "properties": {
        "size": { "type": "integer" },
        "to": { "type": "array", "items": { "type": "object", "properties": {
            "host": { "type": "string" }, "weight": { "type": "integer", "default": 1 } } } },
    } } } } })
}

fn route(spec: &Json, version: &str) -> Json {
    json!({
        "apiVersion": format!("mesh.test/{version}"), "kind": "Route",
        "metadata": { "name": "r", "namespace": "default" }, "spec": spec,
    })
}

#[test]
fn definitions_and_their_objects_are_made_in_one_plan() {
    let plane = stand_in!(plane());
    run(async {
        let object = |spec: Json| Resource::manifest(plane, route(&spec, "v1"));
        let one = object(json!({ "to": [{ "host": "a" }, { "host": "b", "weight": 2 }] }));
        let early = one.create().await.unwrap_err();
        assert_eq!((early.class, early.code.as_deref()), (ErrorClass::NotYet, Some("NoSuchKind")), "{early}");
        assert!(early.message.ends_with("is its CustomResourceDefinition there?"), "{early}");
        assert!(one.read().await.unwrap().is_none(), "without its kind there is no object");
        assert_eq!(one.find().await.unwrap(), None);

        let kind = Resource::manifest(plane, definition());
        kind.make().await;
        one.make().await;
        let two = object(json!({ "to": [{ "host": "c" }] }));
        two.settle(&one.spec).await;

        // A default that the server wrote is no drift, and what somebody wrote in its place is.
        let patch = r#"{"spec":{"to":[{"host":"c","weight":3}]}}"#;
        plane.kubectl(&["patch", "route.v1.mesh.test", "r", "--type=merge", "-p", patch]).unwrap().stdout().unwrap();
        let drifted = two.ready().await;
        let paths: Vec<String> =
            two.changes(&drifted, &two.spec).iter().map(|change| change.path.to_string()).collect();
        assert_eq!(paths, ["manifest.spec.to"]);

        let wrong = object(json!({ "size": "large" })).with(route(&json!({ "size": "large" }), "v1"));
        let error = wrong.update(&drifted, &two.spec).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid, "{error}");
        assert!(error.message.contains("expected numeric"), "{error}");

        // What was applied in one version is read in it; its other versions are the same object.
        let older = Resource::manifest(plane, route(&json!({ "size": 1 }), "v1beta1"));
        assert_eq!(older.id(), two.id());
        two.unmake().await;
        let live = older.make().await;
        assert_eq!(live.spec.value().get("manifest").unwrap().get("apiVersion"), Some(&"mesh.test/v1beta1".into()));

        kind.unmake().await;
        assert!(older.read().await.unwrap().is_none(), "objects go with their kind");
    });
}

#[test]
fn what_the_server_writes_differently_is_no_drift() {
    let plane = stand_in!(plane());
    plane.kubectl(&["create", "namespace", "notation"]).unwrap().stdout().unwrap();
    let manifests = [
        json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d", "namespace": "notation", "labels": {} },
            "spec": { "replicas": 1.0, "selector": { "matchLabels": { "app": "d" } }, "template": {
                "metadata": { "labels": { "app": "d" }, "creationTimestamp": null },
                "spec": {
                    "tolerations": [], "nodeSelector": {}, "securityContext": {},
                    "topologySpreadConstraints": [{ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "ScheduleAnyway",
                        "labelSelector": { "matchLabels": { "app": "d" } } }],
                    "volumes": [{ "name": "b", "emptyDir": { "sizeLimit": "1024Mi" } },
                        { "name": "a", "projected": { "sources": [{ "serviceAccountToken": { "path": "t" } }] } },
                        { "name": "c", "downwardAPI": { "items": [{ "path": "l", "fieldRef": { "fieldPath": "metadata.labels" } }] } }],
                    "containers": [{ "name": "c", "image": "none", "command": [],
                        "resources": { "limits": { "cpu": 1, "memory": "1024Mi" }, "requests": { "cpu": "0.5" } },
                        "ports": [{ "containerPort": 8080 }, { "containerPort": 443, "protocol": "UDP" }],
                        "volumeMounts": [{ "name": "b", "mountPath": "/b" }, { "name": "a", "mountPath": "/a" }],
                        "readinessProbe": { "httpGet": { "path": "/", "port": 8080 }, "periodSeconds": 5 },
                        "env": [{ "name": "Z", "value": "1" }, { "name": "Y", "value": "$(Z)" }, { "name": "A", "value": "" },
                            { "name": "POD", "valueFrom": { "fieldRef": { "fieldPath": "metadata.name" } } },
                            { "name": "CPU", "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu" } } }] }],
                } } } }),
        json!({ "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": { "name": "n", "namespace": "notation" },
            "spec": { "podSelector": {}, "policyTypes": ["Ingress", "Egress"], "ingress": [{ "ports": [{ "port": 443 }, { "port": 80 }] }],
                "egress": [] } }),
        json!({ "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": { "name": "r", "namespace": "notation" },
            "roleRef": { "kind": "ClusterRole", "name": "view" },
            "subjects": [{ "kind": "ServiceAccount", "name": "default", "namespace": "notation" }, { "kind": "User", "name": "x" }] }),
        json!({ "apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscaler", "metadata": { "name": "h", "namespace": "notation" },
            "spec": { "maxReplicas": 5, "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "d" },
                "metrics": [{ "type": "Resource", "resource": { "name": "memory", "target": { "type": "AverageValue", "averageValue": "1024Mi" } } }] } }),
        json!({ "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "s", "namespace": "notation" },
            "spec": { "serviceName": "s", "selector": { "matchLabels": { "app": "s" } }, "template": {
                "metadata": { "labels": { "app": "s" } }, "spec": { "containers": [{ "name": "c", "image": "none" }] } },
                "volumeClaimTemplates": [{ "metadata": { "name": "v" }, "spec": { "accessModes": ["ReadWriteOnce"],
                    "resources": { "requests": { "storage": "1024Mi" } } } }] } }),
        json!({ "apiVersion": "v1", "kind": "ResourceQuota", "metadata": { "name": "q", "namespace": "notation" },
            "spec": { "hard": { "pods": 100, "requests.cpu": "10000m" } } }),
        json!({ "apiVersion": "v1", "kind": "LimitRange", "metadata": { "name": "l", "namespace": "notation" },
            "spec": { "limits": [{ "type": "Container", "max": { "memory": "2048Mi" } }] } }),
        json!({ "apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": { "name": "p", "namespace": "notation" },
            "spec": { "minAvailable": 1, "selector": { "matchLabels": { "app": "d" } } } }),
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "c", "namespace": "notation", "annotations": {} }, "data": {} }),
        json!({ "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration", "metadata": { "name": "w" },
            "webhooks": [{ "name": "w.mesh.test", "admissionReviewVersions": ["v1"], "sideEffects": "None", "failurePolicy": "Ignore",
                "clientConfig": { "service": { "name": "d", "namespace": "notation" } }, "namespaceSelector": { "matchLabels": { "x": "y" } },
                "rules": [{ "apiGroups": ["mesh.test"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["routes"] }] }] }),
    ];
    run(async {
        for manifest in manifests {
            let what = manifest["kind"].to_string();
            let resource = Resource::manifest(plane, manifest);
            resource.create().await.unwrap();
            let live = resource.read().await.unwrap().unwrap();
            assert_eq!(live.status, Status::Ready);
            let changes = resource.changes(&live, &resource.spec);
            assert!(changes.is_empty(), "{what}: {changes:#?}");
            resource.update(&live, &resource.spec).await.unwrap();
            assert_eq!(resource.read().await.unwrap().unwrap().spec, live.spec, "{what}");
        }
        // What somebody adds is not ours, also in a list that we have a part in.
        let added = r#"{"spec":{"template":{"spec":{"containers":[{"name":"sidecar","image":"none"}]}}}}"#;
        plane.kubectl(&["patch", "deployment", "d", "-n", "notation", "-p", added]).unwrap().stdout().unwrap();
        let ours = Resource::manifest(
            plane,
            json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "d", "namespace": "notation" },
                "spec": { "replicas": 1 } }),
        );
        let live = ours.read().await.unwrap().unwrap();
        let spec = live.spec.value().to_string();
        assert!(!spec.contains("sidecar") && spec.contains("topologySpreadConstraints"), "{spec}");
    });
}
