//! A real Kubernetes control plane on loopback: etcd, API server, controller manager, scheduler, and kwok for a node
//! whose pods get ready. It starts in about four seconds (two side by side in five), ends with its value in a fraction of
//! one, and ends too when the test process is killed.
//!
//! The flags are there for a reason each; those that took finding are explained where they are. Include this module
//! beside `stand_ins`, which it uses.
#![allow(dead_code, reason = "each test binary includes this module and uses a part of it")]

use std::fs::File;
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::stand_ins::{Finished, Missing, Trouble, finish, isolated, locate, scratch_folder, spawn};

/// Between two looks at whether a server is ready.
const POLL: Duration = Duration::from_millis(50);
/// How often [`POLL`] is waited: two minutes, where a plane takes four seconds on a quiet machine.
const POLLS: u32 = 2_400;
/// How often a plane is started over when somebody else takes one of its ports first.
const STARTS: u32 = 3;

/// Which addresses a cluster's Services and pods have. The servers themselves listen on 127.0.0.1 always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Ipv4,
    Ipv6,
}

impl Family {
    fn services(self) -> &'static str {
        match self {
            Self::Ipv4 => "10.96.0.0/16",
            Self::Ipv6 => "fd00:1::/108",
        }
    }

    fn pods(self) -> &'static str {
        match self {
            Self::Ipv4 => "10.244.0.1/16",
            Self::Ipv6 => "fd00:10:2::1/112",
        }
    }
}

/// Where the programs are.
#[derive(Debug, Clone)]
struct Programs {
    kubernetes: PathBuf,
    kwok: PathBuf,
    helm: PathBuf,
}

impl Programs {
    fn locate() -> Result<Self, Missing> {
        Ok(Self {
            kubernetes: locate("kubernetes")?.join("bin"),
            kwok: locate("kwok")?.join("bin"),
            helm: locate("helm")?,
        })
    }
}

/// A running control plane; all of it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    programs: Programs,
    family: Family,
    folder: PathBuf,
    /// Of etcd's clients, of its peers, and of the API server.
    ports: [u16; 3],
    token: String,
    children: Vec<(&'static str, Child)>,
}

impl ControlPlane {
    /// Starts a control plane, and returns when a pod could be made on its node.
    pub(crate) fn start(family: Family) -> Result<Self, Trouble> {
        let programs = Programs::locate().map_err(Trouble::Missing)?;
        remove_left_behind();
        let mut last = Trouble::Failed("no control plane was ever started".to_owned());
        for _ in 0..STARTS {
            match Self::start_once(&programs, family) {
                Err(Trouble::Failed(why)) if why.contains("address already in use") => last = Trouble::Failed(why),
                started => return started,
            }
        }
        Err(last)
    }

    /// Starts two at once: an IPv4 and an IPv6 cluster.
    pub(crate) fn start_two() -> Result<(Self, Self), Trouble> {
        let other = thread::spawn(|| Self::start(Family::Ipv6));
        let first = Self::start(Family::Ipv4);
        let other = other.join().map_err(|_| Trouble::Failed("starting a control plane panicked".to_owned()))?;
        Ok((first?, other?))
    }

    fn start_once(programs: &Programs, family: Family) -> Result<Self, Trouble> {
        let mut plane = Self {
            programs: programs.clone(),
            family,
            folder: new_folder().map_err(failed("make a folder"))?,
            ports: free_ports().map_err(failed("find free ports"))?,
            token: format!("test-{}", std::process::id()),
            children: Vec::new(),
        };
        plane.write_files()?;
        plane.start_etcd()?;
        plane.start_api_server()?;
        // Its certificate is there before it answers, and is what all others trust it by.
        plane.wait_for("the API server's certificate", |plane| plane.certificate().exists().then_some(()))?;
        plane.start_clients()?;
        plane.wait_until_ready()?;
        plane.create_node()?;
        Ok(plane)
    }

    /// The file by which clients find the cluster and prove that they may do everything.
    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// A kubeconfig file like [`Self::kubeconfig`] with another address, token or certificate.
    pub(crate) fn other_kubeconfig(
        &self,
        name: &str,
        server: &str,
        token: &str,
        certificate: &Path,
    ) -> Result<PathBuf, Trouble> {
        let text = format!(
            r#"{{"apiVersion":"v1","kind":"Config","current-context":"test",
"contexts":[{{"name":"test","context":{{"cluster":"test","user":"test"}}}}],
"clusters":[{{"name":"test","cluster":{{"server":"{server}","certificate-authority":"{}"}}}}],
"users":[{{"name":"test","user":{{"token":"{token}"}}}}]}}"#,
            certificate.display()
        );
        let file = self.folder.join(name);
        write(&file, &text).map_err(failed("write a kubeconfig"))?;
        Ok(file)
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("https://{}", self.address())
    }

    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.ports[2]))
    }

    pub(crate) fn token(&self) -> &str {
        &self.token
    }

    /// The API server's certificate and that of the authority which signed it.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.join("certs/apiserver.crt")
    }

    /// Where a test may leave files; gone with the plane.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs kubectl as the cluster's administrator.
    pub(crate) fn kubectl(&self, args: &[&str]) -> Result<Finished, Trouble> {
        let mut command = self.client(&self.programs.helm.join("4/kubectl"));
        command.args(args);
        finish(command)
    }

    /// Has kubectl create or change what a manifest says (JSON or YAML).
    pub(crate) fn kubectl_with(&self, args: &[&str], manifest: &str) -> Result<Finished, Trouble> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let file = self.folder.join(format!("manifest-{}", COUNTER.fetch_add(1, Ordering::Relaxed)));
        write(&file, manifest).map_err(failed("write a manifest"))?;
        let mut command = self.client(&self.programs.helm.join("4/kubectl"));
        command.args(args).arg("-f").arg(&file);
        finish(command)
    }

    /// Runs helm, of major version 3 or 4.
    pub(crate) fn helm(&self, major: u8, args: &[&str]) -> Result<Finished, Trouble> {
        let mut command = self.client(&self.programs.helm.join(format!("{major}/helm")));
        command.args(args);
        finish(command)
    }

    /// The folder that holds `helm`, of major version 3 or 4, and `kubectl`: for a PATH.
    pub(crate) fn helm_folder(&self, major: u8) -> PathBuf {
        self.programs.helm.join(major.to_string())
    }

    fn client(&self, program: &Path) -> Command {
        let mut command = isolated(program);
        // A home of its own: helm and kubectl keep caches there.
        command.env("HOME", &self.folder).arg("--kubeconfig").arg(self.kubeconfig());
        command
    }

    /// Kills the API server; etcd keeps what it has stored.
    pub(crate) fn kill_api_server(&mut self) {
        for (name, mut child) in std::mem::take(&mut self.children) {
            if name == "kube-apiserver" {
                end(&mut child);
            } else {
                self.children.push((name, child));
            }
        }
        let _ = self.wait_for("a port to be free", |plane| TcpStream::connect(plane.address()).is_err().then_some(()));
    }

    /// Starts the API server again, and returns when it answers.
    pub(crate) fn restart_api_server(&mut self) -> Result<(), Trouble> {
        self.start_api_server()?;
        self.wait_until_ready()
    }

    fn write_files(&self) -> Result<(), Trouble> {
        let (file, certificate) = (|name: &str| self.folder.join(name), self.certificate());
        write(&file("tokens.csv"), &format!("{},admin,admin,system:masters\n", self.token))
            .map_err(failed("write the tokens"))?;
        self.other_kubeconfig("kubeconfig", &self.endpoint(), &self.token, &certificate)?;
        write(&file("kwok.yaml"), LOAD_BALANCERS).map_err(failed("write kwok's stages"))?;
        // The key that service accounts' tokens are signed with: the only one that has to be brought along.
        let mut openssl = isolated(Path::new("openssl"));
        openssl.args(["ecparam", "-genkey", "-noout", "-name", "prime256v1", "-out"]);
        openssl.arg(file("sa.key"));
        finish(openssl)?.stdout().map(drop)
    }

    fn start_etcd(&mut self) -> Result<(), Trouble> {
        let url = |port: u16| format!("http://127.0.0.1:{port}");
        let (clients, peers) = (url(self.ports[0]), url(self.ports[1]));
        let mut command = self.server("etcd");
        command.arg("--data-dir").arg(self.folder.join("etcd")).args([
            &format!("--listen-client-urls={clients}"),
            &format!("--advertise-client-urls={clients}"),
            &format!("--listen-peer-urls={peers}"),
            &format!("--initial-advertise-peer-urls={peers}"),
            &format!("--initial-cluster=default={peers}"),
            "--unsafe-no-fsync",
            "--log-level=warn",
        ]);
        self.spawn("etcd", command)
    }

    fn start_api_server(&mut self) -> Result<(), Trouble> {
        let mut command = self.server("kube-apiserver");
        let file = |name: &str| self.folder.join(name).display().to_string();
        let key = file("sa.key");
        command.args([
            &format!("--etcd-servers=http://127.0.0.1:{}", self.ports[0]),
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            &format!("--secure-port={}", self.ports[2]),
            &format!("--cert-dir={}", file("certs")),
            &format!("--service-cluster-ip-range={}", self.family.services()),
            "--service-account-issuer=https://kubernetes.default.svc",
            &format!("--service-account-key-file={key}"),
            &format!("--service-account-signing-key-file={key}"),
            &format!("--token-auth-file={}", file("tokens.csv")),
            "--authorization-mode=RBAC",
            "--allow-privileged=true",
            // Without it an IPv6 cluster refuses to start behind an IPv4 address.
            "--endpoint-reconciler-type=none",
        ]);
        self.spawn("kube-apiserver", command)
    }

    fn start_clients(&mut self) -> Result<(), Trouble> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        let kubeconfig = format!("--kubeconfig={}", file("kubeconfig"));
        let mut controllers = self.server("kube-controller-manager");
        controllers.args([
            &kubeconfig,
            &format!("--service-account-private-key-file={}", file("sa.key")),
            &format!("--root-ca-file={}", self.certificate().display()),
            &format!("--cert-dir={}", file("controllers")),
            "--use-service-account-credentials=true",
            "--leader-elect=false",
            "--secure-port=0",
            // With its default of 20 requests a second it starts five seconds later.
            "--kube-api-qps=1000",
            "--kube-api-burst=2000",
            // kwok renews no leases: after 50 s the node would be called lost, and no pod would ever be ready again.
            "--node-monitor-grace-period=8760h",
        ]);
        let mut scheduler = self.server("kube-scheduler");
        scheduler.args([&kubeconfig, "--leader-elect=false", "--secure-port=0"]);
        let mut kwok = isolated(&self.programs.kwok.join("kwok"));
        kwok.env("HOME", &self.folder).args([
            &kubeconfig,
            "--manage-all-nodes=true",
            &format!("--cidr={}", self.family.pods()),
            &format!("--config={}", file("kwok.yaml")),
        ]);
        self.spawn("kube-controller-manager", controllers)?;
        self.spawn("kube-scheduler", scheduler)?;
        self.spawn("kwok", kwok)
    }

    fn server(&self, name: &str) -> Command {
        let mut command = isolated(&self.programs.kubernetes.join(name));
        command.env("HOME", &self.folder);
        command
    }

    fn spawn(&mut self, name: &'static str, mut command: Command) -> Result<(), Trouble> {
        let log = File::options().create(true).append(true).open(self.log_of(name)).map_err(failed("open a log"))?;
        let again = log.try_clone().map_err(failed("open a log"))?;
        command.stdin(Stdio::null()).stdout(log).stderr(again);
        let child = spawn(command).map_err(failed(name))?;
        self.children.push((name, child));
        Ok(())
    }

    fn log_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.log"))
    }

    /// The API server answers, and so much of the controllers is there that pods are accepted.
    fn wait_until_ready(&mut self) -> Result<(), Trouble> {
        self.wait_for("the API server to listen", |plane| TcpStream::connect(plane.address()).is_ok().then_some(()))?;
        let said = |plane: &Self, args: &[&str]| plane.kubectl(args).ok().filter(|done| done.status.success());
        self.wait_for("the API server to be ready", |plane| said(plane, &["get", "--raw=/readyz"]))?;
        self.wait_for("the default service account", |plane| {
            said(plane, &["get", "serviceaccount", "default", "--namespace=default"])
        })?;
        Ok(())
    }

    fn create_node(&mut self) -> Result<(), Trouble> {
        self.kubectl_with(&["create"], NODE)?.stdout()?;
        let ready = ["get", "node", "node-1", "--output=jsonpath={.status.conditions[?(@.type=='Ready')].status}"];
        self.wait_for("its node to be ready", |plane| {
            plane.kubectl(&ready).ok().filter(|done| done.stdout.trim() == "True").map(drop)
        })
    }

    /// Looks until `ready` has an answer, as long as all servers live.
    fn wait_for<T>(&mut self, what: &str, ready: impl Fn(&Self) -> Option<T>) -> Result<T, Trouble> {
        for _ in 0..POLLS {
            if let Some(answer) = ready(self) {
                return Ok(answer);
            }
            for (name, child) in &mut self.children {
                if let Ok(Some(status)) = child.try_wait() {
                    let log = std::fs::read_to_string(self.folder.join(format!("{name}.log"))).unwrap_or_default();
                    let end: Vec<&str> = log.lines().rev().take(10).collect();
                    let end = end.into_iter().rev().collect::<Vec<_>>().join("\n");
                    return Err(Trouble::Failed(format!("{name} ended ({status}) while waiting for {what}:\n{end}")));
                }
            }
            thread::sleep(POLL);
        }
        Err(Trouble::Failed(format!("waited in vain for {what}; the logs are in {}", self.folder.display())))
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // There is nothing to save, so none of them is asked.
        for (_, child) in &mut self.children {
            let _ = child.kill();
        }
        for (_, child) in &mut self.children {
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn end(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

fn failed<E: std::fmt::Display>(what: &str) -> impl Fn(E) -> Trouble + '_ {
    move |error| Trouble::Failed(format!("a control plane cannot be started ({what}): {error}"))
}

/// Three ports that are free together.
fn free_ports() -> io::Result<[u16; 3]> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let listeners = [bind()?, bind()?, bind()?];
    let mut ports = [0; 3];
    for (port, listener) in ports.iter_mut().zip(&listeners) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}

const FOLDER: &str = "control-plane-";

fn new_folder() -> io::Result<PathBuf> {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let folder = scratch_folder().join(format!("{FOLDER}{}-{number}", std::process::id()));
    std::fs::DirBuilder::new().mode(0o700).create(&folder)?;
    Ok(folder)
}

/// A plane that lives as long as its process is never dropped: its folder (123 MB) is removed by the next process.
fn remove_left_behind() {
    let entries = std::fs::read_dir(scratch_folder()).into_iter().flatten().flatten();
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(FOLDER).and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        if process.is_some_and(|id| !Path::new(&format!("/proc/{id}")).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes a file that nobody else may read.
fn write(file: &Path, text: &str) -> io::Result<()> {
    File::options().create(true).truncate(true).write(true).mode(0o600).open(file)?.write_all(text.as_bytes())
}

/// One node is enough for a cluster.
const NODE: &str = r#"{"apiVersion":"v1","kind":"Node","metadata":{"name":"node-1","labels":{
"kubernetes.io/hostname":"node-1","kubernetes.io/os":"linux","kubernetes.io/arch":"amd64",
"topology.kubernetes.io/region":"us-west-2","topology.kubernetes.io/zone":"us-west-2a"}},
"status":{"allocatable":{"cpu":"64","memory":"256Gi","pods":"500"},"capacity":{"cpu":"64","memory":"256Gi","pods":"500"}}}"#;

/// What a cloud's controller does for a Service of type LoadBalancer; the annotation `test/no-lb` keeps it from it.
const LOAD_BALANCERS: &str = r#"apiVersion: kwok.x-k8s.io/v1alpha1
kind: Stage
metadata: {name: service-lb}
spec:
  resourceRef: {apiGroup: v1, kind: Service}
  selector: {matchExpressions: [{key: .spec.type, operator: In, values: [LoadBalancer]}, {key: .status.loadBalancer.ingress, operator: DoesNotExist},
             {key: '.metadata.annotations["test/no-lb"]', operator: DoesNotExist}]}
  next: {statusTemplate: 'loadBalancer: {ingress: [{hostname: "{{ .metadata.name }}-{{ .metadata.namespace }}.elb.test"}]}'}
"#;
