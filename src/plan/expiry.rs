//! How long what there is now is good: what a plan says of it, and when it renews it.
//!
//! The instant comes in with the plan's scope, and what is good until when out of the kinds' outputs: no clock is asked.

use jiff::{SignedDuration, Timestamp};

use crate::model::{Address, Code, Diagnostic};
use crate::resource::{KindRules, Validity};
use crate::state::Record;

use super::model::{Action, Change, Observation};

/// What nobody renews by itself is warned of so long before its end: a root takes weeks to change.
const WARNED: SignedDuration = SignedDuration::from_hours(180 * 24);

/// So many are listed one by one; of more only the first to end is named.
const LISTED: usize = 6;

/// How long what is there is good: as it was read, or as it is on record.
pub(super) fn validity(
    rules: &dyn KindRules,
    record: Option<&Record>,
    observation: Option<&Observation>,
) -> Option<Validity> {
    match observation {
        Some(Observation::Present { live, .. }) => rules.validity(&live.outputs),
        Some(Observation::Absent | Observation::Unreadable(_)) => None,
        None => rules.validity(&record?.outputs),
    }
}

/// Whether it is time to make the next.
pub(super) fn is_due(validity: Validity, as_of: Option<Timestamp>) -> bool {
    as_of.zip(validity.renew_after).is_some_and(|(now, renew_after)| renew_after <= now)
}

/// Until when things are good, a line each.
pub(super) fn notes(validities: &[(Address, Validity)], changes: &[Change]) -> Vec<String> {
    let mut staying: Vec<_> = staying(validities, changes).collect();
    staying.sort_by_key(|(address, validity)| (validity.until, *address));
    let line = |(address, validity): &(&Address, Validity)| {
        let until = format!("{address} is valid until {}", date(validity.until));
        match validity.renew_after {
            Some(renew_after) => format!("{until}, and is renewed from {} on", date(renew_after)),
            None => until,
        }
    };
    if staying.len() <= LISTED {
        return staying.iter().map(line).collect();
    }
    let further = staying.len() - 1;
    staying.first().map(|first| format!("{}; {further} others are valid for longer", line(first))).into_iter().collect()
}

/// What ends soon and is not renewed by a plan.
pub(super) fn warnings(
    validities: &[(Address, Validity)],
    changes: &[Change],
    as_of: Option<Timestamp>,
) -> Vec<Diagnostic> {
    let Some(now) = as_of else { return Vec::new() };
    let soon = now.checked_add(WARNED).unwrap_or(Timestamp::MAX);
    staying(validities, changes)
        .filter(|(_, validity)| validity.renew_after.is_none() && validity.until < soon)
        .map(|(address, validity)| {
            let (verb, help) = if validity.until <= now {
                ("expired", "replace it now: what it signed is trusted by nobody")
            } else {
                ("expires", "replace it in time: what it signed ends with it, and no plan replaces it by itself")
            };
            Diagnostic::warning(Code("expires"), format!("{address} {verb} on {}", date(validity.until))).help(help)
        })
        .collect()
}

/// What this plan leaves as it is.
fn staying<'a>(
    validities: &'a [(Address, Validity)],
    changes: &'a [Change],
) -> impl Iterator<Item = (&'a Address, Validity)> {
    validities.iter().map(|(address, validity)| (address, *validity)).filter(|(address, _)| {
        changes.binary_search_by(|change| change.address.cmp(address)).ok().and_then(|n| changes.get(n)).is_none_or(
            |change| match change.action {
                Action::NoOp | Action::Update | Action::Adopt | Action::Wait => true,
                Action::Create | Action::Replace | Action::Delete | Action::Forget => false,
            },
        )
    })
}

fn date(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%d").to_string()
}
