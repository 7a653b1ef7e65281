//! What a file of the project looks like, whatever it is about: its length, its opening, and what is not in it.
//!
//! Files under `tests/fixtures/` are input of tests, bad on purpose at times, and are left alone.

use crate::source::{File, Rust, Token, group_end};
use crate::{Offence, Tree};

/// A file holds one topic that a reader takes in at one sitting; its inline tests are not counted.
const LINES_OF_SOURCE: usize = 500;
/// A file of tests is flat and read a test at a time.
const LINES_OF_TESTS: usize = 600;
/// The snapshot is the review, so it has to fit one.
const LINES_OF_SNAPSHOT: usize = 240;

/// The files that the project's rules are for.
fn ours(tree: &Tree) -> impl Iterator<Item = &File> {
    tree.files.iter().filter(|file| !file.path.starts_with("tests/fixtures/"))
}

fn rust_files(tree: &Tree) -> impl Iterator<Item = (&File, Rust)> {
    ours(tree).filter(|file| file.has_extension("rs")).map(|file| (file, Rust::read(&file.text)))
}

fn is_product(file: &File) -> bool {
    let is_tests = |part: &str| part == "tests" || part == "tests.rs";
    file.path.starts_with("src/") && !file.path.split('/').any(is_tests)
}

pub(crate) fn module_docs(tree: &Tree) -> Vec<Offence> {
    let silent = |file: &&File| {
        !file.text.lines().find(|line| !line.trim().is_empty()).is_some_and(|line| line.starts_with("//!"))
    };
    let files = ours(tree).filter(|file| file.has_extension("rs"));
    files
        .filter(silent)
        .map(|file| {
            Offence::new(
                file,
                1,
                "open with `//!`: what the module is for, its entry point, and what it does not do".to_owned(),
            )
        })
        .collect()
}

pub(crate) fn length(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (file, rust) in rust_files(tree) {
        let all = file.text.lines().count();
        let (lines, most) =
            if is_product(file) { (all - rust.test_lines.len(), LINES_OF_SOURCE) } else { (all, LINES_OF_TESTS) };
        if lines > most {
            offences.push(Offence::new(
                file,
                most + 1,
                format!("{lines} lines, where {most} is the most: split it by topic"),
            ));
        }
    }
    offences
}

pub(crate) fn snapshots(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in ours(tree) {
        let lines = file.text.lines().count();
        if file.path.ends_with(".snap.new") || file.path.ends_with(".pending-snap") {
            offences.push(Offence::new(
                file,
                1,
                "a snapshot that nobody has reviewed: accept it or remove it".to_owned(),
            ));
        } else if file.has_extension("snap") && lines > LINES_OF_SNAPSHOT {
            let why = format!(
                "{lines} lines, where {LINES_OF_SNAPSHOT} is the most: snapshot a smaller case, or a part of this one"
            );
            offences.push(Offence::new(file, LINES_OF_SNAPSHOT + 1, why));
        }
    }
    offences
}

/// In Rust, debts stand in comments; in scripts and settings the whole text is looked at.
pub(crate) fn debts(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in ours(tree) {
        let is_script = file.text.starts_with("#!") || file.has_extension("toml") || file.has_extension("sh");
        let text = if file.has_extension("rs") {
            Rust::read(&file.text).comments
        } else if is_script {
            file.text.clone()
        } else {
            continue;
        };
        for (line, text) in (1..).zip(text.lines()) {
            if text_has_bare_debt(text) {
                let why = format!("write a debt as `{}-tag(reason)`, as in `{0}-liveness(why it can wait)`", "TODO");
                offences.push(Offence::new(file, line, why));
            }
        }
    }
    offences
}

fn text_has_bare_debt(text: &str) -> bool {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let found = |word: &'static str| {
        text.match_indices(word).filter_map(move |(at, _)| {
            let after = &text[at + word.len()..];
            let is_word = !text[..at].ends_with(is_part) && !after.starts_with(is_part);
            is_word.then_some(after)
        })
    };
    let is_explained = |after: &str| {
        after.strip_prefix('-').and_then(|after| after.split_once('(')).is_some_and(|(tag, reason)| {
            let is_tag = !tag.is_empty() && tag.chars().all(|c| c.is_ascii_lowercase() || c == '-');
            is_tag && !reason.trim_start().starts_with(')') && !reason.trim().is_empty()
        })
    };
    found("TODO").any(|after| !is_explained(after))
        || ["FIXME", "XXX", "HACK"].iter().any(|word| found(word).next().is_some())
}

pub(crate) fn placeholders(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (file, rust) in rust_files(tree) {
        for words in rust.tokens.windows(2) {
            if matches!(words[0].text.as_str(), "dbg" | "todo" | "unimplemented") && words[1].text == "!" {
                offences.push(Offence::new(
                    file,
                    words[0].line,
                    format!("`{}!` is for work in progress: finish it or leave it out", words[0].text),
                ));
            }
        }
    }
    offences
}

pub(crate) fn lint_reasons(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (file, rust) in rust_files(tree) {
        for attribute in attributes(&rust.tokens) {
            let name = |at: usize| attribute.get(at).map_or("", |token| token.text.as_str());
            let sets_aside =
                (0..attribute.len()).find(|&at| matches!(name(at), "expect" | "allow") && name(at + 1) == "(");
            let has_reason = (0..attribute.len()).any(|at| name(at) == "reason" && name(at + 1) == "=");
            if let Some(at) = sets_aside.filter(|_| !has_reason) {
                let why = format!(
                    "`{}` without a reason: add `reason = \"…\"` that says why the lint is wrong here",
                    name(at)
                );
                offences.push(Offence::new(file, attribute[at].line, why));
            }
        }
    }
    offences
}

/// What stands between the brackets of `#[…]` and `#![…]`.
fn attributes(tokens: &[Token]) -> Vec<&[Token]> {
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text.as_str());
    let opening = |at: usize| match (text(at), text(at + 1), text(at + 2)) {
        ("#", "[", _) => Some(at + 1),
        ("#", "!", "[") => Some(at + 2),
        _ => None,
    };
    (0..tokens.len()).filter_map(opening).map(|open| &tokens[open..group_end(tokens, open)]).collect()
}

/// A glob hides where a name comes from, and with it the dependency. In tests `use super::*` is the custom.
pub(crate) fn glob_imports(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for (file, rust) in rust_files(tree).filter(|(file, _)| is_product(file)) {
        for named in rust.named(&[]) {
            if named.segments.last().is_some_and(|last| last == "*") {
                offences.push(Offence::new(
                    file,
                    named.line,
                    "a glob import hides where a name comes from: name the items".to_owned(),
                ));
            }
        }
    }
    offences
}

/// Folders of somebody's machine. Written in two parts, so that this file passes its own check.
const MACHINE_PATHS: [&str; 4] =
    [concat!("/wo", "rk"), concat!("/ro", "ot"), concat!("/ho", "me"), concat!("/Us", "ers")];

/// Hosts that package clients are set up with; the project names packages and leaves the rest to them.
const REGISTRY_HOSTS: [&str; 9] = [
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("crates", ".io"),
    concat!("proxy.golang", ".org"),
    concat!("sum.golang", ".org"),
    concat!("npmjs", ".org"),
    concat!("repo1.maven", ".org"),
    concat!("deb.debian", ".org"),
    concat!("static.rust-lang", ".org"),
];

/// Written by cargo, go and npm, with the address of the index in it.
const LOCK_FILES: [&str; 3] = ["Cargo.lock", "go.sum", "package-lock.json"];

pub(crate) fn places(tree: &Tree) -> Vec<Offence> {
    let mut offences = Vec::new();
    for file in tree.files.iter().filter(|file| !LOCK_FILES.iter().any(|lock| file.path.ends_with(lock))) {
        for (line, text) in (1..).zip(file.text.lines()) {
            if let Some(path) = MACHINE_PATHS.iter().find(|path| has_folder(text, path)) {
                offences.push(Offence::new(
                    file,
                    line,
                    format!("`{path}` is a folder of one machine: name a place that every machine has"),
                ));
            }
            if let Some(host) = REGISTRY_HOSTS.iter().find(|host| text.contains(**host)) {
                offences.push(Offence::new(
                    file,
                    line,
                    format!(
                        "`{host}` is a registry's host: name the package, and leave the host to its client's settings"
                    ),
                ));
            }
        }
    }
    offences
}

/// Whether the text names that folder of the root or something in it. `a/home/b` and `/homes` are others.
fn has_folder(text: &str, folder: &str) -> bool {
    text.match_indices(folder).any(|(at, _)| {
        let goes_before = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | '}' | ')' | '$' | '~');
        let after = &text[at + folder.len()..];
        !text[..at].ends_with(goes_before) && after.starts_with('/')
    })
}

pub(crate) fn documents(tree: &Tree) -> Vec<Offence> {
    let documents = [
        ("README.md", "what the project is, and the commands to run it"),
        ("CHANGELOG.md", "what users notice of each change"),
        ("LICENSE", "under which terms it can be used"),
    ];
    let is_there = |name: &str| tree.files.iter().any(|file| file.path == name && !file.text.trim().is_empty());
    let missing = documents.iter().filter(|(name, _)| !is_there(name));
    missing
        .map(|(name, tells)| Offence {
            path: (*name).to_owned(),
            line: 1,
            why: format!("is missing or empty: it tells {tells}"),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that a check finds in one file.
    fn lines(check: fn(&Tree) -> Vec<Offence>, path: &str, text: &str) -> Vec<usize> {
        check(&Tree::of(&[(path, text)])).into_iter().map(|offence| offence.line).collect()
    }

    const NONE: [usize; 0] = [];

    #[test]
    fn a_module_without_docs_is_found() {
        assert_eq!(lines(module_docs, "src/a.rs", "use std::fmt;\n//! late\n"), [1]);
        assert_eq!(lines(module_docs, "tests/a.rs", ""), [1]);
        assert_eq!(lines(module_docs, "src/a.rs", "\n//! Docs.\n"), NONE);
        assert_eq!(lines(module_docs, "tests/fixtures/bad/a.rs", "use std::fmt;"), NONE);
        assert_eq!(lines(module_docs, "README.md", "# Title"), NONE);
    }

    #[test]
    fn a_long_file_is_found_and_its_inline_tests_are_not_counted() {
        let source = |lines: usize| "fn f() {}\n".repeat(lines);
        let with_tests = |lines: usize| format!("{}#[cfg(test)]\nmod tests {{\n{}}}\n", source(lines), source(900));
        assert_eq!(lines(length, "src/a.rs", &source(501)), [501]);
        assert_eq!(lines(length, "src/a.rs", &with_tests(501)), [501]);
        assert_eq!(lines(length, "src/a.rs", &with_tests(500)), NONE);
        assert_eq!(lines(length, "tests/a.rs", &source(601)), [601]);
        assert_eq!(lines(length, "src/plan/tests.rs", &source(600)), NONE);
    }

    #[test]
    fn a_long_or_unreviewed_snapshot_is_found() {
        assert_eq!(lines(snapshots, "tests/snapshots/a.snap", &"x\n".repeat(241)), [241]);
        assert_eq!(lines(snapshots, "tests/snapshots/a.snap.new", "x\n"), [1]);
        assert_eq!(lines(snapshots, "tests/snapshots/a.snap", &"x\n".repeat(240)), NONE);
    }

    #[test]
    fn a_bare_debt_is_found() {
        let text = "// TODO: later\n// TODO(me): later\n// TODO-liveness(the queue is short)\n// TODO-liveness()\n\
                    let a = \"TODO\"; // FIXME\n/* a\n XXX */ fn TODOs() {}\n// TODO-Liveness(x)\n";
        assert_eq!(lines(debts, "src/a.rs", text), [1, 2, 4, 5, 7, 8]);
        assert_eq!(lines(debts, ".ci/run", "#!/usr/bin/env bash\n# TODO later\n"), [2]);
        assert_eq!(lines(debts, "README.md", "TODO later\n"), NONE);
    }

    #[test]
    fn a_placeholder_is_found() {
        let text =
            "fn f() {\n todo!()\n}\nfn g() { dbg!(1); }\n// todo!()\nfn h() { unimplemented!() }\nfn todo() {}\n";
        assert_eq!(lines(placeholders, "src/a.rs", text), [2, 4, 6]);
    }

    #[test]
    fn a_lint_set_aside_without_reason_is_found() {
        let text = "#![allow(dead_code)]\n#[expect(clippy::x)]\nfn f() { x.expect(\"y\"); }\n#[expect(clippy::x, reason = \"z\")]\n\
                    #[cfg_attr(unix, expect(y))]\n#[allow(\n  a,\n  reason = \"b\",\n)]\nfn g() {}\n";
        assert_eq!(lines(lint_reasons, "src/a.rs", text), [1, 2, 5]);
    }

    #[test]
    fn a_glob_import_is_found() {
        let text = "use crate::a::*;\nuse crate::{b, c::{self, *}};\nfn f() { 2 * 3 }\n#[cfg(test)]\nmod tests {\n    use super::*;\n}\n";
        assert_eq!(lines(glob_imports, "src/a.rs", text), [1, 2]);
        assert_eq!(lines(glob_imports, "tests/a.rs", text), NONE);
    }

    #[test]
    fn a_machines_folder_or_a_registrys_host_is_found() {
        let text = format!(
            "cd {}/x\nindex = \"https://{}/simple\"\na {0}ing day\n$X{0}/y net{0}/z\n\"{}/me\"\n",
            MACHINE_PATHS[0], REGISTRY_HOSTS[0], MACHINE_PATHS[2]
        );
        assert_eq!(lines(places, "docs/a.md", &text), [1, 2, 5]);
        assert_eq!(lines(places, "Cargo.lock", &text), NONE);
    }

    #[test]
    fn a_missing_document_is_found() {
        let tree = Tree::of(&[("README.md", "# x"), ("CHANGELOG.md", " \n")]);
        let found: Vec<String> = documents(&tree).into_iter().map(|offence| offence.path).collect();
        assert_eq!(found, ["CHANGELOG.md", "LICENSE"]);
    }
}
