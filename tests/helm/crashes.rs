//! What is left when helm, or whoever has started it, is killed: and that the next run brings it to its values without
//! deleting anything.

use meshplan::resource::{Deletion, ErrorClass, Status};
use serde_json::json;

use crate::rig::Release;
use crate::stand_ins::stand_in;
use crate::{MAJORS, plane, run};

/// Runs something until the release has this status; answers what the something ended with, if it did.
async fn until<F: Future>(release: &Release, status: &str, work: F) -> Option<F::Output> {
    tokio::select! {
        ended = work => Some(ended),
        () = release.until(status) => None,
    }
}

#[test]
fn helm_killed_in_the_first_install_is_repaired_without_deleting_anything() {
    let plane = stand_in!(plane());
    run(async {
        for major in MAJORS {
            // Its objects are there, and it waits for a hook that never ends.
            let release = Release::new(plane, "killed-install", major, "istiod", json!({ "hook": "post-install" }));
            let killing = async {
                release.until("pending-install").await;
                while release
                    .plane
                    .kubectl(&["get", "job/istiod-hook", "-n", &release.namespace])
                    .unwrap()
                    .stdout()
                    .is_err()
                {
                    tokio::time::sleep(crate::rig::PAUSE).await;
                }
                release.kill();
            };
            let (made, ()) = tokio::join!(release.create(), killing);
            let error = made.unwrap_err();
            assert_eq!(error.class, ErrorClass::Ambiguous, "{error}");
            let account = release.uid("serviceaccount/istiod");

            let release = release.afresh().with("istiod", json!({}));
            assert!(release.find().await.is_some(), "it is found by its labels: there is no description yet");
            let live = release.read().await.unwrap();
            assert!(
                matches!(&live.status, Status::Degraded(why) if why.contains("Initial install underway")),
                "{live:?}"
            );
            assert_eq!(release.paths(&live), ["status", "values.hook"]);
            release.settle().await;
            assert_eq!(release.uid("serviceaccount/istiod"), account, "what the first install had made is still there");
            let history = release.helm(&["history", "istiod", "--output=json"]);
            assert!(!history.contains("uninstall"), "{history}");
            release.unmake().await;
        }
    });
}

#[test]
fn helm_killed_in_an_upgrade_is_rolled_back_and_upgraded() {
    let plane = stand_in!(plane());
    run(async {
        for major in MAJORS {
            let release = Release::new(plane, "killed-upgrade", major, "istiod", json!({}));
            release.make().await;
            let account = release.uid("serviceaccount/istiod");
            let release = release.with("istiod", json!({ "hook": "pre-upgrade", "autoscaleMin": 2 }));
            let live = release.read().await.unwrap();
            let killing = async {
                release.until("pending-upgrade").await;
                release.kill();
            };
            let (updated, ()) = tokio::join!(release.update(&live), killing);
            assert_eq!(updated.unwrap_err().class, ErrorClass::Ambiguous);

            let release = release.afresh().with("istiod", json!({ "autoscaleMin": 2 }));
            let live = release.read().await.unwrap();
            assert_eq!(release.paths(&live), ["status", "values.hook"]);
            assert_eq!(live.spec.value().get("status"), Some(&"cut off in an upgrade".into()));
            let live = release.settle().await;
            assert!(live.outputs.value().to_string().contains("revision = 4"), "rolled back, then upgraded: {live:?}");
            assert_eq!(release.uid("serviceaccount/istiod"), account);
            release.unmake().await;
        }
    });
}

#[test]
fn a_helm_that_outlives_its_run_is_waited_for() {
    let plane = stand_in!(plane());
    run(async {
        for major in MAJORS {
            let release = Release::new(plane, "orphan", major, "istiod", json!({}));
            release.make().await;
            let release = release.with("istiod", json!({ "hook": "pre-upgrade" }));
            let live = release.read().await.unwrap();
            let mut work = Box::pin(release.update(&live));
            assert!(until(&release, "pending-upgrade", &mut work).await.is_none());
            // As if the run had been killed: nobody ends its helm.
            std::mem::forget(work);
            assert_eq!(release.processes().len(), 1);

            let again = release.twin();
            let busy = again.read().await.unwrap();
            assert!(matches!(&busy.status, Status::Pending(why) if why.contains("under way")), "{busy:?}");
            assert_eq!(again.update(&busy).await.unwrap_err().class, ErrorClass::Busy);
            assert!(matches!(again.delete().await.unwrap(), Deletion::Later(_)));
            release.kill();
            let again = again.with("istiod", json!({ "autoscaleMin": 2 }));
            // The lock goes with the process, which takes the system a moment.
            while !again.processes().is_empty() || matches!(again.read().await.unwrap().status, Status::Pending(_)) {
                tokio::time::sleep(crate::rig::PAUSE).await;
            }
            again.settle().await;
            again.unmake().await;
        }
    });
}

#[test]
fn a_release_that_failed_is_upgraded_in_place() {
    let plane = stand_in!(plane());
    run(async {
        for major in MAJORS {
            // The most is 5: the API server refuses it, after other objects were made.
            let release = Release::new(plane, "failed", major, "istiod", json!({ "autoscaleMin": 9 }));
            let error = release.create().await.unwrap_err();
            assert_eq!(error.class, ErrorClass::Ambiguous, "it is there, and is gone on with: {error}");
            assert!(error.message.contains("HorizontalPodAutoscaler"), "{error}");
            assert!(release.find().await.is_some());
            let live = release.read().await.unwrap();
            assert_eq!(release.paths(&live), ["status"]);
            assert!(matches!(&live.status, Status::Degraded(why) if why.contains("failed")), "{live:?}");
            let again = release.update(&live).await.unwrap_err();
            assert_eq!(again.class, ErrorClass::Invalid, "the same once more is refused once more");
            let account = release.uid("serviceaccount/istiod");

            let release = release.with("istiod", json!({ "autoscaleMin": 2 }));
            release.settle().await;
            assert_eq!(release.uid("serviceaccount/istiod"), account);

            // A failed upgrade leaves nothing behind that the next does not want.
            let release = release.with("istiod", json!({ "autoscaleMin": 9, "nodeSelector": { "left": "behind" } }));
            release.update(&release.read().await.unwrap()).await.unwrap_err();
            let release = release.with("istiod", json!({ "autoscaleMin": 1 }));
            release.settle().await;
            let left =
                release.kubectl(&["get", "deployment/istiod", "-o", "jsonpath={.spec.template.spec.nodeSelector}"]);
            assert_eq!(left, "", "helm {major}");
            assert_eq!(release.uid("serviceaccount/istiod"), account);
            release.unmake().await;
        }
    });
}
