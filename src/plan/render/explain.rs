//! Why one address changes or does not, what it waits for, and what waits for it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::compile::Declaration;
use crate::model::diagnostic::did_you_mean;
use crate::model::graph::Dag;
use crate::model::{Address, Code, Diagnostic};
use crate::plan::model::{Change, Plan};
use crate::plan::steps::step_graph;
use crate::state::{Record, RecordStatus, State};

use super::graph::requirements;
use super::style::{Style, Tone};
use super::text::{body, chain, glyph, tone};
use super::value::clean;
use super::{counted, duration};

/// Names listed one by one; further ones are counted.
const LISTED: usize = 12;

/// What there is to explain with.
#[derive(Clone, Copy)]
pub struct Explained<'a> {
    /// The plan of the moment.
    pub plan: &'a Plan,
    /// What is declared, sorted by address.
    pub declarations: &'a [Declaration],
    /// What is owned.
    pub state: &'a State,
}

/// The explanation of an address, each line ended; an error that names the nearest address if there is none such.
pub fn explain(with: Explained<'_>, address: &Address, style: Style) -> Result<String, Box<Diagnostic>> {
    let requirements = requirements(with.plan, with.declarations, with.state);
    if !requirements.contains_key(address) {
        let message = format!("`{address}`: no such resource is declared or in state");
        let finding = Diagnostic::error(Code("unknown-address"), message);
        return Err(Box::new(match did_you_mean(address.as_str(), requirements.keys().map(Address::as_str)) {
            Some(near) => finding.help(format!("did you mean `{near}`?")),
            None => finding.help("`meshplan graph --format json` lists every address"),
        }));
    }
    let declaration =
        with.declarations.binary_search_by(|d| d.address.cmp(address)).ok().and_then(|n| with.declarations.get(n));
    let record = with.state.records.get(address);
    let mut lines = Vec::new();
    match with.plan.change(address) {
        Some(change) => planned(change, style, &mut lines),
        None => lines.push(format!(
            "    {} is up to date: nothing is planned for it",
            style.paint(Tone::Strong, address.as_str())
        )),
    }
    standing(declaration, record, &mut lines);
    if let Some(change) = with.plan.change(address) {
        lines.extend(body(change, style));
    } else {
        lines.extend(declaration.iter().flat_map(|d| &d.notes).map(|note| format!("      = note: {}", clean(note))));
    }
    needs(with.plan, address, &requirements, style, &mut lines);
    timing(with.plan, address, &mut lines);
    Ok(lines.join("\n") + "\n")
}

fn planned(change: &Change, style: Style, lines: &mut Vec<String>) {
    let glyph = style.paint(tone(change.action), &format!("{:>3}", glyph(change)));
    let address = style.paint(Tone::Strong, change.address.as_str());
    lines.push(format!("{glyph} {address} {}: {}", will_be(change), clean(&change.reason.to_string())));
}

fn will_be(change: &Change) -> &'static str {
    use crate::plan::model::Action;
    match change.action {
        Action::NoOp => "stays as it is",
        Action::Create => "will be created",
        Action::Update => "will be updated in place",
        Action::Replace if change.goal.as_ref().is_some_and(|goal| goal.deposes) => {
            "will be replaced, its successor being made first"
        }
        Action::Replace => "will be replaced, being deleted first",
        Action::Delete => "will be deleted",
        Action::Forget => "will be dropped from state and left where it is",
        Action::Adopt => "will be taken into state",
        Action::Wait => "will be waited for and completed",
    }
}

/// Where it is declared, and what state knows of it.
fn standing(declaration: Option<&Declaration>, record: Option<&Record>, lines: &mut Vec<String>) {
    lines.push(match declaration {
        Some(declaration) => {
            format!("      declared by `{}`, in {}", clean(&declaration.origin.to_string()), declaration.target)
        }
        None => "      not declared".to_owned(),
    });
    lines.push(match record {
        None => "      not in state".to_owned(),
        Some(record) => {
            let status = match &record.status {
                RecordStatus::Ready => "ready".to_owned(),
                RecordStatus::Creating => "being created".to_owned(),
                RecordStatus::Tainted(why) => format!("tainted: {}", clean(why)),
                RecordStatus::Deleting => "being deleted".to_owned(),
            };
            let protected = if record.protected { ", protected" } else { "" };
            format!("      in state as {} in {} ({status}{protected})", clean(record.id.as_str()), record.target)
        }
    });
}

fn needs(
    plan: &Plan,
    address: &Address,
    requirements: &BTreeMap<Address, BTreeSet<Address>>,
    style: Style,
    lines: &mut Vec<String>,
) {
    let what = |other: &Address| match plan.change(other) {
        Some(change) => format!("{} {other}", style.paint(tone(change.action), glyph(change))),
        None => format!("  {other}"),
    };
    let direct: Vec<&Address> = requirements.get(address).into_iter().flatten().collect();
    let dependents: Vec<&Address> =
        requirements.iter().filter(|(_, needs)| needs.contains(address)).map(|(dependent, _)| dependent).collect();
    list("needs", "needs nothing", &direct, &what, lines);
    list("is needed by", "nothing needs it", &dependents, &what, lines);
    let mut all = BTreeSet::new();
    let mut users: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
    for (user, needs) in requirements {
        for need in needs {
            users.entry(need).or_default().push(user);
        }
    }
    let mut pending = vec![address];
    while let Some(next) = pending.pop() {
        pending.extend(users.get(next).into_iter().flatten().copied().filter(|user| all.insert(*user)));
    }
    if all.len() > dependents.len() {
        lines.push(format!("    and through them by {} in all", counted(all.len(), "resource")));
    }
}

fn list(title: &str, none: &str, addresses: &[&Address], what: &dyn Fn(&Address) -> String, lines: &mut Vec<String>) {
    if addresses.is_empty() {
        lines.push(format!("    {none}"));
        return;
    }
    lines.push(format!("    {title}"));
    lines.extend(addresses.iter().take(LISTED).map(|address| format!("      {}", what(address))));
    if addresses.len() > LISTED {
        lines.push(format!("      and {} more", addresses.len() - LISTED));
    }
}

/// When its steps start, and what they wait for that long.
fn timing(plan: &Plan, address: &Address, lines: &mut Vec<String>) {
    let dag = step_graph(plan);
    let Ok(order) = dag.order() else { return };
    let seconds: Vec<f64> = plan.steps.iter().map(|step| step.seconds).collect();
    let before = Before::of(&dag, &order, &seconds);
    let remaining = dag.remaining(&order, &seconds);
    let longest = remaining.iter().copied().fold(0.0, f64::max);
    for step in plan.steps.iter().filter(|step| step.address == *address) {
        let index = step.id.index();
        let mut text = format!("    {}: takes about {}", step.kind.verb(), duration(step.seconds));
        let path: Vec<Address> = before.path(index).into_iter().map(|n| plan.steps[n].address.clone()).collect();
        if path.is_empty() {
            text.push_str(", starts at once");
        } else {
            let _ = write!(
                text,
                ", starts after about {}, waiting longest for {}",
                duration(before.start[index]),
                chain(&path)
            );
        }
        // Rounding of sums: a microsecond off the longest chain is on it.
        if longest - (before.start[index] + remaining[index]) < 1e-6 {
            text.push_str("; on the longest chain");
        }
        lines.push(text);
    }
}

/// The longest chain before each step.
struct Before {
    start: Vec<f64>,
    last: Vec<Option<usize>>,
}

impl Before {
    fn of(dag: &Dag, order: &[usize], seconds: &[f64]) -> Self {
        let (mut start, mut last) = (vec![0.0; seconds.len()], vec![None; seconds.len()]);
        for &index in order {
            let longest = dag
                .before(index)
                .map(|before| (start[before] + seconds[before], before))
                .max_by(|a, b| f64::total_cmp(&a.0, &b.0).then(b.1.cmp(&a.1)));
            if let Some((end, before)) = longest {
                start[index] = end;
                last[index] = Some(before);
            }
        }
        Self { start, last }
    }

    fn path(&self, index: usize) -> Vec<usize> {
        let mut path = Vec::new();
        let mut next = self.last[index];
        while let Some(before) = next {
            path.push(before);
            next = self.last[before];
        }
        path.reverse();
        path
    }
}
