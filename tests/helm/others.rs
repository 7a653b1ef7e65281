//! Who else is there: releases, objects and fields of others are theirs.

use meshplan::resource::{Deletion, ErrorClass};
use serde_json::json;

use crate::rig::{Release, charts};
use crate::stand_ins::stand_in;
use crate::{MAJORS, plane, run};

#[test]
fn somebody_elses_release_is_refused_and_can_be_taken_over() {
    let plane = stand_in!(plane());
    run(async {
        for major in MAJORS {
            let release = Release::new(plane, "foreign", major, "istiod", json!({ "autoscaleMin": 2 }));
            let chart = charts("tests/helm/charts/istiod").display().to_string();
            release.helm(&["install", "istiod", &chart]);
            let error = release.create().await.unwrap_err();
            assert_eq!(error.class, ErrorClass::Conflict);
            assert!(
                error.message.contains("is not meshplan's (istiod 1.30.3, revision 1: Install complete)"),
                "{error}"
            );
            assert!(error.message.contains("`meshplan state adopt helm.release/test/"), "{error}");
            assert!(release.find().await.is_none());
            assert_eq!(release.delete().await.unwrap_err().class, ErrorClass::Conflict);
            let live = release.ready().await;
            assert!(live.outputs.value().to_string().contains("revision = 1"), "nobody has touched it");

            // Adopted, its tags are the first thing that differs.
            assert_eq!(release.paths(&live), ["tags.meshplan:address", "tags.meshplan:mesh", "values.autoscaleMin"]);
            release.settle().await;
            assert_eq!(release.paths(&release.ready().await), Vec::<String>::new());
            assert_eq!(release.delete().await.unwrap(), Deletion::Accepted);
        }
    });
}

#[test]
fn an_object_of_somebody_else_stops_an_install_and_is_named() {
    let plane = stand_in!(plane());
    run(async {
        for major in MAJORS {
            let release = Release::new(plane, "object", major, "istiod", json!({}));
            release.kubectl(&["create", "configmap", "istio", "--from-literal=mesh=theirs"]);
            let error = release.create().await.unwrap_err();
            assert_eq!(error.class, ErrorClass::Conflict, "{error}");
            assert!(error.message.starts_with("ConfigMap \"istio\" in namespace \"object-"), "{error}");
            assert!(error.message.contains("is not helm's"), "{error}");
            assert!(release.read().await.is_none(), "nothing was begun");
            let mesh = release.kubectl(&["get", "configmap/istio", "-o", "jsonpath={.data.mesh}"]);
            assert_eq!(mesh, "theirs");
        }
    });
}

#[test]
fn a_field_that_somebody_else_has_set_is_named_with_its_manager() {
    let plane = stand_in!(plane());
    run(async {
        let release = Release::new(plane, "conflict", 4, "istiod", json!({ "meshConfig": { "a": "1" } }));
        release.make().await;
        release.kubectl(&["patch", "configmap/istio", "--type=merge", "--patch", r#"{"data":{"mesh":"theirs"}}"#]);
        let release = release.with("istiod", json!({ "meshConfig": { "a": "2" } }));
        let live = release.read().await.unwrap();
        let error = release.update(&live).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Conflict, "{error}");
        assert!(error.message.contains(".data.mesh (managed by `kubectl-patch`)"), "{error}");
        assert!(error.message.contains("`--force-conflicts`"), "{error}");

        let failed = release.read().await.unwrap();
        assert_eq!(release.paths(&failed), ["status"], "it wants what is wanted: {failed:?}");
        let release = release.afresh();
        let forced = Release { cloud: release.cloud.forcing_conflicts(), ..release };
        forced.settle().await;
        let mesh = forced.kubectl(&["get", "configmap/istio", "-o", "jsonpath={.data.mesh}"]);
        assert_eq!(mesh.trim(), "a: \"2\"");
        forced.unmake().await;
    });
}
