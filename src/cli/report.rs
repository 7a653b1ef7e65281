//! What a run came to, for people.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use crate::apply::{Failure, Outcome};
use crate::model::Address;
use crate::model::event::{Counts, Operation};
use crate::plan::render::{Style, Tone, chain, clean, counted, duration};

/// Addresses named in a line; the rest is counted.
const NAMED: usize = 3;

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
    if outcome.interrupted {
        // How it compares with what it would have taken is not known.
        return text;
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
    for alike in alike(&outcome.failures) {
        let [Failure { address, kind, error, help, retry_safe }, others @ ..] = alike.as_slice() else { continue };
        let title = if others.is_empty() {
            format!("failed: {} {address}", kind.verb())
        } else {
            let names = named(alike.iter().map(|failure| &failure.address));
            format!("{} failed alike: {} {names}", counted(alike.len(), "step"), kind.verb())
        };
        let _ = writeln!(out, "{}", style.paint(Tone::Remove, &title));
        let _ = writeln!(out, "  cause: {}", clean(error));
        let behind: Vec<&Address> =
            alike.iter().filter_map(|failure| blocked.get(&failure.address)).flatten().copied().collect();
        if !behind.is_empty() {
            let _ = writeln!(out, "  blocked: {}: {}", counted(behind.len(), "step"), named(behind.iter().copied()));
        }
        let safe = if *retry_safe { "yes, and it may be enough" } else { "yes, once the cause is mended" };
        let _ = writeln!(out, "  safe to run again: {safe}");
        for help in help {
            let _ = writeln!(out, "  help: {}", clean(help));
        }
        out.push('\n');
    }
}

/// Failures of one sort and cause, in the order of their first: a quota that is used up fails everything that needs it,
/// and is one thing to mend.
fn alike(failures: &[Failure]) -> Vec<Vec<&Failure>> {
    let mut groups: Vec<Vec<&Failure>> = Vec::new();
    let mut index = BTreeMap::new();
    for failure in failures {
        let cause = (failure.address.kind(), failure.kind.verb(), cause(&failure.error), &failure.help);
        let group = *index.entry(cause).or_insert_with(|| {
            groups.push(Vec::new());
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(group) {
            group.push(failure);
        }
    }
    groups
}

/// An error without what is different each time: the provider's id of the request.
fn cause(error: &str) -> (&str, &str) {
    let whole = (error, "");
    let Some((before, rest)) = error.split_once(" (request ") else { return whole };
    rest.split_once(')').map_or(whole, |(_, after)| (before, after))
}

/// The first few addresses, and how many more there are.
fn named<'a>(addresses: impl ExactSizeIterator<Item = &'a Address>) -> String {
    let more = addresses.len().saturating_sub(NAMED);
    let names: Vec<&str> = addresses.take(NAMED).map(Address::as_str).collect();
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", names.join(", "))
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

    #[test]
    fn failures_of_one_cause_are_told_once() {
        let failure = |name: &str, error: &str| Failure {
            address: address(name),
            kind: StepKind::Create,
            error: error.to_owned(),
            help: vec!["raise the quota in Service Quotas".to_owned()],
            retry_safe: false,
        };
        let quota =
            |n: usize| failure(&format!("aws.eip/n{n}"), &format!("ec2:AllocateAddress: too many (request r-{n})"));
        let mut failures: Vec<Failure> = (0..5).map(quota).collect();
        failures.insert(1, failure("aws.vpc/n", "ec2:CreateVpc: too many (request r-9)"));
        let skipped = |n: usize| Skipped {
            address: address(&format!("aws.nat_gateway/n{n}")),
            kind: StepKind::Create,
            blocked_by: address(&format!("aws.eip/n{n}")),
        };
        let outcome = Outcome { failures, skipped: (0..5).map(skipped).collect(), ..Outcome::default() };
        let mut text = String::new();
        super::failures(&outcome, Style::plain(), &mut text);
        assert_eq!(
            text,
            "5 steps failed alike: create aws.eip/n0, aws.eip/n1, aws.eip/n2 and 2 more\n  \
             cause: ec2:AllocateAddress: too many (request r-0)\n  \
             blocked: 5 steps: aws.nat_gateway/n0, aws.nat_gateway/n1, aws.nat_gateway/n2 and 2 more\n  \
             safe to run again: yes, once the cause is mended\n  \
             help: raise the quota in Service Quotas\n\n\
             failed: create aws.vpc/n\n  \
             cause: ec2:CreateVpc: too many (request r-9)\n  \
             safe to run again: yes, once the cause is mended\n  \
             help: raise the quota in Service Quotas\n\n"
        );
    }
}
