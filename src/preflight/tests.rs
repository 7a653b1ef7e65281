//! A first plan of two networks and two clusters, and what a sandbox answers about it.

use std::path::Path;

use super::*;
use crate::compile::compile;
use crate::kinds::registry;
use crate::plan::{Inputs, Scope, plan};
use crate::sandbox::{Faults, Options, Quotas, Sandbox, Speed};
use crate::state::State;
use crate::topology::parse;

const TWO_NETWORKS: &str = include_str!("../../topologies/two-network.toml");

/// What is found about the first plan of a topology, each with its severity and code.
async fn found(text: &str, options: Options) -> Vec<String> {
    let parsed = parse(text);
    let compiled = compile(&parsed.topology.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics)));
    let state = State::new("mesh1", "0123456789abcdef0123456789abcdef".to_owned(), true);
    let planned = plan(Inputs {
        declarations: &compiled.declarations,
        state: &state,
        observed: None,
        rules: &registry().rules(),
        moves: &[],
        topology: None,
        scope: &Scope::default(),
    });
    let plan = planned.plan.unwrap_or_else(|| panic!("{:#?}", planned.diagnostics));
    let sandbox = Sandbox::open(Path::new("unused"), Options { persist: false, ..options }).unwrap();
    let cloud = Cloud::new(sandbox.sdk_config());
    let checking = check(&cloud, sandbox.clock(), &compiled.declarations, &plan);
    let found = sandbox.drive(checking).await;
    found.into_iter().map(|found| format!("{:?} {}: {}", found.severity, found.code, found.message)).collect()
}

fn realistic() -> Options {
    Options { speed: Speed::Unlimited, ..Options::default() }
}

#[tokio::test]
async fn what_is_offered_and_has_room_is_no_finding() {
    assert_eq!(found(TWO_NETWORKS, realistic()).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_is_not_offered_is_said_with_its_place() {
    let text = TWO_NETWORKS
        .replace("\"m6i.large\"]      #", "\"x9i.large\"]      #")
        .replace("azs        = 3 ", "azs = [\"usw2-az1\", \"usw2-az9\"] ");
    let found = found(&text, realistic()).await;
    assert_eq!(
        found,
        [
            "Error zone-not-offered: this account has no zone usw2-az9 in us-west-2",
            "Error instance-type-not-offered: us-west-2 does not offer x9i.large for cluster-1's nodes",
        ]
    );
}

#[tokio::test]
async fn quotas_are_those_of_the_account() {
    let quotas = Quotas { addresses: 1, ..Quotas::default() };
    let found = found(TWO_NETWORKS, Options { quotas, ..realistic() }).await;
    assert_eq!(
        found,
        ["Error quota-exceeded: us-west-2 would have 2 Elastic IP addresses, and the account may have 1 (0 are there)"]
    );
}

#[tokio::test]
async fn answers_that_do_not_come_at_first_are_asked_for_again() {
    let faults = Faults::parse("seed=1,rate=0.3").unwrap();
    assert_eq!(found(TWO_NETWORKS, Options { faults, ..realistic() }).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_question_without_an_answer_is_a_warning() {
    let rules = "[[rules]]\noperation = 'DescribeAddresses'\nfault = 'server-error'\ntimes = 99\n";
    let faults = Faults::from_toml(rules, Path::new("faults.toml")).unwrap();
    let found = found(TWO_NETWORKS, Options { faults, ..realistic() }).await;
    let [only] = found.as_slice() else { panic!("{found:?}") };
    assert!(
        only.starts_with(
            "Warning not-checked: the number of Elastic IP addresses in us-west-2 could not be checked: ec2:DescribeAddresses: InternalError"
        ),
        "{only}"
    );
}
