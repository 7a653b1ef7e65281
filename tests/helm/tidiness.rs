//! What is left of a run: no process, no file, no secret where others could read it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use meshplan::resource::ErrorClass;
use serde_json::json;

use crate::rig::{Release, cloud};
use crate::stand_ins::stand_in;
use crate::{MAJORS, plane, run};

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.path().is_dir() { found.extend(files(&entry.path())) } else { found.push(entry.path()) }
    }
    found
}

/// What a program keeps while nothing runs: its sign of life, and the names of releases.
fn is_kept(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name == "alive")
        || path.parent().is_some_and(|folder| folder.ends_with("locks"))
}

#[test]
fn whoever_interrupts_a_run_leaves_no_process_and_no_file() {
    let plane = stand_in!(plane());
    run(async {
        for major in MAJORS {
            let secret = "correct-horse-battery";
            let values = json!({ "hook": "pre-install", "env": { "ADMIN_PASSWORD": secret } });
            let release = Release::new(plane, "interrupt", major, "istiod", values);
            let looking = async {
                release.until("pending-install").await;
                let processes = release.processes();
                assert_eq!(processes.len(), 1, "{processes:?}");
                assert!(!processes[0].1.contains(secret), "{processes:?}");
                let written: Vec<PathBuf> = files(&release.folder).into_iter().filter(|path| !is_kept(path)).collect();
                assert_eq!(written.len(), 1, "{written:?}");
                assert!(std::fs::read_to_string(&written[0]).unwrap().contains(secret));
                assert_eq!(std::fs::metadata(&written[0]).unwrap().permissions().mode() & 0o777, 0o600);
            };
            tokio::select! {
                made = release.create() => panic!("{made:?}"),
                () = looking => {}
            }
            assert_eq!(release.processes(), []);
            let left: Vec<PathBuf> = files(&release.folder).into_iter().filter(|path| !is_kept(path)).collect();
            assert_eq!(left, Vec::<PathBuf>::new());

            // Asked to end, helm says so of the release; the next run goes on from there.
            let release = release.afresh().with("istiod", json!({}));
            let live = release.read().await.unwrap();
            assert_eq!(live.spec.value().get("status"), Some(&"failed".into()), "{live:?}");
            release.settle().await;
            release.unmake().await;
            let folder = release.folder.clone();
            drop(release);
            assert!(files(&folder).iter().all(|path| path.parent().is_some_and(|folder| folder.ends_with("locks"))));
        }
    });
}

#[test]
fn an_error_does_not_repeat_a_secret_of_the_values() {
    let plane = stand_in!(plane());
    run(async {
        for major in MAJORS {
            // A name that is none: the API server quotes it, and with it what stands beside it.
            let values = json!({ "global": { "tag": "1", "hub": "x" }, "env": { "ADMIN_PASSWORD": "hunter2-hunter2" },
                "nodeSelector": { "token": "not a label hunter2-hunter2" } });
            let release = Release::new(plane, "secret", major, "istiod", values);
            let error = release.create().await.unwrap_err();
            assert!(error.message.contains("(sensitive)"), "{error}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    });
}

#[test]
fn without_helm_the_way_to_it_is_said() {
    let plane = stand_in!(plane());
    let release = Release::new(plane, "no-helm", 4, "istiod", json!({}));
    let folder = release.folder.join("none");
    let without =
        Release { cloud: cloud(plane, vec![folder.clone(), PathBuf::from("/nonexistent")], &folder), ..release };
    run(async {
        assert!(without.read().await.is_none(), "looking needs no helm");
        for error in [without.cloud.helm().unwrap().version().await.unwrap_err(), without.create().await.unwrap_err()] {
            assert_eq!(error.class, ErrorClass::Invalid);
            assert!(error.message.starts_with("there is no `helm` on the PATH"), "{error}");
            assert!(error.message.contains("https://helm.sh/docs/intro/install"), "{error}");
        }
    });
    run(async {
        for (major, begins) in [(3, "v3."), (4, "v4.")] {
            let cloud = cloud(plane, vec![plane.helm_folder(major)], &without.folder);
            assert!(cloud.helm().unwrap().version().await.unwrap().starts_with(begins));
        }
    });
}

#[test]
fn a_chart_that_is_not_there_and_a_cluster_that_does_not_answer_are_told_apart() {
    let plane = stand_in!(plane());
    run(async {
        for major in MAJORS {
            let release = Release::new(plane, "no-chart", major, "istiod", json!({}));
            let mut spec = serde_json::to_value(&release.spec).unwrap();
            spec["chart"] = json!("istiod");
            spec["repository"] = json!("http://127.0.0.1:9");
            let release = Release { spec: serde_json::from_value(spec).unwrap(), ..release };
            let error = release.create().await.unwrap_err();
            assert_eq!(error.class, ErrorClass::Invalid, "{error}");
            assert!(error.message.contains("the chart istiod 1.30.3 of http://127.0.0.1:9 cannot be had"), "{error}");
            assert!(release.read().await.is_none());
        }
    });
}
