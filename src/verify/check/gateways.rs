//! Every istiod of the reader knows an address of a gateway to the peer's network that its proxies can use:
//! `/debug/networkz`.

use std::net::IpAddr;

use super::{Cause, Check, Finding, Verdict, View, broken, listed};
use crate::verify::facts::{Gateway, Istiod, KnownGateway};
use crate::verify::mesh::Family;

/// The port of gateways between networks.
pub(super) const PORT: u16 = 15443;

pub(super) fn check(view: &View<'_>, before: &[Finding]) -> Verdict {
    if !view.crosses() {
        return Verdict::Skipped(format!("both are in {}: no gateway in between", view.peer.declared.network));
    }
    let (reader, network) = (view.reader.name, &view.peer.declared.network);
    if let Some(cause) = labels(view) {
        return Verdict::Fail(vec![cause]);
    }
    let mut causes: Vec<Cause> = Vec::new();
    let mut addresses: Vec<IpAddr> = Vec::new();
    let mut blind = false;
    for istiod in view.reader.seen.istiods.iter().filter(|istiod| istiod.pod.ready) {
        let known = match &istiod.gateways {
            Ok(known) => known,
            Err(why) => {
                let what = format!("{reader}'s istiod {} does not say which gateways it knows: {why}", istiod.pod.name);
                let remedy = "the caller needs `create` on pods/portforward in istio-system";
                causes.push(Cause { settles: why.passes, ..Cause::new("istiod-silent", what, remedy) });
                continue;
            }
        };
        let known = to_peer(view, known);
        if known.is_empty() {
            blind = true;
            // Without the peer's Services there is nothing that could be known.
            if broken(before, &[Check::ControlPlane]).is_none() {
                causes.push(unknown(view, istiod));
            }
            continue;
        }
        addresses = known.iter().filter_map(|gateway| gateway.address).collect();
        causes.extend(families(view, &addresses));
    }
    causes.sort();
    causes.dedup();
    if !causes.is_empty() {
        return Verdict::Fail(causes);
    }
    if blind || addresses.is_empty() {
        return Verdict::Follows(broken(before, &[Check::ControlPlane]).unwrap_or(Check::ControlPlane));
    }
    let usable = usable(view, &addresses);
    Verdict::Pass(format!("{network} at {}", listed(usable.iter().map(|address| shown(**address)))))
}

/// An address with the gateways' port.
fn shown(address: IpAddr) -> String {
    std::net::SocketAddr::new(address, PORT).to_string()
}

/// The gateways that stand for the peer: its own, or else any of its network.
pub(super) fn to_peer<'a>(view: &View<'_>, known: &'a [KnownGateway]) -> Vec<&'a KnownGateway> {
    let network = &view.peer.declared.network;
    let of_network: Vec<&KnownGateway> = known.iter().filter(|gateway| gateway.network == *network).collect();
    let own: Vec<&KnownGateway> =
        of_network.iter().filter(|gateway| gateway.cluster == view.peer.name).copied().collect();
    if own.is_empty() { of_network } else { own }
}

/// The addresses that the reader's proxies are given, by its Istio's rules.
fn handed<'a>(view: &View<'_>, addresses: &'a [IpAddr]) -> Vec<&'a IpAddr> {
    let reader = view.reader.declared;
    let is_handed =
        |address: &&IpAddr| !reader.istio.filters_by_family() || reader.reach.is_handed(Family::of(**address));
    addresses.iter().filter(is_handed).collect()
}

/// Those of them that they can connect to.
fn usable<'a>(view: &View<'_>, addresses: &'a [IpAddr]) -> Vec<&'a IpAddr> {
    let reach = view.reader.declared.reach;
    let handed = handed(view, addresses);
    handed.into_iter().filter(|address| reach.connects(Family::of(**address))).collect()
}

/// Why the reader's proxies cannot use these addresses, if they cannot.
pub(super) fn families(view: &View<'_>, addresses: &[IpAddr]) -> Option<Cause> {
    let (reader, network) = (view.reader.name, &view.peer.declared.network);
    let reach = view.reader.declared.reach;
    let usable = usable(view, addresses);
    let handed = handed(view, addresses);
    let pods = reach.pods;
    if handed.is_empty() && !addresses.is_empty() {
        let have = listed(distinct(addresses));
        return Some(Cause::new(
            "gateway-family",
            format!(
                "the gateway of {network} has only {have} addresses and {reader}'s proxies are {pods} only: Istio 1.30 and newer drop the endpoint, without a word"
            ),
            match pods {
                Family::Ipv6 => format!(
                    "make the gateway of {network} dual-stack: `dual_stack = true` for the network, whose load balancer then has both"
                ),
                Family::Ipv4 => format!(
                    "make the gateway of {network} dual-stack, or give {reader}'s pods IPv6 egress (`v6_egress = true`)"
                ),
            },
        ));
    }
    if usable.is_empty() && !addresses.is_empty() {
        return Some(Cause::new(
            "gateway-family",
            format!(
                "the gateway of {network} has only {} addresses, to which {reader}'s {pods} pods cannot connect",
                listed(distinct(addresses))
            ),
            format!("make the gateway of {network} dual-stack, or give {reader}'s pods a way to the other family"),
        ));
    }
    if usable.len() < handed.len() {
        let other = if pods == Family::Ipv4 { Family::Ipv6 } else { Family::Ipv4 };
        return Some(Cause::new(
            "gateway-families-mixed",
            format!(
                "Istio {} gives {reader}'s proxies the {other} addresses of {network}'s gateway too, to which {reader}'s {pods} pods cannot connect: some requests fail",
                view.reader.declared.istio
            ),
            format!("Istio 1.30 or newer in {reader}, or egress to {other} for its pods"),
        ));
    }
    None
}

fn distinct(addresses: &[IpAddr]) -> Vec<Family> {
    let mut families: Vec<Family> = addresses.iter().map(|address| Family::of(*address)).collect();
    families.sort_unstable();
    families.dedup();
    families
}

/// The namespaces of both are labelled with the networks that were declared.
fn labels(view: &View<'_>) -> Option<Cause> {
    let sides = [view.reader, view.peer];
    let wrong = sides.into_iter().find(|side| side.seen.network_label.as_deref() != Some(&side.declared.network))?;
    let (name, network) = (wrong.name, &wrong.declared.network);
    let has = match &wrong.seen.network_label {
        Some(label) => format!("says `{label}`"),
        None => "is not there".to_owned(),
    };
    Some(Cause::new(
        "network-label",
        format!(
            "{name} is in {network}, and the label topology.istio.io/network of its namespace istio-system {has}: its endpoints count for another network"
        ),
        format!("`meshplan apply` puts it right: kubernetes.namespace/{name}/istio-system"),
    ))
}

/// The reader reads the peer and knows no gateway there: what is wrong with the Service?
fn unknown(view: &View<'_>, istiod: &Istiod) -> Cause {
    let (reader, peer, network) = (view.reader.name, view.peer.name, &view.peer.declared.network);
    let gateways = &view.peer.seen.gateways;
    let labelled = |gateway: &&Gateway| gateway.network.as_deref() == Some(network);
    let Some(gateway) = gateways.iter().find(labelled) else {
        return unlabelled(view, gateways);
    };
    let name = &gateway.name;
    if !gateway.ports.contains(&PORT) {
        return Cause::new(
            "gateway-port-missing",
            format!(
                "{peer}'s gateway Service {name} is labelled for {network} and has no port {PORT}: istiod ignores it"
            ),
            format!("give the Service the port {PORT}; `meshplan apply` does for the one that it owns"),
        );
    }
    let Some(address) = &gateway.address else {
        let said = gateway.warnings.first().map(|said| format!(": {said}")).unwrap_or_default();
        return Cause::settling(
            "gateway-no-address",
            format!("{peer}'s gateway Service {name} ({}) has no address yet{said}", gateway.kind),
            "a load balancer's name takes half a minute; then see the Service's events and the load balancer controller's log",
        );
    };
    if address.parse::<IpAddr>().is_err() {
        if !istiod.resolves_hostnames {
            return Cause::new(
                "gateway-hostname-ignored",
                format!(
                    "{peer}'s gateway {name} has a host name for an address, and {reader}'s istiod does not resolve those (RESOLVE_HOSTNAME_GATEWAYS=false)"
                ),
                "take RESOLVE_HOSTNAME_GATEWAYS out of istiod's environment: AWS load balancers have host names only",
            );
        }
        return Cause::settling(
            "gateway-hostname-unresolved",
            format!("{reader}'s istiod does not resolve {address}, the name of {peer}'s gateway"),
            "a new load balancer's name takes two to three minutes to resolve; then see whether it still exists",
        );
    }
    Cause::settling(
        "gateway-overlooked",
        format!("{reader}'s istiod does not know {peer}'s gateway {name} at {address}"),
        format!("if it stays so for a minute: `kubectl -n istio-system rollout restart deployment istiod` in {reader}"),
    )
}

fn unlabelled(view: &View<'_>, gateways: &[Gateway]) -> Cause {
    let (peer, network) = (view.peer.name, &view.peer.declared.network);
    let remedy = format!(
        "`meshplan apply` puts it right: kubernetes.manifest/{peer}/istio-system/service/istio-eastwestgateway"
    );
    let Some(gateway) = gateways.first() else {
        return Cause::new("gateway-service-missing", format!("{peer} has no gateway Service for {network}"), remedy);
    };
    let what = match &gateway.network {
        None => format!(
            "{peer}'s gateway Service {} lacks the label topology.istio.io/network={network}, so nobody takes it for a gateway",
            gateway.name
        ),
        Some(other) => format!(
            "{peer}'s gateway Service {} is labelled for the network {other}, and {peer} is in {network}",
            gateway.name
        ),
    };
    Cause::new("gateway-unlabelled", what, remedy)
}
