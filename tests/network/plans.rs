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

#[expect(dead_code, reason = "the example's own command line")]
#[path = "../../examples/generate-topology.rs"]
mod generator;

/// What a forge takes in one comment, in UTF-16 units.
const COMMENT: usize = 65_536;

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
    let is_field = |line: &str| line.starts_with("      ") && line.trim_start().starts_with("+ ");
    let kept = text.lines().filter(|line| !is_field(line) && !line.trim().is_empty());
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
        assert!(shown.lines().count() <= 240, "{name}: nobody reviews {} lines", shown.lines().count());
        insta::with_settings!({ snapshot_path => "snapshots", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name.trim_end_matches(".toml"), shown);
        });
    }
}

#[test]
fn the_comment_of_two_networks_is_one_screen_and_its_folds() {
    let comment = markdown(&first_plan(&topology("two-network.toml")));
    let (head, folds) = comment.split_once("<details>").unwrap();
    assert!(head.lines().count() <= 40, "{head}");
    assert!(head.lines().all(|line| line.chars().count() <= 340), "{head}");
    for part in
        ["network <b>network1</b>", "network <b>network2</b>", "cluster <b>cluster-1</b>", "cluster <b>cluster-2</b>"]
    {
        assert!(folds.contains(part), "{part} has a fold of its own");
    }
    assert!(!comment.contains("Cut to fit"), "there is room for all of it");
    assert_eq!(comment.matches("Name, meshplan:address").count(), 1, "tags that all have are said once");
    assert!(comment.lines().count() < 1_100, "{} lines", comment.lines().count());
}

#[test]
fn the_comment_of_64_clusters_fits_and_says_what_was_cut() {
    let arguments = generator::Arguments {
        networks: 64,
        clusters_per_network: 1,
        regions: 4,
        azs: 3,
        dual_stack: true,
        ipv6: true,
    };
    let plan = first_plan(&generator::topology(&arguments).unwrap());
    assert!(plan.changes.len() > 1_900, "{} changes", plan.changes.len());
    let comment = markdown(&plan);
    let width = comment.encode_utf16().count();
    assert!(width <= COMMENT && width > COMMENT * 9 / 10, "{width}: as much as fits");
    assert!(comment.contains("**Cut to fit into a comment:**") && comment.contains("are not listed ("), "{comment}");
    for n in 1..=64 {
        assert!(comment.contains(&format!("network <b>network-{n}</b>:")), "network-{n} is named");
        assert!(comment.contains(&format!("cluster <b>cluster-{n}-1</b>:")), "cluster-{n}-1 is named");
        assert!(comment.contains(&format!("+ eks.cluster/cluster-{n}-1 ")), "what takes longest is listed first");
    }
    let (head, _) = comment.split_once("<details>").unwrap();
    assert!(head.lines().count() <= 40, "{head}");
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
