//! Keeps the tree in the shape that its architecture promises: who imports whom, how long a file is, what it opens with,
//! and what never gets into it.
//!
//! Each check is a function from the tree to its offences, so that its own tests can show it a bad one. A failing
//! check lists them all, with file, line, reason and the way out. Formatting and lints are rustfmt's and clippy's.

#[path = "tidy/hygiene.rs"]
mod hygiene;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/permissions.rs"]
mod permissions;
#[path = "tidy/source.rs"]
mod source;

use std::fmt::Write as _;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use source::File;

/// The text files of the project.
struct Tree {
    files: Vec<File>,
}

/// One place that breaks a rule.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Offence {
    path: String,
    line: usize,
    why: String,
}

impl Offence {
    fn new(file: &File, line: usize, why: String) -> Self {
        Self { path: file.path.clone(), line, why }
    }
}

impl Tree {
    /// All files that git tracks or would track, read where they are. Files that are no text are left out.
    fn load() -> io::Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let mut paths = git_files(root).map_or_else(|| walk(root), Ok)?;
        paths.sort();
        let mut files = Vec::new();
        for path in paths {
            // Listed, and gone since: a deletion that is not committed yet.
            let Ok(bytes) = std::fs::read(root.join(&path)) else { continue };
            let Ok(text) = String::from_utf8(bytes) else { continue };
            files.push(File { path: path.to_string_lossy().replace('\\', "/"), text });
        }
        Ok(Self { files })
    }

    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let file = |&(path, text): &(&str, &str)| File { path: path.to_owned(), text: text.to_owned() };
        Self { files: files.iter().map(file).collect() }
    }
}

/// The files that git tracks, and those not ignored that it does not track yet; none when this is no checkout.
fn git_files(root: &Path) -> Option<Vec<PathBuf>> {
    let listed = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let names = String::from_utf8(listed.stdout).ok()?;
    Some(names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from).collect())
}

/// The same for a tree without git, as in an unpacked archive: everything but what builds and runs leave behind.
fn walk(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(root.join(&folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            let kind = entry.file_type()?;
            if kind.is_dir() && !["target", ".git", "state"].iter().any(|left| path == Path::new(left)) {
                folders.push(path);
            } else if kind.is_file() {
                files.push(path);
            }
        }
    }
    Ok(files)
}

/// The offences as a report, or nothing when there are none.
fn report(offences: &[Offence]) -> Option<String> {
    if offences.is_empty() {
        return None;
    }
    let mut report = format!("{} to put right:\n", offences.len());
    for offence in offences {
        let _ = writeln!(report, "  {}:{}: {}", offence.path, offence.line, offence.why);
    }
    Some(report)
}

#[track_caller]
fn assert_tidy(check: fn(&Tree) -> Vec<Offence>) {
    let offences = check(&Tree::load().unwrap_or_else(|error| panic!("cannot read the project's files: {error}")));
    if let Some(report) = report(&offences) {
        panic!("{report}");
    }
}

#[test]
fn imports_follow_the_table() {
    assert_tidy(imports::check);
}

#[test]
fn a_topic_is_one_file_or_one_folder() {
    assert_tidy(imports::check_names);
}

#[test]
fn modules_say_what_they_are_for() {
    assert_tidy(hygiene::module_docs);
}

#[test]
fn files_are_short_enough_to_read() {
    assert_tidy(hygiene::length);
}

#[test]
fn snapshots_are_small_enough_to_review() {
    assert_tidy(hygiene::snapshots);
}

#[test]
fn debts_have_a_tag_and_a_reason() {
    assert_tidy(hygiene::debts);
}

#[test]
fn no_placeholders_are_left() {
    assert_tidy(hygiene::placeholders);
}

#[test]
fn lints_are_set_aside_with_a_reason() {
    assert_tidy(hygiene::lint_reasons);
}

#[test]
fn imports_name_each_item() {
    assert_tidy(hygiene::glob_imports);
}

#[test]
fn files_name_no_machine_and_no_registry() {
    assert_tidy(hygiene::places);
}

#[test]
fn the_documents_are_there() {
    assert_tidy(hygiene::documents);
}

#[test]
fn the_policy_for_callers_allows_what_is_called_and_no_more() {
    let tree = Tree::load().unwrap();
    assert_eq!(permissions::check(&tree), Vec::<String>::new());
}

#[test]
fn a_report_lists_every_offence_with_its_place() {
    let file = File { path: "src/a.rs".to_owned(), text: String::new() };
    let offences = [Offence::new(&file, 3, "too odd".to_owned()), Offence::new(&file, 9, "too even".to_owned())];
    assert_eq!(report(&offences).as_deref(), Some("2 to put right:\n  src/a.rs:3: too odd\n  src/a.rs:9: too even\n"));
    assert_eq!(report(&[]), None);
}

#[test]
fn the_tree_is_read_with_and_without_git() {
    let tree = Tree::load().unwrap();
    assert!(tree.files.iter().any(|file| file.path == "src/lib.rs" && !file.text.is_empty()));
    assert!(tree.files.iter().all(|file| !file.path.starts_with("target/")));
    let walked = walk(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    assert!(walked.contains(&PathBuf::from("src/lib.rs")) && !walked.iter().any(|path| path.starts_with("target")));
}
