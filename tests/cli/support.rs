//! A directory, a topology, and the binary run in it.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// One network in two zones: small enough that what is printed about it can be read in review.
pub(crate) const SMALL: &str = r#"schema = 1

[mesh]
id = "small"
region = "us-west-2"

[networks.network1]
cidr = "10.1.0.0/16"
azs = 2
"#;

/// A directory of one test's own, with `small.toml` in it.
pub(crate) struct Place(PathBuf);

/// What a command did.
pub(crate) struct Ran {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
    shown: String,
}

impl Place {
    pub(crate) fn new(test: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cli").join(test);
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        let place = Self(path);
        place.write("small.toml", SMALL);
        place
    }

    #[expect(clippy::disallowed_methods, reason = "the input of a test needs to survive nothing")]
    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.join(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.0.join(name)).unwrap()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        self.0.join(name).exists()
    }

    /// The binary, ready to run: nothing of the caller's environment, no one to ask.
    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshplan"));
        command
            .args(line.split_whitespace())
            .current_dir(&self.0)
            .env_clear()
            .env("COLUMNS", "100")
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, line: &str) -> Ran {
        let output = self.command(line).output().unwrap();
        Ran::of(line, &output)
    }

    /// Over the sandbox, as fast as it goes.
    pub(crate) fn sandbox(&self, line: &str) -> Ran {
        let output = self.command(line).args(["--sandbox", "--sandbox-speed", "unlimited"]).output().unwrap();
        Ran::of(line, &output)
    }
}

impl Ran {
    fn of(line: &str, output: &Output) -> Self {
        let (stdout, stderr) =
            (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap());
        let mut shown = format!("$ meshplan {line}\n");
        for (name, text) in [("stdout", &stdout), ("stderr", &stderr)] {
            if !text.is_empty() {
                let _ = writeln!(shown, "[{name}]\n{}", text.trim_end());
            }
        }
        let _ = writeln!(shown, "[exit {}]", output.status.code().map_or("by a signal".to_owned(), |c| c.to_string()));
        Self { stdout, stderr, code: output.status.code(), shown }
    }

    /// Everything, for a snapshot.
    pub(crate) fn all(&self) -> &str {
        &self.shown
    }

    /// Everything but the fields of changes and the empty lines between them, for a snapshot of a long plan.
    pub(crate) fn brief(&self) -> String {
        let kept = |line: &&str| !line.is_empty() && !line.starts_with("      ");
        self.shown.lines().filter(kept).fold(String::new(), |text, line| text + line + "\n")
    }

    pub(crate) fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}", self.shown);
        self
    }

    pub(crate) fn refused(self) -> Self {
        assert_eq!(self.code, Some(1), "{}", self.shown);
        self
    }
}
