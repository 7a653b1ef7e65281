//! Requests of the reader are answered by the peer: curl from a pod with a proxy.

use std::collections::BTreeMap;

use super::endpoints::samples;
use super::{Cause, Check, Finding, Verdict, View, broken};
use crate::verify::facts::{Pod, Reply};

/// How many different failures a cause quotes.
const QUOTED: usize = 2;

pub(super) fn check(view: &View<'_>, before: &[Finding]) -> Verdict {
    let Some((here, there)) = samples(view) else {
        return Verdict::Skipped("the sample applications are not installed".to_owned());
    };
    let reader = view.reader.name;
    let replies = match &here.replies {
        Some(Ok(replies)) => replies,
        Some(Err(why)) => {
            let what = format!("requests cannot be sent from {reader}'s curl pod: {why}");
            let remedy =
                "the caller needs `create` on pods/exec in the namespace sample (before Kubernetes 1.35 `get`)";
            return Verdict::Fail(vec![Cause { settles: why.passes, ..Cause::new("exec-failed", what, remedy) }]);
        }
        // Without a pod that asks.
        None => return Verdict::Follows(broken(before, &[Check::Endpoints]).unwrap_or(Check::Endpoints)),
    };
    let of_peer = |reply: &&Reply| matches!(reply, Reply::Hello { instance, .. } if is_of(&there.servers, instance));
    let answered = replies.iter().filter(of_peer).count();
    let needed = [Check::ControlPlane, Check::Gateways, Check::LoadBalancer, Check::Endpoints];
    let failures = failures(replies);
    let first = broken(before, &needed);
    if !failures.is_empty() {
        // What fails for another pair is that pair's: here it is this peer's only if it never answers.
        if answered == 0
            && let Some(first) = first.or_else(|| broken(before, &[Check::Trust]))
        {
            return Verdict::Follows(first);
        }
        if answered == 0 || is_pair(view) {
            return Verdict::Fail(vec![failed(view, &failures, replies.len())]);
        }
    }
    if answered == 0 {
        return match first {
            Some(first) => Verdict::Follows(first),
            None => Verdict::Fail(vec![silent(view, replies.len())]),
        };
    }
    let versions: Vec<&str> = there.servers.iter().filter_map(|pod| pod.version.as_deref()).collect();
    let unheard = unheard(&there.servers, replies);
    if !unheard.is_empty() && there.servers.len() < replies.len() {
        return Verdict::Fail(vec![Cause::settling(
            "version-silent",
            format!(
                "{reader} never heard version {} of {} in {} requests",
                unheard.join(", "),
                view.peer.name,
                replies.len()
            ),
            "verify again; if it stays so, see that version's pods",
        )]);
    }
    let versions = versions.first().map_or(String::new(), |version| format!(" by {version}"));
    Verdict::Pass(format!("{answered} of {} answered{versions}", replies.len()))
}

/// Whether there are but two clusters (or one), so that every failure is this pair's.
fn is_pair(view: &View<'_>) -> bool {
    view.mesh.clusters.len() <= 2
}

/// Whether an instance is one of these pods.
fn is_of(pods: &[Pod], instance: &str) -> bool {
    pods.iter().any(|pod| pod.name == instance)
}

/// The versions of ready pods that never answered.
fn unheard(pods: &[Pod], replies: &[Reply]) -> Vec<String> {
    let heard = |version: &str| {
        replies.iter().any(|reply| {
            matches!(reply, Reply::Hello { version: answered, instance } if answered == version && is_of(pods, instance))
        })
    };
    let versions = pods.iter().filter(|pod| pod.ready).filter_map(|pod| pod.version.clone());
    let mut unheard: Vec<String> = versions.filter(|version| !heard(version)).collect();
    unheard.sort_unstable();
    unheard.dedup();
    unheard
}

/// What went wrong, and how often.
fn failures(replies: &[Reply]) -> BTreeMap<String, usize> {
    let mut failures = BTreeMap::new();
    for reply in replies {
        let said = match reply {
            Reply::Hello { .. } => continue,
            Reply::Other { status, said } => format!("{status} {said}"),
            Reply::Failed { code, said } => format!("curl exit {code}: {said}"),
        };
        *failures.entry(said).or_default() += 1;
    }
    failures
}

fn failed(view: &View<'_>, failures: &BTreeMap<String, usize>, sent: usize) -> Cause {
    let (reader, peer) = (view.reader.name, view.peer.name);
    let n: usize = failures.values().sum();
    let mut said: Vec<(&String, &usize)> = failures.iter().collect();
    said.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let quoted: Vec<&str> = said.iter().take(QUOTED).map(|(said, _)| said.as_str()).collect();
    let text = quoted.join("; ");
    let remedy = if text.contains("CERTIFICATE_VERIFY_FAILED") {
        "the two do not trust each other: compare the root certificates of both, and restart workloads that are older than a change of them"
    } else if text.contains("WRONG_VERSION_NUMBER") {
        "something on the way ends TLS: the gateway needs a network load balancer, and port 15443 of it AUTO_PASSTHROUGH"
    } else if text.contains("exit 6") {
        "the name does not resolve: see the Service sample/helloworld and CoreDNS"
    } else if text.contains("timeout") || text.contains("timed out") || text.contains("exit 28") {
        "something on the way drops connections: the security groups of the load balancer and of the nodes, its source ranges"
    } else if text.contains("refused") || text.contains("no healthy upstream") {
        "nobody listens there: the gateway's pods, its Gateway object, the targets of the load balancer"
    } else {
        "see the access log of the curl pod's container istio-proxy for the response flags"
    };
    Cause::settling(
        "requests-failed",
        format!(
            "{n} of {sent} requests from {reader} to helloworld failed, with {peer} among those that answer: {text}"
        ),
        remedy,
    )
}

fn silent(view: &View<'_>, sent: usize) -> Cause {
    let (reader, peer) = (view.reader.name, view.peer.name);
    Cause::settling(
        "only-others-answer",
        format!(
            "none of {sent} requests from {reader} was answered by {peer}, although {reader}'s proxies are told of it"
        ),
        "see whether a DestinationRule for helloworld turns on locality load balancing (outlierDetection), which prefers what is near",
    )
}
