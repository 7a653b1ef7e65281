//! The same engine over moto: somebody else's EC2, over real sockets, through the unmodified SDK; and then with
//! microburst in between, which throttles, fails, resets, cuts and loses answers.
//!
//! What exists is counted at moto itself, past the faults: by another client of the SDK, and by boto3 after whole lives.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::{NatGatewayState, RouteOrigin};
use fastrand::Rng;
use jiff::Timestamp;
use meshplan::compile::Declaration;
use meshplan::model::fuse::Fuse;
use meshplan::plan::Scope;
use meshplan::resource::Cloud;
use meshplan::sandbox::{Flowing, SimClock, Speed};
use tempfile::TempDir;
use tokio::time::Instant;

use crate::networks::networks;
use crate::rig::{Process, run, topology};
use crate::stand_ins::{Clients, Microburst, Moto, Trouble, stand_in};
use serde_json::{Value, json};

/// The region of every topology here.
const REGION: &str = "us-west-2";

/// Seconds of the run's clock in a real one: the engine's patience with lagging describes (30 s) takes 0.3 s, while a
/// slow machine's answer of half a second is still far from its shortest ceiling (300 s).
const TIMES: f64 = 100.0;

/// How many rounds of plan and apply a run may need.
const MOST_ROUNDS: u32 = 3;

/// How many lives are lived with each of their three parts stopped once.
const LIVES_WITH_STOPS: u32 = 6;

/// The least network in which everything occurs that a network has.
const SMALL: &str = "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\n[tags]\nowner = \"platform\"\n\
                     spare = \"yes\"\n[networks.network1]\ncidr = \"10.1.0.0/16\"\nazs = 2\nnat = \"single\"\n\
                     dual_stack = true\n";

/// Done upstream, and then the connection is cut before a byte of the answer.
static LOST: LazyLock<Value> = LazyLock::new(|| json!({"response": {"abort_frac": 0.0}}));

/// How many there are of each kind.
type Counts = BTreeMap<String, usize>;

fn sdk_config(endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new("test", "test", None, None, "a test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// A mesh whose cloud is an endpoint.
struct OnWire {
    process: Process,
    folder: TempDir,
    endpoint: String,
    clock: SimClock,
    /// The clock follows real time while this lives.
    _flowing: Flowing,
}

impl OnWire {
    fn start(endpoint: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = SimClock::new(Timestamp::UNIX_EPOCH, Speed::Times(TIMES), Fuse::never());
        let flowing = clock.flow();
        let process = Self::process(&folder, endpoint, &clock);
        Self { process, folder, endpoint: endpoint.to_owned(), clock, _flowing: flowing }
    }

    fn process(folder: &TempDir, endpoint: &str, clock: &SimClock) -> Process {
        let cloud = Cloud::new(sdk_config(endpoint));
        Process::start(folder.path(), cloud, Arc::new(clock.clone()), Fuse::never())
    }

    /// The process is gone with all that it had in memory, and another is started.
    fn restart(self) -> Self {
        drop(self.process);
        let process = Self::process(&self.folder, &self.endpoint, &self.clock);
        Self { process, ..self }
    }

    /// Plans and applies until there is nothing to do. Answers how many rounds that took; one in which
    /// the cloud could not be read counts.
    async fn converge(&mut self, declared: &[Declaration], what: &str) -> u32 {
        for rounds in 0..=MOST_ROUNDS {
            let scope = Scope { destroy: declared.is_empty(), ..Scope::default() };
            let planned = self.process.planned(declared, &scope).await;
            let last = rounds == MOST_ROUNDS;
            let Some(plan) = planned.plan else {
                let said: Vec<&str> = planned.diagnostics.iter().map(|found| found.message.as_str()).collect();
                println!("{what}: round {}: no plan: {said:#?}", rounds + 1);
                assert!(said.iter().all(|said| said.contains("could not be read")) && !last, "{what}: {said:#?}");
                continue;
            };
            if plan.is_empty() {
                assert!(self.process.store.state().intents.is_empty(), "{what}: a promise is left");
                assert_eq!(self.process.store.state().records.len(), declared.len(), "{what}");
                return rounds;
            }
            assert!(!last, "{what}: not converged after {MOST_ROUNDS} rounds: {plan:#?}");
            let outcome = self.process.carry_out(&plan).await.unwrap();
            self.process.store.save().unwrap();
            if !outcome.is_complete() {
                println!("{what}: round {}: {:#?}", rounds + 1, outcome.failures);
            }
        }
        unreachable!("the last round returns or panics")
    }
}

/// From nothing to a network, to a changed one, to nothing.
struct Life {
    born: Vec<Declaration>,
    changed: Vec<Declaration>,
}

impl Life {
    /// The life of a topology's text: its change is another tag, one tag less, and a NAT gateway in each zone.
    fn of(text: &str) -> Self {
        let changed = text
            .replace("owner = \"platform\"", "owner = \"mesh\"")
            .replace("spare = \"yes\"\n", "")
            .replace("nat        = \"single\"", "nat        = \"per-az\"")
            .replace("nat = \"single\"", "nat = \"per-az\"");
        assert_ne!(text, changed);
        Self { born: networks(text), changed: networks(&changed) }
    }

    /// What is declared in each of its parts.
    fn parts(&self) -> [(&'static str, &[Declaration]); 3] {
        [("apply", &self.born), ("update", &self.changed), ("destroy", &[])]
    }

    /// Lives it through `endpoint`, counting past the faults after each part. Answers the most rounds that a part needed.
    async fn live(&self, endpoint: &str, ec2: &Client, what: &str) -> u32 {
        let mut mesh = OnWire::start(endpoint);
        let mut most = 0;
        for (part, declared) in self.parts() {
            let what = format!("{what}, {part}");
            most = most.max(mesh.converge(declared, &what).await);
            assert_eq!(counted(ec2).await, declared_counts(declared), "{what}: something is left over or is double");
        }
        most
    }
}

/// What is declared, by kind.
fn declared_counts(declared: &[Declaration]) -> Counts {
    let mut counts = Counts::new();
    for declaration in declared {
        *counts.entry(declaration.address.kind().to_owned()).or_default() += 1;
        if declaration.address.kind() == "aws.subnet" {
            *counts.entry("association".to_owned()).or_default() += 1;
        }
    }
    counts
}

/// What exists at moto besides what each region has from the start, by the kind that makes it.
async fn counted(ec2: &Client) -> Counts {
    let vpcs = ec2.describe_vpcs().send().await.unwrap();
    let (native, ours): (Vec<_>, Vec<_>) = vpcs.vpcs().iter().partition(|vpc| vpc.is_default() == Some(true));
    let is_native = |id: Option<&str>| native.iter().any(|vpc| vpc.vpc_id() == id);
    let subnets = ec2.describe_subnets().send().await.unwrap();
    let tables = ec2.describe_route_tables().send().await.unwrap();
    let tables: Vec<_> = tables
        .route_tables()
        .iter()
        .filter(|table| !table.associations().iter().any(|association| association.main() == Some(true)))
        .collect();
    let routes = tables
        .iter()
        .flat_map(|table| table.routes())
        .filter(|route| route.origin() != Some(&RouteOrigin::CreateRouteTable))
        .filter(|route| route.gateway_id() != Some("local"));
    let gateways = ec2.describe_internet_gateways().send().await.unwrap();
    let egress = ec2.describe_egress_only_internet_gateways().send().await.unwrap();
    let nats = ec2.describe_nat_gateways().send().await.unwrap();
    let addresses = ec2.describe_addresses().send().await.unwrap();
    let counts = [
        ("aws.vpc", ours.len()),
        ("aws.subnet", subnets.subnets().iter().filter(|subnet| !is_native(subnet.vpc_id())).count()),
        ("aws.route_table", tables.len()),
        ("aws.route", routes.count()),
        ("association", tables.iter().map(|table| table.associations().len()).sum()),
        ("aws.internet_gateway", gateways.internet_gateways().len()),
        ("aws.egress_only_internet_gateway", egress.egress_only_internet_gateways().len()),
        (
            "aws.nat_gateway",
            nats.nat_gateways().iter().filter(|nat| nat.state() != Some(&NatGatewayState::Deleted)).count(),
        ),
        ("aws.eip", addresses.addresses().len()),
    ];
    counts.into_iter().filter(|(_, count)| *count > 0).map(|(kind, count)| (kind.to_owned(), count)).collect()
}

/// The same count by boto3.
const COUNT_BY_BOTO3: &str = include_str!("../support/count.py");

fn counted_by_boto3(clients: &Clients, moto: &Moto) -> Counts {
    let told = clients.python(&moto.endpoint(), COUNT_BY_BOTO3, &[]).unwrap().stdout().unwrap();
    serde_json::from_str(&told).unwrap()
}

#[test]
fn two_networks_live_and_die_on_moto() {
    let moto = stand_in!(Moto::start());
    let ec2 = Client::new(&sdk_config(&moto.endpoint()));
    let clients = stand_in!(Clients::find());
    let life = Life::of(&topology("two-network.toml"));
    let mut mesh = OnWire::start(&moto.endpoint());
    for (part, declared) in life.parts() {
        assert_eq!(run(mesh.converge(declared, part)), 1, "{part}: once is enough where nothing goes wrong");
        assert_eq!(counted_by_boto3(&clients, &moto), declared_counts(declared), "{part}");
        assert_eq!(run(counted(&ec2)), declared_counts(declared), "{part}: both counts agree");
    }
}

#[test]
fn stopped_at_random_moments_it_converges_on_moto() {
    let moto = stand_in!(Moto::start());
    let ec2 = Client::new(&sdk_config(&moto.endpoint()));
    let life = Life::of(SMALL);
    let mut mesh = OnWire::start(&moto.endpoint());
    let mut took = Vec::new();
    for (part, declared) in life.parts() {
        let started = Instant::now();
        assert_eq!(run(mesh.converge(declared, part)), 1, "{part}");
        took.push(started.elapsed());
    }
    let mut rng = Rng::with_seed(20_260_101);
    let (mut stops, mut worst) = (0, 0);
    for _ in 0..LIVES_WITH_STOPS {
        for ((part, declared), took) in life.parts().into_iter().zip(&took) {
            let moment = took.mul_f64(rng.f64());
            // What is in flight when the runtime goes is cut on this side, and done or not on the other.
            let stopped = run(async { tokio::time::timeout(moment, mesh.process.apply(declared)).await }).is_err();
            stops += u32::from(stopped);
            mesh = mesh.restart();
            // A request that is still at work over there has had its effect once these later ones are answered.
            run(counted(&ec2));
            let what = format!("{part}, stopped after {moment:?}");
            worst = worst.max(run(mesh.converge(declared, &what)));
            assert_eq!(run(counted(&ec2)), declared_counts(declared), "{what}: something is left over or is double");
        }
    }
    println!("{stops} stops: 0 orphans, 0 duplicates, at most {worst} rounds");
    assert!(stops > LIVES_WITH_STOPS, "hardly any run was stopped");
}

/// The faults that were injected, as pairs of operation and how often.
fn fired(proxy: &Microburst) -> Result<BTreeMap<String, usize>, Trouble> {
    let fired: Value = serde_json::from_str(&proxy.fired()?).unwrap();
    let mut counts = BTreeMap::new();
    for one in fired.as_array().unwrap() {
        *counts.entry(one["operation"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    Ok(counts)
}

/// moto behind microburst, started once: that takes longer than most lives.
struct Faulty {
    moto: Moto,
    proxy: Microburst,
    ec2: Client,
}

impl Faulty {
    /// Lives behind these faults. Answers the most rounds that a part needed, and how many faults there were.
    fn live(&self, life: &Life, rules: &[Value], what: &str) -> (u32, usize) {
        self.proxy.set_rules(&Value::from(rules.to_vec()).to_string()).unwrap();
        self.proxy.forget_fired().unwrap();
        let rounds = run(life.live(&self.proxy.endpoint(), &self.ec2, what));
        let fired = fired(&self.proxy).unwrap();
        for operation in rules.iter().filter_map(|rule| rule["operation"].as_str()) {
            assert!(fired.contains_key(operation), "{what}: {operation} was never hit");
        }
        (rounds, fired.values().sum())
    }

    /// Every operation that changes something in a life, as the proxy sees them pass.
    fn writes(&self, life: &Life) -> Vec<String> {
        let (rounds, _) = self.live(life, &[json!({"service": "ec2", "latency": 0})], "without faults");
        assert_eq!(rounds, 1);
        let seen = fired(&self.proxy).unwrap();
        seen.into_keys().filter(|operation| !operation.starts_with("Describe")).collect()
    }

    /// The answers to each kind of change are lost in turn.
    fn lose_in_turn(&self, life: &Life, writes: &[String]) {
        // Four to a life, from different parts of the alphabet: creates, deletes and what is in between.
        let lives = writes.len().div_ceil(4);
        let (mut worst, mut lost) = (0, 0);
        for first in 0..lives {
            let some: Vec<&str> = writes.iter().skip(first).step_by(lives).map(String::as_str).collect();
            let rules: Vec<Value> = some.iter().map(|operation| twice(operation, &LOST)).collect();
            let (rounds, faults) = self.live(life, &rules, &format!("{some:?} lose their answers"));
            (worst, lost) = (worst.max(rounds), lost + faults);
        }
        println!("{} kinds of change lost {lost} answers in {lives} lives: at most {worst} rounds", writes.len());
        assert_eq!(worst, 1, "a lost answer is nothing that a person has to run again for");
    }

    /// Each fault in a life of its own, in which it befalls every kind of change twice.
    fn each_fault(&self, life: &Life, writes: &[String]) {
        for (what, fault) in [
            ("throttled", json!({"error": {"code": "RequestLimitExceeded", "status": 503}})),
            ("failing inside", json!({"error": {"code": "InternalError", "status": 500}})),
            ("reset before the effect", json!({"reset": true})),
            ("done, and the answer lost", LOST.clone()),
            ("done, and the answer cut", json!({"response": {"truncate_frac": 0.5}})),
        ] {
            let rules: Vec<Value> = writes.iter().map(|operation| twice(operation, &fault)).collect();
            let (rounds, faults) = self.live(life, &rules, what);
            println!("{what}: {faults} faults, at most {rounds} rounds");
            assert_eq!(rounds, 1, "{what}");
        }
    }

    /// All faults at once, whatever the call.
    fn mixed(&self, life: &Life) {
        // Each counts the calls that the ones before it let pass: one call in eight suffers, reads too.
        let rules = [
            json!({"service": "ec2", "sequence": [1, 36], "response": {"abort_frac": 0.0}}),
            json!({"service": "ec2", "sequence": [1, 32], "error": {"code": "RequestLimitExceeded", "status": 503}}),
            json!({"service": "ec2", "sequence": [1, 38], "error": {"code": "InternalError", "status": 500}}),
            json!({"service": "ec2", "sequence": [1, 34], "reset": true}),
            json!({"service": "ec2", "sequence": [1, 42], "response": {"truncate_frac": 0.5}}),
        ];
        let (rounds, faults) = self.live(life, &rules, "mixed faults");
        println!("mixed faults: {faults} of them, at most {rounds} rounds");
    }
}

/// The first two calls of an operation suffer this.
fn twice(operation: &str, fault: &Value) -> Value {
    let mut rule = json!({"service": "ec2", "operation": operation, "times": 2});
    rule.as_object_mut().unwrap().append(&mut fault.as_object().unwrap().clone());
    rule
}

#[test]
fn networks_live_and_die_among_faults() {
    let moto = stand_in!(Moto::start());
    let proxy = stand_in!(Microburst::start(&moto.endpoint()));
    let clients = stand_in!(Clients::find());
    let ec2 = Client::new(&sdk_config(&moto.endpoint()));
    let faulty = Faulty { moto, proxy, ec2 };
    let small = Life::of(SMALL);
    let writes = faulty.writes(&small);
    assert!(writes.len() >= 25, "{writes:?}");
    faulty.lose_in_turn(&small, &writes);
    faulty.each_fault(&small, &writes);
    faulty.mixed(&Life::of(&topology("two-network.toml")));
    assert_eq!(counted_by_boto3(&clients, &faulty.moto), Counts::new());
}
