//! The audit after a teardown: what is left that is ours, or that somebody pays for.
//!
//! Entry point: [`audit`]. It only reads: everything that carries the mesh's tag, by service and region, and everything
//! in the VPCs that were the mesh's, whoever made it. A look that is refused (an operator may not list roles) hides
//! nothing else: it is named in [`Audit::unseen`].

mod account;
mod region;

use std::collections::{BTreeMap, BTreeSet};

use crate::kinds::sdk::Services;
use crate::model::Target;
use crate::model::event::Leftover;
use crate::resource::{Cloud, ErrorClass, ProviderError};

/// The tag that says whose an object is.
const MESH: &str = "meshplan:mesh";

/// Where to look, and for what.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// The mesh's id.
    pub mesh: String,
    /// The regions it was in, each with what was there.
    pub regions: BTreeMap<String, Places>,
}

/// What of a region was the mesh's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Places {
    /// VPCs of its own: whatever is left in one is looked at. Not the VPCs of others that it only used.
    pub vpcs: BTreeSet<String>,
    /// Its clusters, by their names in EKS.
    pub clusters: BTreeSet<String>,
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// What is left, sorted, each once.
    pub left: Vec<Leftover>,
    /// Where it could not look, a sentence each.
    pub unseen: Vec<String>,
    /// Whether another look may see more or less: something is left, or a look failed in a way that passes.
    pub may_change: bool,
}

/// Looks once. A look that fails is in [`Audit::unseen`], and the rest is looked at all the same.
pub async fn audit(cloud: &Cloud, scope: &Scope) -> Audit {
    let mut finds = Finds::default();
    let mut account_seen = false;
    for (region, places) in &scope.regions {
        match cloud.client::<Services>(&Target::aws(region)) {
            Ok(services) => {
                let look = Look { services: &services, mesh: &scope.mesh, region, places };
                region::look(&look, &mut finds).await;
                // IAM is one for the whole account, through whichever region it is asked.
                if !account_seen {
                    account::look(&look, &mut finds).await;
                    account_seen = true;
                }
            }
            Err(error) => finds.take(region, Err(error)),
        }
    }
    finds.sum()
}

/// One region's looks.
struct Look<'a> {
    services: &'a Services,
    mesh: &'a str,
    region: &'a str,
    places: &'a Places,
}

impl Look<'_> {
    fn left(&self, what: &str, id: &str, ours: bool, why_billable: Option<&'static str>) -> Leftover {
        Leftover { what: what.to_owned(), id: id.to_owned(), region: self.region.to_owned(), ours, why_billable }
    }

    fn is_ours<'t>(&self, tags: impl IntoIterator<Item = (&'t str, &'t str)>) -> bool {
        tags.into_iter().any(|(key, value)| key == MESH && value == self.mesh)
    }
}

/// What was found so far, by region and id: several looks find the same.
#[derive(Default)]
struct Finds {
    left: BTreeMap<(String, String), Leftover>,
    unseen: Vec<String>,
    /// Whether a look failed in a way that passes.
    passing: bool,
}

impl Finds {
    /// Takes what a look found, or that it failed.
    fn take(&mut self, region: &str, found: Result<Vec<Leftover>, ProviderError>) {
        match found {
            Ok(found) => {
                for leftover in found {
                    let key = (leftover.region.clone(), leftover.id.clone());
                    let known = self.left.entry(key).or_insert_with(|| leftover.clone());
                    known.ours |= leftover.ours;
                    known.why_billable = known.why_billable.or(leftover.why_billable);
                }
            }
            Err(error) => {
                self.passing |= passes(error.class);
                self.unseen.push(format!("{region}: {error}"));
            }
        }
    }

    fn sum(self) -> Audit {
        let mut left: Vec<Leftover> = self.left.into_values().collect();
        // What costs money comes first.
        left.sort_by(|a, b| {
            let key = |it: &Leftover| (it.why_billable.is_none(), it.region.clone(), it.what.clone(), it.id.clone());
            key(a).cmp(&key(b))
        });
        Audit { may_change: self.passing || !left.is_empty(), left, unseen: self.unseen }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn leftover(id: &str, ours: bool, why_billable: Option<&'static str>) -> Leftover {
        Leftover { what: "thing".to_owned(), id: id.to_owned(), region: "r".to_owned(), ours, why_billable }
    }

    #[test]
    fn what_two_looks_find_is_said_once_and_what_costs_money_first() {
        let mut finds = Finds::default();
        finds.take("r", Ok(vec![leftover("a", true, None), leftover("b", false, None)]));
        finds.take("r", Ok(vec![leftover("b", false, Some("by the hour"))]));
        finds.take("r", Err(ProviderError::bug("x:Y", "no")));
        let audit = finds.sum();
        assert_eq!(audit.left, [leftover("b", false, Some("by the hour")), leftover("a", true, None)]);
        assert_eq!(audit.unseen, ["r: x:Y: no"]);
        assert!(audit.may_change);
        let mut finds = Finds::default();
        finds.take("r", Err(ProviderError::new(ErrorClass::Denied, "x:Y", "no")));
        assert!(!finds.sum().may_change, "who may not look now may not look later");
    }
}
