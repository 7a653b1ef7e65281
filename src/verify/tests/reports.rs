//! What is said of facts, and how it is written.

use super::facts::{address, broken, facts, mesh};
use crate::verify::*;

fn text(report: &Report) -> String {
    crate::verify::text::render(report, |_, text| text.to_owned())
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.concerns().iter().map(|concern| concern.cause.code).collect()
}

/// Breaks cluster-2, and says what is wrong.
fn codes_of(change: impl FnOnce(&mut ClusterFacts)) -> Vec<&'static str> {
    codes(&check(&mesh(2), &broken("cluster-2", change)))
}

fn balancer(facts: &mut ClusterFacts, change: impl FnOnce(&mut String, &mut String, &mut Option<Vec<TargetHealth>>)) {
    let Some(Ok(Balancer::Known { kind, state, targets, .. })) = &mut facts.gateways[0].balancer else { panic!() };
    change(kind, state, targets);
}

#[test]
fn a_report_is_a_table_and_each_cause_once() {
    let report = check(&mesh(3), &facts(3));
    assert!(report.holds());
    assert_eq!(crate::verify::text::summary(&report), "Verify: 36 of 36 checks hold in 6 pairs");

    let mut facts = facts(3);
    let third = facts.clusters.get_mut("cluster-3").unwrap().as_mut().unwrap();
    third.listeners.clear();
    third.trust.declared = None;
    let report = check(&mesh(3), &facts);
    insta::assert_snapshot!(text(&report));
    let json = crate::verify::json::render(&report);
    assert_eq!(json["ok"], false);
    assert_eq!(json["causes"][0]["code"], "cacerts-missing");
    assert_eq!(json["causes"][0]["fails"].as_array().unwrap().len(), 4);
    assert_eq!(json["pairs"][0]["checks"][0]["verdict"], "pass");
}

#[test]
fn of_a_large_mesh_only_what_fails_is_shown() {
    let (mesh, mut facts) = (mesh(8), facts(8));
    assert!(text(&check(&mesh, &facts)).starts_with("56 pairs more, 56 of all hold\n"));
    let fifth = facts.clusters.get_mut("cluster-5").unwrap().as_mut().unwrap();
    fifth.remote_secrets.retain(|secret| secret.key != "cluster-6");
    fifth.istiods[0].clusters.as_mut().unwrap().retain(|cluster| cluster.id != "cluster-6");
    let report = check(&mesh, &facts);
    let text = text(&report);
    assert!(text.contains("cluster-5  cluster-6  ok     FAIL"), "{text}");
    assert!(text.contains("55 pairs more, 55 of all hold"), "{text}");
    assert_eq!(codes(&report), ["remote-secret-missing"]);
}

#[test]
fn a_cluster_that_cannot_be_looked_at_hides_no_other() {
    let mut facts = facts(3);
    let unseen = Unseen { why: "kubernetes:Get: Forbidden: secrets is forbidden".to_owned(), passes: false };
    facts.clusters.insert("cluster-3".to_owned(), Err(unseen));
    let report = check(&mesh(3), &facts);
    assert_eq!(codes(&report), ["cluster-unseen"]);
    assert_eq!(report.pairs.iter().filter(|pair| pair.holds()).count(), 2);
    assert!(!report.may_settle());
}

#[test]
fn load_balancers_fail_in_their_own_ways() {
    assert_eq!(
        codes_of(|facts| balancer(facts, |kind, _, _| *kind = "application".to_owned())),
        ["load-balancer-kind"]
    );
    assert_eq!(codes_of(|facts| facts.gateways[0].balancer = Some(Ok(Balancer::Unknown))), ["load-balancer-unknown"]);
    let provisioning = |facts: &mut ClusterFacts| balancer(facts, |_, state, _| *state = "provisioning".to_owned());
    assert_eq!(codes_of(provisioning), ["load-balancer-provisioning"]);
    assert_eq!(codes_of(|facts| balancer(facts, |_, _, targets| *targets = None)), ["load-balancer-no-listener"]);
    let unhealthy = |facts: &mut ClusterFacts| {
        balancer(facts, |_, _, targets| {
            let target = &mut targets.as_mut().unwrap()[0];
            target.state = "unhealthy".to_owned();
            target.why = Some("Health checks failed".to_owned());
        });
    };
    let report = check(&mesh(2), &broken("cluster-2", unhealthy));
    assert_eq!(
        report.concerns()[0].cause.what,
        "no target of cluster-2's gateway is healthy: 10.2.0.30:15443 is unhealthy (Health checks failed)"
    );
    let denied = |facts: &mut ClusterFacts| {
        let unseen = Unseen { why: "AccessDenied".to_owned(), passes: false };
        facts.gateways[0].balancer = Some(Err(unseen));
    };
    assert_eq!(codes_of(denied), ["load-balancer-unseen"]);
}

#[test]
fn istiods_that_disagree_are_told_apart() {
    let stale = |facts: &mut ClusterFacts| {
        let mut second = facts.istiods[0].clone();
        second.pod.name = "istiod-2".to_owned();
        second.clusters.as_mut().unwrap()[0].status = "closed".to_owned();
        facts.istiods.push(second);
    };
    let report = check(&mesh(2), &broken("cluster-2", stale));
    assert_eq!(codes(&report), ["remote-unsynced"]);
    assert!(report.concerns()[0].cause.remedy.contains("rollout restart deployment istiod"));
    let silent = |facts: &mut ClusterFacts| {
        facts.istiods[0].clusters = Err(Unseen { why: "Forbidden".to_owned(), passes: false });
    };
    assert_eq!(codes_of(silent), ["istiod-silent"]);
    let overlooked = |facts: &mut ClusterFacts| facts.istiods[0].clusters.as_mut().unwrap().truncate(0);
    assert_eq!(codes_of(overlooked), ["remote-secret-overlooked"]);
    let unknown = |facts: &mut ClusterFacts| facts.istiods[0].gateways = Ok(Vec::new());
    assert_eq!(codes_of(unknown), ["gateway-hostname-unresolved"]);
}

#[test]
fn trust_fails_in_its_own_ways() {
    let bundle = |change: fn(&mut Bundle)| {
        codes_of(|facts| {
            let Some(Ok(bundle)) = &mut facts.trust.declared else { panic!() };
            facts.trust.published.clear();
            change(bundle);
        })
    };
    assert_eq!(bundle(|bundle| bundle.roots = vec!["other".to_owned()]), ["roots-twins"]);
    let differs = |bundle: &mut Bundle| {
        bundle.roots = vec!["other".to_owned()];
        bundle.root_names = vec!["CN=other 02".to_owned()];
    };
    assert_eq!(bundle(differs), ["roots-differ"]);
    assert_eq!(bundle(|bundle| bundle.signer_name = "CN=signer 01".to_owned()), ["intermediates-twins"]);
    // While a root is being replaced both are there: that is no difference.
    assert_eq!(bundle(|bundle| bundle.roots.push("next".to_owned())), [] as [&str; 0]);
    assert_eq!(
        codes_of(|facts| facts.trust.declared = Some(Err("it lacks `ca-key.pem`".to_owned()))),
        ["cacerts-unusable"]
    );
    assert_eq!(codes_of(|facts| facts.trust.domain = Some("other.local".to_owned())), ["trust-domains-differ"]);
}

#[test]
fn requests_say_what_the_other_checks_cannot() {
    let replies = |replies: Vec<Reply>| {
        move |facts: &mut ClusterFacts| facts.sample.as_mut().unwrap().replies = Some(Ok(replies))
    };
    let own = Reply::Hello { version: "v2".to_owned(), instance: "helloworld-v2".to_owned() };
    assert_eq!(codes_of(replies(vec![own.clone(); 20])), ["only-others-answer"]);
    let wrong = Reply::Other { status: 503, said: "TLS_error: WRONG_VERSION_NUMBER".to_owned() };
    let report = check(&mesh(2), &broken("cluster-2", replies(vec![wrong, own.clone()])));
    assert_eq!(codes(&report), ["requests-failed"]);
    assert!(report.concerns()[0].cause.remedy.contains("ends TLS"));
    let lost = Reply::Failed { code: 6, said: "Could not resolve host: helloworld.sample".to_owned() };
    let report = check(&mesh(2), &broken("cluster-2", replies(vec![lost; 20])));
    assert!(report.concerns()[0].cause.remedy.contains("CoreDNS"), "{}", text(&report));
    let forbidden = |facts: &mut ClusterFacts| {
        facts.sample.as_mut().unwrap().replies = Some(Err(Unseen { why: "Forbidden".to_owned(), passes: false }));
    };
    assert_eq!(codes_of(forbidden), ["exec-failed"]);
    let direct = |facts: &mut ClusterFacts| {
        facts.sample.as_mut().unwrap().endpoints = Some(Ok(vec![address("10.1.0.40"), address("10.2.0.40")]));
    };
    assert_eq!(codes_of(direct), ["endpoints-bypass-gateway"]);
    let none = |facts: &mut ClusterFacts| facts.sample.as_mut().unwrap().endpoints = None;
    assert_eq!(codes_of(none), ["proxy-not-connected"]);
}
