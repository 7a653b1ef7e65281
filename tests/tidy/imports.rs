//! Who may import whom: the table of the architecture, and the check that the tree keeps it.
//!
//! The checks read paths, so a re-export at the crate's root would hide a dependency; such a path is refused too.
//! Items under `#[cfg(test)]` may import what they like: a planner's test compiles a topology first.

use std::collections::BTreeSet;

use crate::source::{File, Named, Rust};
use crate::{Offence, Tree};

/// What one module of `src/` may import, and why not more.
struct Row {
    module: &'static str,
    /// Modules of ours. Its own is always allowed.
    may: &'static [&'static str],
    /// Items of a module that is not in `may`: `module::Item`, wherever in the module the item is.
    may_items: &'static [&'static str],
    /// Paths that no code of the module names, as in [`names`].
    never: &'static [&'static str],
    because: &'static str,
}

/// The crates that speak to a provider. Their types stay in the kinds, which turn them into documents.
const PROVIDERS: &[&str] = &["aws_*", "kube", "hyper", "hyper_util"];

const TABLE: &[Row] = &[
    Row {
        module: "model",
        may: &[],
        may_items: &[],
        never: &["tokio", "futures_util", "http", "clap", "indicatif", "toml", "tracing", "annotate_snippets"],
        because: "it is the vocabulary that all the others speak, so it stands on std, serde and small value types",
    },
    Row {
        module: "topology",
        may: &["model"],
        may_items: &[],
        never: &["tokio", "futures_util"],
        because: "it is pure: a text in, a topology and diagnostics out",
    },
    Row {
        module: "compile",
        may: &["model", "topology", "kinds"],
        may_items: &[],
        never: &["tokio", "futures_util"],
        because: "it is pure, and of the kinds it knows the specs alone: what to declare, never how it is made",
    },
    Row {
        module: "resource",
        may: &["model"],
        may_items: &[],
        never: &["clap", "indicatif"],
        because: "it is the contract between the engine and the kinds, and knows neither side",
    },
    Row {
        module: "kinds",
        may: &["model", "resource"],
        may_items: &[],
        never: &["clap", "indicatif"],
        because: "a kind knows its own API: the engine owns time, retries, state and what the user sees",
    },
    Row {
        module: "state",
        may: &["model"],
        may_items: &["resource::RemoteId"],
        never: &["tokio", "futures_util"],
        because: "it records what others did, and is read long after them",
    },
    Row {
        module: "plan",
        may: &["model", "compile", "state", "resource"],
        may_items: &[],
        never: &[
            "tokio",
            "futures_util",
            "fastrand",
            "rand",
            "std::time::Instant",
            "std::time::SystemTime",
            "crate::model::…::Clock",
            "crate::state::store",
            "crate::resource::…::DynKind",
            "crate::resource::…::ResourceKind",
            "crate::resource::…::Client",
            "crate::resource::…::Cloud",
        ],
        because: "the planner is a total function: no clock, no I/O, no chance, and of a kind only its rules",
    },
    Row {
        module: "refresh",
        may: &["model", "plan", "state", "resource"],
        may_items: &["compile::Declaration"],
        never: &["clap", "indicatif"],
        because: "it reads through the contract, for whatever kinds there are, and never looks at the topology",
    },
    Row {
        module: "preflight",
        may: &["model", "plan", "resource"],
        may_items: &["compile::Declaration"],
        never: &["clap", "indicatif"],
        because: "it asks the cloud what a plan depends on, and changes neither",
    },
    Row {
        module: "apply",
        may: &["model", "plan", "state", "resource"],
        may_items: &[],
        never: &["clap", "indicatif"],
        because: "all choices are made in the plan: it never looks at the topology, a concrete kind or a terminal",
    },
    Row {
        module: "verify",
        may: &["model", "resource"],
        may_items: &["kinds::Kube"],
        never: &["clap", "indicatif"],
        because: "it asks the running mesh, by what its caller says was built; of the kinds it takes the client of clusters alone",
    },
    Row {
        module: "vault",
        may: &["model", "resource"],
        may_items: &[],
        never: &["tokio", "futures_util", "clap"],
        because: "it encrypts what it is given, and does not know what for",
    },
    Row {
        module: "sandbox",
        may: &["model"],
        may_items: &[],
        never: &["aws_sdk_*", "clap", "indicatif"],
        because: "it is a cloud, not a part of the engine: it knows us by our requests alone",
    },
    Row {
        module: "ui",
        may: &["model", "topology", "plan"],
        may_items: &[],
        never: &["tokio", "futures_util"],
        because: "it is a view over plans, events and diagnostics; of the topology it knows where things stand in the file",
    },
];

/// The one module that imports all others, and that none imports.
const TOP: &str = "cli";

/// A path that only some modules may name, though the table lets them import much.
struct Reserved {
    path: &'static str,
    modules: &'static [&'static str],
    because: &'static str,
}

const RESERVED: &[Reserved] = &[
    Reserved {
        path: "std::fs",
        modules: &["state::store", "sandbox", "cli", "vault::identities", "kinds::pki::client", "kinds::helm::program"],
        because: "files have owners: `state::store` the state, `sandbox` its world, `cli` what the user names",
    },
    Reserved {
        path: "std::os::…::fs",
        modules: &["state::store", "sandbox", "cli", "vault::identities", "kinds::helm::program"],
        because: "as for `std::fs`",
    },
    Reserved { path: "tokio::fs", modules: &[], because: "as for `std::fs`, and not through a thread pool" },
    Reserved {
        path: "std::env",
        modules: &["cli"],
        because: "the environment is read in `cli` and handed on as values, so that a run is told all it depends on",
    },
    Reserved {
        path: "std::process::Command",
        modules: &["cli", "kinds", "verify"],
        because: "only a kind runs a program, and what looks at the mesh from outside",
    },
    Reserved { path: "std::process::exit", modules: &["cli"], because: "only `cli` ends the process" },
];

/// Modules in which nothing is async, by their nature and not by habit.
const SYNCHRONOUS: &[&str] = &["topology", "compile", "state", "plan"];

/// The verbs of kinds and the way to a provider: what `compile` must not touch in `kinds`.
const VERBS: &[&str] = &["KINDS", "DynKind", "ResourceKind"];

pub(crate) fn check(tree: &Tree) -> Vec<Offence> {
    let kinds = Kinds::find(tree);
    let mut offences = Vec::new();
    for file in tree.files.iter().filter(|file| file.path.starts_with("src/") && file.has_extension("rs")) {
        let module = module_of(&file.path);
        let Some(top) = module.first() else { continue };
        if module.iter().any(|part| part == "tests") {
            continue;
        }
        let Some(row) = TABLE.iter().find(|row| row.module == top) else {
            if top != TOP {
                offences.push(Offence::new(
                    file,
                    1,
                    format!("`{top}` is not in the import table: give it a row that says what it may import, and why"),
                ));
            }
            continue;
        };
        let rust = Rust::read(&file.text);
        for named in rust.named(&module) {
            let line = named.line;
            offences.extend(judge(row, &module, &named, &kinds).map(|why| Offence::new(file, line, why)));
        }
        if SYNCHRONOUS.contains(&row.module) {
            let found =
                rust.tokens.iter().filter(|token| token.text == "async" && !rust.test_lines.contains(&token.line));
            offences.extend(found.map(|token| {
                Offence::new(file, token.line, format!("`{}` has nothing async: {}", row.module, row.because))
            }));
        }
    }
    offences.sort();
    offences.dedup();
    offences
}

/// Why `module` may not name this path, or nothing.
fn judge(row: &Row, module: &[String], named: &Named, kinds: &Kinds) -> Option<String> {
    let path = named.segments.join("::");
    let refuse = |because: &str| Some(format!("`{}` must not name `{path}`: {because}", module.join("::")));
    let is_provider = PROVIDERS.iter().any(|pattern| names(pattern, &named.segments));
    if is_provider && !matches!(row.module, "kinds" | "preflight" | "verify" | "sandbox" | "resource") {
        return refuse("only a kind talks to a provider");
    }
    if row.never.iter().any(|pattern| names(pattern, &named.segments)) {
        return refuse(row.because);
    }
    for reserved in RESERVED {
        let is_owner = reserved.modules.iter().any(|owner| is_within(module, owner));
        if names(reserved.path, &named.segments) && !is_owner {
            return refuse(reserved.because);
        }
    }
    if named.segments[0] != "crate" {
        return None;
    }
    let target = named.segments.get(1).map_or("", String::as_str);
    if target == row.module {
        return (row.module == "kinds").then(|| kinds.judge(module, named)).flatten();
    }
    if target == TOP {
        return refuse("`cli` is the thin skin over all the others, so nothing may need it");
    }
    if !TABLE.iter().any(|row| row.module == target) {
        return refuse(
            "it is no module of the import table: name the item by the module that it is in, which shows the dependency",
        );
    }
    let item = |allowed: &str| {
        allowed.split_once("::").is_some_and(|(of, item)| of == target && named.segments.iter().any(|s| s == item))
    };
    if !row.may.contains(&target) && !row.may_items.iter().any(|allowed| item(allowed)) {
        return refuse(row.because);
    }
    if row.module == "compile" && target == "kinds" && kinds.is_verb(&named.segments) {
        return refuse(row.because);
    }
    None
}

/// The kinds of the tree: the files in which one is implemented, and the types that do it.
struct Kinds {
    modules: Vec<Vec<String>>,
    types: BTreeSet<(Vec<String>, String)>,
}

impl Kinds {
    fn find(tree: &Tree) -> Self {
        let mut kinds = Self { modules: Vec::new(), types: BTreeSet::new() };
        for file in tree.files.iter().filter(|file| file.path.starts_with("src/kinds/") && file.has_extension("rs")) {
            let module = module_of(&file.path);
            for words in Rust::read(&file.text).tokens.windows(3) {
                if matches!(words[0].text.as_str(), "KindRules" | "ResourceKind") && words[1].text == "for" {
                    kinds.types.insert((module.clone(), words[2].text.clone()));
                }
            }
            if kinds.types.iter().any(|(of, _)| *of == module) {
                kinds.modules.push(module);
            }
        }
        kinds
    }

    /// A kind must not import another; what several of them share has a module of its own.
    fn judge(&self, module: &[String], named: &Named) -> Option<String> {
        let path = &named.segments[1..];
        let by_module = self
            .modules
            .iter()
            .any(|kind| path.starts_with(kind) && !module.starts_with(kind) && !kind.starts_with(module));
        let by_type = path.len() > 1
            && self
                .types
                .iter()
                .any(|(of, name)| path.last() == Some(name) && !module.starts_with(of) && !of.starts_with(module));
        (by_module || by_type).then(|| {
            let (here, there) = (module.join("::"), path.join("::"));
            format!(
                "`{here}` must not name `{there}`: kinds do not know each other; what they share has a module of its own"
            )
        })
    }

    fn is_verb(&self, path: &[String]) -> bool {
        path.iter().any(|segment| {
            VERBS.contains(&segment.as_str())
                || segment.to_lowercase().contains("client")
                || self.types.iter().any(|(_, name)| name == segment)
        })
    }
}

/// The module of a file of `src/`: none for the crate's roots, which may name everything.
fn module_of(path: &str) -> Vec<String> {
    let inside = path.trim_start_matches("src/").trim_end_matches(".rs");
    if inside == "lib" || inside == "main" || inside.starts_with("bin/") {
        return Vec::new();
    }
    inside.trim_end_matches("/mod").split('/').map(str::to_owned).collect()
}

fn is_within(module: &[String], owner: &str) -> bool {
    let owner: Vec<&str> = owner.split("::").collect();
    module.len() >= owner.len() && owner.iter().zip(module).all(|(a, b)| a == b)
}

/// Whether a path is what a pattern says: the pattern is its beginning, `…` stands for any segments between, and a
/// `*` at the end of a segment for the rest of a name.
fn names(pattern: &str, path: &[String]) -> bool {
    let (start, end) = pattern.split_once("::…::").map_or((pattern, None), |(start, end)| (start, Some(end)));
    let start: Vec<&str> = start.split("::").collect();
    let is_same = |pattern: &str, segment: &str| {
        pattern.strip_suffix('*').map_or(pattern == segment, |beginning| segment.starts_with(beginning))
    };
    path.len() >= start.len()
        && start.iter().zip(path).all(|(pattern, segment)| is_same(pattern, segment))
        && end.is_none_or(|end| path[start.len()..].iter().any(|segment| is_same(end, segment)))
}

/// A topic is one file, or one folder with a `mod.rs`. A folder with nothing but a file's tests is no topic.
pub(crate) fn check_names(tree: &Tree) -> Vec<Offence> {
    let is_test = |file: &File| module_of(&file.path).iter().any(|part| part == "tests");
    let sources =
        || tree.files.iter().filter(|file| file.path.starts_with("src/") && file.has_extension("rs") && !is_test(file));
    let folders: BTreeSet<&str> =
        sources().filter_map(|file| file.path.rsplit_once('/').map(|(folder, _)| folder)).collect();
    let twice = |file: &&File| folders.contains(file.path.trim_end_matches(".rs"));
    let why = "a folder of the same name holds the topic: move this file into it as `mod.rs`";
    sources().filter(twice).map(|file| Offence::new(file, 1, why.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(path: &str, text: &str) -> Vec<String> {
        let tree = Tree::of(&[
            (path, text),
            ("src/kinds/aws/vpc.rs", "//! x\npub struct VpcSpec; pub struct Vpc; impl ResourceKind for Vpc {}"),
            ("src/kinds/aws/tags.rs", "//! x\n"),
        ]);
        check(&tree).into_iter().map(|offence| format!("{}:{}: {}", offence.path, offence.line, offence.why)).collect()
    }

    #[track_caller]
    fn refused(path: &str, text: &str, why: &str) {
        let found = judged(path, text);
        assert!(found.len() == 1 && found[0].contains(why), "{path}: {text}: {found:#?}");
    }

    #[track_caller]
    fn allowed(path: &str, text: &str) {
        assert_eq!(judged(path, text), Vec::<String>::new(), "{path}: {text}");
    }

    #[test]
    fn each_row_refuses_what_it_does_not_list() {
        refused("src/model/value.rs", "use crate::resource::RemoteId;", "it is the vocabulary");
        refused("src/model/value.rs", "use tokio::time::sleep;", "it is the vocabulary");
        refused("src/topology/parse.rs", "use crate::compile::Declaration;", "it is pure: a text in");
        refused(
            "src/compile/network.rs",
            "use crate::{model::Address, state::State};",
            "src/compile/network.rs:1: `compile::network` must not name `crate::state::State`",
        );
        refused("src/resource/kind.rs", "fn f(p: crate::plan::Plan) {}", "it is the contract");
        refused("src/state/store.rs", "use crate::resource::ProviderError;", "it records what others did");
        refused("src/plan/steps.rs", "use crate::kinds::KINDS;", "the planner is a total function");
        refused("src/plan/steps.rs", "use crate::resource::erased::DynKind;", "the planner is a total function");
        refused("src/plan/steps.rs", "use crate::model::{Address, Clock};", "the planner is a total function");
        refused("src/refresh.rs", "use crate::topology::Topology;", "never looks at the topology");
        refused("src/apply/engine.rs", "use super::super::ui::Progress;", "all choices are made in the plan");
        refused("src/kinds/aws/tags.rs", "use crate::state::State;", "a kind knows its own API");
        refused("src/sandbox/world.rs", "use crate::resource::RemoteId;", "it is a cloud");
        refused("src/ui/progress.rs", "use crate::apply::Engine;", "it is a view");
        refused("src/verify/mod.rs", "use crate::plan::Plan;", "it asks the running mesh");
    }

    #[test]
    fn nothing_needs_the_command_line_and_the_root_hides_nothing() {
        refused("src/ui/progress.rs", "use crate::cli::Args;", "thin skin");
        refused("src/apply/queue.rs", "use crate::Plan;", "it is no module of the import table");
        refused("src/shiny/mod.rs", "use crate::model::Address;", "give it a row");
        allowed("src/cli/apply.rs", "use crate::{apply, plan, kinds::KINDS, sandbox, ui}; use std::{env, fs};");
        allowed("src/lib.rs", "pub use crate::cli::run; use std::env;");
        allowed("src/main.rs", "use std::process::ExitCode;");
    }

    #[test]
    fn files_the_environment_and_providers_have_owners() {
        refused("src/state/journal.rs", "use std::fs::File;", "files have owners");
        refused("src/kinds/aws/tags.rs", "fn f() { ::std::fs::read(\"x\"); }", "files have owners");
        refused("src/apply/engine.rs", "use tokio::fs;", "not through a thread pool");
        refused("src/sandbox/serve.rs", "use std::{env::var, io};", "the environment is read in `cli`");
        refused("src/plan/steps.rs", "use aws_sdk_ec2::Client;", "only a kind talks to a provider");
        refused("src/plan/steps.rs", "async fn f() {}", "nothing async");
        refused("src/apply/step.rs", "use std::process::Command;", "only a kind runs a program");
        allowed("src/state/store/file.rs", "use std::fs::File; use std::os::unix::fs::OpenOptionsExt;");
        refused("src/ui/progress.rs", "fn f() { std::process::exit(1) }", "only `cli` ends the process");
        allowed("src/sandbox/persist.rs", "use std::fs; fn f() { std::process::id(); }");
        allowed("src/kinds/aws/tags.rs", "use aws_sdk_ec2::types::Tag;");
    }

    #[test]
    fn kinds_do_not_know_each_other_and_compile_knows_only_their_specs() {
        refused("src/kinds/aws/subnet.rs", "use super::vpc::VpcSpec;", "kinds do not know each other");
        refused("src/kinds/aws/subnet.rs", "use crate::kinds::aws::Vpc;", "kinds do not know each other");
        refused("src/compile/network.rs", "use crate::kinds::aws::vpc::{Vpc, VpcSpec};", "it knows the specs alone");
        refused("src/compile/network.rs", "use crate::kinds::aws::client::Clients;", "it knows the specs alone");
        allowed(
            "src/kinds/aws/subnet.rs",
            "use super::tags::Tags; use crate::model::Address; use aws_sdk_ec2::types::Vpc;",
        );
        allowed("src/kinds/aws/mod.rs", "mod vpc; pub use vpc::Vpc; pub use self::vpc::VpcSpec;");
        allowed("src/kinds/mod.rs", "use crate::kinds::aws::Vpc; use crate::resource::DynKind;");
        allowed("src/compile/network.rs", "use crate::kinds::aws::vpc::VpcSpec;");
    }

    #[test]
    fn the_table_lets_through_what_it_lists() {
        allowed(
            "src/plan/decide.rs",
            "use crate::{compile::Declaration, model::Address, resource::KindRules, state::Record};",
        );
        allowed(
            "src/apply/engine.rs",
            "use crate::{plan::Plan, resource::DynKind, state::State}; use tokio::time::sleep; async fn f() {}",
        );
        allowed("src/state/record.rs", "use crate::resource::RemoteId;");
        allowed("src/plan/decide.rs", "#[cfg(test)]\nmod tests { use crate::topology::Topology; async fn f() {} }");
        allowed("src/plan/tests.rs", "use crate::topology::Topology;");
        allowed("src/plan/decide.rs", "//! Never `crate::cli`.\n// crate::cli::x\nconst X: &str = \"crate::cli::x\";");
    }

    #[test]
    fn a_topic_is_a_file_or_a_folder() {
        let tree = Tree::of(&[
            ("src/plan.rs", ""),
            ("src/plan/decide.rs", ""),
            ("src/refresh.rs", ""),
            ("src/refresh/tests.rs", ""),
        ]);
        let found: Vec<String> = check_names(&tree).into_iter().map(|offence| offence.path).collect();
        assert_eq!(found, ["src/plan.rs"]);
    }
}
