//! The views of a small plan with one change of every sort, and properties over arbitrary plans.

use proptest::prelude::*;

use super::*;
use crate::compile::Declaration;
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, AttrPath, Document, Target};
use crate::plan::{Change, Plan};
use crate::resource::Registry;
use crate::state::State;

fn plan_of(json: &str) -> Plan {
    serde_json::from_str(json).unwrap()
}

fn written(plan: &Plan) -> String {
    json(plan, &Registry::new(&[]).rules()).unwrap()
}

/// One change of every sort, as the planner would write it.
fn sample() -> Plan {
    plan_of(
        r#"{
  "format_version": 1, "operation": "apply", "mesh": "mesh1", "lineage": "l", "base_serial": 3, "sandbox": true, "offline": false,
  "summary": {"create": 1, "update": 1, "replace": 1, "delete": 1, "forget": 1, "adopt": 1, "no_op": 12},
  "changes": [
    {"address": "aws.eip/network1/nat", "action": "delete", "reason": "not-declared", "target": {"aws": {"region": "us-west-2"}}, "id": "eipalloc-1", "requirements": []},
    {"address": "aws.nat/network1", "action": "forget", "reason": "not-declared", "target": {"aws": {"region": "us-west-2"}}, "requirements": ["aws.eip/network1/nat"]},
    {"address": "aws.route/network2/default", "action": "adopt", "reason": "create-unfinished", "target": {"aws": {"region": "us-west-2"}}},
    {"address": "aws.subnet/network1/private-a", "action": "replace", "reason": {"forced-by": ["cidr"]}, "target": {"aws": {"region": "us-west-2"}},
     "fields": [
       {"path": "cidr", "before": "10.1.0.0/20", "after": "10.1.16.0/20", "impact": "replace", "cause": "changed"},
       {"path": "ipv6_cidr", "after": {"$ref": {"address": "aws.vpc/network1", "output": "ipv6_cidr", "pick": {"ipv6-subnet": {"prefix": 64, "index": 3}}}}, "impact": "update", "cause": "changed"},
       {"path": "tags.owner", "before": "me\u001b[31m", "impact": "update", "cause": "drifted"}
     ], "requirements": ["aws.vpc/network1"]},
    {"address": "aws.vpc/network1", "action": "update", "reason": "changed", "target": {"aws": {"region": "us-west-2"}}, "notes": ["network1 is dual-stack because `cluster-2` is IPv6"],
     "fields": [
       {"path": "ipv6", "before": false, "after": true, "impact": "update", "cause": "changed"},
       {"path": "key", "before": {"$sensitive": "00"}, "after": {"$sensitive": "01"}, "impact": "update", "cause": "changed"},
       {"path": "policy", "before": "one\ntwo\nthree\nfour\nfive\nsix\nseven", "after": "one\ntwo\nthree\nfour\nfive ```\nsix\nseven", "impact": "update", "cause": "changed"}
     ]},
    {"address": "aws.vpc/network2", "action": "create", "reason": "not-in-state", "target": {"aws": {"region": "us-west-2"}},
     "fields": [
       {"path": "azs", "after": ["us-west-2a-with-a-long-name", "us-west-2b-with-a-long-name", "us-west-2c-with-a-long-name"], "impact": "update", "cause": "changed"},
       {"path": "cidr", "after": "10.2.0.0/16", "impact": "update", "cause": "changed"}
     ]}
  ],
  "steps": [
    {"id": 0, "address": "aws.nat/network1", "kind": "forget", "after": [], "seconds": 0.0},
    {"id": 1, "address": "aws.eip/network1/nat", "kind": "delete", "after": [0], "seconds": 1.0},
    {"id": 2, "address": "aws.subnet/network1/private-a", "kind": "delete", "after": [], "seconds": 3.0},
    {"id": 3, "address": "aws.vpc/network1", "kind": "update", "after": [], "seconds": 2.0},
    {"id": 4, "address": "aws.subnet/network1/private-a", "kind": "create", "after": [2, 3], "seconds": 128.5},
    {"id": 5, "address": "aws.vpc/network2", "kind": "create", "after": [], "seconds": 8.0},
    {"id": 6, "address": "aws.route/network2/default", "kind": "adopt", "after": [5], "seconds": 1.0}
  ],
  "estimate": {"seconds": 131.5, "critical_path": ["aws.subnet/network1/private-a", "aws.subnet/network1/private-a"]},
  "bookkeeping": [{"forgotten": {"address": "aws.vpc/x"}}]
}"#,
    )
}

fn empty() -> Plan {
    let mut plan = sample();
    plan.changes.clear();
    plan.steps.clear();
    plan.bookkeeping.clear();
    plan
}

fn declarations() -> Vec<Declaration> {
    let declaration = |address: &str, references: &[&str], notes: &[&str]| Declaration {
        address: address.parse().unwrap(),
        target: Target::aws("us-west-2"),
        spec: Document::empty(),
        references: references.iter().map(|address| address.parse().unwrap()).collect(),
        depends_on: Vec::new(),
        update_after: Vec::new(),
        notes: notes.iter().map(ToString::to_string).collect(),
        origin: AttrPath::keys(&["networks", "network1"]),
        protected: false,
    };
    vec![
        declaration("aws.igw/network1", &["aws.vpc/network1"], &["a gateway, because there are public subnets"]),
        declaration("aws.subnet/network1/private-a", &["aws.vpc/network1"], &[]),
        declaration("aws.vpc/network1", &[], &[]),
    ]
}

fn explained(address: &str) -> String {
    let (plan, declarations) = (sample(), declarations());
    let state = State::new("mesh1", "l".to_owned(), true);
    let with = Explained { plan: &plan, declarations: &declarations, state: &state };
    match explain(with, &address.parse().unwrap(), Style::plain()) {
        Ok(text) => text,
        Err(finding) => format!("{}: {}", finding.message, finding.help.join("; ")),
    }
}

#[test]
fn a_plan_as_text() {
    insta::assert_snapshot!(text(&sample(), Style::plain()));
}

#[test]
fn a_plan_as_markdown() {
    insta::assert_snapshot!(markdown(&sample()));
}

#[test]
fn a_plan_with_nothing_to_do() {
    insta::assert_snapshot!(format!("{}---\n{}", text(&empty(), Style::plain()), markdown(&empty())));
}

#[test]
fn an_address_explained() {
    let addresses = ["aws.subnet/network1/private-a", "aws.vpc/network1", "aws.igw/network1", "aws.vpc/netwrok1"];
    insta::assert_snapshot!(addresses.map(explained).join("---\n"));
}

#[test]
fn the_graph_in_every_format() {
    let (plan, declarations) = (sample(), declarations());
    let state = State::new("mesh1", "l".to_owned(), true);
    let drawn = [GraphFormat::Dot, GraphFormat::Mermaid, GraphFormat::Json]
        .map(|format| graph(&plan, &declarations, &state, format).unwrap());
    insta::assert_snapshot!(drawn.join("---\n"));
}

#[test]
fn json_reads_back_to_the_same_plan_and_always_has_the_documented_fields() {
    let plan = sample();
    let text = written(&plan);
    assert_eq!(parse(&text).unwrap(), plan);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    for change in value["changes"].as_array().unwrap() {
        for key in ["address", "action", "reason", "fields", "notes"] {
            assert!(!change[key].is_null(), "{key} is missing in {change}");
        }
    }
    assert_eq!(value["steps"][4]["after"], serde_json::json!([2, 3]));
}

#[test]
fn another_layout_is_the_same_plan() {
    let text = written(&sample());
    let compact: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(parse(&compact.to_string()).unwrap(), sample());
}

#[test]
fn a_secret_that_would_be_set_is_not_written() {
    const SENSITIVE: &[FieldRule] = &[FieldRule { path: "auth.key", traits: &[FieldTrait::Sensitive] }];
    let with = |key: &str| {
        let mut plan = sample();
        let goal = serde_json::json!({
            "spec": {"auth": {"key": serde_json::from_str::<serde_json::Value>(key).unwrap()}},
            "declared": crate::model::Digest::of("x"), "depends_on": [], "protected": false, "schema_version": 1,
        });
        plan.changes[4].goal = Some(serde_json::from_value(goal).unwrap());
        super::json::secret(&plan, &|_| SENSITIVE).map(|(address, path)| format!("{address} {path}"))
    };
    assert_eq!(with("\"hunter2\"").as_deref(), Some("aws.vpc/network1 auth.key"));
    assert_eq!(with(r#"{"$ref": {"address": "pki.root/a", "output": "key"}}"#), None);
}

#[test]
fn tags_that_all_creates_have_are_said_once() {
    let mut plan = sample();
    let mut create = plan.changes[5].clone();
    let tag = |key: &str, value: &str| {
        let field = serde_json::json!({"path": AttrPath::keys(&["tags", key]), "after": value, "impact": "update", "cause": "changed"});
        serde_json::from_value(field).unwrap()
    };
    plan.changes[5].fields = vec![tag("Name", "a"), tag("meshplan:mesh", "m"), tag("owner", "me"), tag("tier", "1")];
    let alone = text(&plan, Style::plain());
    assert!(alone.contains("tags.meshplan:mesh = \"m\"") && !alone.contains("Not shown"), "{alone}");
    create.address = "aws.vpc/network3".parse().unwrap();
    create.fields = vec![tag("Name", "b"), tag("meshplan:mesh", "m"), tag("owner", "me"), tag("tier", "2")];
    plan.changes.push(create);
    let both = text(&plan, Style::plain());
    assert!(both.contains("      + tags.tier = \"1\"\n\n") && both.contains("      + tags.tier = \"2\"\n\n"), "{both}");
    assert!(
        both.contains("Not shown: tags that all 2 creates with tags have: owner = \"me\", Name, meshplan:mesh\n"),
        "{both}"
    );
    assert!(!both.contains("tags.Name"), "{both}");
}

#[test]
fn the_worst_risks_are_named_and_another_range_is_no_other_family() {
    let mut plan = sample();
    let replace = plan.changes[3].clone();
    plan.changes = (0..12)
        .map(|n| {
            let mut change = Change { address: format!("aws.subnet/a/{n:02}").parse().unwrap(), ..replace.clone() };
            change.fields.clear();
            change
        })
        .collect();
    plan.changes.push(Change { address: "aws.vpc/a".parse().unwrap(), requirements: Vec::new(), ..replace });
    for change in &mut plan.changes[..12] {
        change.requirements = vec!["aws.vpc/a".parse().unwrap()];
    }
    let shown = text(&plan, Style::plain());
    let (_, risks) = shown.split_once("Look twice at:\n").unwrap();
    assert!(risks.starts_with("  replaces aws.vpc/a: `cidr` cannot change in place (12 further"), "{risks}");
    assert!(risks.contains("IP family, `ipv6_cidr`: (none) -> "), "{risks}");
    plan.changes[12].fields[1].before = Some("2600::/64".into());
    assert!(!text(&plan, Style::plain()).contains("IP family"));
}

#[test]
fn colours_are_written_only_when_asked_for() {
    assert!(text(&sample(), Style::new(true)).contains("\u{1b}[32m"));
    assert!(!text(&sample(), Style::plain()).contains('\u{1b}'));
}

#[test]
fn damaged_plans_are_refused_with_the_place() {
    let good = written(&sample());
    let cases = [
        (good.replace("\"format_version\": 1", "\"format_version\": 9"), "format version 9"),
        (good.replace("\"id\": 3", "\"id\": 7"), "step 3 calls itself 7"),
        (good.replacen("\"after\": []", "\"after\": [6]", 1), "which comes later"),
        (good.replace("\"kind\": \"adopt\"", "\"kind\": \"explode\""), "steps[6].kind"),
        (good.replace("\"seconds\": 128.5", "\"seconds\": -1.0"), "expected to take -1"),
        (good.replace("10.2.0.0/16", "10.3.0.0/16"), "it is not as it was written"),
        (good.replace("\"digest\"", "\"other\""), "it is not as it was written"),
        (format!("{good}x"), "trailing"),
        (good[..good.len() / 2].to_owned(), "EOF"),
        (String::new(), "it is empty"),
        ("schema = 1".to_owned(), "it is not JSON"),
    ];
    for (text, expected) in cases {
        let error = parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} does not say {expected}");
    }
}

#[test]
fn durations_read_well() {
    let texts = [0.0, 0.44, 9.94, 9.96, 59.6, 130.0, 3720.0, f64::NAN].map(duration);
    assert_eq!(texts, ["0 s", "0.4 s", "9.9 s", "10 s", "1 m 00 s", "2 m 10 s", "1 h 02 m", "0 s"]);
}

/// Every fence that opens is closed by one of the same length, and no line between them is as long a run.
fn assert_fences_balance(markdown: &str) {
    let mut open: Option<usize> = None;
    for line in markdown.lines() {
        let run = line.len() - line.trim_start_matches('`').len();
        match open {
            None if run >= 3 => {
                assert_eq!(line.trim_start_matches('`'), "diff");
                open = Some(run);
            }
            Some(length) if run >= length && line.trim_start_matches('`').is_empty() => open = None,
            Some(length) => assert!(run < length, "a line breaks out of its fence: {line}"),
            None => {}
        }
    }
    assert!(open.is_none(), "a fence is left open");
    assert_eq!(markdown.matches("<details>").count(), markdown.matches("</details>").count());
}

fn nasty() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9 ./-]{0,20}",
        "[`*_<>@|\\\\\"\u{1b}\u{202e}\r\n]{0,30}",
        "`{0,400}",
        any::<String>(),
        "[a-z\n]{0,900}",
    ]
}

prop_compose! {
    fn arbitrary_change()(
        name in "[a-z]{1,8}", part in "[a-c]", action in 0..7_usize,
        fields in prop::collection::vec((nasty(), nasty(), prop::option::of(nasty())), 0..6),
        note in prop::option::of(nasty()), why in nasty(),
    ) -> serde_json::Value {
        let actions = ["create", "update", "replace", "delete", "forget", "adopt", "wait"];
        let fields: Vec<serde_json::Value> = fields.into_iter().map(|(key, after, before)| serde_json::json!({
            "path": AttrPath::keys(&[&key]).to_string(), "before": before, "after": {"x": after, "y": [1, null]},
            "impact": "update", "cause": "changed",
        })).collect();
        serde_json::json!({
            "address": format!("aws.vpc/{part}/{name}"), "action": actions[action], "reason": {"tainted": why},
            "fields": fields, "notes": note.into_iter().collect::<Vec<_>>(), "target": "local",
        })
    }
}

prop_compose! {
    fn arbitrary_plan()(mesh in nasty(), changes in prop::collection::vec(arbitrary_change(), 0..24), copies in 1..16_usize) -> Plan {
        let mut plan = empty();
        plan.mesh = mesh;
        let mut all = std::collections::BTreeMap::new();
        for (n, change) in changes.iter().enumerate() {
            let change: Change = serde_json::from_value(change.clone()).unwrap();
            for copy in 0..copies {
                let mut change = change.clone();
                change.address = format!("{}-{n}-{copy}", change.address).parse().unwrap();
                all.insert(change.address.clone(), change);
            }
        }
        plan.changes = all.into_values().collect();
        plan
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn every_view_of_any_plan_is_clean_and_markdown_fits(plan in arbitrary_plan()) {
        let comment = markdown(&plan);
        prop_assert!(comment.encode_utf16().count() <= MARKDOWN_BUDGET, "{} units", comment.encode_utf16().count());
        assert_fences_balance(&comment);
        let plain = text(&plan, Style::plain());
        for view in [&comment, &plain] {
            let control = view.chars().find(|c| (c.is_control() && *c != '\n') || *c == '\u{202e}');
            prop_assert!(control.is_none(), "{control:?}");
        }
        prop_assert_eq!(&comment, &markdown(&plan));
        prop_assert_eq!(parse(&written(&plan)).unwrap(), plan);
    }
}

#[test]
fn a_huge_plan_is_cut_least_important_first_and_says_so() {
    let mut plan = sample();
    let update = plan.change(&"aws.vpc/network1".parse::<Address>().unwrap()).unwrap().clone();
    let create = plan.change(&"aws.vpc/network2".parse::<Address>().unwrap()).unwrap().clone();
    let copies = |change: &Change, name: &str, n: usize| -> Vec<Change> {
        (0..n)
            .map(|i| Change { address: format!("aws.vpc/{name}/{i:05}").parse().unwrap(), ..change.clone() })
            .collect()
    };
    plan.changes =
        [copies(&create, "net-a", 2_000), copies(&update, "net-b", 40), copies(&create, "net-c", 2_000)].concat();
    let comment = markdown(&plan);
    assert!(comment.encode_utf16().count() <= MARKDOWN_BUDGET);
    assert!(comment.encode_utf16().count() > MARKDOWN_BUDGET * 9 / 10, "most of the budget is used");
    assert_eq!(comment.matches("! ~ aws.vpc/net-b/").count(), 40, "no update is cut while creates are shown");
    let end = comment.lines().last().unwrap();
    assert!(end.starts_with("**Cut to fit into a comment:** ") && end.contains("changes are not listed"), "{end}");
}
