//! The program `helm`, versions 3 and 4, behind `resource::Helm`.
//!
//! Entry point: [`HelmProgram`]. Releases are read from the cluster; helm runs as a process for what changes one, and to
//! render. It is given its values and the way to the cluster in files that nobody else can read (`files`), it never
//! waits for workloads, and it ends when its future is dropped (`run`).
//!
//! Of the caller's own settings of helm those hold that say how charts are fetched (registries' logins, caches);
//! plugins are not loaded, and releases are always kept in Secrets.
//!
//! An operation that is marked as pending may be alive. Whoever started it on this machine with the same state holds a
//! lock as long as helm lives; anybody else's is taken for alive for ten minutes ([`YOUNG`]).

mod charts;
mod files;
mod kubeconfig;
mod mask;
mod run;
mod stored;
mod text;

use std::cell::{OnceCell, RefCell};
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt, LocalBoxFuture};
use tokio::sync::Semaphore;

use crate::kinds::kubernetes::{Kube, look};
use crate::model::{Clock, Digest};
use crate::resource::{
    ClusterAccess, ClusterAuth, ErrorClass, Helm, ProviderError, ReleaseOrder, ReleaseState, ReleaseStatus,
};

use super::marker::{self, Marker};
use charts::{Charts, source};
use files::{Folder, Lock, Temporary};
pub use kubeconfig::{TOKEN_API_VERSION, user_of_eks};
use run::{Ended, Failure, Run};
use stored::{Stored, revisions};

/// For how long somebody else's operation may be alive: twice what helm waits for a hook by itself.
pub const YOUNG: Duration = Duration::from_mins(10);

/// What helm waits for each hook.
const HOOK: &str = "5m";

/// What an operation may take in all: a chart may have several hooks.
const OPERATION: Duration = Duration::from_mins(12);

/// What fetching or rendering a chart may take.
const CHART: Duration = Duration::from_mins(2);

/// What helm may take to say its version.
const VERSION: Duration = Duration::from_secs(20);

/// How many revisions of a release are kept: helm's own default, whatever the caller's settings say.
const HISTORY: &str = "10";

/// The oldest helm 3 that labels its releases.
const OLDEST_OF_3: u32 = 14;

const APPLY: &str = "helm:Upgrade";
const ROLLBACK: &str = "helm:Rollback";
const UNINSTALL: &str = "helm:Uninstall";
const RENDER: &str = "helm:Template";
const READ: &str = "helm:Read";

/// What the program is told of the machine that it runs on.
#[derive(Clone)]
pub struct Settings {
    /// Where `helm` is looked for: the folders of `PATH`, in order.
    pub path: Vec<PathBuf>,
    /// This program: kubeconfigs name it for tokens.
    pub meshplan: PathBuf,
    /// A folder of the run's own, for temporary files and locks; made when it is needed. Runs on the same state share it.
    pub folder: PathBuf,
    /// Credentials for looking at clusters.
    pub aws: aws_config::SdkConfig,
    /// The run's clock.
    pub clock: Arc<dyn Clock>,
    /// How many helm processes there may be at once.
    pub width: usize,
}

/// The program `helm`.
pub struct HelmProgram {
    settings: Settings,
    slots: Semaphore,
    found: RefCell<Option<Rc<Found>>>,
    folder: OnceCell<Folder>,
    charts: Charts,
    clusters: RefCell<Vec<(ClusterAccess, Kube)>>,
}

/// A helm that can be used.
#[derive(Debug)]
struct Found {
    program: PathBuf,
    /// As it says it, for example `v4.1.4`.
    version: String,
    major: u32,
}

impl HelmProgram {
    /// The program, which is looked for when it is needed first.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            slots: Semaphore::new(settings.width.max(1)),
            found: RefCell::default(),
            folder: OnceCell::new(),
            charts: Charts::default(),
            clusters: RefCell::default(),
            settings,
        }
    }

    async fn found(&self) -> Result<Rc<Found>, ProviderError> {
        if let Some(found) = &*self.found.borrow() {
            return Ok(Rc::clone(found));
        }
        let program = self.settings.path.iter().map(|folder| folder.join("helm")).find(|path| is_program(path));
        let program = program.ok_or_else(not_found)?;
        let args = ["version", "--template", "{{.Version}}"].map(OsString::from).to_vec();
        let run = Run::new(&program, &self.folder()?.no_plugins(), args, VERSION);
        let invalid = |why: String| ProviderError::new(ErrorClass::Invalid, "helm:Version", why);
        let ended = run.finish().await.map_err(|failure| failed("helm:Version", &failure, ErrorClass::Invalid))?;
        let version = ended.stdout.trim().to_owned();
        let major = supported(&version).map_err(|why| invalid(format!("{} {why}", program.display())))?;
        let found = Rc::new(Found { program, version, major });
        *self.found.borrow_mut() = Some(Rc::clone(&found));
        Ok(found)
    }

    fn folder(&self) -> Result<&Folder, ProviderError> {
        if let Some(folder) = self.folder.get() {
            return Ok(folder);
        }
        let base = &self.settings.folder;
        let folder = Folder::open(base).map_err(|error| {
            let message = format!("cannot make a folder for helm's files in `{}`: {error}", base.display());
            ProviderError::new(ErrorClass::Invalid, "helm:Files", message)
        })?;
        Ok(self.folder.get_or_init(|| folder))
    }

    fn temporary(&self, name: &str, content: &[u8]) -> Result<Temporary, ProviderError> {
        self.folder()?.write(name, content).map_err(|error| {
            ProviderError::new(ErrorClass::Invalid, "helm:Files", format!("cannot write {name} for helm: {error}"))
        })
    }

    /// The client by which releases are read.
    fn cluster(&self, access: &ClusterAccess) -> Result<Kube, ProviderError> {
        let mut clusters = self.clusters.borrow_mut();
        if let Some((_, kube)) = clusters.iter().find(|(of, _)| of == access) {
            return Ok(kube.clone());
        }
        let kube = Kube::open(access, &self.settings.aws)?;
        clusters.push((access.clone(), kube.clone()));
        Ok(kube)
    }

    fn lock(&self, access: &ClusterAccess, namespace: &str, name: &str) -> Result<Lock, ProviderError> {
        let cluster = match &access.auth {
            ClusterAuth::Eks { .. } => access.endpoint.clone(),
            ClusterAuth::Kubeconfig { file, context } => format!("{file} {}", context.as_deref().unwrap_or_default()),
        };
        Ok(self.folder()?.lock(&format!("{}.{namespace}.{name}", Digest::of(cluster))))
    }

    /// What there is of a release.
    async fn stored(
        &self,
        access: &ClusterAccess,
        namespace: &str,
        name: &str,
    ) -> Result<Option<Stored>, ProviderError> {
        let kube = self.cluster(access)?;
        let of_it = format!("owner=helm,name={name}");
        // What was superseded is most of it, and of interest only to whoever looks for what was deployed before.
        let secrets = look::labelled(&kube, namespace, "secrets", &format!("{of_it},status!=superseded")).await?;
        let all = revisions(&secrets);
        let Some(last) = all.last() else { return Ok(None) };
        let deployed = all.iter().rev().find(|revision| revision.status == "deployed").map(|revision| revision.number);
        let deployed = match deployed {
            None if last.number > 1 => {
                let superseded =
                    look::labelled(&kube, namespace, "secrets", &format!("{of_it},status=superseded")).await?;
                revisions(&superseded).last().map(|revision| revision.number)
            }
            deployed => deployed,
        };
        let stored = last.open(deployed).map_err(|why| ProviderError::new(ErrorClass::Invalid, READ, why))?;
        Ok(Some(stored))
    }

    async fn state(
        &self,
        access: &ClusterAccess,
        namespace: &str,
        name: &str,
    ) -> Result<Option<ReleaseState>, ProviderError> {
        let Some(Stored { mut state, at }) = self.stored(access, namespace, name).await? else { return Ok(None) };
        let is_pending = matches!(
            state.status,
            ReleaseStatus::PendingInstall | ReleaseStatus::PendingUpgrade | ReleaseStatus::PendingRollback
        );
        if is_pending {
            let lock = self.lock(access, namespace, name)?;
            let now = self.settings.clock.now();
            let age = at.map(|at| Duration::try_from(now.duration_since(at)).unwrap_or_default());
            let is_ours = lock.last_begun() == Some(state.revision);
            if is_alive(lock.is_held(), is_ours, age) {
                state.status = ReleaseStatus::UnderWay;
            }
        }
        Ok(Some(state))
    }

    /// Runs helm, and answers what it says.
    async fn run(
        &self,
        operation: &'static str,
        args: Vec<OsString>,
        order: &ReleaseOrder,
    ) -> Result<Ended, ProviderError> {
        let found = self.found().await?;
        let mut run = Run::new(&found.program, &self.folder()?.no_plugins(), args, CHART);
        run.answer = run::ANSWER;
        self.finish(operation, run, &source(order), &order.values).await
    }

    async fn finish(
        &self,
        operation: &'static str,
        run: Run,
        source: &str,
        values: &serde_json::Value,
    ) -> Result<Ended, ProviderError> {
        let changes = run.stdin.is_some();
        let _slot = self.slots.acquire().await.map_err(|error| ProviderError::bug(operation, error.to_string()))?;
        let unknown = if changes { ErrorClass::Ambiguous } else { ErrorClass::Transient };
        let ended = run.finish().await.map_err(|failure| failed(operation, &failure, unknown))?;
        if ended.status.success() {
            return Ok(ended);
        }
        let Some(_) = ended.status.code() else {
            return Err(ProviderError::new(unknown, operation, format!("helm was killed: {}", ended.status)));
        };
        let (class, message) = text::meaning(&mask::masked(&ended.stderr, values), source);
        Err(ProviderError::new(class, operation, message))
    }

    /// Runs helm for something that changes a release, under the release's lock.
    async fn change(
        &self,
        access: &ClusterAccess,
        change: Change<'_>,
        args: Vec<OsString>,
        values: &serde_json::Value,
    ) -> Result<(), ProviderError> {
        let Change { operation, namespace, name, source } = change;
        let last = self.stored(access, namespace, name).await?.map_or(0, |stored| stored.state.revision);
        let lock = self.lock(access, namespace, name)?;
        let taken = lock.take(last + 1).map_err(|error| {
            ProviderError::new(
                ErrorClass::Invalid,
                operation,
                format!("cannot lock the release {namespace}/{name}: {error}"),
            )
        })?;
        let Some(taken) = taken else {
            let message = format!("a helm that an earlier run has started is still at work on {namespace}/{name}");
            return Err(ProviderError::new(ErrorClass::Busy, operation, message));
        };
        let found = self.found().await?;
        let (way, _kubeconfig) = self.way(access)?;
        let mut all = args;
        all.extend(["--namespace".into(), namespace.into()]);
        all.extend(way);
        let mut run = Run::new(&found.program, &self.folder()?.no_plugins(), all, OPERATION);
        run.stdin = Some(taken);
        self.finish(operation, run, source, values).await.map(drop)
    }

    /// The arguments that lead to a cluster, and the file that they name.
    fn way(&self, access: &ClusterAccess) -> Result<(Vec<OsString>, Option<Temporary>), ProviderError> {
        match &access.auth {
            ClusterAuth::Eks { cluster, region } => {
                let text = kubeconfig::of_eks(access, cluster, region, &self.settings.meshplan);
                let file = self.temporary("kubeconfig", text.as_bytes())?;
                Ok((vec!["--kubeconfig".into(), file.path().into()], Some(file)))
            }
            ClusterAuth::Kubeconfig { file, context } => {
                let mut args: Vec<OsString> = vec!["--kubeconfig".into(), file.into()];
                args.extend(context.iter().flat_map(|context| ["--kube-context".into(), context.into()]));
                Ok((args, None))
            }
        }
    }

    fn values(&self, order: &ReleaseOrder) -> Result<Temporary, ProviderError> {
        // JSON is YAML, and says without doubt what is a text and what a number.
        self.temporary("values.json", order.values.to_string().as_bytes())
    }
}

/// What is to be changed.
#[derive(Debug, Clone, Copy)]
struct Change<'a> {
    operation: &'static str,
    namespace: &'a str,
    name: &'a str,
    source: &'a str,
}

/// Whether an operation that is marked as pending may still be at work. `is_held` is whether a helm of ours lives that
/// works on the release, `is_ours` whether the operation is the one that ours began last.
fn is_alive(is_held: bool, is_ours: bool, age: Option<Duration>) -> bool {
    is_held || (!is_ours && age.is_some_and(|age| age < YOUNG))
}

impl Helm for HelmProgram {
    fn version(&self) -> LocalBoxFuture<'_, Result<String, ProviderError>> {
        async { Ok(self.found().await?.version.clone()) }.boxed_local()
    }

    fn read<'a>(
        &'a self,
        access: &'a ClusterAccess,
        namespace: &'a str,
        name: &'a str,
    ) -> LocalBoxFuture<'a, Result<Option<ReleaseState>, ProviderError>> {
        self.state(access, namespace, name).boxed_local()
    }

    fn apply<'a>(
        &'a self,
        access: &'a ClusterAccess,
        release: &'a ReleaseOrder,
    ) -> LocalBoxFuture<'a, Result<(), ProviderError>> {
        async move {
            let chart = self.chart(release).await?;
            let values = self.values(release)?;
            let mut args = words(&["upgrade", "--install"]);
            args.extend([OsString::from(&release.name), chart.into_os_string()]);
            // Without it helm takes the last values when there are none.
            args.extend(words(&["--reset-values", "--history-max", HISTORY, "--timeout", HOOK]));
            args.extend(["--values".into(), values.path().into()]);
            args.extend(["--description".into(), OsString::from(&release.description)]);
            if let Some(marker) = Marker::parse(&release.description) {
                let labels: Vec<String> =
                    marker::labels(&marker).into_iter().map(|(key, value)| format!("{key}={value}")).collect();
                args.extend(["--labels".into(), labels.join(",").into()]);
            }
            if release.forces_conflicts && self.found().await?.major > 3 {
                args.extend(words(&["--server-side=true", "--force-conflicts"]));
            }
            let source = source(release);
            let (namespace, name) = (release.namespace.as_str(), release.name.as_str());
            let change = Change { operation: APPLY, namespace, name, source: &source };
            self.change(access, change, args, &release.values).await
        }
        .boxed_local()
    }

    fn rollback<'a>(
        &'a self,
        access: &'a ClusterAccess,
        namespace: &'a str,
        name: &'a str,
        revision: u32,
    ) -> LocalBoxFuture<'a, Result<(), ProviderError>> {
        async move {
            let mut args = words(&["rollback", name, &revision.to_string()]);
            args.extend(words(&["--history-max", HISTORY, "--timeout", HOOK]));
            let change = Change { operation: ROLLBACK, namespace, name, source: name };
            self.change(access, change, args, &serde_json::Value::Null).await
        }
        .boxed_local()
    }

    fn uninstall<'a>(
        &'a self,
        access: &'a ClusterAccess,
        namespace: &'a str,
        name: &'a str,
    ) -> LocalBoxFuture<'a, Result<(), ProviderError>> {
        async move {
            let args = words(&["uninstall", name, "--ignore-not-found", "--timeout", HOOK]);
            let change = Change { operation: UNINSTALL, namespace, name, source: name };
            self.change(access, change, args, &serde_json::Value::Null).await
        }
        .boxed_local()
    }

    fn render<'a>(
        &'a self,
        release: &'a ReleaseOrder,
        kubernetes: &'a str,
    ) -> LocalBoxFuture<'a, Result<String, ProviderError>> {
        async move {
            let chart = self.chart(release).await?;
            let values = self.values(release)?;
            let mut args = words(&["template", &release.name]);
            args.push(chart.into_os_string());
            args.extend(words(&["--namespace", &release.namespace, "--kube-version", kubernetes, "--no-hooks"]));
            args.extend(["--values".into(), values.path().into()]);
            if release.upgrades {
                args.push("--is-upgrade".into());
            }
            Ok(self.run(RENDER, args, release).await?.stdout)
        }
        .boxed_local()
    }
}

impl fmt::Debug for HelmProgram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HelmProgram").field("found", &self.found).finish_non_exhaustive()
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings").field("path", &self.path).field("folder", &self.folder).finish_non_exhaustive()
    }
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

fn is_program(path: &std::path::Path) -> bool {
    fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

fn not_found() -> ProviderError {
    let message = "there is no `helm` on the PATH, and releases are made with it: install helm 4 or 3 \
                   (https://helm.sh/docs/intro/install, or your package manager) and run this again";
    ProviderError::new(ErrorClass::Invalid, "helm:Version", message)
}

/// The major version of a helm that can be used, or why it cannot.
fn supported(version: &str) -> Result<u32, String> {
    let mut numbers = version.trim_start_matches('v').split(['.', '-', '+']).map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(3), Some(minor)) if minor < OLDEST_OF_3 => Err(format!(
            "is helm {version}, which cannot label its releases: install 3.{OLDEST_OF_3} or newer, or helm 4"
        )),
        (Some(major @ (3 | 4)), Some(_)) => Ok(major),
        (Some(_), Some(_)) => Err(format!("is helm {version}, and this version of meshplan knows helm 3 and 4")),
        _ => Err(format!("says that its version is `{version}`: it is no helm that meshplan knows")),
    }
}

/// What it means that a run has no end.
fn failed(operation: &'static str, failure: &Failure, unknown: ErrorClass) -> ProviderError {
    let (class, message) = match failure {
        Failure::NotStarted(error) => (ErrorClass::Invalid, format!("helm cannot be started: {error}")),
        Failure::TooLong(after) => (unknown, format!("helm did not end in {} s, and was ended", after.as_secs())),
        Failure::Lost(error) => (unknown, format!("nobody knows how helm ended: {error}")),
    };
    ProviderError::new(class, operation, message)
}

#[cfg(test)]
mod tests {
    use std::pin::Pin;

    use jiff::Timestamp;

    use super::*;

    struct Stopped;

    impl Clock for Stopped {
        fn now(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }

        fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
            Box::pin(std::future::pending())
        }
    }

    fn program(folder: &std::path::Path) -> HelmProgram {
        HelmProgram::new(Settings {
            path: Vec::new(),
            meshplan: PathBuf::from("/opt/meshplan"),
            folder: folder.to_owned(),
            aws: aws_config::SdkConfig::builder().behavior_version(aws_config::BehaviorVersion::latest()).build(),
            clock: Arc::new(Stopped),
            width: 1,
        })
    }

    #[test]
    fn the_way_to_an_eks_cluster_is_a_private_file_that_is_gone_afterwards() {
        let folder = tempfile::tempdir().unwrap();
        let program = program(folder.path());
        let access = ClusterAccess {
            endpoint: "https://a.test".to_owned(),
            certificate_authority: "Y2E=".to_owned(),
            auth: ClusterAuth::Eks { cluster: "one".to_owned(), region: "us-west-2".to_owned() },
        };
        let (args, file) = program.way(&access).unwrap();
        let file = file.unwrap();
        let path = file.path().to_owned();
        assert_eq!(args, [OsString::from("--kubeconfig"), path.clone().into_os_string()]);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(fs::read_to_string(&path).unwrap().contains("\"command\":\"/opt/meshplan\""));
        drop(file);
        assert!(!path.exists());
        let (args, none) = program
            .way(&ClusterAccess {
                auth: ClusterAuth::Kubeconfig { file: "/k".to_owned(), context: Some("c".to_owned()) },
                ..access
            })
            .unwrap();
        assert_eq!(args, ["--kubeconfig", "/k", "--kube-context", "c"].map(OsString::from));
        assert!(none.is_none());
    }

    #[test]
    fn helm_3_and_4_can_be_used() {
        assert_eq!(supported("v4.1.4"), Ok(4));
        assert_eq!(supported("v3.19.0"), Ok(3));
        assert_eq!(supported("v3.14.0-rc.1"), Ok(3));
        assert!(supported("v3.9.4").unwrap_err().contains("install 3.14 or newer"));
        assert!(supported("v2.17.0").unwrap_err().contains("knows helm 3 and 4"));
        assert!(supported("v5.0.0").unwrap_err().contains("knows helm 3 and 4"));
        assert!(supported("").unwrap_err().contains("no helm that meshplan knows"));
    }

    #[test]
    fn who_is_at_work_is_told_by_the_lock_and_else_by_the_age() {
        let (young, old) = (Some(Duration::from_secs(5)), Some(YOUNG));
        assert!(is_alive(true, true, old), "it lives, however long it takes");
        assert!(!is_alive(false, true, young), "ours, and it is dead: repaired at once");
        assert!(is_alive(false, false, young), "somebody else's is waited for");
        assert!(!is_alive(false, false, old));
        assert!(!is_alive(false, false, None));
    }
}
