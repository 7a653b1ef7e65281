//! The toy provider: objects with a state that takes time, answers that get lost, refusals on demand.
//!
//! One world per test thread. The kinds: `toy.thing` (deleted before it is replaced), `toy.fixed` (the same, and cannot
//! move to another base), `toy.swap` (replaced before it is deleted), `toy.guest` (someone else's), `toy.note` (nothing
//! but its record), `toy.slow` (its updates take time, its deletes are put off, it can say what is wrong), `toy.named`
//! (its name is its id), `toy.metered` (its requests are counted).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use meshplan::compile::Declaration;
use meshplan::model::diff::{FieldRule, FieldTrait};
use meshplan::model::fuse::Fuse;
use meshplan::model::{Address, AttrPath, Clock, Document, Input, Reference, Target, Value};
use meshplan::resource::{
    Api, Client, Cloud, ClusterAccess, ClusterAuth, Created, Deletion, DynKind, ErrorClass, Expected, FieldError,
    KindRules, Live, OutputClass, OutputRule, Ownership, Possession, ProviderError, RemoteId, ReplaceOrder,
    ResourceKind, Status, UpdateId, Updated, WaitPolicy,
};
use meshplan::sandbox::SimClock;
use serde::{Deserialize, Serialize};

/// How long a toy takes to become ready or to go, and a request to be answered.
pub(crate) const READY: Duration = Duration::from_secs(10);
pub(crate) const GOING: Duration = Duration::from_secs(5);
pub(crate) const LATENCY: Duration = Duration::from_millis(100);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) color: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) inputs: BTreeMap<String, Input<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<String>,
    /// Used by a create alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) seats: Option<u32>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) tags: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outputs {
    pub(crate) handle: String,
    pub(crate) size_handle: String,
    pub(crate) token: String,
}

/// One object of the toy world.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Object {
    pub(crate) kind: &'static str,
    pub(crate) spec: Spec,
    pub(crate) token: String,
    pub(crate) ready_at: Timestamp,
    pub(crate) gone_at: Option<Timestamp>,
    pub(crate) failed: Option<String>,
    /// An update that takes time: what it makes of it, and when.
    pub(crate) change: Option<(Spec, Timestamp)>,
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    Refuse(ErrorClass),
    /// The effect is done, the answer lost.
    LoseAnswer,
    /// What is made will never be ready.
    Doom,
    /// What is made takes a day.
    Stall,
    /// The update is accepted and comes to nothing.
    Spoil,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) objects: BTreeMap<String, Object>,
    /// Faults by verb and name, used up from the front.
    pub(crate) faults: BTreeMap<(&'static str, String), Vec<Fault>>,
    pub(crate) next: u64,
    /// How often a delete is put off before it is accepted, by name.
    pub(crate) put_off: BTreeMap<String, u32>,
    /// How often the create of a record answers that it is pending, by name.
    pub(crate) not_yet: BTreeMap<String, u32>,
    /// What a toy says is wrong when it takes too long.
    pub(crate) findings: Vec<String>,
    /// Tokens that creates of records came with.
    pub(crate) tokens: Vec<String>,
    /// Every request, in order.
    pub(crate) requests: Vec<String>,
    /// Where creates and deletes went.
    pub(crate) places: Vec<(&'static str, String)>,
    pub(crate) clock: Option<SimClock>,
    pub(crate) fuse: Option<Fuse>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

pub(crate) fn world<T>(act: impl FnOnce(&mut World) -> T) -> T {
    WORLD.with(|world| act(&mut world.borrow_mut()))
}

#[derive(Clone)]
pub(crate) struct Toys {
    place: String,
}

impl Client for Toys {
    fn connect(_: &Cloud, target: &Target) -> Result<Self, ProviderError> {
        Ok(Self { place: target.to_string() })
    }
}

/// The kind that is nothing but its record.
pub(crate) const NOTE: &str = "toy.note";

pub(crate) struct Toy {
    name: &'static str,
    order: ReplaceOrder,
    possession: Possession,
}

const fn owned(name: &'static str) -> Toy {
    Toy { name, order: ReplaceOrder::DeleteFirst, possession: Possession::Owned }
}

static THING: Toy = owned("toy.thing");
static FIXED: Toy = owned("toy.fixed");
static SWAP: Toy = Toy { order: ReplaceOrder::CreateFirst, ..owned("toy.swap") };
static GUEST: Toy = Toy { possession: Possession::Observed, ..owned("toy.guest") };
static NOTED: Toy = Toy { possession: Possession::Recorded, ..owned(NOTE) };
static SLOW: Toy = owned("toy.slow");
static NAMED: Toy = owned("toy.named");
static METERED: Toy = owned("toy.metered");
pub(crate) static KINDS: &[&dyn DynKind] = &[&THING, &FIXED, &SWAP, &GUEST, &NOTED, &SLOW, &NAMED, &METERED];

const OUTPUTS: &[OutputRule] = &[
    OutputRule::plain("handle"),
    OutputRule { name: "size_handle", class: OutputClass::Plain, changes_with: &["size"] },
    OutputRule { name: "token", class: OutputClass::Ephemeral, changes_with: &[] },
];

impl KindRules for Toy {
    fn name(&self) -> &'static str {
        self.name
    }
    fn fields(&self) -> &'static [FieldRule] {
        const FIELDS: &[FieldRule] = &[
            FieldRule { path: "name", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "color", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "secret", traits: &[FieldTrait::Sensitive] },
            FieldRule { path: "seats", traits: &[FieldTrait::AtCreate] },
            FieldRule { path: "inputs", traits: &[FieldTrait::Immutable] },
        ];
        // Only `toy.fixed` cannot move to another base.
        if self.name == "toy.fixed" { FIELDS } else { &FIELDS[..4] }
    }
    fn outputs(&self) -> &'static [OutputRule] {
        OUTPUTS
    }
    fn expected(&self) -> Expected {
        Expected { create: 10.0, update: 1.0, delete: 5.0 }
    }
    fn api(&self) -> Api {
        if self.name == "toy.metered" { Api::Ec2 } else { Api::Local }
    }
    fn wait(&self) -> WaitPolicy {
        let policy = WaitPolicy::new(0, 100, 60);
        if self.name == "toy.slow" { policy.suspecting_after(20) } else { policy }
    }
    fn refuses(&self, there: &Value, declared: &Value) -> Vec<FieldError> {
        let size = |spec: &Value| match spec.get("size") {
            Some(Value::Number(size)) => size.as_u64(),
            _ => None,
        };
        let (Some(from), Some(to)) = (size(there), size(declared)) else { return Vec::new() };
        let (path, message) = (AttrPath::keys(&["size"]), format!("{from} -> {to}: apply with {} first", from + 1));
        if self.name == "toy.slow" && to > from + 1 { vec![FieldError { path, message }] } else { Vec::new() }
    }
    fn cluster_access(&self, _: &Target, spec: &Document, _: &Document) -> Option<ClusterAccess> {
        let name = spec.value().get("name")?.as_str()?.to_owned();
        let auth = ClusterAuth::Kubeconfig { file: "toys".to_owned(), context: Some(name.clone()) };
        (name == "cluster").then(|| ClusterAccess { endpoint: name, certificate_authority: String::new(), auth })
    }
    fn possession(&self) -> Possession {
        self.possession
    }
    fn replace_order(&self) -> ReplaceOrder {
        self.order
    }
    fn is_named(&self) -> bool {
        self.name == "toy.named"
    }
    fn known_id(&self, spec: &Value) -> Option<RemoteId> {
        let known = self.possession == Possession::Observed || self.name == "toy.named";
        known.then(|| spec.get("name")?.as_str().map(RemoteId::new))?
    }
}

impl Toy {
    /// One request: its latency, the harness's fuse before and after its effect, and the faults asked for.
    async fn request<T>(
        &self,
        verb: &'static str,
        name: &str,
        effect: impl FnOnce(&mut World, Timestamp) -> Result<T, ProviderError>,
    ) -> Result<T, ProviderError> {
        let (clock, fuse) = world(|world| {
            world.requests.push(format!("{verb} {name}"));
            (world.clock.clone().expect("a clock"), world.fuse.clone().unwrap_or(Fuse::never()))
        });
        clock.sleep(LATENCY).await;
        fuse.pass().await;
        let fault = world(|world| {
            let faults = world.faults.get_mut(&(verb, name.to_owned())).filter(|faults| !faults.is_empty());
            faults.map(|faults| faults.remove(0))
        });
        let answer = match fault {
            Some(Fault::Refuse(class)) => Err(ProviderError::new(class, "toy:Request", "refused on demand")),
            Some(Fault::LoseAnswer) => {
                let _ = world(|world| effect(world, clock.now()));
                Err(ProviderError::new(ErrorClass::Ambiguous, "toy:Request", "the answer was lost"))
            }
            Some(Fault::Spoil) => {
                let answer = world(|world| effect(world, clock.now()));
                let spoilt =
                    |object: &mut Object| object.change = object.change.take().map(|_| (thing("spoilt"), clock.now()));
                world(|world| world.objects.values_mut().filter(|object| object.spec.name == name).for_each(spoilt));
                answer
            }
            Some(fault @ (Fault::Doom | Fault::Stall)) => {
                let answer = world(|world| effect(world, clock.now()));
                world(|world| {
                    let last = world.objects.values_mut().filter(|object| object.spec.name == name).last();
                    let last = last.expect("what was made");
                    if fault == Fault::Stall {
                        last.ready_at = last.ready_at.checked_add(Duration::from_hours(24)).unwrap();
                    } else {
                        last.failed = Some("out of toys".to_owned());
                    }
                });
                answer
            }
            None => world(|world| effect(world, clock.now())),
        };
        fuse.pass().await;
        answer
    }

    pub(crate) fn live(object: &Object, id: &str, now: Timestamp) -> Option<Live<Spec, Outputs>> {
        if object.gone_at.is_some_and(|gone| gone <= now) {
            return None;
        }
        let status = match &object.failed {
            _ if object.gone_at.is_some() => Status::Deleting,
            Some(why) => Status::Failed(why.clone()),
            None if object.ready_at > now => Status::Pending("it is being painted".to_owned()),
            None if object.change.as_ref().is_some_and(|(_, at)| *at > now) => {
                Status::Pending("it is being changed".to_owned())
            }
            None => Status::Ready,
        };
        let outputs = Outputs {
            handle: format!("handle-of-{id}"),
            size_handle: format!("{id}-{}", object.spec.size.unwrap_or_default()),
            token: format!("ephemeral-{id}"),
        };
        let spec = match &object.change {
            Some((spec, at)) if *at <= now && spec.name == object.spec.name => spec.clone(),
            Some(_) | None => object.spec.clone(),
        };
        Some(Live { spec, outputs, status })
    }
}

/// How long an update of a `toy.slow` takes.
pub(crate) const CHANGING: Duration = Duration::from_secs(7);

impl ResourceKind for Toy {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Toys;

    fn example() -> Spec {
        thing("example")
    }

    async fn read_many(&self, _: &Toys, ids: &[RemoteId]) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        self.request("read", self.name, |world, now| {
            Ok(ids.iter().map(|id| Self::live(world.objects.get(id.as_str())?, id.as_str(), now)).collect())
        })
        .await
    }

    async fn create(
        &self,
        toys: &Toys,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        world(|world| world.places.push(("create", toys.place.clone())));
        self.request("create", &spec.name, |world, now| {
            if self.possession == Possession::Recorded {
                world.tokens.push(owner.token.clone());
                let id = format!("note-{}", spec.name);
                let outputs =
                    Outputs { handle: format!("handle-of-{id}"), size_handle: "noted".to_owned(), token: id.clone() };
                let waits = world.not_yet.get_mut(&spec.name).filter(|times| **times > 0);
                let status = waits.map_or(Status::Ready, |times| {
                    *times -= 1;
                    Status::Pending("nobody has written it yet".to_owned())
                });
                let live = Live { spec: spec.clone(), outputs, status };
                return Ok(Created { id: RemoteId::new(id), live: Some(live) });
            }
            world.next += 1;
            let id = if self.name == "toy.named" { spec.name.clone() } else { format!("toy-{}", world.next) };
            if world.objects.get(&id).is_some_and(|object| Self::live(object, &id, now).is_some()) {
                return Err(ProviderError::new(ErrorClass::Conflict, "toy:Create", "the name is taken"));
            }
            let object = Object {
                kind: self.name,
                // A create sets no size: that is an update's work, as many EC2 attributes are.
                spec: Spec { size: None, ..spec.clone() },
                token: owner.token.clone(),
                ready_at: now.checked_add(READY).unwrap(),
                gone_at: None,
                failed: None,
                change: None,
            };
            world.objects.insert(id.clone(), object);
            Ok(Created { id: RemoteId::new(id), live: None })
        })
        .await
    }

    async fn find(&self, _: &Toys, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        self.request("find", &spec.name, |world, now| {
            let found = world.objects.iter().find(|(id, o)| o.token == owner.token && Self::live(o, id, now).is_some());
            Ok(found.map(|(id, _)| RemoteId::new(id)))
        })
        .await
    }

    async fn update(&self, _: &Toys, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        self.request("update", &to.name, |world, now| {
            if self.possession == Possession::Recorded {
                return Ok(Updated::Done);
            }
            let object = world.objects.get_mut(id.as_str()).expect("an object to update");
            if self.name == "toy.slow" {
                if object.change.as_ref().is_some_and(|(_, at)| *at > now) {
                    return Err(ProviderError::new(ErrorClass::Busy, "toy:Update", "another change is under way"));
                }
                if let Some(live) = Self::live(object, id.as_str(), now) {
                    object.spec = live.spec;
                }
                object.change =
                    Some((Spec { seats: object.spec.seats, ..to.clone() }, now.checked_add(CHANGING).unwrap()));
                return Ok(Updated::Underway(UpdateId::new("update-1")));
            }
            // One request's worth: first the size, then the rest.
            if from.size == to.size {
                object.spec.inputs.clone_from(&to.inputs);
                object.spec.secret.clone_from(&to.secret);
            } else {
                object.spec.size = to.size;
            }
            Ok(Updated::Done)
        })
        .await
    }

    async fn follow(&self, _: &Toys, id: &RemoteId, _: &UpdateId) -> Result<Status, ProviderError> {
        self.request("follow", id.as_str(), |world, now| {
            Ok(match world.objects.get(id.as_str()).and_then(|object| object.change.as_ref()) {
                Some((spec, _)) if spec.name == "spoilt" => Status::Failed("the paint is out".to_owned()),
                Some((_, at)) if *at > now => Status::Pending("the paint dries".to_owned()),
                Some(_) | None => Status::Ready,
            })
        })
        .await
    }

    async fn diagnose(&self, _: &Toys, id: &RemoteId) -> Result<Vec<String>, ProviderError> {
        self.request("diagnose", id.as_str(), |world, _| Ok(world.findings.clone())).await
    }

    async fn delete(&self, toys: &Toys, id: &RemoteId) -> Result<Deletion, ProviderError> {
        world(|world| world.places.push(("delete", toys.place.clone())));
        let named = |world: &mut World| match world.objects.get(id.as_str()) {
            Some(object) => object.spec.name.clone(),
            None => id.as_str().trim_start_matches("note-").to_owned(),
        };
        let name = world(named);
        self.request("delete", &name, |world, now| {
            if let Some(left) = world.put_off.get_mut(&name).filter(|left| **left > 0) {
                *left -= 1;
                return Ok(Deletion::Later("something else goes first".to_owned()));
            }
            let in_use = world.objects.iter().any(|(other, object)| {
                let handle = format!("handle-of-{id}");
                Self::live(object, other, now)
                    .is_some_and(|live| live.spec.inputs.values().any(|i| *i.known().unwrap() == handle))
            });
            if in_use {
                return Err(ProviderError::new(ErrorClass::InUse, "toy:Delete", "something stands on it"));
            }
            if let Some(object) = world.objects.get_mut(id.as_str()) {
                object.gone_at.get_or_insert(now.checked_add(GOING).unwrap());
            }
            Ok(Deletion::Accepted)
        })
        .await
    }
}

/// A spec with nothing but a name.
pub(crate) fn thing(name: &str) -> Spec {
    Spec {
        name: name.to_owned(),
        size: None,
        color: None,
        inputs: BTreeMap::new(),
        secret: None,
        seats: None,
        tags: BTreeMap::new(),
    }
}

/// A declaration of a toy.
pub(crate) fn declare(address: &str, spec: &Spec) -> Declaration {
    let document = Document::of(spec).unwrap();
    let mut references: Vec<Address> = document.value().references().iter().map(|r| r.address.clone()).collect();
    references.sort();
    references.dedup();
    Declaration {
        address: address.parse().unwrap(),
        target: Target::aws("toyland"),
        spec: document,
        references,
        depends_on: Vec::new(),
        update_after: Vec::new(),
        notes: Vec::new(),
        origin: AttrPath::root(),
        protected: false,
    }
}

/// A `toy.thing` that stands on others.
pub(crate) fn on(name: &str, below: &[&str]) -> Declaration {
    kind_on("toy.thing", name, below)
}

/// A toy of a kind that stands on others, given by address.
pub(crate) fn kind_on(kind: &str, name: &str, below: &[&str]) -> Declaration {
    let mut spec = thing(name);
    for (n, address) in below.iter().enumerate() {
        let address: Address =
            if address.contains('/') { address.parse().unwrap() } else { Address::new("toy.thing", &[address]) };
        spec.inputs.insert(format!("in{n}"), Reference::to(&address, "handle").into());
    }
    declare(&format!("{kind}/{name}"), &spec)
}
