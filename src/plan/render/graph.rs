//! What needs what, as a drawing: every resource of the mesh with what is planned for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde::Serialize;

use crate::compile::Declaration;
use crate::model::Address;
use crate::plan::model::{Action, Plan};
use crate::state::State;

use super::value::clean;

/// How the graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GraphFormat {
    /// For Graphviz.
    Dot,
    /// For markdown that draws Mermaid.
    Mermaid,
    /// For scripts.
    Json,
}

#[derive(Debug, Serialize)]
struct Node<'a> {
    address: &'a Address,
    kind: &'a str,
    part: &'a str,
    action: Action,
}

#[derive(Debug, Serialize)]
struct Edge<'a> {
    from: &'a Address,
    needs: &'a Address,
}

#[derive(Debug, Serialize)]
struct Drawing<'a> {
    format_version: u32,
    mesh: &'a str,
    nodes: Vec<Node<'a>>,
    edges: Vec<Edge<'a>>,
}

/// The version of the graph's JSON.
const FORMAT_VERSION: u32 = 1;

/// The resources that are declared or in state, sorted, and what each needs, each line ended.
pub fn graph(
    plan: &Plan,
    declarations: &[Declaration],
    state: &State,
    format: GraphFormat,
) -> Result<String, serde_json::Error> {
    let requirements = requirements(plan, declarations, state);
    let nodes: Vec<Node<'_>> = requirements
        .keys()
        .map(|address| Node {
            address,
            kind: address.kind(),
            part: address.parts().next().unwrap_or_default(),
            action: plan.change(address).map_or(Action::NoOp, |change| change.action),
        })
        .collect();
    let edges = requirements
        .iter()
        .flat_map(|(from, needs)| needs.iter().map(move |needs| Edge { from, needs }))
        .filter(|edge| requirements.contains_key(edge.needs))
        .collect();
    let drawing = Drawing { format_version: FORMAT_VERSION, mesh: &plan.mesh, nodes, edges };
    match format {
        GraphFormat::Dot => Ok(dot(&drawing)),
        GraphFormat::Mermaid => Ok(mermaid(&drawing)),
        GraphFormat::Json => serde_json::to_string_pretty(&drawing).map(|text| text + "\n"),
    }
}

/// What each resource needs: as declared, else as state remembers it, else as the plan says.
pub(super) fn requirements(
    plan: &Plan,
    declarations: &[Declaration],
    state: &State,
) -> BTreeMap<Address, BTreeSet<Address>> {
    let mut all: BTreeMap<Address, BTreeSet<Address>> = BTreeMap::new();
    for declaration in declarations {
        all.insert(declaration.address.clone(), declaration.requirements().into_iter().collect());
    }
    for (address, record) in &state.records {
        all.entry(address.clone()).or_insert_with(|| record.depends_on.iter().cloned().collect());
    }
    for change in &plan.changes {
        let needs = change.goal.as_ref().map_or(&change.requirements, |goal| &goal.depends_on);
        all.entry(change.address.clone()).or_insert_with(|| needs.iter().cloned().collect());
    }
    all
}

fn dot(drawing: &Drawing<'_>) -> String {
    let mut out = format!(
        "digraph {} {{\n  rankdir = \"LR\"\n  node [shape = box, fontname = \"monospace\"]\n",
        dot_text(drawing.mesh)
    );
    for (part, nodes) in by_part(drawing) {
        let _ = writeln!(out, "  subgraph {} {{\n    label = {}", dot_text(&format!("cluster_{part}")), dot_text(part));
        for node in nodes {
            let color = color(node.action).map_or_else(String::new, |color| format!(", color = \"{color}\""));
            let label = format!("{}{}", prefix(node.action), node.address);
            let _ = writeln!(out, "    {} [label = {}{color}]", dot_text(node.address.as_str()), dot_text(&label));
        }
        out.push_str("  }\n");
    }
    for edge in &drawing.edges {
        let _ = writeln!(out, "  {} -> {}", dot_text(edge.from.as_str()), dot_text(edge.needs.as_str()));
    }
    out.push_str("}\n");
    out
}

fn dot_text(text: &str) -> String {
    format!("\"{}\"", clean(text).replace('\\', "\\\\").replace('"', "\\\""))
}

fn mermaid(drawing: &Drawing<'_>) -> String {
    // Mermaid's ids may not hold a slash: nodes are numbered, and labelled with their address.
    let ids: BTreeMap<&Address, usize> = drawing.nodes.iter().enumerate().map(|(n, node)| (node.address, n)).collect();
    let mut out = "flowchart LR\n".to_owned();
    for (part, nodes) in by_part(drawing) {
        let _ = writeln!(out, "  subgraph {}[\"{}\"]", mermaid_id(part), mermaid_text(part));
        for node in nodes {
            // The sign comes last: a label that begins with one reads as a list to Mermaid.
            let label = mermaid_text(format!("{} {}", node.address, prefix(node.action)).trim_end());
            let _ = writeln!(out, "    n{}[\"{label}\"]", ids[node.address]);
        }
        out.push_str("  end\n");
    }
    for edge in &drawing.edges {
        let _ = writeln!(out, "  n{} --> n{}", ids[edge.from], ids[edge.needs]);
    }
    for (action, color) in ACTIONS.iter().filter_map(|action| color(*action).map(|color| (action, color))) {
        let members: Vec<String> = drawing
            .nodes
            .iter()
            .filter(|node| node.action == *action)
            .map(|node| format!("n{}", ids[node.address]))
            .collect();
        if !members.is_empty() {
            let _ = writeln!(out, "  style {} stroke:{color}", members.join(","));
        }
    }
    out
}

fn mermaid_id(part: &str) -> String {
    // Prefixed, because a bare `end` or `default` is a word of the language.
    format!("part-{}", part.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-"))
}

fn mermaid_text(text: &str) -> String {
    clean(text).replace('"', "#quot;")
}

fn by_part<'a, 'b>(drawing: &'b Drawing<'a>) -> BTreeMap<&'a str, Vec<&'b Node<'a>>> {
    let mut parts: BTreeMap<&str, Vec<&Node<'_>>> = BTreeMap::new();
    drawing.nodes.iter().for_each(|node| parts.entry(node.part).or_default().push(node));
    parts
}

const ACTIONS: [Action; 7] =
    [Action::Create, Action::Update, Action::Replace, Action::Delete, Action::Forget, Action::Adopt, Action::Wait];

fn color(action: Action) -> Option<&'static str> {
    match action {
        Action::NoOp => None,
        Action::Create | Action::Adopt | Action::Wait => Some("green"),
        Action::Update => Some("orange"),
        Action::Replace | Action::Delete | Action::Forget => Some("red"),
    }
}

fn prefix(action: Action) -> String {
    if action == Action::NoOp { String::new() } else { format!("{} ", action.glyph()) }
}
