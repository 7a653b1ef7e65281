//! What the load balancers of a cluster find when they look at their targets: pods that answer, or do not.
//!
//! That is AWS's own doing, whatever becomes of the controller.

use serde_json::Value;

use super::super::control::Control;
use super::super::images::has_proxy;
use super::super::parts::{holds, list, number, selects_plainly, text};
use super::super::{nodes, pods};
use super::Class;
use crate::sandbox::world::rows::TargetGroup;
use crate::sandbox::world::rows::elb::Target;

/// From the first check that passes to a target that is healthy: three of them, ten seconds apart.
const HEALTHY_MS: (u64, u64) = (20_000, 30_000);

/// What a proxy answers on, whatever its control plane told it: its health, its statistics.
const OF_PROXIES: [i64; 3] = [15_020, 15_021, 15_090];

pub(super) fn run(control: &mut Control<'_, '_>) {
    let name = control.cluster.name().to_owned();
    let own = |group: &&TargetGroup| {
        [Class::Controller, Class::AutoMode].iter().any(|class| group.head.tags.get(class.tag().0) == Some(&name))
    };
    let groups: Vec<TargetGroup> =
        control.place.region.target_groups.linked(&control.cluster.vpc_id).filter(own).cloned().collect();
    for group in groups {
        let mut changed = group.clone();
        for target in &mut changed.targets {
            look(control, &group, target);
        }
        if changed.targets != group.targets {
            control.place.region.target_groups.insert(changed);
        }
    }
}

fn look(control: &mut Control<'_, '_>, group: &TargetGroup, target: &mut Target) {
    let port = group.check.port.parse().unwrap_or_else(|_| i64::from(target.port));
    let passes = if group.target_type == "ip" {
        let pod = control.list_if("", "pods", |pod| text(pod, "/status/podIP") == target.id && holds(pod, "Ready"));
        pod.first().is_some_and(|pod| answers(control, pod, port))
    } else {
        // A port of the nodes leads to any pod behind the Service.
        let id = format!("/{}", target.id);
        let here = |node: &Value| text(node, "/spec/providerID").ends_with(&id) && nodes::takes_pods(node);
        !control.list_if("", "nodes", here).is_empty() && node_port_answers(control, i64::from(target.port))
    };
    if !passes {
        target.failing = true;
    } else if target.failing {
        target.failing = false;
        let checked = control.after(control.now, &target.id, "passes", HEALTHY_MS);
        target.healthy_at = target.healthy_at.max(checked);
    }
}

fn node_port_answers(control: &mut Control<'_, '_>, port: i64) -> bool {
    let service = control.list_if("", "services", |service| {
        list(service, "/spec/ports").iter().any(|one| number(one, "/nodePort") == Some(port))
    });
    let Some(service) = service.first() else { return false };
    let own = list(service, "/spec/ports").iter().find(|one| number(one, "/nodePort") == Some(port));
    let (target, own) =
        own.map_or((Value::Null, port), |one| (one["targetPort"].clone(), number(one, "/port").unwrap_or(port)));
    let behind = super::super::services::pods_behind(control, service);
    behind
        .iter()
        .any(|pod| holds(pod, "Ready") && pods::port(pod, &target, own).is_some_and(|port| answers(control, pod, port)))
}

/// Whether a pod that is ready answers on a port.
fn answers(control: &mut Control<'_, '_>, pod: &Value, port: i64) -> bool {
    if has_proxy(pod) && OF_PROXIES.contains(&port) {
        return true;
    }
    // A gateway listens where a Gateway object tells it to, and nowhere before there is one.
    let is_gateway = list(pod, "/spec/containers").iter().all(|container| container["name"] == "istio-proxy");
    if is_gateway {
        let gateways = control.objects();
        return gateways.list("networking.istio.io", "gateways", None).any(|gateway| {
            selects_plainly(&gateway["spec"]["selector"], &pod["metadata"]["labels"])
                && list(gateway, "/spec/servers").iter().any(|server| number(server, "/port/number") == Some(port))
        });
    }
    let known = pods::listens_on(pod);
    known.is_empty() || known.contains(&port)
}
