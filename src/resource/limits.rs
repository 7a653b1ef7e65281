//! How many requests each API may get: the figures, shared by the run that keeps to them and the plan that foresees it.

use super::rules::Api;

/// What a request does. EC2 evaluates each action by itself; a kind's verb stands for its action.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verb {
    /// It only looks at what it knows the id of.
    Read,
    /// It looks for something.
    Find,
    /// It makes something.
    Create,
    /// It changes something.
    Update,
    /// It removes something.
    Delete,
}

/// A token bucket.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// Requests at once.
    pub capacity: f64,
    /// Requests a second in the long run.
    pub rate: f64,
}

/// The bucket of an API's action in a region; `None` for an API without a limit.
#[must_use]
pub fn limit(api: Api, verb: Verb) -> Option<Limit> {
    let (capacity, rate) = match (api, verb) {
        (Api::Local, _) => return None,
        // EC2's published default buckets: 100 and 20 a second for reads, 50 and 5 a second for the rest.
        (Api::Ec2, Verb::Read | Verb::Find) => (100.0, 20.0),
        (Api::Ec2, Verb::Create | Verb::Update | Verb::Delete) => (50.0, 5.0),
        // The others publish no figures. These are well below what accounts were seen to get, and a complaint slows
        // them down.
        (Api::Iam | Api::Eks | Api::ElasticLoadBalancing, Verb::Read | Verb::Find) => (50.0, 10.0),
        (Api::Iam | Api::Eks | Api::ElasticLoadBalancing, Verb::Create | Verb::Update | Verb::Delete) => (20.0, 5.0),
        // An API server shares itself out by priority and fairness and says 429 when it is enough; what a busy client
        // (kubectl, helm) allows itself is 50 a second with bursts of 300.
        (Api::Kubernetes | Api::Helm, Verb::Read | Verb::Find) | (Api::Kubernetes, _) => (300.0, 50.0),
        // Each is a process that renders a chart and sends its objects: half a second of a processor, and some hundred
        // requests in all that the cluster's other callers do without.
        (Api::Helm, Verb::Create | Verb::Update | Verb::Delete) => (8.0, 4.0),
    };
    Some(Limit { capacity, rate })
}
