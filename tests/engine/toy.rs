//! The toy provider: objects with a state that takes time, answers that get lost, refusals on demand.
//!
//! One world per test thread. Four kinds: `toy.thing` (deleted before it is replaced), `toy.fixed` (the same, and cannot
//! move to another base), `toy.swap` (replaced before it is deleted), `toy.guest` (someone else's).

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use meshplan::apply::{Budgets, Ledger, LedgerError, Outcome, Run, apply};
use meshplan::compile::Declaration;
use meshplan::model::diff::{FieldRule, FieldTrait};
use meshplan::model::event::Stamped;
use meshplan::model::fuse::Fuse;
use meshplan::model::{Address, AttrPath, Clock, Document, Input, Reference, Target, Value};
use meshplan::plan::{Inputs, Observed, Plan, Planned, Scope, plan};
use meshplan::refresh::refresh;
use meshplan::resource::{
    Api, Client, Cloud, Created, Deletion, DynKind, ErrorClass, Expected, KindRules, Live, OutputClass, OutputRule,
    Ownership, Possession, ProviderError, Registry, RemoteId, ReplaceOrder, ResourceKind, Status, Updated, WaitPolicy,
};
use meshplan::sandbox::{SimClock, Speed};
use meshplan::state::{Entry, State};
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
}

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Fault {
    Refuse(ErrorClass),
    /// The effect is done, the answer lost.
    LoseAnswer,
    /// What is made will never be ready.
    Doom,
}

#[derive(Default)]
pub(crate) struct World {
    pub(crate) objects: BTreeMap<String, Object>,
    /// Faults by verb and name, used up from the front.
    pub(crate) faults: BTreeMap<(&'static str, String), Vec<Fault>>,
    pub(crate) next: u64,
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

pub(crate) struct Toy {
    name: &'static str,
    order: ReplaceOrder,
    possession: Possession,
}

pub(crate) static THING: Toy =
    Toy { name: "toy.thing", order: ReplaceOrder::DeleteFirst, possession: Possession::Owned };
pub(crate) static FIXED: Toy =
    Toy { name: "toy.fixed", order: ReplaceOrder::DeleteFirst, possession: Possession::Owned };
pub(crate) static SWAP: Toy = Toy { name: "toy.swap", order: ReplaceOrder::CreateFirst, possession: Possession::Owned };
pub(crate) static GUEST: Toy =
    Toy { name: "toy.guest", order: ReplaceOrder::DeleteFirst, possession: Possession::Observed };
static KINDS: &[&dyn DynKind] = &[&THING, &FIXED, &SWAP, &GUEST];

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
            FieldRule { path: "inputs", traits: &[FieldTrait::Immutable] },
        ];
        // Only `toy.fixed` cannot move to another base.
        if self.name == "toy.fixed" { FIELDS } else { &FIELDS[..3] }
    }
    fn outputs(&self) -> &'static [OutputRule] {
        OUTPUTS
    }
    fn expected(&self) -> Expected {
        Expected { create: 10.0, update: 1.0, delete: 5.0 }
    }
    fn api(&self) -> Api {
        Api::Local
    }
    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(0, 100, 60)
    }
    fn possession(&self) -> Possession {
        self.possession
    }
    fn replace_order(&self) -> ReplaceOrder {
        self.order
    }
    fn known_id(&self, spec: &Value) -> Option<RemoteId> {
        (self.possession == Possession::Observed).then(|| spec.get("name")?.as_str().map(RemoteId::new))?
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
            Some(Fault::Doom) => {
                let answer = world(|world| effect(world, clock.now()));
                world(|world| {
                    let last = world.objects.values_mut().filter(|object| object.spec.name == name).last();
                    last.expect("what was made").failed = Some("out of toys".to_owned());
                });
                answer
            }
            None => world(|world| effect(world, clock.now())),
        };
        fuse.pass().await;
        answer
    }

    fn live(object: &Object, id: &str, now: Timestamp) -> Option<Live<Spec, Outputs>> {
        if object.gone_at.is_some_and(|gone| gone <= now) {
            return None;
        }
        let status = match &object.failed {
            _ if object.gone_at.is_some() => Status::Deleting,
            Some(why) => Status::Failed(why.clone()),
            None if object.ready_at > now => Status::Pending("it is being painted".to_owned()),
            None => Status::Ready,
        };
        let outputs = Outputs {
            handle: format!("handle-of-{id}"),
            size_handle: format!("{id}-{}", object.spec.size.unwrap_or_default()),
            token: format!("ephemeral-{id}"),
        };
        Some(Live { spec: object.spec.clone(), outputs, status })
    }
}

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
            world.next += 1;
            let id = format!("toy-{}", world.next);
            let object = Object {
                kind: self.name,
                // A create sets no size: that is an update's work, as many EC2 attributes are.
                spec: Spec { size: None, ..spec.clone() },
                token: owner.token.clone(),
                ready_at: now.checked_add(READY).unwrap(),
                gone_at: None,
                failed: None,
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
        self.request("update", &to.name, |world, _| {
            let object = world.objects.get_mut(id.as_str()).expect("an object to update");
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

    async fn delete(&self, toys: &Toys, id: &RemoteId) -> Result<Deletion, ProviderError> {
        world(|world| world.places.push(("delete", toys.place.clone())));
        let name =
            world(|world| world.objects.get(id.as_str()).map_or(String::new(), |object| object.spec.name.clone()));
        self.request("delete", &name, |world, now| {
            let in_use = world.objects.iter().any(|(other, object)| {
                let handle = format!("handle-of-{id}");
                Self::live(object, other, now).is_some()
                    && object.spec.inputs.values().any(|i| *i.known().unwrap() == handle)
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
    Spec { name: name.to_owned(), size: None, color: None, inputs: BTreeMap::new(), secret: None }
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

/// A ledger that asks the fuse before and after it is durable.
pub(crate) struct FusedLedger {
    pub(crate) state: State,
    pub(crate) fuse: Fuse,
    /// Every entry ever made durable, as it would be written.
    pub(crate) written: String,
}

impl Ledger for FusedLedger {
    fn state(&self) -> &State {
        &self.state
    }
    fn append(&mut self, entries: Vec<Entry>) -> Result<(), LedgerError> {
        let lost = || LedgerError("power lost".into());
        self.fuse.touch().then_some(()).ok_or_else(lost)?;
        for entry in entries {
            self.written.push_str(&serde_json::to_string(&entry).unwrap());
            self.state.fold(entry).map_err(|error| LedgerError(Box::new(error)))?;
        }
        self.fuse.touch().then_some(()).ok_or_else(lost)
    }
}

/// A test's engine: a state, a virtual clock and the thread's toy world.
pub(crate) struct Rig {
    pub(crate) ledger: FusedLedger,
    pub(crate) clock: SimClock,
    pub(crate) events: Vec<Stamped>,
    pub(crate) registry: Registry,
    pub(crate) cloud: Cloud,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with_fuse(Fuse::never())
    }

    pub(crate) fn with_fuse(fuse: Fuse) -> Self {
        let clock = SimClock::new(Timestamp::UNIX_EPOCH, Speed::Unlimited, fuse.clone());
        world(|world| {
            *world = World { clock: Some(clock.clone()), fuse: Some(fuse.clone()), ..World::default() };
        });
        Self {
            ledger: FusedLedger { state: State::new("toys", "lineage".to_owned(), true), fuse, written: String::new() },
            clock,
            events: Vec::new(),
            registry: Registry::new(KINDS),
            cloud: Cloud::new(aws_config::SdkConfig::builder().build()),
        }
    }

    /// Starts over as a new process would: only the ledger's state and the world are left.
    pub(crate) fn restart(&mut self, fuse: Fuse) {
        self.clock = SimClock::new(self.clock.now(), Speed::Unlimited, fuse.clone());
        self.ledger.fuse = fuse.clone();
        world(|world| {
            world.clock = Some(self.clock.clone());
            world.fuse = Some(fuse);
        });
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    pub(crate) fn observe(&mut self, declarations: &[Declaration]) -> Observed {
        let clock = self.clock.clone();
        let reading = refresh(&self.registry, &self.cloud, &clock, &self.ledger.state, declarations, &mut self.events);
        Self::block_on(clock.drive(reading)).observed
    }

    pub(crate) fn planned(&mut self, declarations: &[Declaration], scope: &Scope) -> Planned {
        let mut declarations = declarations.to_vec();
        declarations.sort_by(|a, b| a.address.cmp(&b.address));
        let observed = self.observe(&declarations);
        plan(Inputs {
            declarations: &declarations,
            state: &self.ledger.state,
            observed: Some(&observed),
            rules: &self.registry.rules(),
            moves: &[],
            topology: None,
            scope,
        })
    }

    pub(crate) fn plan(&mut self, declarations: &[Declaration]) -> Plan {
        let planned = self.planned(declarations, &Scope::default());
        planned.plan.unwrap_or_else(|| panic!("{:?}", planned.diagnostics))
    }

    pub(crate) fn apply_plan(&mut self, plan: &Plan) -> Result<Outcome, meshplan::apply::ApplyError> {
        self.apply_until(plan, Box::pin(std::future::pending()))
    }

    pub(crate) fn apply_until(
        &mut self,
        plan: &Plan,
        interrupt: std::pin::Pin<Box<dyn Future<Output = ()>>>,
    ) -> Result<Outcome, meshplan::apply::ApplyError> {
        let clock = self.clock.clone();
        let run = apply(Run {
            plan,
            registry: &self.registry,
            cloud: &self.cloud,
            clock: Arc::new(clock.clone()),
            ledger: &mut self.ledger,
            sink: &mut self.events,
            interrupt,
            budgets: Budgets::default(),
        });
        Self::block_on(clock.drive(run))
    }

    /// Plans and applies, and expects all of it to succeed.
    pub(crate) fn apply(&mut self, declarations: &[Declaration]) -> Outcome {
        let plan = self.plan(declarations);
        let outcome = self.apply_plan(&plan).unwrap();
        assert!(outcome.is_complete(), "{outcome:#?}");
        outcome
    }

    /// What is there, as `kind name`, sorted.
    pub(crate) fn there(&self) -> Vec<String> {
        let now = self.clock.now();
        let mut names: Vec<String> = world(|world| {
            let alive = world.objects.iter().filter(|(id, object)| Toy::live(object, id, now).is_some());
            alive.map(|(_, object)| format!("{} {}", object.kind, object.spec.name)).collect()
        });
        names.sort();
        names
    }

    pub(crate) fn fault(verb: &'static str, name: &str, faults: &[Fault]) {
        world(|world| world.faults.insert((verb, name.to_owned()), faults.to_vec()));
    }
}
