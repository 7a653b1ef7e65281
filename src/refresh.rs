//! Reading the cloud before a plan: everything in state, and what unfinished creates may have made.
//!
//! What lives in a cluster is read after the clusters: with a cluster that is gone, what was in it is gone too; of one
//! that cannot be reached nothing is known. Reads are batched per kind and target, and run side by side. A read that fails is not the end of the refresh: its
//! resources are unreadable, and the planner decides what that means for each of them.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{self, StreamExt};

use crate::compile::Declaration;
use crate::model::event::{Event, Sink, Stamped};
use crate::model::{Address, Clock, Document, Target};
use crate::plan::{Observation, Observed};
use crate::resource::{
    Cloud, DynKind, ErrorClass, LiveDocument, Ownership, Possession, ProviderError, Registry, RemoteId, read_width,
};
use crate::state::{Operation, RecordStatus, State};

/// How many reads are in flight at once. EC2 grants bursts of 100 reads of each sort (DOMAIN names no lower limit).
const WIDTH: usize = 16;

/// How often a read is repeated while the service does not answer properly: half a minute in all. Whoever has no network
/// at all is told at once, by the look at the caller's identity that comes before.
const TRIES: u32 = 7;

/// When what state knows of is not there, it is looked for again after these delays: what was made just before is seen
/// late, and an absence that is believed too soon is a second object.
///
/// DOMAIN 1.2 allows for 30 seconds of lag after a create. The last delay makes up for that where the state itself says
/// that the object is young: it was never seen ready, or its deletion was requested. A promise without an id is looked
/// for once: the step that keeps it looks for as long as it takes.
const SECOND_LOOKS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(4),
    Duration::from_secs(8),
    Duration::from_secs(15),
];

/// How many of [`SECOND_LOOKS`] an object gets that was seen ready.
const LOOKS_FOR_THE_READY: usize = 4;

/// What a refresh found.
#[derive(Debug, Default)]
pub struct Refreshed {
    /// What the cloud said.
    pub observed: Observed,
    /// How many requests that took; a request that pages counts once.
    pub requests: usize,
}

/// One request and whom it is for.
#[derive(Clone)]
enum Look<'a> {
    /// Objects of one kind and target, by id.
    Read { kind: &'static dyn DynKind, target: Target, who: Vec<(Address, RemoteId)> },
    /// What an unfinished create made.
    Find { kind: &'static dyn DynKind, target: Target, address: Address, spec: &'a Document, owner: Ownership },
}

/// Reads everything that a plan over `state` and `declarations` needs.
///
/// # Cancel safety
/// Nothing is changed; dropping it loses only the reading.
pub async fn refresh(
    registry: &Registry,
    cloud: &Cloud,
    clock: &dyn Clock,
    state: &State,
    declarations: &[Declaration],
    sink: &mut dyn Sink,
) -> Refreshed {
    let mut refreshed = Refreshed::default();
    let looks = looks(registry, state, declarations, &mut refreshed.observed);
    let resources = looks.iter().map(Look::len).sum();
    let started = clock.now();
    sink.emit(&Stamped { at: started, event: Event::RefreshStarted { resources } });
    // A cluster says how it is reached, so what is inside is read once the clusters are.
    let (inside, outside): (Vec<_>, Vec<_>) = looks.into_iter().partition(|look| look.cluster().is_some());
    see(outside, cloud, clock, state, &mut refreshed).await;
    offer_clusters(registry, cloud, state, declarations, &refreshed.observed);
    forget_recorded(registry, state, &mut refreshed.observed);
    let inside = inside.into_iter().filter_map(|look| look.in_sight(cloud, state, &mut refreshed.observed)).collect();
    see(inside, cloud, clock, state, &mut refreshed).await;
    let at = clock.now();
    let seconds = Duration::try_from(at.duration_since(started)).unwrap_or_default().as_secs_f64();
    sink.emit(&Stamped { at, event: Event::RefreshFinished { resources, requests: refreshed.requests, seconds } });
    refreshed
}

/// Looks, and looks again for what is not there.
async fn see(mut looks: Vec<Look<'_>>, cloud: &Cloud, clock: &dyn Clock, state: &State, refreshed: &mut Refreshed) {
    let mut delays = SECOND_LOOKS.into_iter().enumerate();
    while !looks.is_empty() {
        let again = looks.clone();
        let mut answers = stream::iter(looks).map(|look| look.run(cloud, clock)).buffer_unordered(WIDTH);
        while let Some((requests, found)) = answers.next().await {
            refreshed.requests += requests;
            refreshed.observed.extend(found);
        }
        drop(answers);
        let Some((n, delay)) = delays.next() else { break };
        let is_missing = |address: &Address| {
            let record = state.records.get(address).filter(|_| !is_promised(state, address));
            matches!(refreshed.observed.get(address), Some(Observation::Absent))
                && record.is_some_and(|record| n < LOOKS_FOR_THE_READY || record.status != RecordStatus::Ready)
        };
        // A Kubernetes API answers what is there: nothing lags behind.
        let lags = again.into_iter().filter(|look| look.cluster().is_none());
        looks = lags.filter_map(|look| look.only(&is_missing)).collect();
        if !looks.is_empty() {
            clock.sleep(delay).await;
        }
    }
}

/// Tells the cloud of the clusters that were seen.
fn offer_clusters(
    registry: &Registry,
    cloud: &Cloud,
    state: &State,
    declarations: &[Declaration],
    observed: &Observed,
) {
    let declared = declarations.iter().map(|declaration| (&declaration.address, &declaration.target));
    let recorded = state.records.iter().map(|(address, record)| (address, &record.target));
    for (address, target) in recorded.chain(declared) {
        let Some(Observation::Present { live, .. }) = observed.get(address) else { continue };
        let Some(kind) = registry.kind(address.kind()) else { continue };
        if let Some(access) = kind.cluster_access(target, &live.spec, &live.outputs) {
            cloud.offer_cluster(address.clone(), access);
        }
    }
}

/// What is nothing but a record, of something in a cluster, is gone with the cluster.
fn forget_recorded(registry: &Registry, state: &State, observed: &mut Observed) {
    for (address, record) in &state.records {
        let Target::Cluster { cluster } = &record.target else { continue };
        let recorded = registry.kind(address.kind()).is_some_and(|kind| kind.possession() == Possession::Recorded);
        if recorded && matches!(observed.get(cluster), Some(Observation::Absent)) {
            observed.insert(address.clone(), Observation::Absent);
        }
    }
}

fn is_promised(state: &State, address: &Address) -> bool {
    state.intents.get(address).is_some_and(|intent| intent.operation == Operation::Create)
}

/// What is to be read: records by id, unfinished creates by token, and undeclared kinds' objects by their known id.
fn looks<'a>(
    registry: &Registry,
    state: &'a State,
    declarations: &'a [Declaration],
    observed: &mut Observed,
) -> Vec<Look<'a>> {
    let mut batches: BTreeMap<(&'static str, &Target), Vec<(Address, RemoteId)>> = BTreeMap::new();
    let mut looks = Vec::new();
    let borrowed = borrowed(registry, declarations);
    for (address, record) in &state.records {
        let promised = is_promised(state, address);
        match registry.kind(address.kind()) {
            // What the promise made is what matters; the record's own object is its predecessor.
            Some(_) if promised => {}
            // Nothing of it can be read: the planner takes it for what state says.
            Some(kind) if kind.possession() == Possession::Recorded => {}
            Some(kind) => {
                let (target, id) = match borrowed.get(address) {
                    Some((target, id)) => (*target, id.clone()),
                    None => (&record.target, record.id.clone()),
                };
                batches.entry((kind.name(), target)).or_default().push((address.clone(), id));
            }
            None => {
                let why = format!("this version of meshplan knows no kind `{}`", address.kind());
                observed.insert(address.clone(), Observation::Unreadable(why));
            }
        }
    }
    for (address, intent) in &state.intents {
        let (Some(kind), Some(record)) = (registry.kind(address.kind()), &intent.record) else { continue };
        if kind.possession() == Possession::Recorded {
            continue;
        }
        let owner = Ownership { mesh: state.mesh.clone(), address: address.clone(), token: intent.token.clone() };
        looks.push(Look::Find {
            kind,
            target: record.target.clone(),
            address: address.clone(),
            spec: &record.spec,
            owner,
        });
    }
    for declaration in declarations {
        if state.records.contains_key(&declaration.address) || state.intents.contains_key(&declaration.address) {
            continue;
        }
        let kind = registry.kind(declaration.address.kind());
        let Some(kind) = kind.filter(|kind| kind.possession() != Possession::Recorded) else { continue };
        if let Some(id) = kind.known_id(&declaration.spec.value()) {
            batches.entry((kind.name(), &declaration.target)).or_default().push((declaration.address.clone(), id));
        }
    }
    for ((name, target), who) in batches {
        let Some(kind) = registry.kind(name) else { continue };
        looks.extend(who.chunks(read_width(kind)).map(|who| Look::Read {
            kind,
            target: target.clone(),
            who: who.to_vec(),
        }));
    }
    looks
}

/// Where to look for what is someone else's: its declaration says it, and may have changed since it was recorded.
fn borrowed<'a>(registry: &Registry, declarations: &'a [Declaration]) -> BTreeMap<&'a Address, (&'a Target, RemoteId)> {
    declarations
        .iter()
        .filter_map(|declaration| {
            let kind = registry.kind(declaration.address.kind())?;
            let id = match kind.possession() {
                Possession::Observed => kind.known_id(&declaration.spec.value())?,
                Possession::Owned | Possession::Recorded => return None,
            };
            Some((&declaration.address, (&declaration.target, id)))
        })
        .collect()
}

impl<'a> Look<'a> {
    /// The cluster that it looks into.
    fn cluster(&self) -> Option<&Address> {
        let (Self::Read { target, .. } | Self::Find { target, .. }) = self;
        match target {
            Target::Cluster { cluster } => Some(cluster),
            Target::Aws { .. } | Target::Local => None,
        }
    }

    fn addresses(&self) -> Vec<&Address> {
        match self {
            Self::Read { who, .. } => who.iter().map(|(address, _)| address).collect(),
            Self::Find { address, .. } => vec![address],
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Read { who, .. } => who.len(),
            Self::Find { .. } => 1,
        }
    }

    /// Itself, unless what is known of its cluster says already what it would see.
    fn in_sight(self, cloud: &Cloud, state: &State, observed: &mut Observed) -> Option<Self> {
        let cluster = self.cluster()?;
        let answer = match observed.get(cluster) {
            Some(Observation::Present { .. }) if cloud.cluster(cluster).is_some() => return Some(self),
            // It is being made, or lost what it is reached by: what state knows of is not taken for gone.
            Some(Observation::Present { .. }) => {
                Observation::Unreadable(format!("nothing says how {cluster}, which it is in, is reached"))
            }
            Some(Observation::Unreadable(why)) => {
                Observation::Unreadable(format!("{cluster}, which it is in, could not be read: {why}"))
            }
            // Gone, or never made: nothing can be in it.
            Some(Observation::Absent) | None => Observation::Absent,
        };
        let is_doubtful = matches!(answer, Observation::Unreadable(_));
        let is_told = |address: &&Address| !is_doubtful || state.records.contains_key(*address);
        let told: Vec<_> = self.addresses().into_iter().filter(is_told).cloned().collect();
        observed.extend(told.into_iter().map(|address| (address, answer.clone())));
        None
    }

    /// What is left of it for these addresses.
    fn only(self, wanted: &dyn Fn(&Address) -> bool) -> Option<Self> {
        match self {
            Self::Read { kind, target, who } => {
                let who: Vec<_> = who.into_iter().filter(|(address, _)| wanted(address)).collect();
                if who.is_empty() { None } else { Some(Self::Read { kind, target, who }) }
            }
            Self::Find { ref address, .. } => wanted(address).then_some(self),
        }
    }

    fn run(self, cloud: &'a Cloud, clock: &'a dyn Clock) -> LocalBoxFuture<'a, (usize, Vec<(Address, Observation)>)> {
        Box::pin(async move {
            let mut requests = 0;
            match self {
                Self::Read { kind, target, who } => {
                    let ids: Vec<RemoteId> = who.iter().map(|(_, id)| id.clone()).collect();
                    let found = patiently(clock, &mut requests, || kind.read_many(cloud, &target, &ids)).await;
                    (requests, observations(who, found))
                }
                Self::Find { kind, target, address, spec, owner } => {
                    let found = patiently(clock, &mut requests, || kind.find(cloud, &target, spec, &owner)).await;
                    let observation = match found {
                        Ok(None) => Observation::Absent,
                        Err(error) => Observation::Unreadable(error.to_string()),
                        Ok(Some(id)) => {
                            let ids = [id.clone()];
                            match patiently(clock, &mut requests, || kind.read_many(cloud, &target, &ids)).await {
                                Ok(mut live) => live
                                    .pop()
                                    .flatten()
                                    .map_or(Observation::Absent, |live| Observation::Present { id, live }),
                                Err(error) => Observation::Unreadable(error.to_string()),
                            }
                        }
                    };
                    (requests, vec![(address, observation)])
                }
            }
        })
    }
}

fn observations(
    who: Vec<(Address, RemoteId)>,
    found: Result<Vec<Option<LiveDocument>>, ProviderError>,
) -> Vec<(Address, Observation)> {
    match found {
        Ok(found) => who
            .into_iter()
            .zip(found)
            .map(|((address, id), live)| {
                (address, live.map_or(Observation::Absent, |live| Observation::Present { id, live }))
            })
            .collect(),
        Err(error) => {
            let why = error.to_string();
            who.into_iter().map(|(address, _)| (address, Observation::Unreadable(why.clone()))).collect()
        }
    }
}

/// Repeats a read while the service does not answer properly.
async fn patiently<'a, T>(
    clock: &dyn Clock,
    requests: &mut usize,
    mut read: impl FnMut() -> LocalBoxFuture<'a, Result<T, ProviderError>>,
) -> Result<T, ProviderError> {
    let mut delay = Duration::from_millis(500);
    for _ in 1..TRIES {
        *requests += 1;
        match read().await {
            Err(error) if is_passing(error.class) => {
                clock.sleep(delay.max(error.asked_delay().unwrap_or_default())).await;
            }
            answer => return answer,
        }
        delay *= 2;
    }
    *requests += 1;
    read().await
}

fn is_passing(class: ErrorClass) -> bool {
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
