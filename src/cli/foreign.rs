//! Load balancers that would go with a cluster although their Services are somebody else's: said by `plan`, refused by
//! `apply` and `destroy` unless `--force` is given.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Context as _;

use super::session::{Session, aws_region};
use crate::kinds::teardown::Sweep;
use crate::kinds::teardown::foreign::{Foreign, load_balancers};
use crate::model::{Address, Code, Diagnostic};
use crate::plan::render::counted;
use crate::plan::{Action, Plan};
use crate::resource::{ErrorClass, KindRules as _, ProviderError, RemoteId};
use crate::state::State;

/// Looks before giving up on a service that does not answer.
const TRIES: u32 = 5;

/// The load balancers of the clusters that a plan deletes, whose Services are not in the state.
pub(super) async fn foreign(session: &Session, state: &State, plan: &Plan) -> anyhow::Result<Vec<Foreign>> {
    let mut sweeps: BTreeMap<&str, Vec<RemoteId>> = BTreeMap::new();
    let goes = |action| matches!(action, Action::Delete | Action::Replace);
    for change in plan.changes.iter().filter(|change| goes(change.action)) {
        let record = state.records.get(&change.address);
        let region = record.and_then(|record| aws_region(&record.target));
        if let (Some(record), Some(region)) = (record, region)
            && change.address.kind() == Sweep::LoadBalancers.name()
        {
            sweeps.entry(region).or_default().push(record.id.clone());
        }
    }
    let mut found = Vec::new();
    for (region, sweeps) in sweeps {
        let looking = patiently(session, state, region, &sweeps);
        let here = session.drive(looking).await.with_context(|| {
            format!("could not look for load balancers in {region} that are not meshplan's (`--force` does not look)")
        })?;
        found.extend(here);
    }
    Ok(found)
}

async fn patiently(
    session: &Session,
    state: &State,
    region: &str,
    sweeps: &[RemoteId],
) -> Result<Vec<Foreign>, ProviderError> {
    let ours = |cluster: &str, service: &str| is_ours(state, cluster, service);
    let mut pause = Duration::from_millis(500);
    for _ in 1..TRIES {
        match load_balancers(&session.cloud, region, sweeps, ours).await {
            // One that was deleted between two requests fails the look too: the next does not list it.
            Err(error) if passes(error.class) => session.clock.sleep(pause).await,
            answer => return answer,
        }
        pause *= 2;
    }
    load_balancers(&session.cloud, region, sweeps, ours).await
}

/// Whether meshplan put a Service (`NAMESPACE/NAME`) into a cluster, by its address in state. What we build has its name in
/// EKS from the topology, as its addresses do.
fn is_ours(state: &State, cluster: &str, service: &str) -> bool {
    service.split_once('/').is_some_and(|(namespace, name)| {
        state.records.contains_key(&Address::new("kubernetes.manifest", &[cluster, namespace, "service", name]))
    })
}

fn passes(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Throttled | ErrorClass::Transient | ErrorClass::Ambiguous | ErrorClass::NotYet => true,
        ErrorClass::InUse
        | ErrorClass::Busy
        | ErrorClass::Denied
        | ErrorClass::Invalid
        | ErrorClass::Quota
        | ErrorClass::Conflict
        | ErrorClass::Bug => false,
    }
}

/// A load balancer in a sentence, for a plan's notes.
pub(super) fn sentence(foreign: &Foreign) -> String {
    let Foreign { cluster, service, load_balancer, region } = foreign;
    let whose = match service {
        Some(service) => format!("of {service}, which is not meshplan's"),
        None => "which is not meshplan's".to_owned(),
    };
    format!("load balancer {load_balancer} in {region}, {whose}, goes with cluster `{cluster}`")
}

/// The finding: an error where the run would delete them, a warning where it is only planned.
pub(super) fn finding(foreign: &[Foreign], refuses: bool) -> Diagnostic {
    const CODE: Code = Code("foreign-load-balancers");
    let message = format!("{} not of meshplan's would be deleted", counted(foreign.len(), "load balancer"));
    let finding = if refuses { Diagnostic::error(CODE, message) } else { Diagnostic::warning(CODE, message) };
    let finding = foreign.iter().fold(finding, |finding, one| finding.note(sentence(one)));
    finding
        .help("delete these Services first, so that their load balancers go in order")
        .help("or let them go with the cluster: `--force`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_go_is_named_with_the_way_out() {
        let one = Foreign {
            cluster: "m-c1".to_owned(),
            service: Some("shop/front".to_owned()),
            load_balancer: "k8s-shop-front-1".to_owned(),
            region: "us-west-2".to_owned(),
        };
        let found = finding(&[one.clone(), Foreign { service: None, ..one }], true);
        assert!(found.is_error());
        assert_eq!(found.message, "2 load balancers not of meshplan's would be deleted");
        assert_eq!(
            found.notes,
            [
                "load balancer k8s-shop-front-1 in us-west-2, of shop/front, which is not meshplan's, goes with cluster `m-c1`",
                "load balancer k8s-shop-front-1 in us-west-2, which is not meshplan's, goes with cluster `m-c1`",
            ]
        );
        assert!(!finding(&[], false).is_error());
    }
}
