//! The peer's load balancer is a network one, has healthy targets, and the gateways behind it listen.

use super::gateways::PORT;
use super::{Cause, Check, Finding, Side, Verdict, View, broken, listed};
use crate::verify::facts::{Balancer, Gateway, Pod, TargetHealth};

pub(super) fn check(view: &View<'_>, before: &[Finding]) -> Verdict {
    if !view.crosses() {
        return Verdict::Skipped(format!("both are in {}: no gateway in between", view.peer.declared.network));
    }
    let peer = view.peer;
    let network = &peer.declared.network;
    let gateway = peer.seen.gateways.iter().find(|gateway| gateway.network.as_deref() == Some(network));
    let Some((gateway, balancer)) = gateway.and_then(|gateway| Some((gateway, gateway.balancer.as_ref()?))) else {
        // No Service, no address, or no AWS: the first two are the gateways' affair.
        if let Some(first) = broken(before, &[Check::ControlPlane, Check::Gateways]) {
            return pods(peer).map_or(Verdict::Follows(first), |cause| Verdict::Fail(vec![cause]));
        }
        return match pods(peer).or_else(|| listener(peer)) {
            Some(cause) => Verdict::Fail(vec![cause]),
            None => Verdict::Skipped("it is no load balancer of AWS".to_owned()),
        };
    };
    match balancer {
        Err(why) => {
            let what = format!("the load balancer of {}'s gateway cannot be looked at: {why}", peer.name);
            let remedy = "the caller needs elasticloadbalancing:Describe*";
            Verdict::Fail(vec![Cause { settles: why.passes, ..Cause::new("load-balancer-unseen", what, remedy) }])
        }
        Ok(balancer) => known(peer, gateway, balancer),
    }
}

fn known(peer: Side<'_>, gateway: &Gateway, balancer: &Balancer) -> Verdict {
    let name = peer.name;
    let address = gateway.address.as_deref().unwrap_or("its gateway");
    let Balancer::Known { kind, state, targets, .. } = balancer else {
        return Verdict::Fail(vec![Cause::new(
            "load-balancer-unknown",
            format!(
                "{address}, the address of {name}'s gateway, is no network load balancer of the region: a classic one, or deleted"
            ),
            "gateways need a network load balancer (`loadBalancerClass: service.k8s.aws/nlb`); a classic one breaks TLS passthrough",
        )]);
    };
    if kind != "network" {
        return Verdict::Fail(vec![Cause::new(
            "load-balancer-kind",
            format!(
                "{name}'s gateway is behind an {kind} load balancer, which ends TLS instead of passing it on: requests get a 503"
            ),
            "gateways need a network load balancer (`loadBalancerClass: service.k8s.aws/nlb`)",
        )]);
    }
    if state != "active" {
        return Verdict::Fail(vec![Cause::settling(
            "load-balancer-provisioning",
            format!("the load balancer of {name}'s gateway is {state}"),
            "it takes two to three minutes",
        )]);
    }
    let mut causes: Vec<Cause> = listener(peer).into_iter().chain(pods(peer)).collect();
    match targets {
        None => causes.push(Cause::settling(
            "load-balancer-no-listener",
            format!("the load balancer of {name}'s gateway has no listener on port {PORT}"),
            "the load balancer controller makes it from the Service's ports: see its log",
        )),
        Some(targets) => {
            let healthy = targets.iter().filter(|target| target.state == "healthy").count();
            if healthy > 0 && causes.is_empty() {
                return Verdict::Pass(format!("{healthy} of {} targets healthy", targets.len()));
            }
            if healthy == 0 {
                causes.extend(unhealthy(peer, targets, causes.is_empty()));
            }
        }
    }
    Verdict::Fail(causes)
}

fn unhealthy(peer: Side<'_>, targets: &[TargetHealth], unexplained: bool) -> Option<Cause> {
    let name = peer.name;
    if targets.is_empty() {
        return unexplained.then(|| {
            Cause::settling(
                "targets-none",
                format!("the load balancer of {name}'s gateway has no targets"),
                "the load balancer controller registers the gateway's pods: see its log",
            )
        });
    }
    if targets.iter().any(|target| target.state == "initial") {
        return Some(Cause::settling(
            "targets-registering",
            format!("the load balancer of {name}'s gateway is still registering its targets"),
            "it takes three to five minutes",
        ));
    }
    unexplained.then(|| {
        let states = targets.iter().map(|target| {
            let why = target.why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            format!("{} is {}{why}", target.target, target.state)
        });
        Cause::new(
            "targets-unhealthy",
            format!("no target of {name}'s gateway is healthy: {}", listed(states)),
            "the health check asks port 15021 for /healthz/ready: see the gateway's pods, and whether the nodes' security group lets the load balancer in",
        )
    })
}

/// The gateways' proxies are told to listen.
fn listener(peer: Side<'_>) -> Option<Cause> {
    peer.seen.listeners.is_empty().then(|| {
        let name = peer.name;
        Cause::new(
            "gateway-listener-missing",
            format!(
                "{name} has no Gateway object that opens port {PORT} for other networks (tls mode AUTO_PASSTHROUGH), so its gateway has no listener there and connections are refused"
            ),
            format!("`meshplan apply` makes it: kubernetes.manifest/{name}/istio-system/gateway/cross-network-gateway"),
        )
    })
}

/// What is wrong with the gateway's pods.
fn pods(peer: Side<'_>) -> Option<Cause> {
    let (name, pods) = (peer.name, &peer.seen.gateway_pods);
    if pods.iter().any(|pod| pod.ready) {
        return None;
    }
    if let Some(pod) = pods.iter().find(|pod| pod.images.iter().any(|image| image == "auto")) {
        let injector = injector(peer);
        return Some(Cause::new(
            "gateway-image-auto",
            format!(
                "{name}'s gateway pod {} was made before istiod's injector was ready: its image is literally `auto`{injector}",
                pod.name
            ),
            format!("`kubectl -n istio-system delete pod {}` in {name}: its successor is injected", pod.name),
        ));
    }
    if let Some(failure) = peer.seen.injector.failures.first() {
        return Some(Cause::new(
            "injector-unreachable",
            format!("pods of {name} are not made, because its API server does not reach istiod's injector: {failure}"),
            "let the control plane's security group into the nodes' on TCP 15017 (and 15012), and see whether istiod is ready",
        ));
    }
    let Some(pod) = pods.first() else {
        return Some(Cause::settling(
            "gateway-pods-missing",
            format!("{name} has no gateway pod{}", injector(peer)),
            format!("see `kubectl -n istio-system get deployment istio-eastwestgateway` in {name}"),
        ));
    };
    Some(pod_not_ready(name, pod))
}

fn pod_not_ready(name: &str, pod: &Pod) -> Cause {
    let why = pod.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
    Cause::settling(
        "gateway-pods-not-ready",
        format!("{name}'s gateway pod {} is not ready{why}", pod.name),
        format!("see `kubectl -n istio-system describe pod {}` in {name}", pod.name),
    )
}

fn injector(peer: Side<'_>) -> &'static str {
    let injector = &peer.seen.injector;
    if !injector.configured {
        " (the webhook istio-sidecar-injector is not configured)"
    } else if !injector.has_ca {
        " (the webhook istio-sidecar-injector has no CA bundle yet)"
    } else {
        ""
    }
}
