//! What a destroy leaves: looked for when it is over, and said.

use std::fmt::Write as _;
use std::time::Duration;

use super::session::{Session, aws_region};
use crate::kinds::audit::{Audit, Scope, audit};
use crate::model::event::Leftover;
use crate::plan::render::{Style, Tone, clean, counted};
use crate::state::State;

/// How often it is looked, as long as something is left: lists lag behind what was deleted by some seconds.
const LOOKS: usize = 4;

/// Between two looks, on the session's clock.
const PAUSE: Duration = Duration::from_secs(5);

/// Where to look once everything in this state is destroyed.
pub(super) fn scope(state: &State, session: &Session) -> Scope {
    let mut scope = Scope { mesh: state.mesh.clone(), ..Scope::default() };
    let own = session.cloud.aws().region().map(ToString::to_string);
    if let Some(region) = state.region.clone().or(own) {
        scope.regions.entry(region).or_default();
    }
    for (address, record) in &state.records {
        let Some(region) = aws_region(&record.target) else { continue };
        let places = scope.regions.entry(region.to_owned()).or_default();
        match address.kind() {
            "aws.vpc" => {
                places.vpcs.insert(record.id.to_string());
            }
            "eks.cluster" => {
                places.clusters.insert(record.id.to_string());
            }
            _ => {}
        }
    }
    scope
}

/// Looks until nothing is left, or for the last time. After a run that did not end well one look is enough: what
/// failed is still there.
pub(super) async fn look(session: &Session, scope: &Scope, ended_well: bool) -> Audit {
    let looks = if ended_well { LOOKS } else { 1 };
    let mut found = session.drive(audit(&session.cloud, scope)).await;
    for _ in 1..looks {
        if !found.may_change {
            break;
        }
        session.drive(session.clock.sleep(PAUSE)).await;
        found = session.drive(audit(&session.cloud, scope)).await;
    }
    found
}

/// What is left, for people, each line ended.
pub(super) fn text(audit: &Audit, style: Style) -> String {
    let mut out = String::new();
    if audit.left.is_empty() {
        let _ = writeln!(out, "{}", style.paint(Tone::Add, "Left: nothing"));
    } else {
        let title = format!("Left: {}", counted(audit.left.len(), "object"));
        let _ = writeln!(out, "{}", style.paint(Tone::Remove, &title));
    }
    for Leftover { what, id, region, ours, why_billable } in &audit.left {
        let whose = if *ours { "" } else { ", not meshplan's" };
        let cost = why_billable.map(|why| format!(": {why}")).unwrap_or_default();
        let _ = writeln!(out, "  {} {} in {}{whose}{cost}", clean(what), clean(id), clean(region));
    }
    for unseen in &audit.unseen {
        let _ = writeln!(out, "{}", style.paint(Tone::Change, &format!("Could not look: {}", clean(unseen))));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_listed_with_what_it_costs() {
        let left = |what: &str, id: &str, ours, why_billable| Leftover {
            what: what.to_owned(),
            id: id.to_owned(),
            region: "us-west-2".to_owned(),
            ours,
            why_billable,
        };
        let found = Audit {
            left: vec![
                left("NAT gateway", "nat-1", true, Some("a NAT gateway is billed by the hour")),
                left("network interface `ELB net/x`", "eni-1", false, None),
            ],
            unseen: vec!["global: iam:ListRoles: AccessDenied".to_owned()],
            may_change: true,
        };
        assert_eq!(
            text(&found, Style::plain()),
            "Left: 2 objects\n  \
             NAT gateway nat-1 in us-west-2: a NAT gateway is billed by the hour\n  \
             network interface `ELB net/x` eni-1 in us-west-2, not meshplan's\n\
             Could not look: global: iam:ListRoles: AccessDenied\n"
        );
        assert_eq!(text(&Audit::default(), Style::plain()), "Left: nothing\n");
    }
}
