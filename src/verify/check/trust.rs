//! Both clusters trust the same roots, and workloads are given the roots that the control plane signs for.

use super::{Cause, Side, Verdict, View, listed};
use crate::verify::facts::Bundle;

pub(super) fn check(view: &View<'_>) -> Verdict {
    let mut causes = Vec::new();
    let reader = bundle(view.reader, &mut causes);
    let peer = if view.is_alone() { None } else { bundle(view.peer, &mut causes) };
    causes.extend(published(view.reader));
    if !view.is_alone() {
        causes.extend(published(view.peer));
        causes.extend(domains(view));
    }
    if let (Some(reader), Some(peer)) = (reader, peer) {
        causes.extend(compare(view, reader, peer));
    }
    match reader {
        Some(reader) if causes.is_empty() => {
            let root = reader.roots.first().map_or("", |root| root.get(..16).unwrap_or(root));
            let more =
                if reader.roots.len() > 1 { format!(" and {} more", reader.roots.len() - 1) } else { String::new() };
            Verdict::Pass(format!("one root: sha256 {root}…{more}"))
        }
        _ => Verdict::Fail(causes),
    }
}

/// What a cluster signs with; a cause if it is not there or cannot be used.
fn bundle<'a>(side: Side<'a>, causes: &mut Vec<Cause>) -> Option<&'a Bundle> {
    match &side.seen.trust.declared {
        Some(Ok(bundle)) => Some(bundle),
        Some(Err(why)) => {
            causes.push(Cause::new(
                "cacerts-unusable",
                format!("{}'s Secret istio-system/cacerts cannot be used: {why}", side.name),
                "apply the topology again, which puts it right",
            ));
            None
        }
        None => {
            causes.push(Cause::new(
                "cacerts-missing",
                format!(
                    "{} has no Secret istio-system/cacerts, so its istiod signs with a root of its own that no other cluster trusts",
                    side.name
                ),
                format!(
                    "apply the topology again, then restart istiod and every workload of {} so that all get certificates of the common root",
                    side.name
                ),
            ));
            None
        }
    }
}

fn compare(view: &View<'_>, reader: &Bundle, peer: &Bundle) -> Option<Cause> {
    let (here, there) = (view.reader.name, view.peer.name);
    let (here, there) = if here < there { (here, there) } else { (there, here) };
    let trusts = |one: &Bundle, other: &Bundle| one.roots.iter().any(|root| other.roots.contains(root));
    if !trusts(reader, peer) {
        let twins = reader.root_names.iter().any(|name| peer.root_names.contains(name));
        if twins {
            return Some(Cause::new(
                "roots-twins",
                format!(
                    "{here} and {there} have different roots of the same subject and serial number: TLS libraries take one for the other"
                ),
                "make all intermediates from one root; two roots need different subjects and random serial numbers",
            ));
        }
        return Some(Cause::new(
            "roots-differ",
            format!(
                "{here} and {there} trust different roots: their workloads refuse each other (CERTIFICATE_VERIFY_FAILED)"
            ),
            "give both intermediates of one root: apply the topology again, then restart istiod and the workloads of the cluster whose root was wrong",
        ));
    }
    (reader.signer != peer.signer && reader.signer_name == peer.signer_name).then(|| {
        Cause::new(
            "intermediates-twins",
            format!(
                "the intermediates of {here} and {there} have the same subject and serial number, which TLS libraries take for one certificate"
            ),
            "issue them anew with subjects of their own and random serial numbers",
        )
    })
}

/// The roots in `istio-ca-root-cert` are those of `cacerts`.
fn published(side: Side<'_>) -> Option<Cause> {
    let Some(Ok(bundle)) = &side.seen.trust.declared else { return None };
    let stale = side.seen.trust.published.iter().filter(|(_, roots)| {
        roots.len() != bundle.roots.len() || roots.iter().any(|root| !bundle.roots.contains(root))
    });
    let stale: Vec<&str> = stale.map(|(namespace, _)| namespace.as_str()).collect();
    if stale.is_empty() {
        return None;
    }
    Some(Cause {
        settles: true,
        ..Cause::new(
            "root-not-published",
            format!(
                "{}'s istiod publishes another root than its Secret cacerts has (istio-ca-root-cert in {}): it has not loaded it",
                side.name,
                listed(stale)
            ),
            format!(
                "if it stays so for two minutes: `kubectl -n istio-system rollout restart deployment istiod` in {}",
                side.name
            ),
        )
    })
}

fn domains(view: &View<'_>) -> Option<Cause> {
    let reader = view.reader.seen.trust.domain.as_deref()?;
    let peer = view.peer.seen.trust.domain.as_deref()?;
    (reader != peer).then(|| {
        let mut both = [(view.reader.name, reader), (view.peer.name, peer)];
        both.sort_unstable();
        let [(here, this), (there, that)] = both;
        Cause::new(
            "trust-domains-differ",
            format!("{here} has the trust domain `{this}` and {there} `{that}`: each refuses the other's identities"),
            "install both with one `meshConfig.trustDomain`, or name the other in `trustDomainAliases` of both",
        )
    })
}
