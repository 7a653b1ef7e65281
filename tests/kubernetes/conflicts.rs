//! What others do to our objects, and what of theirs we leave alone.

use meshplan::kinds::kubernetes::namespace;
use meshplan::resource::{Deletion, ErrorClass, Status};
use serde_json::json;

use crate::resource::Resource;
use crate::stand_ins::stand_in;
use crate::{cloud, plane, run};

fn settings(data: &serde_json::Value) -> serde_json::Value {
    json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": "settings", "namespace": "drift", "labels": { "app": "sample" } }, "data": data,
    })
}

#[test]
fn drift_is_repaired_and_a_field_that_someone_else_manages_is_a_conflict() {
    let plane = stand_in!(plane());
    let kubectl = |args: &[&str]| plane.kubectl(args).unwrap().stdout().unwrap();
    let patch = |data: &str| kubectl(&["patch", "configmap", "settings", "-n", "drift", "--type=merge", "-p", data]);
    let data = || kubectl(&["get", "configmap", "settings", "-n", "drift", "-o", "jsonpath={.data}"]);
    kubectl(&["create", "namespace", "drift"]);
    run(async {
        let ours = Resource::manifest(plane, settings(&json!({ "color": "blue", "size": "1" })));
        ours.make().await;

        // Something of ours is taken away: it is put back. Something is added: it is not ours.
        kubectl(&["label", "configmap", "settings", "-n", "drift", "app-"]);
        patch(r#"{"data":{"theirs":"x","size":null}}"#);
        let drifted = ours.ready().await;
        let paths: Vec<String> =
            ours.changes(&drifted, &ours.spec).iter().map(|change| change.path.to_string()).collect();
        assert_eq!(paths, ["manifest.data.size", "manifest.metadata.labels.app"]);
        ours.settle(&ours.spec).await;
        assert_eq!(data(), r#"{"color":"blue","size":"1","theirs":"x"}"#);

        // Something of ours is changed: whoever did that manages it now.
        patch(r#"{"data":{"color":"red","size":"2"}}"#);
        let drifted = ours.ready().await;
        assert_eq!(ours.changes(&drifted, &ours.spec).len(), 2);
        let error = ours.update(&drifted, &ours.spec).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Conflict);
        // A real server adds the id that its audit knows the request by.
        let said = error.to_string();
        let said = said.split_once(" (request ").map_or(said.as_str(), |(said, _)| said);
        assert_eq!(
            said,
            "kubernetes:Apply: FieldManagerConflict: ConfigMap drift/settings: fields are managed by someone else: .data.color, \
             .data.size (managed by `kubectl-patch`); declare them no longer, or take them over with `--force-conflicts`"
        );
        assert_eq!(data(), r#"{"color":"red","size":"2","theirs":"x"}"#, "a conflict changes nothing");

        let forcing = Resource::manifest(plane, settings(&json!({ "color": "blue", "size": "1" })));
        let forcing = forcing.through(cloud(&plane.kubeconfig()).forcing_conflicts());
        forcing.settle(&ours.spec).await;
        assert_eq!(data(), r#"{"color":"blue","size":"1","theirs":"x"}"#);

        // No longer declared: what others have a claim on stays, and the rest goes.
        let less = ours.with(settings(&json!({ "size": "1" })));
        less.settle(&forcing.spec).await;
        assert_eq!(data(), r#"{"size":"1","theirs":"x"}"#);
    });
}

#[test]
fn an_object_that_somebody_made_anew_is_not_deleted() {
    let plane = stand_in!(plane());
    let kubectl = |args: &[&str]| plane.kubectl(args).unwrap().stdout().unwrap();
    run(async {
        let ours = Resource::manifest(
            plane,
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "anew", "namespace": "default" } }),
        );
        ours.make().await;
        kubectl(&["delete", "configmap", "anew"]);
        assert!(ours.read().await.unwrap().is_none());
        kubectl(&["create", "configmap", "anew"]);
        let error = ours.delete().await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Conflict);
        assert!(error.message.contains("somebody made it anew"), "{error}");
        kubectl(&["delete", "configmap", "anew"]);
        assert_eq!(ours.delete().await.unwrap(), Deletion::Accepted);
    });
}

#[test]
fn a_namespace_says_what_its_deletion_waits_for() {
    let plane = stand_in!(plane());
    let spec = namespace::Spec { name: "held".to_owned(), labels: [].into(), annotations: [].into() };
    run(async {
        let space = Resource::new(plane, "kubernetes.namespace", &spec);
        space.make().await;
        let manifest = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": "c", "namespace": "held", "finalizers": ["mesh.test/hold"] },
        });
        let held = Resource::manifest(plane, manifest);
        held.make().await;
        let mut said = String::new();
        for _ in 0..600 {
            match space.delete().await.unwrap() {
                Deletion::Later(why) => said = why,
                other @ (Deletion::Accepted | Deletion::Again) => panic!("{other:?} while something is held"),
            }
            if said.contains("mesh.test/hold") {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert!(
            said.contains(
                "Some content in the namespace has finalizers remaining: mesh.test/hold in 1 resource instances"
            ),
            "{said}"
        );
        assert_eq!(space.read().await.unwrap().unwrap().status, Status::Deleting);
        assert_eq!(
            held.delete().await.unwrap(),
            Deletion::Later("is being deleted: held by mesh.test/hold".to_owned())
        );
        assert_eq!(held.find().await.unwrap(), None, "what is going is not what a create made");

        // Nothing new gets into it, and it is not made anew before it is gone.
        let late = Resource::manifest(
            plane,
            json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "late", "namespace": "held" } }),
        );
        assert_eq!(late.create().await.unwrap_err().class, ErrorClass::InUse);
        assert_eq!(space.create().await.unwrap_err().class, ErrorClass::InUse);

        let release =
            ["patch", "configmap", "c", "-n", "held", "--type=merge", "-p", r#"{"metadata":{"finalizers":null}}"#];
        plane.kubectl(&release).unwrap().stdout().unwrap();
        space.unmake().await;
        assert_eq!(late.create().await.unwrap_err().class, ErrorClass::NotYet, "its namespace is not there");
    });
}
