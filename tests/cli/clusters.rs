//! What other programs reach clusters with: the kubeconfig, and the plugin that it names.

use jiff::Timestamp;
use meshplan::model::{Address, Digest, Document, Target};
use meshplan::resource::RemoteId;
use meshplan::state::{Entry, IntendedRecord, Opening, Store};
use serde_json::{Value, json};

use crate::support::Place;

/// A place whose state knows a cluster: written into it, because what is tested is what is read from it.
#[expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
fn with_cluster(test: &str) -> Place {
    let place = Place::new(test);
    place.sandbox("apply small.toml --yes").succeeded();
    let target = Target::aws("us-west-2");
    let text = |json: &str| serde_json::from_str::<Document>(json).unwrap();
    let record = IntendedRecord {
        schema_version: 1,
        target,
        spec: text(r#"{"name": "small-cluster-1"}"#),
        declared: Digest::of("a test"),
        depends_on: Vec::new(),
        protected: true,
        deposes: false,
    };
    let outputs = text(
        r#"{"name": "small-cluster-1", "endpoint": "https://0123.gr7.us-west-2.eks.amazonaws.com",
            "certificate_authority": "Y2E="}"#,
    );
    let opening = Opening::new("a test".to_owned(), Timestamp::UNIX_EPOCH);
    let mut store = Store::open(&place.path("state"), "small", opening).unwrap();
    let address = Address::new("eks.cluster", &["cluster-1"]);
    store.append(&[Entry::Adopted { address, id: RemoteId::new("small-cluster-1"), record, outputs }]).unwrap();
    store.save().unwrap();
    place
}

#[test]
fn a_kubeconfig_names_the_plugin_and_the_plugin_answers() {
    let place = with_cluster("kubeconfig");
    let ran = place.run("kubeconfig").succeeded();
    insta::assert_snapshot!(ran.all());
    let kubeconfig: Value = serde_saphyr::from_str(&ran.stdout).unwrap();
    let exec = &kubeconfig["users"][0]["user"]["exec"];
    assert_eq!(exec["command"], "meshplan");
    let arguments: Vec<&str> = exec["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap()).collect();

    let answered = place.run(&arguments.join(" ")).succeeded();
    assert_eq!(answered.stderr, "", "nobody reads it");
    let credential: Value = serde_json::from_str(&answered.stdout).unwrap();
    assert_eq!(credential["kind"], "ExecCredential");
    assert_eq!(credential["apiVersion"], exec["apiVersion"]);
    let token = credential["status"]["token"].as_str().unwrap().strip_prefix("k8s-aws-v1.").unwrap();
    let url = String::from_utf8(data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).unwrap()).unwrap();
    assert!(url.starts_with("https://sts.us-west-2.amazonaws.com/?Action=GetCallerIdentity&"), "{url}");
    let expires = credential["status"]["expirationTimestamp"].as_str().unwrap();
    assert!(expires.parse::<jiff::Timestamp>().is_ok() && expires.ends_with('Z'), "{expires}");
}

#[test]
fn a_file_is_merged_into_and_stays_private() {
    use std::os::unix::fs::PermissionsExt;
    let place = with_cluster("kubeconfig_out");
    place.write("config", "kind: Config\napiVersion: v1\nusers:\n- name: theirs\n  user: {token: '0123'}\n");
    let ran = place.run("kubeconfig --cluster cluster-1 --out config").succeeded();
    let note = "note: the simulated clusters answer while `meshplan sandbox serve` runs\n";
    assert_eq!(ran.stderr, format!("{note}wrote 1 context to `config`: cluster-1\n"));
    let merged: Value = serde_saphyr::from_str(&place.read("config")).unwrap();
    assert_eq!(merged["users"][0], json!({ "name": "theirs", "user": { "token": "0123" } }));
    assert_eq!(merged["users"][1]["name"], "cluster-1");
    assert_eq!(merged["current-context"], "cluster-1");
    let mode = std::fs::metadata(place.path("config")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = place.read("config");
    place.run("kubeconfig --out config").succeeded();
    assert_eq!(place.read("config"), before, "a second time changes nothing");
}

#[test]
fn what_cannot_be_reached_is_named() {
    let place = with_cluster("kubeconfig_refusals");
    let wrong = place.run("kubeconfig --cluster cluster-2").refused();
    assert!(
        wrong.stderr.contains("there is no cluster `cluster-2` in state: did you mean `cluster-1`?"),
        "{}",
        wrong.all()
    );
    place.write("config", "contexts:\n- name: cluster-1\n  context: {}\n");
    let theirs = place.run("kubeconfig --out config").refused();
    assert!(theirs.stderr.contains("it has entries named `cluster-1` that are not meshplan's"), "{}", theirs.all());
    assert_eq!(place.read("config"), "contexts:\n- name: cluster-1\n  context: {}\n");
    let without = Place::new("kubeconfig_without");
    without.sandbox("apply small.toml --yes").succeeded();
    let none = without.run("kubeconfig").refused();
    assert!(none.stderr.contains("there is no EKS cluster in state that can be reached"), "{}", none.all());
    let nowhere = place.run("eks-token --cluster x").refused();
    assert!(nowhere.stderr.contains("no region is known: give `--region`, or set `AWS_REGION`"), "{}", nowhere.all());
}
