//! Renewal: planned by itself at two thirds of a life, and only then; what uses a certificate follows in the same plan.

use jiff::{SignedDuration, Timestamp};
use meshplan::kinds::pki::KeyKind;
use meshplan::plan::render::{Style, text as plan_text};
use meshplan::plan::{Action, Plan, Planned, Scope};

use crate::replica::{self, Spec};
use crate::rig::{InSandbox, run};
use crate::{declare, intermediate_address, output, process, root_address, root_spec, sorted, text, trust};

fn plan_at(process: &mut InSandbox, declared: &[meshplan::compile::Declaration], at: Timestamp) -> Planned {
    let sandbox = process.sandbox.clone();
    let scope = Scope { as_of: Some(at), ..Scope::default() };
    run(sandbox.drive(process.process.planned(declared, &scope)))
}

fn actions(plan: &Plan) -> Vec<(String, Action, String)> {
    plan.changes.iter().map(|c| (c.address.to_string(), c.action, c.reason.to_string())).collect()
}

#[test]
fn an_intermediate_is_renewed_at_two_thirds_of_its_life_and_what_uses_it_follows() {
    let home = tempfile::tempdir().unwrap();
    let address = intermediate_address("cluster-1");
    let mut declared = trust(&["cluster-1"], KeyKind::EcdsaP256);
    declared.push(declare(&"test.replica/cluster-1".parse().unwrap(), &Spec::of(&address, "cluster-1")));
    let declared = sorted(declared);
    let mut process = process(home.path());
    process.apply(&declared);
    let before = replica::held("cluster-1");
    let state = process.process.store.state();
    let renew: Timestamp = text(state, &address, "renew_after").parse().unwrap();
    let until: Timestamp = text(state, &address, "not_after").parse().unwrap();

    let early = plan_at(&mut process, &declared, renew - SignedDuration::from_secs(1)).plan.unwrap();
    assert!(early.is_empty(), "{early:#?}");
    let date = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let root_until = text(process.process.store.state(), &root_address(), "not_after");
    assert_eq!(
        early.notes,
        [
            format!("{address} is valid until {}, and is renewed from {} on", date(until), date(renew)),
            format!("pki.root/mesh1 is valid until {}", &root_until[..10]),
        ]
    );

    let due = plan_at(&mut process, &declared, renew).plan.unwrap();
    let reason = format!("time to renew it: valid until {}", date(until));
    assert_eq!(
        actions(&due),
        [
            (address.to_string(), Action::Replace, reason),
            ("test.replica/cluster-1".to_owned(), Action::Update, "changed".to_owned()),
        ],
        "{}",
        plan_text(&due, Style::plain())
    );
    let again = plan_at(&mut process, &declared, renew).plan.unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), serde_json::to_string(&due).unwrap(), "it asks no clock");

    let sandbox = process.sandbox.clone();
    let outcome = run(sandbox.drive(process.process.carry_out(&due))).unwrap();
    assert!(outcome.is_complete(), "{outcome:#?}");
    let after = replica::held("cluster-1");
    assert_eq!(after["root-cert.pem"], before["root-cert.pem"]);
    for changed in ["ca-cert.pem", "ca-key.pem", "cert-chain.pem"] {
        assert_ne!(after[changed], before[changed], "{changed}");
    }
    assert_eq!(after["ca-cert.pem"], text(process.process.store.state(), &address, "certificate"));
    assert!(process.process.store.state().records[&address].deposed.is_empty());
}

#[test]
fn a_root_that_ends_is_warned_of_and_never_replaced_by_itself() {
    let home = tempfile::tempdir().unwrap();
    let declared = trust(&["cluster-1"], KeyKind::EcdsaP256);
    let mut process = process(home.path());
    process.apply(&declared);
    let until: Timestamp = text(process.process.store.state(), &root_address(), "not_after").parse().unwrap();
    let soon = plan_at(&mut process, &declared, until - SignedDuration::from_hours(24 * 30));
    let warned: Vec<&str> = soon.diagnostics.iter().map(|finding| finding.message.as_str()).collect();
    assert_eq!(warned, [format!("pki.root/mesh1 expires on {}", until.strftime("%Y-%m-%d"))]);
    let plan = soon.plan.unwrap();
    assert!(plan.changes.iter().all(|change| change.address != root_address()), "{plan:#?}");
}

#[test]
fn another_root_needs_permission_and_another_recipient_does_not() {
    let home = tempfile::tempdir().unwrap();
    let mut process = process(home.path());
    process.apply(&trust(&["cluster-1"], KeyKind::EcdsaP256));
    let before = output(process.process.store.state(), &root_address(), "key");
    let sandbox = process.sandbox.clone();
    let other = trust(&["cluster-1"], KeyKind::Rsa2048);
    let planned = run(sandbox.drive(process.process.planned(&other, &Scope::default())));
    assert!(planned.plan.is_none(), "a root is protected");

    let mut shared = trust(&["cluster-1"], KeyKind::EcdsaP256);
    let recipients = vec!["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".to_owned()];
    for declaration in &mut shared {
        if declaration.address == root_address() {
            let spec =
                meshplan::kinds::pki::root::Spec { recipients: recipients.clone(), ..root_spec(KeyKind::EcdsaP256) };
            *declaration = declare(&root_address(), &spec);
        }
    }
    let plan = process.plan(&shared);
    assert!(plan.is_empty(), "{plan:#?}");
    process.apply(&shared);
    assert_eq!(output(process.process.store.state(), &root_address(), "key"), before, "it is the same key");
}
