//! A report for programs. The format is documented in `docs/formats.md`.

use serde_json::{Value as Json, json};

use super::report::{Report, Verdict};

/// The version of the format: raised when a field changes its meaning or goes.
const FORMAT_VERSION: u32 = 1;

/// A report as JSON.
#[must_use]
pub fn render(report: &Report) -> Json {
    let pairs = report.pairs.iter().map(|pair| {
        let checks = pair.findings.iter().map(|finding| {
            let mut check = json!({ "check": finding.check.name() });
            let (verdict, field, value) = match &finding.verdict {
                Verdict::Pass(seen) => ("pass", "seen", json!(seen)),
                Verdict::Fail(causes) => {
                    let codes: Vec<&str> = causes.iter().map(|cause| cause.code).collect();
                    ("fail", "causes", json!(codes))
                }
                Verdict::Follows(first) => ("follows", "after", json!(first.name())),
                Verdict::Skipped(why) => ("skipped", "why", json!(why)),
            };
            check["verdict"] = json!(verdict);
            check[field] = value;
            check
        });
        json!({
            "reader": pair.reader, "peer": pair.peer, "ok": pair.holds(), "checks": checks.collect::<Vec<_>>()
        })
    });
    let causes = report.concerns().into_iter().map(|concern| {
        let fails = concern
            .fails
            .iter()
            .map(|(reader, peer, check)| json!({ "reader": reader, "peer": peer, "check": check.name() }));
        json!({
            "code": concern.cause.code,
            "what": concern.cause.what,
            "remedy": concern.cause.remedy,
            "settles": concern.cause.settles,
            "fails": fails.collect::<Vec<_>>(),
        })
    });
    json!({
        "format_version": FORMAT_VERSION,
        "mesh": report.mesh,
        "ok": report.holds(),
        "pairs": pairs.collect::<Vec<_>>(),
        "causes": causes.collect::<Vec<_>>(),
        "notes": report.notes,
    })
}
