//! Topologies as files: the good ones, which must stay good, and the bad ones, each with the text that a user sees.
//!
//! A bad topology's name says what is wrong with it; names that begin with `warning-` are legal. The snapshots are
//! the product's words: read them as a user would when they change (`INSTA_UPDATE=always` writes them).

#![expect(clippy::unwrap_used, reason = "what a helper of a test cannot do fails the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use meshplan::model::{Diagnostic, Severity};
use meshplan::topology::rules::RULES;
use meshplan::topology::{Parsed, json_schema, parse};
use meshplan::ui::diagnostics::{Source, render, summary};

fn files(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).filter(|p| p.extension().is_some()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

fn name(path: &Path) -> &str {
    path.file_stem().and_then(|stem| stem.to_str()).unwrap()
}

/// What `validate` would print.
fn printed(path: &Path, text: &str, parsed: &Parsed) -> String {
    let name = format!("{}.toml", name(path));
    let source = Source { name: &name, text, spans: &parsed.spans };
    format!("{}{}\n", render(&parsed.diagnostics, Some(source), false), summary(&parsed.diagnostics))
}

#[test]
fn every_bad_topology_is_explained() {
    let bad = files("tests/fixtures/bad");
    assert!(bad.len() >= 60, "only {} bad topologies", bad.len());
    let mut failed = Vec::new();
    for (path, text) in &bad {
        let parsed = parse(text);
        let is_warning = name(path).starts_with("warning-");
        assert!(!parsed.diagnostics.is_empty(), "{} is found to be fine", path.display());
        assert_eq!(parsed.has_errors(), !is_warning, "{}", printed(path, text, &parsed));
        assert_eq!(parsed.topology.is_none(), parsed.has_errors());
        for found in &parsed.diagnostics {
            style(found, path);
        }
        let printed = printed(path, text, &parsed);
        let outcome = std::panic::catch_unwind(|| {
            insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(name(path), printed);
            });
        });
        if outcome.is_err() {
            failed.push(name(path));
        }
    }
    assert!(failed.is_empty(), "these print something else than before: {failed:?}");
}

/// Messages are lower case or begin with a name, have no full stop, and name a way out.
fn style(found: &Diagnostic, path: &Path) {
    let at = path.display();
    for text in std::iter::once(&found.message).chain(&found.notes).chain(&found.help) {
        assert!(!text.ends_with('.'), "{at}: {text}");
        assert!(!text.contains('\n'), "{at}: {text}");
        assert!(!text.is_empty(), "{at}");
    }
    let code = found.code.0;
    assert!(
        !found.help.is_empty() || ["toml-syntax", "wrong-type", "invalid-value", "invalid-move"].contains(&code),
        "{at}: {code} has no way out"
    );
}

#[test]
fn every_rule_has_a_bad_topology() {
    let mut found = BTreeSet::new();
    for (_, text) in files("tests/fixtures/bad") {
        for one in parse(&text).diagnostics {
            let rule =
                RULES.iter().find(|rule| rule.code == one.code).unwrap_or_else(|| panic!("{} is not a rule", one.code));
            assert_eq!(rule.severity, one.severity, "{}", one.code);
            found.insert(one.code);
        }
    }
    let never: Vec<_> = RULES.iter().map(|rule| rule.code).filter(|code| !found.contains(code)).collect();
    assert!(never.is_empty(), "no bad topology is refused for {never:?}");
}

#[test]
fn rules_are_numbered_and_named_once() {
    let mut codes = BTreeSet::new();
    for rule in RULES {
        assert!(codes.insert(rule.code), "{} is listed twice", rule.code);
        assert!(rule.code.0.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
        let number: u32 = rule.number.strip_prefix('R').unwrap().parse().unwrap();
        assert!((1..=33).contains(&number));
        assert!(!rule.summary.is_empty() && !rule.summary.ends_with('.'));
        assert!(matches!(rule.severity, Severity::Error | Severity::Warning));
    }
}

fn as_json(text: &str) -> serde_json::Value {
    serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap()
}

#[test]
fn every_topology_of_the_project_is_good() {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    let good = files("topologies");
    assert!(good.len() >= 9);
    for (path, text) in good {
        let parsed = parse(&text);
        let printed = printed(&path, &text, &parsed);
        assert!(parsed.topology.is_some(), "{printed}");
        let expected = if name(&path) == "networks-only" { "1 warning\n" } else { "\n" };
        assert!(printed.ends_with(expected) && (expected != "\n" || printed == "\n"), "{printed}");
        assert!(text.starts_with("# "), "{} does not say what it shows", path.display());
        let errors: Vec<String> = schema.iter_errors(&as_json(&text)).map(|error| error.to_string()).collect();
        assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn the_json_schema_refuses_bad_shapes() {
    let schema = jsonschema::validator_for(&json_schema()).unwrap();
    let mut n_shapes = 0;
    for (path, text) in files("tests/fixtures/bad") {
        // A date has no JSON type: as a text it would be one, so that this shape is the parser's alone to refuse.
        if name(&path).starts_with("shape-") && name(&path) != "shape-wrong-type-date" {
            n_shapes += 1;
            assert!(!schema.is_valid(&as_json(&text)), "the JSON Schema accepts {}", path.display());
        }
    }
    assert!(n_shapes >= 15);
}

/// Every key has a description, and no table takes others.
fn documented(schema: &serde_json::Value, at: &str) {
    if let Some(properties) = schema.get("properties").and_then(serde_json::Value::as_object) {
        for (key, property) in properties {
            let text = property.get("description").or_else(|| property.get("$ref"));
            assert!(text.is_some(), "{at}.{key} has no description");
        }
        assert_eq!(schema.get("additionalProperties"), Some(&serde_json::Value::Bool(false)), "{at}");
    }
}

#[test]
fn the_json_schema_is_stable_and_documented() {
    let schema = json_schema();
    documented(&schema, "topology");
    for (name, definition) in schema["$defs"].as_object().unwrap() {
        documented(definition, name);
    }
    // The whole is a thousand lines that nobody would review: what an editor completes is the names.
    let names = |table: &serde_json::Value| {
        table["properties"].as_object().into_iter().flatten().map(|(key, _)| key.clone()).collect::<Vec<_>>().join(" ")
    };
    let tables = schema["$defs"].as_object().unwrap().iter().filter(|(_, table)| table["properties"].is_object());
    let outline: Vec<String> = std::iter::once(format!("topology: {}", names(&schema)))
        .chain(tables.map(|(name, table)| format!("{name}: {}", names(table))))
        .collect();
    insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("json-schema", outline.join("\n"));
    });
}
