//! The reader's proxies are told of the peer's endpoints: `/debug/edsz` for the pod that asks.

use std::net::IpAddr;

use super::gateways::{families, to_peer};
use super::{Cause, Check, Finding, Verdict, View, broken, listed};
use crate::verify::facts::{Pod, SampleFacts};

pub(super) fn check(view: &View<'_>, before: &[Finding]) -> Verdict {
    let Some((here, there)) = samples(view) else {
        return Verdict::Skipped("the sample applications are not installed".to_owned());
    };
    if let Some(cause) = asks(view, here).or_else(|| answers(view, there)) {
        return Verdict::Fail(vec![cause]);
    }
    let reader = view.reader.name;
    let endpoints = match &here.endpoints {
        Some(Ok(endpoints)) => endpoints,
        Some(Err(why)) => {
            let what = format!("{reader}'s istiod does not say what {reader}'s proxies are told: {why}");
            let remedy = "the caller needs `create` on pods/portforward in istio-system";
            return Verdict::Fail(vec![Cause { settles: why.passes, ..Cause::new("proxy-unseen", what, remedy) }]);
        }
        None => {
            return Verdict::Fail(vec![Cause::settling(
                "proxy-not-connected",
                format!("the proxy of {reader}'s curl pod is connected to none of its istiods"),
                format!(
                    "see the log of its container istio-proxy: `kubectl -n sample logs deployment/curl -c istio-proxy` in {reader}"
                ),
            )]);
        }
    };
    let pods: Vec<IpAddr> = there.servers.iter().flat_map(|pod| pod.addresses.iter().copied()).collect();
    let direct: Vec<&IpAddr> = endpoints.iter().filter(|address| pods.contains(address)).collect();
    if !view.crosses() {
        return if direct.is_empty() { missing(view, before) } else { told(&direct) };
    }
    if !direct.is_empty() && !overlaps(view, here) {
        return Verdict::Fail(vec![bypassed(view, &direct)]);
    }
    let gateways = gateways(view);
    let through: Vec<&IpAddr> = endpoints.iter().filter(|address| gateways.contains(address)).collect();
    if through.is_empty() { missing(view, before) } else { told(&through) }
}

fn told(addresses: &[&IpAddr]) -> Verdict {
    Verdict::Pass(listed(addresses.iter().copied()))
}

/// What was seen of the sample on both sides; `None` where it is not declared.
pub(super) fn samples<'a>(view: &View<'a>) -> Option<(&'a SampleFacts, &'a SampleFacts)> {
    view.mesh.sample?;
    view.reader.seen.sample.as_ref().zip(view.peer.seen.sample.as_ref())
}

/// Why the reader cannot ask.
pub(super) fn asks(view: &View<'_>, here: &SampleFacts) -> Option<Cause> {
    let reader = view.reader.name;
    if !here.has_service {
        return Some(Cause::new(
            "sample-service-missing",
            format!(
                "{reader} has no Service sample/helloworld, so the name does not resolve there, wherever its pods are"
            ),
            "`meshplan apply`: the Service is declared in every cluster",
        ));
    }
    let Some(client) = here.client.as_ref() else {
        return Some(Cause::settling(
            "sample-client-missing",
            format!("{reader} has no pod app=curl in the namespace sample"),
            "`meshplan apply` makes it",
        ));
    };
    usable("curl", reader, client, view.reader.seen.injector.failures.first())
}

/// Why the peer cannot answer.
fn answers(view: &View<'_>, there: &SampleFacts) -> Option<Cause> {
    let peer = view.peer.name;
    if there.servers.iter().any(|pod| pod.ready && pod.has_proxy) {
        return None;
    }
    let Some(server) = there.servers.first() else {
        return Some(Cause::settling(
            "sample-server-missing",
            format!("{peer} has no pod app=helloworld in the namespace sample"),
            "`meshplan apply` makes it",
        ));
    };
    usable("helloworld", peer, server, view.peer.seen.injector.failures.first())
}

fn usable(app: &str, cluster: &str, pod: &Pod, failure: Option<&String>) -> Option<Cause> {
    if !pod.has_proxy {
        let failure = failure.map(|said| format!(" ({said})")).unwrap_or_default();
        return Some(Cause::new(
            "sample-without-proxy",
            format!(
                "{cluster}'s {app} pod {} has no proxy: it was made before the injector was ready{failure}",
                pod.name
            ),
            format!("`kubectl -n sample delete pod {}` in {cluster}: its successor is injected", pod.name),
        ));
    }
    (!pod.ready).then(|| {
        let why = pod.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        Cause::settling(
            "sample-not-ready",
            format!("{cluster}'s {app} pod {} is not ready{why}", pod.name),
            format!("see `kubectl -n sample describe pod {}` in {cluster}", pod.name),
        )
    })
}

/// The addresses of the gateways to the peer, as the reader's istiods know them.
fn gateways(view: &View<'_>) -> Vec<IpAddr> {
    let istiods = view.reader.seen.istiods.iter().filter_map(|istiod| istiod.gateways.as_ref().ok());
    istiods.flat_map(|known| to_peer(view, known)).filter_map(|gateway| gateway.address).collect()
}

/// Whether the two have pods of the same addresses, which networks that overlap may.
fn overlaps(view: &View<'_>, here: &SampleFacts) -> bool {
    let own: Vec<&IpAddr> = here.servers.iter().flat_map(|pod| &pod.addresses).collect();
    let there = view.peer.seen.sample.iter().flat_map(|sample| &sample.servers).flat_map(|pod| &pod.addresses);
    there.into_iter().any(|address| own.contains(&address))
}

fn bypassed(view: &View<'_>, direct: &[&IpAddr]) -> Cause {
    let (reader, peer, network) = (view.reader.name, view.peer.name, &view.peer.declared.network);
    let pods = view.peer.seen.sample.iter().flat_map(|sample| &sample.servers);
    let labels: Vec<&str> = pods.filter_map(|pod| pod.network.as_deref()).filter(|label| label != network).collect();
    let because = match labels.first() {
        Some(label) => format!("{peer}'s pods say that they are in `{label}`"),
        None => format!("{reader}'s istiod knows no gateway to {network}"),
    };
    Cause::new(
        "endpoints-bypass-gateway",
        format!(
            "{reader}'s proxies are told the pods of {peer} themselves ({}) and not the gateway of {network}: {because}",
            listed(direct.iter().copied())
        ),
        format!(
            "install {peer}'s istiod with `global.network: {network}` and restart its workloads, which then are labelled with it"
        ),
    )
}

fn missing(view: &View<'_>, before: &[Finding]) -> Verdict {
    if let Some(first) = broken(before, &[Check::ControlPlane, Check::Gateways]) {
        return Verdict::Follows(first);
    }
    if let Some(cause) = families(view, &gateways(view)) {
        return Verdict::Fail(vec![cause]);
    }
    let (reader, peer) = (view.reader.name, view.peer.name);
    Verdict::Fail(vec![Cause::settling(
        "endpoints-missing",
        format!(
            "{reader}'s proxies are not told of {peer}'s helloworld, although {reader}'s istiod reads {peer} and knows its gateway"
        ),
        "endpoints follow within seconds; after that, see whether a DestinationRule or PeerAuthentication turns mTLS off for it, which gateways need",
    )])
}
