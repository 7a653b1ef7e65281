//! What a region's answers mean for what is wanted of it. Pure.

use std::collections::BTreeSet;

use super::ask::{Answers, Asked, Support};
use super::demand::{Cluster, Demand, Group, Zone};
use crate::model::{AttrPath, Code, Diagnostic};

/// A zone is not one of the region's, or takes nothing new.
const ZONE: Code = Code("zone-not-offered");
/// A zone does not have an instance type.
const INSTANCE_TYPE: Code = Code("instance-type-not-offered");
/// EKS does not make clusters of a version.
const VERSION: Code = Code("kubernetes-not-offered");
/// A version costs more than was agreed to.
const EXTENDED: Code = Code("extended-support");
/// A cluster of that name is there and not ours.
const NAME_TAKEN: Code = Code("cluster-name-taken");
/// A quota does not suffice.
const QUOTA_EXCEEDED: Code = Code("quota-exceeded");
/// A quota may not suffice.
const QUOTA: Code = Code("quota");
/// A question was not answered.
const NOT_CHECKED: Code = Code("not-checked");

/// VPCs in a region, unless the account has more (quota L-F678F1CE). No attribute of the account says it.
const DEFAULT_VPCS: usize = 5;

/// The findings about one region.
pub(super) fn judge(demand: &Demand, answers: &Answers) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    zones(demand, answers, &mut found);
    for group in &demand.groups {
        instance_types(demand, group, answers, &mut found);
    }
    for cluster in &demand.clusters {
        version(demand, cluster, answers, &mut found);
        name(demand, cluster, answers, &mut found);
    }
    addresses(demand, answers, &mut found);
    vpcs(demand, answers, &mut found);
    unanswered(demand, answers, &mut found);
    found
}

fn zones(demand: &Demand, answers: &Answers, found: &mut Vec<Diagnostic>) {
    let Ok(known) = &answers.zones.0 else { return };
    if known.is_empty() {
        return;
    }
    let region = &demand.region;
    for (wanted, origin) in &demand.zones {
        let text = wanted.text();
        let problem = match known.iter().find(|zone| wanted.is(zone)) {
            Some(zone) if zone.is_available => continue,
            Some(_) => format!("the zone {text} is not available now"),
            None => format!("this account has no zone {text} in {region}"),
        };
        let usable: Vec<&str> = known
            .iter()
            .filter(|zone| zone.is_available)
            .map(|zone| if matches!(wanted, Zone::Id(_)) { zone.id.as_str() } else { zone.name.as_str() })
            .collect();
        found.push(
            Diagnostic::error(ZONE, problem)
                .at(origin.clone())
                .help(format!("choose from {}: `azs = [\"…\"]`", usable.join(", "))),
        );
    }
}

fn instance_types(demand: &Demand, group: &Group, answers: &Answers, found: &mut Vec<Diagnostic>) {
    let (Ok(offered), Ok(zones)) = (&answers.offerings.0, &answers.zones.0) else { return };
    let has = |kind: &str, zone: &str| offered.contains(&(kind.to_owned(), zone.to_owned()));
    // In someone else's subnets any zone will do.
    let ids: BTreeSet<&str> = if group.zones.is_empty() {
        zones.iter().map(|zone| zone.id.as_str()).collect()
    } else {
        zones
            .iter()
            .filter(|zone| group.zones.iter().any(|wanted| wanted.is(zone)))
            .map(|zone| zone.id.as_str())
            .collect()
    };
    let any_zone_will_do = group.zones.is_empty();
    let types = group.instance_types.join(", ");
    let lacking: Vec<&str> =
        ids.iter().copied().filter(|zone| !group.instance_types.iter().any(|kind| has(kind, zone))).collect();
    if lacking.len() == ids.len() || (!any_zone_will_do && !lacking.is_empty()) {
        let place = if lacking.len() == ids.len() { demand.region.clone() } else { lacking.join(", ") };
        found.push(
            Diagnostic::error(INSTANCE_TYPE, format!("{place} does not offer {types} for {}'s nodes", group.cluster))
                .at(group.origin.clone())
                .note("nodes that no zone can start are noticed only after the control plane is there")
                .help("name a type that every zone of the network has, or add one: EKS takes whichever it gets")
                .help("or choose other zones (`azs`) for the network"),
        );
        return;
    }
    for kind in &group.instance_types {
        let without: Vec<&str> = ids.iter().copied().filter(|zone| !has(kind, zone)).collect();
        if !without.is_empty() && !any_zone_will_do {
            let message = format!(
                "{} does not offer {kind}: {}'s nodes there are of another type",
                without.join(", "),
                group.cluster
            );
            found.push(
                Diagnostic::warning(INSTANCE_TYPE, message)
                    .at(group.origin.clone())
                    .help("nothing has to be done: the other types of the list are there"),
            );
        }
    }
}

fn version(demand: &Demand, cluster: &Cluster, answers: &Answers, found: &mut Vec<Diagnostic>) {
    let Ok(versions) = &answers.versions.0 else { return };
    if versions.is_empty() {
        return;
    }
    let at = AttrPath::keys(&["versions", "kubernetes"]);
    let known = versions.iter().find(|version| version.name == cluster.version).map(|version| version.support);
    let supported = |wanted: Support| {
        let names: Vec<&str> =
            versions.iter().filter(|version| version.support == wanted).map(|version| version.name.as_str()).collect();
        names.join(", ")
    };
    match known {
        Some(Support::Standard) => {}
        Some(Support::Extended) if cluster.extended_support => {}
        Some(Support::Extended) => found.push(
            Diagnostic::error(
                EXTENDED,
                format!("Kubernetes {} of {} is in paid extended support now", cluster.version, cluster.name),
            )
            .at(at)
            .note("in extended support a cluster costs six times as much by the hour")
            .help(format!("choose one in standard support: {}", supported(Support::Standard)))
            .help("or agree to the price with `extended_support = true` in `[versions]`"),
        ),
        Some(Support::None) | None => found.push(
            Diagnostic::error(
                VERSION,
                format!(
                    "EKS in {} does not offer Kubernetes {}, which {} wants",
                    demand.region, cluster.version, cluster.name
                ),
            )
            .at(at)
            .help(format!("choose one in standard support: {}", supported(Support::Standard))),
        ),
    }
}

fn name(demand: &Demand, cluster: &Cluster, answers: &Answers, found: &mut Vec<Diagnostic>) {
    let Ok(names) = &answers.clusters.0 else { return };
    if !cluster.is_new || !names.contains(&cluster.name) {
        return;
    }
    found.push(
        Diagnostic::error(
            NAME_TAKEN,
            format!(
                "there is an EKS cluster {} in {} already, and state does not know it",
                cluster.name, demand.region
            ),
        )
        .at_key(cluster.origin.clone())
        .help(format!(
            "to use it as it is, write `[clusters.{}.existing]` with `name = \"{}\"`",
            cluster.name, cluster.name
        ))
        .help("or give the new one another name, or take the existing one in with `meshplan state adopt`"),
    );
}

fn addresses(demand: &Demand, answers: &Answers, found: &mut Vec<Diagnostic>) {
    let (Ok(Some(quota)), Ok(used)) = (&answers.address_quota.0, &answers.addresses.0) else { return };
    let room = &demand.addresses;
    if room.coming == 0 || used + room.coming <= *quota {
        return;
    }
    let message = format!(
        "{} would have {} Elastic IP addresses, and the account may have {quota} ({used} are there)",
        demand.region,
        used + room.coming
    );
    // What goes in the same run makes room, if it goes in time.
    let suffices_later = used + room.coming <= quota + room.going;
    let finding = if suffices_later {
        Diagnostic::warning(QUOTA, message).note("addresses that go in the same run make room, if they go in time")
    } else {
        Diagnostic::error(QUOTA_EXCEEDED, message)
    };
    found.push(
        finding
            .at(room.origin.clone())
            .note("each NAT gateway has one")
            .help("release addresses that nothing uses, or have the quota L-0263D0A3 of EC2 raised")
            .help("or write `nat = \"single\"` where it is `\"per-az\"`"),
    );
}

fn vpcs(demand: &Demand, answers: &Answers, found: &mut Vec<Diagnostic>) {
    let Ok(used) = &answers.vpcs.0 else { return };
    let room = &demand.vpcs;
    if room.coming == 0 || used + room.coming <= DEFAULT_VPCS {
        return;
    }
    found.push(
        Diagnostic::warning(
            QUOTA,
            format!(
                "{} would have {} VPCs, and {DEFAULT_VPCS} are the default quota ({used} are there)",
                demand.region,
                used + room.coming
            ),
        )
        .at(room.origin.clone())
        .note("whether the account has a higher one cannot be read from EC2")
        .help("make sure that the quota L-F678F1CE of VPC is raised"),
    );
}

fn unanswered(demand: &Demand, answers: &Answers, found: &mut Vec<Diagnostic>) {
    let refusals = [
        (answers.zones.refusal(), "the zones"),
        (answers.offerings.refusal(), "the instance types"),
        (answers.versions.refusal(), "the Kubernetes versions"),
        (answers.clusters.refusal(), "the names of clusters"),
        (answers.address_quota.refusal(), "the quota of Elastic IP addresses"),
        (answers.addresses.refusal(), "the number of Elastic IP addresses"),
        (answers.vpcs.refusal(), "the number of VPCs"),
    ];
    for (refusal, what) in refusals {
        let Some(refusal) = refusal else { continue };
        found.push(
            Diagnostic::warning(
                NOT_CHECKED,
                format!("{what} in {} could not be checked: {}: {}", demand.region, refusal.operation, refusal.message),
            )
            .help(format!("allow `{}` to be told before an apply what would fail in it", refusal.operation)),
        );
    }
}

impl<T> Asked<T> {
    fn refusal(&self) -> Option<&super::ask::Refusal> {
        self.0.as_ref().err()
    }
}

impl Zone {
    fn is(&self, zone: &super::ask::Zone) -> bool {
        match self {
            Self::Id(id) => *id == zone.id,
            Self::Name(name) => *name == zone.name,
        }
    }

    fn text(&self) -> &str {
        match self {
            Self::Id(text) | Self::Name(text) => text,
        }
    }
}

#[cfg(test)]
mod tests;
