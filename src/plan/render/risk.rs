//! What a reviewer must not overlook: what goes, and what other parties rely on.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::model::Address;
use crate::model::Segment;
use crate::model::diff::FieldChange;
use crate::model::event::Operation;
use crate::plan::model::{Action, Change, Plan, Reason};

use super::counted;
use super::value::{clean, show};

/// At most this many risks of one sort are named; the rest is counted.
const PER_SORT: usize = 8;

/// The sorts of risk, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Sort {
    TrustRoot,
    Replace,
    Delete,
    GatewayAddress,
    IpFamily,
}

/// One thing to look at twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Risk {
    pub(super) sort: Sort,
    /// One clean line.
    pub(super) text: String,
}

/// Protected first, then by how much goes with it.
type Weight = Option<Reverse<(bool, usize)>>;

/// The risks of a plan, the worst first, then by address.
pub(super) fn risks(plan: &Plan) -> Vec<Risk> {
    let mut found: BTreeMap<Sort, Vec<(Weight, String)>> = BTreeMap::new();
    let blast = BlastRadius::of(plan);
    let mut add = |sort, change: Option<&Change>, text| {
        let weight = change.map(|change| {
            let protected = change.goal.as_ref().is_some_and(|goal| goal.protected);
            Reverse((protected, blast.size(&change.address)))
        });
        found.entry(sort).or_default().push((weight, text));
    };
    for change in &plan.changes {
        if is_trust_root(change) && !matches!(change.action, Action::Create | Action::NoOp) {
            add(
                Sort::TrustRoot,
                Some(change),
                format!("{} {}: every certificate of the mesh hangs on it", verb(change), change.address),
            );
        }
        if change.action == Action::Replace && change.reason != Reason::Deposed {
            let reason = clean(&change.reason.to_string());
            add(
                Sort::Replace,
                Some(change),
                format!("replaces {}: {reason}{}", change.address, blast.text(&change.address)),
            );
        }
        // A destroy deletes everything: naming each says nothing.
        if change.action == Action::Delete && plan.operation == Operation::Apply && !is_gateway_address(change) {
            add(Sort::Delete, Some(change), format!("deletes {}{}", change.address, blast.text(&change.address)));
        }
        if is_gateway_address(change) && plan.operation == Operation::Apply {
            add(
                Sort::GatewayAddress,
                Some(change),
                format!("{} {}: peers that allow this address must follow", verb(change), change.address),
            );
        }
        for field in change.fields.iter().filter(|field| changes_ip_family(change, field)) {
            let value = |value: Option<&_>| value.map_or_else(|| "(none)".to_owned(), show);
            add(
                Sort::IpFamily,
                Some(change),
                format!(
                    "{}: IP family, `{}`: {} -> {}",
                    change.address,
                    clean(&field.path.to_string()),
                    value(field.before.as_ref()),
                    value(field.after.as_ref())
                ),
            );
        }
    }
    if plan.operation == Operation::Destroy && plan.summary.delete > 0 {
        add(Sort::Delete, None, format!("deletes everything in state: {}", counted(plan.summary.delete, "resource")));
    }
    found.into_iter().flat_map(|(sort, texts)| limited(sort, texts)).collect()
}

fn limited(sort: Sort, mut weighed: Vec<(Weight, String)>) -> Vec<Risk> {
    // The worst must not be what is only counted.
    weighed.sort_by_key(|(weight, _)| *weight);
    let mut texts: Vec<String> = weighed.into_iter().map(|(_, text)| text).collect();
    let rest = texts.len().saturating_sub(PER_SORT);
    if rest > 0 {
        texts.truncate(PER_SORT);
        let what = match sort {
            Sort::TrustRoot => "trust roots",
            Sort::Replace => "replacements",
            Sort::Delete => "deletions",
            Sort::GatewayAddress => "gateway addresses",
            Sort::IpFamily => "changes of an IP family",
        };
        texts.push(format!("and {rest} more {what}"));
    }
    texts.into_iter().map(|text| Risk { sort, text }).collect()
}

fn verb(change: &Change) -> &'static str {
    match change.action {
        Action::Replace => "replaces",
        Action::Delete => "deletes",
        Action::Update => "changes",
        Action::Forget => "forgets",
        Action::NoOp | Action::Create | Action::Adopt | Action::Wait => "takes in",
    }
}

fn is_trust_root(change: &Change) -> bool {
    change.address.kind() == "pki.root"
}

/// An address that other networks write into their allow lists goes away: a NAT gateway's, or a gateway's load
/// balancer's.
fn is_gateway_address(change: &Change) -> bool {
    let gives_up = match change.action {
        Action::Replace => change.reason != Reason::Deposed,
        Action::Delete => true,
        Action::NoOp | Action::Create | Action::Update | Action::Forget | Action::Adopt | Action::Wait => false,
    };
    let holds = change.address.kind() == "aws.eip"
        || (change.address.kind() == "kubernetes.service" && change.address.as_str().contains("eastwest"));
    gives_up && holds
}

/// A field of an existing resource that decides which IP families it speaks. Another range of the same family is none.
fn changes_ip_family(change: &Change, field: &FieldChange) -> bool {
    let exists = matches!(change.action, Action::Update | Action::Replace);
    let is_range = |segment: &Segment| matches!(segment, Segment::Key(key) if key.contains("cidr"));
    if field.before.is_some() && field.after.is_some() && field.path.segments().last().is_some_and(is_range) {
        return false;
    }
    let names = |segment: &Segment| match segment {
        Segment::Key(key) => ["ipv6", "ip_family", "dual_stack"].iter().any(|name| key.contains(name)),
        Segment::Index(_) => false,
    };
    exists && field.path.segments().iter().any(names)
}

/// What goes because it stands on something that goes.
struct BlastRadius<'a>(BTreeMap<&'a Address, Vec<&'a Address>>);

impl<'a> BlastRadius<'a> {
    fn of(plan: &'a Plan) -> Self {
        let mut dependents: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
        for change in plan.changes.iter().filter(|change| matches!(change.action, Action::Delete | Action::Replace)) {
            for requirement in &change.requirements {
                dependents.entry(requirement).or_default().push(&change.address);
            }
        }
        Self(dependents)
    }

    fn text(&self, address: &Address) -> String {
        match self.size(address) {
            0 => String::new(),
            1 => " (1 further resource goes with it)".to_owned(),
            n => format!(" ({n} further resources go with it)"),
        }
    }

    fn size(&self, address: &Address) -> usize {
        let mut reached = std::collections::BTreeSet::new();
        let mut pending: Vec<&Address> = vec![address];
        while let Some(next) = pending.pop() {
            pending.extend(self.0.get(next).into_iter().flatten().copied().filter(|found| reached.insert(*found)));
        }
        reached.remove(address);
        reached.len()
    }
}
