//! From what was declared and what was seen to a report. Pure: no clock, no I/O.
//!
//! Entry point: [`check()`]. Each check has a file; each looks for the first thing that is wrong on the way from the
//! reader to the peer, so that a cause is named once and what only follows from it is said to follow.

mod balancer;
mod control_plane;
mod endpoints;
mod gateways;
mod traffic;
mod trust;

use super::facts::{ClusterFacts, Facts, Unseen};
use super::mesh::{Cluster, Mesh};
use super::report::{Cause, Check, Finding, Pair, Report, Verdict};

/// Who looks at whom.
struct View<'a> {
    mesh: &'a Mesh,
    reader: Side<'a>,
    peer: Side<'a>,
}

/// One of the two.
#[derive(Clone, Copy)]
struct Side<'a> {
    name: &'a str,
    declared: &'a Cluster,
    seen: &'a ClusterFacts,
}

impl View<'_> {
    /// Whether traffic between the two goes through a gateway.
    fn crosses(&self) -> bool {
        self.reader.declared.network != self.peer.declared.network
    }

    /// Whether it is a cluster alone in its mesh.
    fn is_alone(&self) -> bool {
        self.reader.name == self.peer.name
    }
}

/// Judges what was seen of a mesh.
pub fn check(mesh: &Mesh, facts: &Facts) -> Report {
    let pairs = mesh.pairs().into_iter().map(|(reader, peer)| pair(mesh, facts, reader, peer)).collect();
    let mut notes = Vec::new();
    if mesh.sample.is_none() {
        notes.push(
            "the sample applications are not installed, so no traffic was sent: `[sample] enabled = true` installs them"
                .to_owned(),
        );
    }
    if mesh.clusters.is_empty() {
        notes.push("the mesh has no clusters: there is nothing to check".to_owned());
    }
    Report { mesh: mesh.id.clone(), pairs, notes }
}

fn pair(mesh: &Mesh, facts: &Facts, reader: &str, peer: &str) -> Pair {
    let findings = match (side(mesh, facts, reader), side(mesh, facts, peer)) {
        (Ok(reader), Ok(peer)) => judge(&View { mesh, reader, peer }),
        (Err(cause), Ok(_)) | (Ok(_), Err(cause)) => unseen(vec![cause]),
        (Err(first), Err(second)) => unseen(if first == second { vec![first] } else { vec![first, second] }),
    };
    Pair { reader: reader.to_owned(), peer: peer.to_owned(), findings }
}

fn judge(view: &View<'_>) -> Vec<Finding> {
    let mut findings: Vec<Finding> = Vec::new();
    for check in Check::ALL {
        let verdict = match check {
            Check::Trust => trust::check(view),
            Check::ControlPlane => control_plane::check(view),
            Check::Gateways => gateways::check(view, &findings),
            Check::LoadBalancer => balancer::check(view, &findings),
            Check::Endpoints => endpoints::check(view, &findings),
            Check::Traffic => traffic::check(view, &findings),
        };
        findings.push(Finding { check, verdict });
    }
    findings
}

/// The first of these checks that does not hold.
fn broken(findings: &[Finding], of: &[Check]) -> Option<Check> {
    let is_broken = |finding: &&Finding| {
        of.contains(&finding.check) && matches!(finding.verdict, Verdict::Fail(_) | Verdict::Follows(_))
    };
    findings.iter().find(is_broken).map(|finding| match finding.verdict {
        Verdict::Follows(first) => first,
        Verdict::Pass(_) | Verdict::Fail(_) | Verdict::Skipped(_) => finding.check,
    })
}

fn side<'a>(mesh: &'a Mesh, facts: &'a Facts, name: &str) -> Result<Side<'a>, Cause> {
    let Some((name, declared)) = mesh.clusters.get_key_value(name) else {
        return Err(unlooked(name, &Unseen { why: "it is not declared".to_owned(), passes: false }));
    };
    match facts.clusters.get(name) {
        Some(Ok(seen)) => Ok(Side { name, declared, seen }),
        Some(Err(why)) => Err(unlooked(name, why)),
        None => Err(unlooked(name, &Unseen { why: "nobody looked".to_owned(), passes: false })),
    }
}

fn unlooked(name: &str, unseen: &Unseen) -> Cause {
    let what = format!("{name} cannot be looked at: {unseen}");
    let remedy = "make its API server reachable and readable from here, then verify again";
    Cause { settles: unseen.passes, ..Cause::new("cluster-unseen", what, remedy) }
}

/// All checks of a pair of which one side cannot be looked at: the first says why, the others follow.
fn unseen(causes: Vec<Cause>) -> Vec<Finding> {
    let mut first = Some(causes);
    let verdict = |_| match first.take() {
        Some(causes) => Verdict::Fail(causes),
        None => Verdict::Follows(Check::ALL[0]),
    };
    Check::ALL
        .iter()
        .zip(Check::ALL.iter().map(verdict))
        .map(|(check, verdict)| Finding { check: *check, verdict })
        .collect()
}

/// `one`, `one and another`, `one, another and a third`.
fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let mut items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    let Some(last) = items.pop() else { return "none".to_owned() };
    if items.is_empty() { last } else { format!("{} and {last}", items.join(", ")) }
}
