//! What a plan says of a release's objects, and what is missing of those that were applied.

use meshplan::kinds::helm::preview::{Before, drift_of_objects, preview};
use meshplan::model::Value;
use meshplan::resource::ErrorClass;
use serde_json::json;

use crate::rig::{Release, target};
use crate::stand_ins::stand_in;
use crate::{MAJORS, plane, run};

#[test]
fn a_change_is_shown_by_its_objects() {
    let plane = stand_in!(plane());
    run(async {
        for major in MAJORS {
            let release = Release::new(plane, "preview", major, "istiod", json!({}));
            let made = preview(&release.cloud, &target(), Before::Nothing, &release.spec, None).await.unwrap();
            let names: Vec<String> = made.objects.iter().map(|change| change.object.to_string()).collect();
            assert_eq!(made.objects.len(), 9, "{names:?}");
            assert!(made.objects.iter().all(|change| change.to_string().starts_with("+ ")), "{made:?}");

            release.make().await;
            let same = preview(&release.cloud, &target(), Before::Release, &release.spec, None).await.unwrap();
            assert_eq!(same.objects, [], "nothing changes when nothing changes");

            let applied = release.spec.clone();
            let release = release.with("istiod", json!({ "global": { "tag": "1.30.4" } }));
            let live = preview(&release.cloud, &target(), Before::Release, &release.spec, None).await.unwrap();
            let offline = preview(&release.cloud, &target(), Before::Applied(&applied), &release.spec, Some("v1.35.0"))
                .await
                .unwrap();
            assert_eq!(live, offline, "the same without a cluster");
            assert_eq!(live.objects.len(), 1, "{live:?}");
            let text = live.objects[0].to_string();
            assert!(text.starts_with(&format!("~ Deployment {}/istiod\n@@ ", release.namespace)), "{text}");
            assert!(text.contains("pilot:1.30.4") && text.contains("pilot:1.30.3"), "{text}");

            release.kubectl(&["delete", "pdb/istiod", "configmap/istio"]);
            let missing = drift_of_objects(&release.cloud, &target(), &release.id()).await.unwrap();
            let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
            let of = |kind: &str, name: &str| format!("{kind} {}/{name}", release.namespace);
            assert_eq!(missing, [of("ConfigMap", "istio"), of("PodDisruptionBudget", "istiod")]);
            release.unmake().await;
        }
    });
}

#[test]
fn a_chart_that_the_values_do_not_fit_is_refused_before_anything_is_made() {
    let plane = stand_in!(plane());
    run(async {
        let release = Release::new(plane, "unfit", 4, "istiod", json!({ "env": "not a table of names" }));
        let error = preview(&release.cloud, &target(), Before::Nothing, &release.spec, None).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid, "{error}");
        let hole =
            json!({ "env": "x", "global": { "network": { "$ref": { "address": "aws.vpc/a", "output": "vpc_id" } } } });
        let mut spec = serde_json::to_value(&release.spec).unwrap();
        spec["values"] = hole;
        let spec: Value = serde_json::from_value(spec).unwrap();
        let error = preview(&release.cloud, &target(), Before::Nothing, &spec, None).await.unwrap_err();
        assert_eq!(error.class, ErrorClass::NotYet, "with values missing it proves nothing: {error}");
    });
}
