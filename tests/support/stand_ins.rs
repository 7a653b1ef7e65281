//! The third-party servers and clients that tests run against: found where `tests/stand-ins/prepare` put them, started
//! on loopback, gone when their value is dropped, and gone too when the test process is killed.
//!
//! ```ignore
//! let moto = stand_in!(Moto::start());
//! let proxy = stand_in!(Microburst::start(&moto.endpoint()));
//! proxy.set_rules(r#"[{"service":"ec2","operation":"CreateVpc","times":1,"response":{"abort_frac":0.0}}]"#)?;
//! ```
//!
//! [`stand_in!`] leaves the test with a line that says what is missing and why; under `MESHPLAN_REQUIRE_STAND_INS=1`,
//! which `tests/run` sets, a missing stand-in is a failure. Nothing here installs anything, and nothing here knows
//! meshplan: it is std alone, so that it builds beside any test.
#![allow(
    dead_code,
    unused_imports,
    unused_macros,
    reason = "each test binary includes this module and uses a part of it"
)]

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Between two looks at whether a server is ready or a program has ended.
const POLL: Duration = Duration::from_millis(10);
/// How often [`POLL`] is waited for a server: 60 s, where moto takes 0.8 s on a quiet machine and microburst 0.4 s.
const POLLS_TO_START: u32 = 6_000;
/// How often [`POLL`] is waited for a client program: 120 s.
const POLLS_TO_FINISH: u32 = 12_000;
/// The longest that a control call may take. microburst's first EC2 call loads a model, 4 s on a quiet machine.
const CALL_TIMEOUT: Duration = Duration::from_mins(1);
/// How often a server is started over when somebody else takes its port first.
const STARTS: u32 = 5;

/// A stand-in that this machine does not have.
#[derive(Debug)]
pub(crate) struct Missing {
    pub(crate) which: &'static str,
    pub(crate) why: String,
}

/// Why a stand-in cannot be used.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// It is not there, so the test cannot say anything.
    Missing(Missing),
    /// It is there and does not work, which is a failure.
    Failed(String),
}

impl Trouble {
    /// Says on stderr why the test is skipped.
    ///
    /// # Panics
    ///
    /// When the stand-in is there and does not work, and when `MESHPLAN_REQUIRE_STAND_INS` says that none may be missing.
    #[track_caller]
    pub(crate) fn skip_or_fail(&self) {
        let is_required =
            environment("MESHPLAN_REQUIRE_STAND_INS").is_some_and(|value| !value.is_empty() && value != "0");
        match self {
            Self::Missing(Missing { which, why }) if !is_required => {
                let thread = thread::current();
                let test = thread.name().unwrap_or("a test");
                // The test harness would keep `eprintln!` to itself: it captures what a passing test prints.
                let _ = writeln!(io::stderr(), "skipped: {test}, because {which} is missing: {why}");
            }
            Self::Missing(_) | Self::Failed(_) => panic!("{self}"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(Missing { which, why }) => write!(f, "the stand-in {which} is missing: {why}"),
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Trouble {}

/// Takes a stand-in out of its `Result`, or leaves the test: skipped when it is missing, failed when it does not work.
macro_rules! stand_in {
    ($started:expr) => {
        match $started {
            Ok(stand_in) => stand_in,
            Err(trouble) => {
                trouble.skip_or_fail();
                return;
            }
        }
    };
}
pub(crate) use stand_in;

/// Where a prepared stand-in is.
pub(crate) fn locate(which: &'static str) -> Result<PathBuf, Missing> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/stand-ins/prepare");
    let missing = |why: String| Missing { which, why };
    let asked = Command::new(&script).args(["--where", which]).stdin(Stdio::null()).output();
    let asked = asked.map_err(|error| missing(format!("cannot run {}: {error}", script.display())))?;
    if asked.status.success() {
        return Ok(PathBuf::from(String::from_utf8_lossy(&asked.stdout).trim_end()));
    }
    let said = String::from_utf8_lossy(&asked.stderr);
    let why = said.lines().last().unwrap_or("it did not say why").trim_start_matches("stand-ins: error: ");
    Err(missing(why.to_owned()))
}

/// moto: EC2, IAM, STS, S3 and more over the wire, in memory. One value is one server of its own.
///
/// It is not thread-safe with a large state: it may answer 500 with a page of HTML, which a client has to take as
/// transient.
#[derive(Debug)]
pub(crate) struct Moto {
    server: Server,
}

impl Moto {
    /// Starts an empty moto, and returns when it answers.
    pub(crate) fn start() -> Result<Self, Trouble> {
        let folder = locate("moto").map_err(Trouble::Missing)?;
        let mut command = isolated(&folder.join("bin/moto_server"));
        // Port 0: the server binds a free one and says which, so no other process can take it in between.
        command.args(["--host", "127.0.0.1", "--port", "0"]);
        // Without it every AttachRolePolicy of one of AWS's own policies fails with NoSuchEntity.
        command.env("MOTO_IAM_LOAD_MANAGED_POLICIES", "true");
        let mut server = Server::spawn("moto", command)?;
        server.port = server.wait(|server| {
            let said = server.log();
            let (_, after) = said.split_once("Running on http://127.0.0.1:")?;
            let (port, _) = after.split_once('\n')?;
            port.trim().parse().ok()
        })?;
        // The first call makes what later ones share; with it done, a seed after a reset has the same effect each time.
        server.warm_up()?;
        let moto = Self { server };
        moto.reset()?;
        Ok(moto)
    }

    /// The address to give to a client as its endpoint.
    pub(crate) fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// Empties it, up to what a fresh account has: a default VPC in each region.
    pub(crate) fn reset(&self) -> Result<(), Trouble> {
        self.server.control("POST", "/moto-api/reset", "").map(drop)
    }

    /// Makes the ids of what is created from now on the same in each run.
    pub(crate) fn seed(&self, seed: u32) -> Result<(), Trouble> {
        self.server.control("POST", &format!("/moto-api/seed?a={seed}"), "").map(drop)
    }

    /// The process, for tests that look at it from outside.
    pub(crate) fn process_id(&self) -> u32 {
        self.server.child.id()
    }
}

/// microburst: a proxy in front of another stand-in that injects faults on the wire by rules.
#[derive(Debug)]
pub(crate) struct Microburst {
    server: Server,
}

impl Microburst {
    /// Starts a proxy to `upstream` (an address such as [`Moto::endpoint`]) without rules, and returns when it is warm:
    /// its first EC2 call is by far the slowest.
    pub(crate) fn start(upstream: &str) -> Result<Self, Trouble> {
        let folder = locate("microburst").map_err(Trouble::Missing)?;
        let mut last = Trouble::Failed("microburst was never started".to_owned());
        for _ in 0..STARTS {
            match Self::start_once(&folder, upstream) {
                Err(trouble) => last = trouble,
                started => return started,
            }
        }
        Err(last)
    }

    fn start_once(folder: &Path, upstream: &str) -> Result<Self, Trouble> {
        // It takes 0 for its default port, so a free one is looked up for it. In the meantime another process may take
        // it: then this microburst ends, and is started over. That the one which answers is ours is told by its
        // upstream, which no other has.
        let port = free_port().map_err(|error| Trouble::Failed(format!("no free port on loopback: {error}")))?;
        let mut command = isolated(&folder.join("bin/microburst"));
        command.args(["--upstream", upstream, "--host", "127.0.0.1", "--port", &port.to_string()]);
        let mut server = Server::spawn("microburst", command)?;
        server.port = port;
        server.wait(|server| {
            let health = server.control("GET", "/_microburst/health", "").ok()?;
            health.contains(&format!("\"{upstream}\"")).then_some(())
        })?;
        server.warm_up()?;
        Ok(Self { server })
    }

    /// The address to give to a client as its endpoint.
    pub(crate) fn endpoint(&self) -> String {
        self.server.endpoint()
    }

    /// Replaces all rules by a JSON array of them; `[]` lets everything through.
    pub(crate) fn set_rules(&self, rules: &str) -> Result<(), Trouble> {
        self.server.control("POST", "/_microburst/rules", rules).map(drop)
    }

    /// The faults that were injected so far, the latest 10,000 of them, as a JSON array.
    pub(crate) fn fired(&self) -> Result<String, Trouble> {
        self.server.control("GET", "/_microburst/fired?limit=10000", "")
    }

    /// Forgets the faults that were injected so far.
    pub(crate) fn forget_fired(&self) -> Result<(), Trouble> {
        self.server.control("DELETE", "/_microburst/fired", "").map(drop)
    }
}

/// ministack: EKS add-ons, access entries and pod identities over the wire, in memory. One value is one server of its own.
///
/// It knows no updates and no versions of add-ons, and takes every cluster for an IPv4 one.
#[derive(Debug)]
pub(crate) struct Ministack {
    server: Server,
}

impl Ministack {
    /// Starts an empty ministack, and returns when it answers.
    pub(crate) fn start() -> Result<Self, Trouble> {
        let folder = locate("ministack").map_err(Trouble::Missing)?;
        let mut last = Trouble::Failed("ministack was never started".to_owned());
        for _ in 0..STARTS {
            match Self::start_once(&folder) {
                Err(trouble) => last = trouble,
                started => return started,
            }
        }
        Err(last)
    }

    fn start_once(folder: &Path) -> Result<Self, Trouble> {
        // As for microburst: it takes 0 for no port at all, and ends when another process has taken the one it was given.
        let port = free_port().map_err(|error| Trouble::Failed(format!("no free port on loopback: {error}")))?;
        let mut command = isolated(&folder.join("bin/ministack"));
        // Its default is every interface of the machine.
        command.env("BIND_HOST", "127.0.0.1").env("GATEWAY_PORT", port.to_string());
        command.env("MINISTACK_ACCOUNT_ID", "123456789012");
        let mut server = Server::spawn("ministack", command)?;
        server.port = port;
        server.wait(|server| {
            let running = server.log().contains(&format!("Running on http://127.0.0.1:{port} "));
            (running && server.control("GET", "/_ministack/health", "").is_ok()).then_some(())
        })?;
        Ok(Self { server })
    }

    /// The address to give to a client as its endpoint.
    pub(crate) fn endpoint(&self) -> String {
        self.server.endpoint()
    }
}

/// boto3 and the aws command: clients of another language, in an environment of their own.
#[derive(Debug)]
pub(crate) struct Clients {
    folder: PathBuf,
}

/// What a client program left behind.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// The standard output of a program that succeeded; what it complained about otherwise.
    pub(crate) fn stdout(self) -> Result<String, Trouble> {
        if self.status.success() {
            return Ok(self.stdout);
        }
        Err(Trouble::Failed(format!("the client failed ({}):\n{}{}", self.status, self.stdout, self.stderr)))
    }
}

impl Clients {
    pub(crate) fn find() -> Result<Self, Trouble> {
        Ok(Self { folder: locate("clients").map_err(Trouble::Missing)? })
    }

    /// Runs a Python script in which `boto3.client("ec2")` talks to `endpoint`.
    pub(crate) fn python(&self, endpoint: &str, script: &str, args: &[&str]) -> Result<Finished, Trouble> {
        let mut command = self.command("python", endpoint);
        command.args(["-c", script]).args(args);
        finish(command)
    }

    /// Runs the aws command on `endpoint`, as in `aws(endpoint, &["ec2", "describe-vpcs"])`.
    pub(crate) fn aws(&self, endpoint: &str, args: &[&str]) -> Result<Finished, Trouble> {
        let mut command = self.command("aws", endpoint);
        command.args(args);
        finish(command)
    }

    fn command(&self, program: &str, endpoint: &str) -> Command {
        let mut command = isolated(&self.folder.join("bin").join(program));
        command.envs([
            ("AWS_ENDPOINT_URL", endpoint),
            ("AWS_DEFAULT_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "test"),
            ("AWS_SECRET_ACCESS_KEY", "test"),
            // What the machine's user has set up must not reach the test, nor a request leave the machine.
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
            // A fault is to be seen, not retried.
            ("AWS_MAX_ATTEMPTS", "1"),
            ("AWS_DEFAULT_OUTPUT", "json"),
            ("AWS_PAGER", ""),
        ]);
        command
    }
}

/// A server of ours on loopback; killed when dropped.
#[derive(Debug)]
struct Server {
    name: &'static str,
    child: Child,
    /// 0 until it is known.
    port: u16,
    /// What it says, in a file that has no name any more: it goes with the last process that has it open.
    log: File,
}

impl Server {
    fn spawn(name: &'static str, mut command: Command) -> Result<Self, Trouble> {
        static COUNTER: AtomicU64 = AtomicU64::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        let path = scratch_folder().join(format!("{name}-{}-{number}.log", std::process::id()));
        let failed = |error: io::Error| Trouble::Failed(format!("cannot start {name}: {error}"));
        // A file and not a pipe, which would have to be emptied lest the server stops.
        let out = File::create(&path).map_err(failed)?;
        let log = File::open(&path).map_err(failed)?;
        std::fs::remove_file(&path).map_err(failed)?;
        command.stdin(Stdio::null()).stdout(out.try_clone().map_err(failed)?).stderr(out);
        let child = spawn(command).map_err(failed)?;
        Ok(Self { name, child, port: 0, log })
    }

    /// Looks until `ready` has an answer, as long as the server lives.
    fn wait<T>(&mut self, ready: impl Fn(&Self) -> Option<T>) -> Result<T, Trouble> {
        for _ in 0..POLLS_TO_START {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.failed(&format!("ended before it was ready ({status})")));
            }
            if let Some(answer) = ready(self) {
                return Ok(answer);
            }
            thread::sleep(POLL);
        }
        Err(self.failed("did not get ready in time"))
    }

    fn failed(&self, what: &str) -> Trouble {
        Trouble::Failed(format!("{} {what}; it said:\n{}", self.name, self.log()))
    }

    fn log(&self) -> String {
        let mut log = &self.log;
        let mut said = Vec::new();
        // As far as it can be read: it only explains another failure.
        let _ = log.seek(SeekFrom::Start(0)).and_then(|_| log.read_to_end(&mut said));
        String::from_utf8_lossy(&said).into_owned()
    }

    fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The first EC2 call, which loads models and data. The service is known by the credential scope of the signature;
    /// nobody checks the signature itself.
    fn warm_up(&self) -> Result<(), Trouble> {
        let headers = "Content-Type: application/x-www-form-urlencoded\r\nAuthorization: AWS4-HMAC-SHA256 \
                       Credential=test/20260101/eu-central-1/ec2/aws4_request, SignedHeaders=host, Signature=0\r\n";
        self.call("POST", "/", headers, "Action=DescribeVpcs&Version=2016-11-15").map(drop)
    }

    /// A call of the server's own interface, which answers 200 or has a reason not to.
    fn control(&self, method: &str, path: &str, body: &str) -> Result<String, Trouble> {
        self.call(method, path, "Content-Type: application/json\r\n", body)
    }

    fn call(&self, method: &str, path: &str, headers: &str, body: &str) -> Result<String, Trouble> {
        match http(self.port, method, path, headers, body) {
            Ok((200, answer)) => Ok(answer),
            Ok((status, answer)) => Err(self.failed(&format!("answered {method} {path} with {status}: {answer}"))),
            Err(error) => Err(self.failed(&format!("did not answer {method} {path}: {error}"))),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request on a connection of its own. HTTP/1.0, so that the answer ends with the connection and is never chunked.
fn http(port: u16, method: &str, path: &str, headers: &str, body: &str) -> io::Result<(u16, String)> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, CALL_TIMEOUT)?;
    stream.set_read_timeout(Some(CALL_TIMEOUT))?;
    stream.set_write_timeout(Some(CALL_TIMEOUT))?;
    let length = body.len();
    let request =
        format!("{method} {path} HTTP/1.0\r\nHost: {address}\r\n{headers}Content-Length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let malformed = || io::Error::new(io::ErrorKind::InvalidData, format!("not an HTTP answer: {answer:?}"));
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(malformed)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(malformed)?;
    Ok((status, body.to_owned()))
}

fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

/// A command that ends with this process, however that ends, and that sees none of its environment: a proxy or a
/// profile of the machine's user would lead a test astray.
pub(crate) fn isolated(program: &Path) -> Command {
    let mut command = if can_tie_to_parent() {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.env_clear();
    for name in ["PATH", "HOME", "TMPDIR", "LANG"] {
        command.envs(environment(name).map(|value| (name, value)));
    }
    // The cache is shared and complete: nothing writes to it but the script that prepares it.
    command.env("PYTHONDONTWRITEBYTECODE", "1").env("PYTHONUNBUFFERED", "1");
    command
}

/// Where there is no setpriv (it is Linux's), a killed test process leaves its servers behind; dropped ones still end.
pub(crate) fn can_tie_to_parent() -> bool {
    static CAN: OnceLock<bool> = OnceLock::new();
    *CAN.get_or_init(|| {
        let mut tried = Command::new("setpriv");
        tried
            .args(["--pdeathsig", "KILL", "--", "true"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        tried.status().is_ok_and(|status| status.success())
    })
}

/// Starts a command from a thread that lives as long as the process.
///
/// The kernel's signal at the parent's death comes when the *thread* that started the child ends, and a test's thread
/// ends with its test, while a server may be shared by several.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    type Job = (Command, mpsc::Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<mpsc::Sender<Job>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (jobs, inbox) = mpsc::channel::<Job>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        jobs
    });
    let (answer, child) = mpsc::channel();
    let gone = || io::Error::other("the thread that starts programs is gone");
    spawner.send((command, answer)).map_err(|_| gone())?;
    child.recv().map_err(|_| gone())?
}

/// Runs a program to its end, or kills it when it takes too long.
pub(crate) fn finish(mut command: Command) -> Result<Finished, Trouble> {
    let failed = |error: io::Error| Trouble::Failed(format!("cannot run a client: {error}"));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command).map_err(failed)?;
    let stdout = read_aside(child.stdout.take());
    let stderr = read_aside(child.stderr.take());
    let mut ended = None;
    for _ in 0..POLLS_TO_FINISH {
        ended = child.try_wait().map_err(failed)?;
        if ended.is_some() {
            break;
        }
        thread::sleep(POLL);
    }
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let text = |reader: thread::JoinHandle<String>| reader.join().unwrap_or_default();
    let (stdout, stderr) = (text(stdout), text(stderr));
    match ended {
        Some(status) => Ok(Finished { status, stdout, stderr }),
        None => Err(Trouble::Failed(format!("a client did not end in time; it said:\n{stdout}{stderr}"))),
    }
}

/// Both streams are read at once: a program that fills one of them stops until it is emptied.
fn read_aside(stream: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut stream) = stream {
            let _ = stream.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

/// The build's own folder for what tests write.
pub(crate) fn scratch_folder() -> PathBuf {
    option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from)
}

#[expect(
    clippy::disallowed_methods,
    reason = "tests are told by their environment where stand-ins are and whether they may be missing"
)]
pub(crate) fn environment(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}
