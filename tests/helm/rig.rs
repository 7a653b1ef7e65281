//! One release and what the engine would do with it, without the engine; and the helm processes that do it.

use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{BehaviorVersion, SdkConfig};
use jiff::Timestamp;
use meshplan::kinds::helm::program::{HelmProgram, Settings};
use meshplan::kinds::helm::release::{Chart, Spec};
use meshplan::kinds::registry;
use meshplan::model::diff::{FieldChange, ThreeWay, diff, outgoing};
use meshplan::model::{Address, Clock, Document, Target, Value};
use meshplan::resource::{
    Cloud, ClusterAccess, ClusterAuth, Deletion, DynKind, LiveDocument, Ownership, ProviderError, RemoteId, Status,
};
use serde_json::Value as Json;

use crate::control_plane::ControlPlane;

/// How often something is looked at that is not as it should be yet, at [`PAUSE`]: a minute.
const PATIENCE: usize = 1_200;
pub(crate) const PAUSE: Duration = Duration::from_millis(50);

/// How many updates bring a release to its values at most: a rollback, an upgrade, and one that nobody needs.
const ROUNDS: usize = 3;

struct WallClock;

impl Clock for WallClock {
    #[expect(clippy::disallowed_methods, reason = "helm dates its releases by the wall's clock")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

pub(crate) struct Release {
    pub(crate) plane: &'static ControlPlane,
    pub(crate) cloud: Cloud,
    pub(crate) spec: Value,
    pub(crate) owner: Ownership,
    pub(crate) namespace: String,
    /// The program's own folder.
    pub(crate) folder: PathBuf,
    pub(crate) major: u8,
}

/// A folder of the project with charts in it.
pub(crate) fn charts(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)
}

fn cluster() -> Address {
    Address::new("kubernetes.existing_cluster", &["test"])
}

pub(crate) fn target() -> Target {
    Target::Cluster { cluster: cluster() }
}

/// A cloud in which helm of this major version runs against the plane; `path` is where it is looked for.
pub(crate) fn cloud(plane: &ControlPlane, path: Vec<PathBuf>, folder: &Path) -> Cloud {
    let aws = SdkConfig::builder().behavior_version(BehaviorVersion::latest()).build();
    let program = HelmProgram::new(Settings {
        path,
        meshplan: PathBuf::from("meshplan"),
        folder: folder.to_owned(),
        aws: aws.clone(),
        clock: Arc::new(WallClock),
        width: 4,
    });
    let cloud = Cloud::new(aws).with_helm(Rc::new(program));
    let file = plane.kubeconfig().to_str().unwrap().to_owned();
    let auth = ClusterAuth::Kubeconfig { file, context: Some("test".to_owned()) };
    let (endpoint, certificate_authority) = (plane.endpoint(), String::new());
    cloud.offer_cluster(cluster(), ClusterAccess { endpoint, certificate_authority, auth });
    cloud
}

impl Release {
    /// A release of one of the tests' charts, in a namespace of its own.
    pub(crate) fn new(plane: &'static ControlPlane, test: &str, major: u8, chart: &str, values: Json) -> Self {
        let namespace = format!("{test}-{major}");
        plane.kubectl(&["create", "namespace", &namespace]).unwrap().stdout().unwrap();
        let folder = plane.folder().join(format!("programs/{namespace}"));
        Self {
            cloud: cloud(plane, vec![plane.helm_folder(major)], &folder),
            spec: spec(&namespace, chart, values),
            owner: Ownership {
                mesh: "mesh1".to_owned(),
                address: address(&namespace, chart),
                token: "0123456789abcdef0123456789abcdef".to_owned(),
            },
            plane,
            namespace,
            folder,
            major,
        }
    }

    /// The same release with other values.
    pub(crate) fn with(self, chart: &str, values: Json) -> Self {
        Self { spec: spec(&self.namespace, chart, values), ..self }
    }

    /// The same release of a program that knows nothing of the first, as after a crash.
    pub(crate) fn afresh(self) -> Self {
        Self { cloud: cloud(self.plane, vec![self.plane.helm_folder(self.major)], &self.folder), ..self }
    }

    /// The same release as another run sees it.
    pub(crate) fn twin(&self) -> Self {
        Self {
            cloud: cloud(self.plane, vec![self.plane.helm_folder(self.major)], &self.folder),
            spec: self.spec.clone(),
            owner: self.owner.clone(),
            namespace: self.namespace.clone(),
            folder: self.folder.clone(),
            ..*self
        }
    }

    fn kind() -> &'static dyn DynKind {
        registry().kind("helm.release").unwrap()
    }

    pub(crate) fn id(&self) -> RemoteId {
        Self::kind().known_id(&self.spec).unwrap()
    }

    fn document(&self) -> Document {
        Document::of(&self.spec).unwrap()
    }

    pub(crate) async fn create(&self) -> Result<RemoteId, ProviderError> {
        let made = Self::kind().create(&self.cloud, &target(), &self.document(), &self.owner).await?;
        assert_eq!(made.id, self.id());
        Ok(made.id)
    }

    pub(crate) async fn find(&self) -> Option<RemoteId> {
        Self::kind().find(&self.cloud, &target(), &self.document(), &self.owner).await.unwrap()
    }

    pub(crate) async fn read(&self) -> Option<LiveDocument> {
        Self::kind().read_many(&self.cloud, &target(), &[self.id()]).await.unwrap().remove(0)
    }

    pub(crate) async fn delete(&self) -> Result<Deletion, ProviderError> {
        Self::kind().delete(&self.cloud, &target(), &self.id()).await
    }

    pub(crate) async fn diagnose(&self) -> Vec<String> {
        Self::kind().diagnose(&self.cloud, &target(), &self.id()).await.unwrap()
    }

    /// What differs between what is there and what is declared, as of a release that was declared like that before.
    pub(crate) fn changes(&self, live: &LiveDocument) -> Vec<FieldChange> {
        let observed = live.spec.value();
        let documents = ThreeWay { desired: &self.spec, prior: Some(&self.spec), observed: &observed };
        diff(documents, Self::kind().fields(), "salt")
    }

    pub(crate) fn paths(&self, live: &LiveDocument) -> Vec<String> {
        self.changes(live).iter().map(|change| change.path.to_string()).collect()
    }

    /// One round of what the engine does with a release that differs.
    pub(crate) async fn update(&self, live: &LiveDocument) -> Result<(), ProviderError> {
        let to = outgoing(&live.spec.value(), &self.spec, &self.changes(live), Self::kind().fields());
        let to = Document::of(&to).unwrap();
        Self::kind().update(&self.cloud, &target(), &self.id(), &live.spec, &to).await.map(drop)
    }

    /// Waits until it is there and ready, and answers how it is.
    pub(crate) async fn ready(&self) -> LiveDocument {
        let mut last = String::new();
        for _ in 0..PATIENCE {
            match self.read().await {
                Some(live) if live.status == Status::Ready => return live,
                Some(live) => last = format!("{:?}", live.status),
                None => "it is not there".clone_into(&mut last),
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("{} never gets ready: {last}", self.id());
    }

    /// Brings it to what is declared, as the engine does: what differs is updated, what does not is waited for.
    pub(crate) async fn settle(&self) -> LiveDocument {
        for _ in 0..=ROUNDS {
            let live = self.read().await.unwrap();
            if self.changes(&live).is_empty() {
                return self.ready().await;
            }
            self.update(&live).await.unwrap();
        }
        panic!("{}: helm keeps {:#?}", self.id(), self.changes(&self.read().await.unwrap()));
    }

    /// Makes it and waits until it is ready.
    pub(crate) async fn make(&self) -> LiveDocument {
        self.create().await.unwrap();
        self.ready().await
    }

    /// Uninstalls it.
    pub(crate) async fn unmake(&self) {
        assert_eq!(self.delete().await.unwrap(), Deletion::Accepted);
        assert!(self.read().await.is_none());
        assert_eq!(self.delete().await.unwrap(), Deletion::Accepted, "a second time is fine");
    }

    pub(crate) fn helm(&self, args: &[&str]) -> String {
        let all = [args, &["--namespace", &self.namespace]].concat();
        self.plane.helm(self.major, &all).unwrap().stdout().unwrap()
    }

    pub(crate) fn kubectl(&self, args: &[&str]) -> String {
        let all = [args, &["--namespace", &self.namespace]].concat();
        self.plane.kubectl(&all).unwrap().stdout().unwrap()
    }

    /// The uid of an object: the same as long as nobody deletes it.
    pub(crate) fn uid(&self, object: &str) -> String {
        self.kubectl(&["get", object, "--output=jsonpath={.metadata.uid}"])
    }

    /// Waits until helm has stored a release with this status.
    pub(crate) async fn until(&self, status: &str) {
        let selector = format!("owner=helm,status={status}");
        for _ in 0..PATIENCE {
            if !self.kubectl(&["get", "secrets", "--selector", &selector, "--output=name"]).trim().is_empty() {
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
        panic!("the release never gets {status}");
    }

    /// The helm processes that work in this namespace, with their command lines.
    pub(crate) fn processes(&self) -> Vec<(u32, String)> {
        let folders = std::fs::read_dir("/proc").unwrap().flatten();
        let of = |folder: std::fs::DirEntry| {
            let id = folder.file_name().to_str()?.parse::<u32>().ok()?;
            let line = std::fs::read_to_string(folder.path().join("cmdline")).ok()?.replace('\0', " ");
            let status = std::fs::read_to_string(folder.path().join("status")).ok()?;
            let is_ours = line.contains(&format!(" {} ", self.namespace)) && line.contains("helm ");
            (is_ours && !status.contains("State:\tZ")).then_some((id, line))
        };
        folders.filter_map(of).collect()
    }

    /// Kills helm as nobody can object to.
    pub(crate) fn kill(&self) {
        let processes = self.processes();
        assert_eq!(processes.len(), 1, "{processes:?}");
        let killed = std::process::Command::new("kill").args(["-9", &processes[0].0.to_string()]).status().unwrap();
        assert!(killed.success());
    }
}

fn address(namespace: &str, chart: &str) -> Address {
    Address::new("helm.release", &["test", namespace, chart])
}

fn spec(namespace: &str, chart: &str, values: Json) -> Value {
    let source = Chart {
        name: charts("tests/helm/charts").join(chart).display().to_string(),
        repository: None,
        version: Some("1.30.3".to_owned()),
    };
    let values = serde_json::from_value(values).unwrap();
    let spec = Spec::new("mesh1", &address(namespace, chart), (namespace, chart), source, values);
    let spec = Document::of(&spec).unwrap().value();
    assert_eq!(Release::kind().check(&spec), []);
    spec
}
