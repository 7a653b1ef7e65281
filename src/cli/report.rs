//! What a run came to, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::apply::{Failure, Outcome};
use crate::model::Address;
use crate::model::event::{Counts, Operation};
use crate::plan::render::{Style, Tone, chain, clean, counted, duration};

/// Blocked addresses named per failure; the rest is counted.
const BLOCKED: usize = 3;

/// What the report is about.
#[derive(Debug, Clone, Copy)]
pub(super) struct Report<'a> {
    /// Apply or destroy.
    pub(super) operation: Operation,
    /// What it came to.
    pub(super) outcome: &'a Outcome,
    /// Whether its time was simulated.
    pub(super) sandbox: bool,
    /// How long it really took; only said where nobody compares the text.
    pub(super) real: Option<Duration>,
    /// The command that goes on from here, when something is left to do.
    pub(super) next: &'a str,
}

/// The report, each line ended.
#[must_use]
pub(super) fn report(report: &Report<'_>, style: Style) -> String {
    let outcome = report.outcome;
    let mut out = String::new();
    failures(outcome, style, &mut out);
    let tone = if outcome.is_complete() { Tone::Add } else { Tone::Remove };
    let _ = writeln!(out, "{}", style.paint(tone, &counts(report.operation, &outcome.counts)));
    let _ = writeln!(out, "{}", time(report));
    if outcome.interrupted {
        let _ = writeln!(out, "Interrupted: what was begun is on record, and the next run picks it up");
    }
    if !outcome.is_complete() {
        let _ = writeln!(out, "Next: `{}`", report.next);
    }
    out
}

/// `Apply: 28 created, 0 failed`; what there is none of is left out, but for failures: that there are none is news.
#[must_use]
pub(super) fn counts(operation: Operation, counts: &Counts) -> String {
    let Counts { created, updated, replaced, deleted, adopted, forgotten, failed, skipped, not_started } = counts;
    let what = match operation {
        Operation::Apply => "Apply",
        Operation::Destroy => "Destroy",
    };
    let counts = [
        (created, "created"),
        (updated, "updated"),
        (replaced, "replaced"),
        (deleted, "deleted"),
        (forgotten, "forgotten"),
        (adopted, "adopted"),
        (failed, "failed"),
        (skipped, "skipped"),
        (not_started, "not started"),
    ];
    let is_said = |(n, what): &&(&usize, &str)| **n > 0 || *what == "failed";
    let said: Vec<String> = counts.iter().filter(is_said).map(|(n, what)| format!("{n} {what}")).collect();
    format!("{what}: {}", said.join(", "))
}

fn time(report: &Report<'_>) -> String {
    let outcome = report.outcome;
    let simulated = if report.sandbox { " of simulated time" } else { "" };
    let mut text = format!("Took {}{simulated}", duration(outcome.seconds));
    if let Some(real) = report.real.filter(|_| report.sandbox) {
        let _ = write!(text, " ({} real)", duration(real.as_secs_f64()));
    }
    // Of the two bounds that no schedule can beat, the one that bound this run.
    if outcome.limit_seconds > outcome.critical_seconds {
        let times = outcome.seconds / outcome.limit_seconds;
        let limit = duration(outcome.limit_seconds);
        let _ = write!(text, ", {times:.2} x the {limit} that the request limits alone demand");
    } else if outcome.critical_seconds > 0.0 {
        let times = outcome.seconds / outcome.critical_seconds;
        let _ = write!(text, ", {times:.2} x its critical path: {}", chain(&outcome.critical_path));
    }
    text
}

fn failures(outcome: &Outcome, style: Style, out: &mut String) {
    let mut blocked: BTreeMap<&Address, Vec<&Address>> = BTreeMap::new();
    for skipped in &outcome.skipped {
        blocked.entry(&skipped.blocked_by).or_default().push(&skipped.address);
    }
    for Failure { address, kind, error, help, retry_safe } in &outcome.failures {
        let title = format!("failed: {} {address}", kind.verb());
        let _ = writeln!(out, "{}", style.paint(Tone::Remove, &title));
        let _ = writeln!(out, "  cause: {}", clean(error));
        if let Some(blocked) = blocked.get(address) {
            let names: Vec<&str> = blocked.iter().take(BLOCKED).map(|address| address.as_str()).collect();
            let more = blocked.len().saturating_sub(BLOCKED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let _ = writeln!(out, "  blocked: {}: {}{more}", counted(blocked.len(), "step"), names.join(", "));
        }
        let safe = if *retry_safe { "yes, and it may be enough" } else { "yes, once the cause is mended" };
        let _ = writeln!(out, "  safe to run again: {safe}");
        for help in help {
            let _ = writeln!(out, "  help: {}", clean(help));
        }
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::apply::Skipped;
    use crate::model::event::StepKind;

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn a_failed_run_says_what_failed_what_it_blocked_and_what_to_do() {
        let skipped = |name: &str| Skipped {
            address: address(name),
            kind: StepKind::Create,
            blocked_by: address("aws.nat-gateway/network1"),
        };
        let outcome = Outcome {
            counts: Counts { created: 20, failed: 1, skipped: 4, ..Counts::default() },
            failures: vec![Failure {
                address: address("aws.nat-gateway/network1"),
                kind: StepKind::Create,
                error: "ec2:CreateNatGateway: NatGatewayLimitExceeded: \u{1b}[31mtoo many (request r-1)".to_owned(),
                help: vec!["raise the quota in Service Quotas".to_owned()],
                retry_safe: false,
            }],
            skipped: ["aws.route/a", "aws.route/b", "aws.route/c", "aws.route/d"].map(skipped).into(),
            seconds: 12.0,
            critical_seconds: 10.0,
            critical_path: vec![address("aws.vpc/network1"), address("aws.subnet/network1/public-a")],
            ..Outcome::default()
        };
        let text = report(
            &Report {
                operation: Operation::Apply,
                outcome: &outcome,
                sandbox: true,
                real: Some(Duration::from_millis(400)),
                next: "meshplan apply two-network.toml",
            },
            Style::plain(),
        );
        assert_eq!(
            text,
            "failed: create aws.nat-gateway/network1\n  \
             cause: ec2:CreateNatGateway: NatGatewayLimitExceeded: \\u{1b}[31mtoo many (request r-1)\n  \
             blocked: 4 steps: aws.route/a, aws.route/b, aws.route/c and 1 more\n  \
             safe to run again: yes, once the cause is mended\n  \
             help: raise the quota in Service Quotas\n\n\
             Apply: 20 created, 1 failed, 4 skipped\n\
             Took 12 s of simulated time (0.4 s real), 1.20 x its critical path: aws.vpc/network1 -> \
             aws.subnet/network1/public-a\n\
             Next: `meshplan apply two-network.toml`\n"
        );
    }
}
