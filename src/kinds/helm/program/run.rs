//! One run of helm: in a process group of its own, bounded in time and in what it may say, and gone with its future.
//!
//! Whoever drops the future asks the group to end (helm marks the release as failed then, in some 50 ms), waits a moment,
//! and kills what is left.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// What is kept of what helm says, its end: enough for its last error.
const TAIL: usize = 64 * 1024;

/// The most that is taken of an answer. The objects of Istio's base chart are 1.5 MB.
pub(super) const ANSWER: usize = 64 * 1024 * 1024;

/// How long a group that is asked to end may take before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// The same where nothing else can happen meanwhile: who interrupts a run wants the prompt back within a second.
const MOMENT: Duration = Duration::from_millis(700);

/// Between two looks at whether a group has ended.
const LOOK: Duration = Duration::from_millis(10);

/// The settings of helm's that are not the user's to make here: they would change which cluster, which namespace or
/// which releases a command means.
const REMOVED: [&str; 14] = [
    "HELM_DEBUG",
    "HELM_DRIVER",
    "HELM_DRIVER_SQL_CONNECTION_STRING",
    "HELM_KUBEAPISERVER",
    "HELM_KUBEASGROUPS",
    "HELM_KUBEASUSER",
    "HELM_KUBECAFILE",
    "HELM_KUBECONTEXT",
    "HELM_KUBEINSECURE_SKIP_TLS_VERIFY",
    "HELM_KUBETLS_SERVER_NAME",
    "HELM_KUBETOKEN",
    "HELM_MAX_HISTORY",
    "HELM_NAMESPACE",
    "KUBECONFIG",
];

/// What is to be run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    /// A folder without plugins.
    pub(super) no_plugins: PathBuf,
    /// What stays open while it lives: see `locks`.
    pub(super) stdin: Option<File>,
    /// How much of its answer is kept, from its end.
    pub(super) answer: usize,
    pub(super) patience: Duration,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

/// Why there is no end.
#[derive(Debug)]
pub(super) enum Failure {
    /// It could not be started.
    NotStarted(std::io::Error),
    /// It took too long, and was ended.
    TooLong(Duration),
    /// Nobody knows.
    Lost(std::io::Error),
}

impl Run {
    pub(super) fn new(program: &Path, no_plugins: &Path, args: Vec<OsString>, patience: Duration) -> Self {
        let (program, no_plugins) = (program.to_owned(), no_plugins.to_owned());
        Self { program, args, no_plugins, stdin: None, answer: TAIL, patience }
    }

    /// Runs it to its end.
    pub(super) async fn finish(self) -> Result<Ended, Failure> {
        let mut command = Command::new(&self.program);
        for name in REMOVED {
            command.env_remove(name);
        }
        command
            .args(&self.args)
            .env("HELM_PLUGINS", &self.no_plugins)
            .env("HELM_NO_PLUGINS", "1")
            .env("HELM_DRIVER", "secret")
            .stdin(self.stdin.map_or_else(Stdio::null, Stdio::from))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Its own group: the terminal's Ctrl-C is meant for us, and what it starts is ended with it.
            .process_group(0)
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(Failure::NotStarted)?;
        // What it was given is its alone now.
        drop(command);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut group = Group { child, stdout, stderr };
        let Group { child, stdout, stderr } = &mut group;
        let all = async { tokio::join!(tail(stdout.as_mut(), self.answer), tail(stderr.as_mut(), TAIL), child.wait()) };
        if let Ok((stdout, stderr, status)) = tokio::time::timeout(self.patience, all).await {
            let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
            let status = status.map_err(Failure::Lost)?;
            return Ok(Ended { status, stdout: text(stdout), stderr: text(stderr) });
        }
        group.signal(Signal::TERM);
        let _ = tokio::time::timeout(GRACE, group.child.wait()).await;
        group.signal(Signal::KILL);
        let _ = group.child.wait().await;
        Err(Failure::TooLong(self.patience))
    }
}

/// The end of what a pipe brings.
async fn tail(pipe: Option<&mut (impl AsyncRead + Unpin)>, most: usize) -> Vec<u8> {
    let (mut kept, mut piece) = (Vec::new(), vec![0; 16 * 1024]);
    let Some(pipe) = pipe else { return kept };
    while let Ok(count @ 1..) = pipe.read(&mut piece).await {
        kept.extend_from_slice(&piece[..count]);
        if kept.len() > 2 * most {
            kept.drain(..kept.len() - most);
        }
    }
    let surplus = kept.len().saturating_sub(most);
    kept.drain(..surplus);
    kept
}

/// A process and whatever it has started. Its pipes stay open for as long as it lives: who is asked to end and says so
/// into a closed pipe is killed by that, before the release is marked.
struct Group {
    child: Child,
    stdout: Option<ChildStdout>,
    stderr: Option<ChildStderr>,
}

impl Group {
    fn signal(&self, signal: Signal) {
        // Without an id it has ended and was waited for: the number may be somebody else's by now.
        if let Some(id) = self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?)) {
            let _ = kill_process_group(id, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if self.child.id().is_none() {
            return;
        }
        self.signal(Signal::TERM);
        let mut waited = Duration::ZERO;
        while waited < MOMENT && !matches!(self.child.try_wait(), Ok(Some(_)) | Err(_)) {
            thread::sleep(LOOK);
            waited += LOOK;
        }
        self.signal(Signal::KILL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, patience: Duration) -> Run {
        let args = ["-c", script].map(OsString::from).to_vec();
        Run::new(Path::new("/bin/sh"), Path::new("/nonexistent"), args, patience)
    }

    const LONG: Duration = Duration::from_mins(1);

    fn alive(id: &str) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", id.trim())).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    }

    #[tokio::test]
    async fn what_it_says_is_kept_up_to_a_bound() {
        let ended = shell("echo out; echo err >&2; exit 3", LONG).finish().await.unwrap();
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(ended.status.code(), Some(3));
        let many =
            shell("yes | head -c 1000000 >&2; echo last >&2; yes | head -c 1000000", LONG).finish().await.unwrap();
        assert_eq!((many.stdout.len(), many.stderr.len()), (TAIL, TAIL));
        assert!(many.stderr.ends_with("\nlast\n"));
        let env = "echo \"$HELM_DRIVER $HELM_NAMESPACE $HELM_PLUGINS\"";
        assert_eq!(shell(env, LONG).finish().await.unwrap().stdout, "secret  /nonexistent\n");
    }

    #[tokio::test]
    async fn what_takes_too_long_is_ended_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let ids = folder.path().join("ids");
        let script = format!("sleep 300 & echo $! > {0}; echo $$ >> {0}; wait", ids.display());
        let error = shell(&script, Duration::from_millis(500)).finish().await.unwrap_err();
        assert!(matches!(error, Failure::TooLong(_)), "{error:?}");
        let ids = std::fs::read_to_string(ids).unwrap();
        assert_eq!(ids.lines().count(), 2);
        // The signal was sent; the kernel ends them when it gets to it, on a busy machine a moment later.
        for _ in 0..10_000 {
            if !ids.lines().any(alive) {
                return;
            }
            tokio::task::yield_now().await;
            std::thread::yield_now();
        }
        panic!("still alive: {ids}");
    }

    #[tokio::test]
    async fn dropping_it_ends_it_politely_first() {
        let folder = tempfile::tempdir().unwrap();
        let (ids, said) = (folder.path().join("ids"), folder.path().join("said"));
        let script = format!(
            "trap 'echo bye > {}; exit 1' TERM; echo $$ > {}; while :; do sleep 0.05; done",
            said.display(),
            ids.display()
        );
        let started = async {
            while !std::fs::read_to_string(&ids).is_ok_and(|text| text.ends_with('\n')) {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            ended = shell(&script, LONG).finish() => panic!("{ended:?}"),
            () = started => {}
        }
        assert_eq!(std::fs::read_to_string(said).unwrap(), "bye\n");
        assert!(!alive(&std::fs::read_to_string(ids).unwrap()));
    }

    #[tokio::test]
    async fn what_is_not_there_is_said_so() {
        let run = Run::new(Path::new("/nonexistent/helm"), Path::new("/"), Vec::new(), LONG);
        assert!(matches!(run.finish().await, Err(Failure::NotStarted(_))));
    }
}
