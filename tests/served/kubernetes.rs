//! Real kubectl and real helm, of both majors, against the Kubernetes API of a simulated cluster.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::stand_ins::{Finished, Trouble, finish, isolated, locate, spawn, stand_in};

const MESHPLAN: &str = env!("CARGO_BIN_EXE_meshplan");

/// A mesh that was applied and is served, and the programs that use it.
struct Reached {
    programs: PathBuf,
    folder: tempfile::TempDir,
    server: Child,
}

impl Drop for Reached {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has seen by then.
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A command that finds `meshplan`, as the kubeconfig's plugin is found.
fn tool(program: &Path, folder: &Path) -> Command {
    let mut command = isolated(program);
    let beside = Path::new(MESHPLAN).parent().unwrap().display();
    command.env("HOME", folder).env("PATH", format!("{beside}:/usr/bin:/bin")).current_dir(folder);
    command
}

impl Reached {
    fn start(programs: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let topology = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies/minimal.toml");
        std::fs::copy(topology, folder.path().join("minimal.toml")).unwrap();
        let meshplan = |arguments: &str| {
            let mut command = tool(Path::new(MESHPLAN), folder.path());
            command.args(arguments.split_whitespace());
            command
        };
        let does = |arguments: &str| {
            let done = finish(meshplan(arguments)).unwrap();
            assert!(done.status.success(), "meshplan {arguments}: {}{}", done.stdout, done.stderr);
        };
        does("apply minimal.toml --sandbox --sandbox-speed unlimited --yes --no-progress --no-verify");
        let mut serve = meshplan("sandbox serve --listen 127.0.0.1:0");
        serve.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut server = spawn(serve).unwrap();
        let mut address = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut address).unwrap();
        assert!(address.starts_with("http://127.0.0.1:"), "{address}");
        does("kubeconfig --sandbox --out kubeconfig");
        Self { programs, folder, server }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self, program: &str) -> Command {
        let mut command = tool(&self.programs.join(program), self.folder.path());
        command.args(["--kubeconfig", "kubeconfig"]);
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
}
