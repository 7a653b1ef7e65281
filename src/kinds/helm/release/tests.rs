//! What a release reads as, what is refused, and what is said of it.

use serde_json::json;

use super::*;
use crate::model::Document;
use crate::model::diff::{FieldChange, ThreeWay, diff};

fn marker() -> String {
    "meshplan mesh1/helm.release/cluster-1/istio-system/istiod token".to_owned()
}

fn state(status: ReleaseStatus, description: &str) -> ReleaseState {
    ReleaseState {
        status,
        revision: 3,
        deployed: Some(2),
        chart: "istiod".to_owned(),
        version: "1.30.3".to_owned(),
        values: json!({ "global": { "network": "network1" }, "autoscaleMin": 2 }),
        manifest: String::new(),
        description: description.to_owned(),
    }
}

fn live(state: &ReleaseState, health: &Health) -> Live<Spec, Outputs> {
    project("istio-system", "istiod", state, health).unwrap()
}

fn changes(declared: &Spec, live: &Spec) -> Vec<FieldChange> {
    let (desired, observed) = (Document::of(declared).unwrap().value(), Document::of(live).unwrap().value());
    diff(ThreeWay { desired: &desired, prior: Some(&desired), observed: &observed }, HelmRelease.fields(), "salt")
}

fn paths(declared: &Spec, live: &Spec) -> Vec<String> {
    changes(declared, live).iter().map(|change| change.path.to_string()).collect()
}

#[test]
fn what_was_applied_reads_back_as_it_was_declared() {
    let deployed = live(&state(ReleaseStatus::Deployed, &marker()), &Health::default());
    assert_eq!(deployed.status, Status::Ready);
    assert_eq!(paths(&HelmRelease::example(), &deployed.spec), Vec::<String>::new());
    assert_eq!(deployed.outputs, Outputs { revision: 3, version: "1.30.3".into(), status: "deployed".into() });
}

#[test]
fn a_v_before_a_version_and_how_a_number_is_written_make_no_difference() {
    let mut written = HelmRelease::example();
    written.version = Some("v1.30.3".to_owned());
    written.values =
        serde_json::from_value(json!({ "global": { "network": "network1" }, "autoscaleMin": 2.0 })).unwrap();
    let deployed = live(&state(ReleaseStatus::Deployed, &marker()), &Health::default());
    assert_eq!(paths(&written, &deployed.spec), Vec::<String>::new());
}

#[test]
fn what_others_did_to_it_is_drift() {
    let mut theirs = state(ReleaseStatus::Deployed, &marker());
    theirs.version = "1.30.4".to_owned();
    theirs.values = json!({ "global": { "network": "network1", "proxy": { "logLevel": "debug" } }, "autoscaleMin": 1 });
    let found = paths(&HelmRelease::example(), &live(&theirs, &Health::default()).spec);
    assert_eq!(found, ["values.autoscaleMin", "values.global.proxy", "version"]);
    let gone = Health { missing: vec!["Deployment istio-system/istiod".to_owned()], ..Health::default() };
    let without = live(&state(ReleaseStatus::Deployed, &marker()), &gone);
    assert_eq!(paths(&HelmRelease::example(), &without.spec), ["status"]);
    assert_eq!(without.spec.status, "deployed, and is without Deployment istio-system/istiod");
    assert_eq!(without.status, Status::Degraded("Deployment istio-system/istiod".to_owned()));
}

#[test]
fn an_operation_that_did_not_end_well_is_drift_and_never_a_failure_for_good() {
    let words = [
        (ReleaseStatus::Failed, "failed"),
        (ReleaseStatus::PendingInstall, "cut off in its first install"),
        (ReleaseStatus::PendingUpgrade, "cut off in an upgrade"),
        (ReleaseStatus::PendingRollback, "cut off in a rollback"),
        (ReleaseStatus::Other, "unknown to helm"),
    ];
    for (status, word) in words {
        let read = live(&state(status, &format!("{}\nUpgrade \"istiod\" failed: no", marker())), &Health::default());
        assert_eq!(paths(&HelmRelease::example(), &read.spec), ["status"], "{status:?}");
        assert_eq!(read.spec.status, word);
        let why = "istiod 1.30.3, revision 3: Upgrade \"istiod\" failed: no";
        assert_eq!(read.status, Status::Degraded(why.to_owned()));
    }
    let busy = live(&state(ReleaseStatus::UnderWay, &marker()), &Health::default());
    assert!(matches!(busy.status, Status::Pending(_)));
    assert_eq!(paths(&HelmRelease::example(), &busy.spec), Vec::<String>::new(), "it is judged when it has ended");
    assert_eq!(live(&state(ReleaseStatus::Uninstalling, &marker()), &Health::default()).status, Status::Deleting);
}

#[test]
fn workloads_that_are_not_ready_let_changes_through() {
    let health = Health { unready: vec!["Deployment a/b: 0 of 1 pods are ready".to_owned()], ..Health::default() };
    let read = live(&state(ReleaseStatus::Deployed, &marker()), &health);
    assert_eq!(read.status, Status::Degraded("Deployment a/b: 0 of 1 pods are ready".to_owned()));
    assert_eq!(paths(&HelmRelease::example(), &read.spec), Vec::<String>::new());
}

#[test]
fn somebody_elses_release_says_whose_it_is() {
    let owner = Ownership {
        mesh: "mesh1".to_owned(),
        address: Address::new("helm.release", &["cluster-1", "istio-system", "istiod"]),
        token: "token".to_owned(),
    };
    assert!(is_made_by(&state(ReleaseStatus::Failed, &marker()), &owner));
    let theirs = state(ReleaseStatus::Deployed, "Install complete");
    assert!(!is_made_by(&theirs, &owner));
    assert!(live(&theirs, &Health::default()).spec.tags.is_empty());
    let error = taken(&id_of("istio-system", "istiod"), &theirs, &owner);
    assert_eq!(error.class, ErrorClass::Conflict);
    assert_eq!(
        error.message,
        "the release istio-system/istiod is there already, and is not meshplan's (istiod 1.30.3, revision 3: Install \
         complete); `meshplan state adopt helm.release/cluster-1/istio-system/istiod istio-system/istiod` takes it in if \
         nothing else manages it, or choose another name"
    );
    let other = state(ReleaseStatus::Deployed, "meshplan mesh2/helm.release/c/istio-system/istiod x");
    assert!(taken(&id_of("a", "b"), &other, &owner).message.contains("of the mesh `mesh2` as helm.release/c/"));
}

#[test]
fn whether_a_retry_wants_the_same_is_told_by_version_and_values() {
    let failed = state(ReleaseStatus::Failed, &marker());
    let same = HelmRelease::example();
    assert!(is_wanted(&failed, &same).unwrap());
    let other = Spec { values: Value::Object([].into()), ..same.clone() };
    assert!(!is_wanted(&failed, &other).unwrap());
    assert!(!is_wanted(&failed, &Spec { version: Some("1.31.0".to_owned()), ..same.clone() }).unwrap());
    assert!(is_wanted(&failed, &Spec { version: None, ..same }).unwrap());
}

#[test]
fn what_would_go_wrong_later_is_refused() {
    let with = |field: &str, value: serde_json::Value| {
        let mut spec = serde_json::to_value(HelmRelease::example()).unwrap();
        spec[field] = value;
        let errors = HelmRelease.check(&serde_json::from_value(spec).unwrap());
        errors.iter().map(|error| format!("{}: {}", error.path, error.message)).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(with("version", json!("1.30.3-rc.1")), "");
    assert_eq!(with("version", json!(null)), "");
    for range in ["^1.30", "1.30.x", "1.30", ">=1.0.0", "latest", ""] {
        assert!(with("version", json!(range)).contains("is no exact version"), "{range}");
    }
    assert!(with("name", json!("Istiod")).contains("is no name"));
    assert!(with("name", json!("a".repeat(54))).contains("at most 53"));
    assert!(with("chart", json!("")).contains("is missing"));
    assert!(with("chart", json!("--post-renderer=x")).contains("begins with `-`"));
    assert!(with("repository", json!("oci://registry.test/charts")).contains("`oci://registry.test/charts/istiod`"));
    assert!(with("repository", json!("registry.test")).contains("is no URL"));
    assert!(with("repository", json!("https://me:pass@registry.test")).contains("process lists"));
    assert!(with("values", json!([1])).contains("is no table"));
}

#[test]
fn ids_are_read_back() {
    assert_eq!(parts(&id_of("a", "b")).unwrap(), ("a", "b"));
    assert!(parts(&RemoteId::new("no-namespace")).unwrap_err().to_string().contains("NAMESPACE/NAME"));
}
