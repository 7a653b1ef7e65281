//! Real kubectl and real helm, of both majors, against the Kubernetes API of a simulated cluster.

use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use meshplan::compile::Declaration;
use meshplan::kinds::eks::token;
use meshplan::resource::Cloud;
use meshplan::sandbox::{Options, Speed};
use serde_json::{Value, json};

use crate::Served;
use crate::rig::{self, InSandbox, declarations, topology};
use crate::stand_ins::{Finished, Trouble, finish, isolated, locate, stand_in};

/// A cluster of a topology that is served, and the programs that use it.
struct Reached {
    programs: PathBuf,
    folder: tempfile::TempDir,
    served: Served,
}

/// What makes a cluster with nodes: everything that is in AWS, of one cluster.
fn clusters() -> Vec<Declaration> {
    let mut all = declarations(&topology("minimal.toml"));
    let is_aws = |kind: &str| ["aws.", "iam.", "eks."].iter().any(|service| kind.starts_with(service));
    all.retain(|declaration| is_aws(declaration.address.kind()));
    all
}

impl Reached {
    fn start(programs: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut mesh = InSandbox::start(folder.path(), Options { speed: Speed::Unlimited, ..Options::default() });
        mesh.apply(&clusters());
        let served = Served::start(&mesh.sandbox);
        let records = &mesh.process.store.state().records;
        let (_, cluster) = records.iter().find(|(address, _)| address.kind() == "eks.cluster").unwrap();
        let outputs = cluster.outputs.value();
        let text = |field: &str| outputs.get(field).and_then(|value| value.as_str()).unwrap().to_owned();
        let cloud = Cloud::new(mesh.sandbox.sdk_config());
        let meshplan::model::Target::Aws { region } = &cluster.target else { panic!("a cluster is in AWS") };
        let token = rig::run(token::token(&cloud, region, &text("name"), Timestamp::UNIX_EPOCH)).unwrap();
        let kubeconfig = json!({
            "apiVersion": "v1", "kind": "Config", "current-context": "one",
            "clusters": [{ "name": "one", "cluster": {
                "server": served.endpoint.replace("http://", "https://"),
                "tls-server-name": text("endpoint").replace("https://", ""),
                "certificate-authority-data": text("certificate_authority"),
            } }],
            "contexts": [{ "name": "one", "context": { "cluster": "one", "user": "one" } }],
            "users": [{ "name": "one", "user": { "token": token.token.expose() } }],
        });
        let this = Self { programs, folder, served };
        this.write("kubeconfig", &kubeconfig.to_string());
        this
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, program: &str) -> Command {
        let mut command = isolated(&self.programs.join(program));
        command.env("HOME", self.folder.path()).current_dir(self.folder.path());
        command.arg("--kubeconfig").arg(self.folder.path().join("kubeconfig"));
        command
    }

    fn ran(&self, program: &str, arguments: &str) -> Finished {
        let mut command = self.command(program);
        command.args(arguments.split_whitespace());
        finish(command).unwrap()
    }

    fn says(&self, program: &str, arguments: &str) -> String {
        let done = self.ran(program, arguments);
        assert!(done.status.success(), "{program} {arguments}: {}{}", done.stdout, done.stderr);
        done.stdout
    }

    fn kubectl(&self, arguments: &str) -> String {
        self.says("4/kubectl", arguments)
    }
}

const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, image: 'registry.k8s.io/pause:3.10'}]}
";

#[test]
fn kubectl_does_what_people_do_with_it() {
    let reached = Reached::start(stand_in!(locate("helm").map_err(Trouble::Missing)));
    assert!(reached.kubectl("version").contains("Server Version: v1."));
    let namespaces = reached.kubectl("get namespaces");
    assert!(namespaces.contains("kube-system") && namespaces.contains("STATUS"), "{namespaces}");
    reached.kubectl("create namespace demo");
    reached.write("web.yaml", DEPLOYMENT);
    assert_eq!(reached.kubectl("-n demo apply -f web.yaml"), "deployment.apps/web created\n");
    assert_eq!(reached.kubectl("-n demo apply -f web.yaml"), "deployment.apps/web unchanged\n");
    reached.kubectl("-n demo wait --for=condition=Available deployment/web --timeout=60s");
    let pods = reached.kubectl("-n demo get pods -o wide");
    assert_eq!(pods.matches("Running").count(), 2, "{pods}");
    reached.write("web.yaml", &DEPLOYMENT.replace("replicas: 2", "replicas: 3"));
    let difference = reached.ran("4/kubectl", "-n demo diff -f web.yaml");
    assert_eq!(difference.status.code(), Some(1), "{}", difference.stderr);
    assert!(difference.stdout.contains("+  replicas: 3"), "{}", difference.stdout);
    let conflict = reached.ran("4/kubectl", "-n demo apply --server-side --field-manager other -f web.yaml");
    assert!(
        conflict.stderr.contains("conflict with \"kubectl-client-side-apply\" using apps/v1: .spec.replicas"),
        "{}",
        conflict.stderr
    );
    reached.kubectl("-n demo apply --server-side --force-conflicts --field-manager other -f web.yaml");
    reached.kubectl("-n demo label deployment web tier=front");
    let labels = reached.kubectl("-n demo get deployment web -o jsonpath={.metadata.labels.tier}{.spec.replicas}");
    assert_eq!(labels, "front3");
    let absent = reached.ran("4/kubectl", "-n demo get configmap nope");
    assert_eq!(absent.stderr.trim(), "Error from server (NotFound): configmaps \"nope\" not found");
    reached.kubectl("-n demo delete -f web.yaml --wait=true");
    reached.kubectl("delete namespace demo --timeout=60s");
    assert_eq!(reached.ran("4/kubectl", "get namespace demo").status.code(), Some(1));
    assert!(reached.served.endpoint.starts_with("http://"));
}

/// A chart with all that helm has to say something about: a definition, a workload, a hook.
fn chart(reached: &Reached) {
    reached.write("chart/Chart.yaml", "apiVersion: v2\nname: demo\nversion: 1.0.0\n");
    reached.write("chart/values.yaml", "color: blue\n");
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": { "name": "widgets.demo.test" },
        "spec": {
            "group": "demo.test", "scope": "Namespaced", "names": { "plural": "widgets", "kind": "Widget" },
            "versions": [{ "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": {
                "type": "object", "properties": { "spec": { "type": "object", "properties": { "size": { "type": "integer" } } } },
            } } }],
        },
    });
    reached.write("chart/crds/widgets.yaml", &definition.to_string());
    reached.write("chart/templates/web.yaml", DEPLOYMENT);
    let rest = "
apiVersion: v1
kind: ConfigMap
metadata: {name: demo}
data: {color: {{ .Values.color }}}
---
apiVersion: demo.test/v1
kind: Widget
metadata: {name: demo}
spec: {size: 1}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80}]}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: hook
  annotations: {helm.sh/hook: 'post-install,post-upgrade', helm.sh/hook-delete-policy: before-hook-creation}
spec:
  template:
    spec: {restartPolicy: Never, containers: [{name: hook, image: 'registry.k8s.io/pause:3.10'}]}
";
    reached.write("chart/templates/rest.yaml", rest);
}

#[test]
fn helm_of_both_majors_installs_upgrades_rolls_back_and_uninstalls() {
    let reached = Reached::start(stand_in!(locate("helm").map_err(Trouble::Missing)));
    chart(&reached);
    for major in ["3", "4"] {
        let helm = format!("{major}/helm");
        let space = format!("helm{major}");
        let run = |arguments: &str| reached.says(&helm, &format!("-n {space} {arguments}"));
        let color = || reached.kubectl(&format!("-n {space} get configmap demo -o jsonpath={{.data.color}}"));
        run("upgrade --install demo ./chart --create-namespace --wait --timeout 120s");
        let status: Value = serde_json::from_str(&run("status demo -o json")).unwrap();
        assert_eq!((&status["info"]["status"], &status["version"]), (&json!("deployed"), &json!(1)));
        assert_eq!(color(), "blue");
        run("upgrade demo ./chart --set color=red --wait --timeout 120s");
        assert_eq!(color(), "red");
        run("rollback demo 1 --wait --timeout 120s");
        assert_eq!(color(), "blue");
        run("uninstall demo --wait --timeout 120s");
        let left = reached.kubectl(&format!("-n {space} get deployments,services,widgets -o name"));
        assert_eq!(left, "", "nothing is left");
        assert!(reached.kubectl("get customresourcedefinitions -o name").contains("widgets.demo.test"));
    }
    assert!(Path::new(&reached.programs).is_dir());
}
