//! The first plan of every committed topology, as people see it: the snapshot is the review.
//!
//! Fields are left out: they are a compile snapshot's matter, and hundreds of lines that nobody would read.

use std::path::Path;

use meshplan::compile::compile;
use meshplan::kinds;
use meshplan::plan::render::{Style, markdown, text};
use meshplan::plan::{Inputs, Plan, Scope, plan};
use meshplan::state::State;
use meshplan::topology::parse;

use crate::rig::{declarations, topology};

fn first_plan(text: &str) -> Plan {
    let parsed = parse(text);
    assert!(!parsed.has_errors(), "{:#?}", parsed.diagnostics);
    let compiled = compile(&parsed.topology.unwrap());
    let state = State::new("mesh1", "0123456789abcdef0123456789abcdef".to_owned(), true);
    let planned = plan(Inputs {
        declarations: &compiled.declarations,
        state: &state,
        observed: None,
        rules: &kinds::registry().rules(),
        moves: &[],
        topology: None,
        scope: &Scope::default(),
    });
    planned.plan.unwrap_or_else(|| panic!("{:#?}", planned.diagnostics))
}

/// The text without the fields of what is created.
fn outline(text: &str) -> String {
    let kept = text.lines().filter(|line| !line.starts_with("      + ") && !line.trim().is_empty());
    kept.collect::<Vec<_>>().join("\n")
}

/// The comment without what is inside its folds' fences.
fn unfolded(markdown: &str) -> String {
    let mut fenced = false;
    let mut kept = Vec::new();
    for line in markdown.lines() {
        let fence = line.trim_start().starts_with("```");
        if !fenced && !fence {
            kept.push(line);
        }
        fenced ^= fence;
    }
    kept.join("\n")
}

#[test]
fn every_topology_plans_as_it_did() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("topologies");
    let mut names: Vec<String> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert!(names.len() >= 9, "{names:?}");
    for name in names {
        let plan = first_plan(&topology(&name));
        let shown =
            format!("{}\n\n=== markdown ===\n\n{}", outline(&text(&plan, Style::plain())), unfolded(&markdown(&plan)));
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.trim_end_matches(".toml"), shown);
        });
    }
}

#[test]
fn the_order_of_tables_means_nothing() {
    let text = topology("three-clusters-two-regions.toml");
    // A table begins a block that ends before the next; the keys before the first belong to the root and stay there.
    let mut blocks: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with('[') || blocks.is_empty() {
            blocks.push(String::new());
        }
        let block = blocks.last_mut().unwrap();
        block.push_str(line);
        block.push('\n');
    }
    let (root, tables) = blocks.split_first().unwrap();
    let expected = declarations(&text);
    let expected_plan = serde_json::to_string(&first_plan(&text)).unwrap();
    for turn in 1..tables.len() {
        let mut turned = tables.to_vec();
        turned.rotate_left(turn);
        if turn % 2 == 0 {
            turned.reverse();
        }
        let turned = format!("{root}{}", turned.concat());
        let same: Vec<_> = declarations(&turned);
        assert!(same == expected, "{turned}");
        assert_eq!(serde_json::to_string(&first_plan(&turned)).unwrap(), expected_plan);
    }
}
