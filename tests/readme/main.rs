//! The console blocks of README and tutorial are what the program really prints: each is run again, and compared.
//!
//! A line that begins with `$ ` is a command; what follows, up to the next or the end of the block, is what it wrote:
//! standard error first, then standard output, because a pipe between the two leaves their order to chance. `MESHPLAN_UPDATE_README=1` writes both anew.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::Command;

/// A fence's opening line: only these blocks are run.
const FENCE: &str = "```console";

/// Runs one command line as a person would: in a shell, with `meshplan` on the path.
fn run(command: &str, folder: &Path) -> String {
    let binary = Path::new(env!("CARGO_BIN_EXE_meshplan"));
    let path = format!("{}:/usr/bin:/bin", binary.parent().unwrap().display());
    let output = Command::new("sh")
        .args(["-c", command])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", folder)
        .env("COLUMNS", "120")
        .output()
        .unwrap();
    String::from_utf8([output.stderr, output.stdout].concat()).unwrap()
}

/// A page with the output of each of its commands as it is now.
fn rerun(page: &str, folder: &Path) -> (String, usize) {
    let mut text = String::new();
    let mut commands = 0;
    let mut in_block = false;
    for line in page.lines() {
        if in_block && !line.starts_with("```") {
            let Some(command) = line.strip_prefix("$ ") else { continue };
            commands += 1;
            text.push_str(line);
            text.push('\n');
            text.push_str(&run(command, folder));
            if !text.ends_with('\n') {
                text.push('\n');
            }
            continue;
        }
        in_block = line == FENCE;
        text.push_str(line);
        text.push('\n');
    }
    (text, commands)
}

#[test]
fn the_transcripts_of_the_readme_are_what_is_printed() {
    // Plan, apply, a second plan, a pull request's comment, destroy.
    hold("README.md", 5);
}

#[test]
fn the_tutorial_does_what_it_says() {
    // Validate, plan, apply, verify, a change, destroy.
    hold("docs/tutorial.md", 7);
}

/// Runs all of a page's commands in a folder of their own, and compares; or writes the page anew.
#[expect(clippy::disallowed_methods, reason = "whether to rewrite is for whoever runs the test to say")]
fn hold(page: &str, least: usize) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(root.join("topologies"), folder.path().join("topologies")).unwrap();
    let written = std::fs::read_to_string(root.join(page)).unwrap();
    let (now, commands) = rerun(&written, folder.path());
    assert!(commands >= least, "{page} has {commands} commands");
    if std::env::var_os("MESHPLAN_UPDATE_README").is_some() {
        std::fs::write(root.join(page), now).unwrap();
        return;
    }
    let difference = similar::TextDiff::from_lines(written.as_str(), now.as_str());
    assert!(written == now, "{}", difference.unified_diff().header(page, "what is printed"));
}
