//! The real binary, killed by SIGKILL at random moments of sandbox applies, updates and destroys, and run again until
//! there is nothing to do: nothing may be orphaned, nothing made twice.
//!
//! Half of it happens in a cloud that also throttles, fails and loses answers, so that kills find the engine looking for
//! what a lost answer made.
//!
//! 40 kills, or as many as `MESHPLAN_STORM` says. The moments follow from a seed (`MESHPLAN_STORM_SEED`, printed), what
//! the processes were doing then does not: it is the machine's own chance, which is the point.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a test fails by panicking and tells its figures; it starts real processes, in real time, as its \
              environment asks"
)]

#[path = "../support/stand_ins.rs"]
mod stand_ins;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::Value;
use stand_ins::{Clients, Moto, stand_in};

/// The most rounds of apply that a crash may cost.
const MOST_ROUNDS: usize = 3;

/// Simulated seconds in a real one: an apply takes half a second, so that a kill finds it anywhere in its course.
const SPEED: &str = "400";

/// What goes wrong in the cloud of each worker; they work side by side, each in a folder of its own.
const FAULTS: [Option<&str>; 2] = [None, Some("rate=0.05")];

/// Counts what exists, by boto3.
const COUNT: &str = include_str!("../support/count.py");

/// What is done to the mesh, over and over in this order.
const STAGES: [Stage; 3] = [
    Stage { name: "apply", run: "apply two-network.toml --yes --no-verify", plan: "plan two-network.toml" },
    Stage { name: "update", run: "apply changed.toml --yes --no-verify", plan: "plan changed.toml" },
    Stage { name: "destroy", run: "destroy mesh1 --yes", plan: "plan two-network.toml --destroy" },
];

#[derive(Clone, Copy)]
struct Stage {
    name: &'static str,
    /// The command that is killed, and that mends it.
    run: &'static str,
    /// The command that says whether anything is left to do.
    plan: &'static str,
}

/// What exists: in the sandbox by region and type, and the addresses in state.
type Existing = (Value, Vec<String>);

/// How an uninterrupted run of a stage goes.
struct Reference {
    took: Duration,
    leaves: Existing,
}

/// What a worker has seen.
#[derive(Default)]
struct Tally {
    kills: usize,
    /// Kills of a run that was mending what an earlier kill left.
    second_kills: usize,
    /// How many kills each stage suffered.
    by_stage: BTreeMap<&'static str, usize>,
    /// How many recoveries took so many rounds.
    rounds: BTreeMap<usize, usize>,
    /// Runs that were over before their moment came.
    misses: usize,
}

/// What a mesh is built in.
enum Cloud {
    /// The sandbox in the place's own folder, with these faults.
    Sandbox(Option<&'static str>),
    /// Whatever answers at this address.
    Endpoint(String),
}

/// A directory with two topologies and the state (and sandbox) of one mesh.
struct Place {
    folder: PathBuf,
    cloud: Cloud,
    /// How many processes were started: each has other faults.
    started: Cell<u64>,
}

impl Place {
    fn new(folder: PathBuf, cloud: Cloud) -> Self {
        let mut text = std::fs::read_to_string("topologies/two-network.toml").unwrap();
        if let Cloud::Endpoint(_) = cloud {
            // moto knows no add-ons, no access entries and no pod identity (STANDINS): the networks alone are built there.
            text = without_clusters(&text);
        }
        let changed = text
            .replace("owner = \"platform\"", "owner = \"mesh\"")
            .replace("nat        = \"single\"", "nat        = \"per-az\"");
        assert_ne!(text, changed);
        std::fs::create_dir(&folder).unwrap();
        std::fs::write(folder.join("two-network.toml"), text).unwrap();
        std::fs::write(folder.join("changed.toml"), changed).unwrap();
        Self { folder, cloud, started: Cell::new(0) }
    }

    fn start(&self, line: &str) -> Child {
        self.started.set(self.started.get() + 1);
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshplan"));
        command.args(line.split(' ')).current_dir(&self.folder).env_clear();
        match &self.cloud {
            Cloud::Sandbox(faults) => {
                command.args(["--sandbox", "--sandbox-speed", SPEED]);
                let faults = faults.map(|faults| format!("seed={},{faults}", self.started.get()));
                command.args(faults.iter().flat_map(|faults| ["--sandbox-faults", faults]));
            }
            Cloud::Endpoint(endpoint) => {
                command.env("AWS_ENDPOINT_URL", endpoint).env("AWS_REGION", "us-west-2");
                command.env("AWS_ACCESS_KEY_ID", "test").env("AWS_SECRET_ACCESS_KEY", "test");
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    fn run(&self, line: &str) -> Output {
        self.start(line).wait_with_output().unwrap()
    }

    /// Runs a command that has to succeed, and answers what it printed.
    fn told(&self, line: &str) -> String {
        let output = self.run(line);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "meshplan {line}: {}\n{out}\n{err}", output.status);
        out.into_owned()
    }

    fn existing(&self) -> Existing {
        let status: Value = serde_json::from_str(&self.told("sandbox status --format json")).unwrap();
        let records: Value = serde_json::from_str(&self.told("state list --format json")).unwrap();
        let records = records.as_array().unwrap().iter();
        let mut regions = status["regions"].clone();
        // In clusters pods, events and the history of releases come and go by themselves; that a plan has nothing to
        // change says that what is declared in them is there.
        for region in regions.as_array_mut().unwrap() {
            let counts = region["counts"].as_array_mut().unwrap();
            counts.retain(|count| !count["type"].as_str().unwrap().starts_with("kubernetes-"));
        }
        (regions, records.map(|record| record["address"].as_str().unwrap().to_owned()).collect())
    }

    /// Starts a stage and kills it after `moment`. Answers whether it was still running then.
    fn kill(&self, stage: Stage, moment: Duration) -> bool {
        let mut child = self.start(stage.run);
        std::thread::sleep(moment);
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "{} was not even killed: {status}", stage.name);
            return false;
        }
        child.kill().unwrap();
        // It may have come to its end by itself in between.
        child.wait().unwrap().code().is_none()
    }

    /// Runs a stage to its end until its plan is empty. Answers how many rounds that took.
    fn converge(&self, stage: Stage) -> usize {
        for round in 1..=MOST_ROUNDS {
            self.told(stage.run);
            let plan = self.run(&format!("{} --detailed-exitcode", stage.plan));
            match plan.status.code() {
                Some(0) => return round,
                Some(2) => println!("{}: round {round} left: {}", stage.name, String::from_utf8_lossy(&plan.stdout)),
                code => panic!("{}: {code:?}: {}", stage.plan, String::from_utf8_lossy(&plan.stderr)),
            }
        }
        panic!("{}: not converged after {MOST_ROUNDS} rounds", stage.name)
    }
}

/// A topology's text without its clusters.
fn without_clusters(text: &str) -> String {
    let mut table = "";
    let kept = text.lines().filter(|line| {
        if line.starts_with('[') {
            table = line;
        }
        !table.starts_with("[clusters.")
    });
    kept.fold(String::new(), |text, line| text + line + "\n")
}

/// Goes through the stages without harm.
fn references(place: &Place) -> Vec<Reference> {
    STAGES
        .iter()
        .map(|stage| {
            let started = Instant::now();
            place.told(stage.run);
            let took = started.elapsed();
            assert_eq!(place.converge(*stage), 1, "{}: nothing is left to do", stage.name);
            Reference { took, leaves: place.existing() }
        })
        .collect()
}

/// Goes through the stages, killing each, until there were enough kills.
fn storm(place: &Place, references: &[Reference], kills: usize, mut rng: Rng) -> Tally {
    let mut tally = Tally::default();
    while tally.kills < kills {
        for (stage, reference) in STAGES.iter().zip(references) {
            let moment = |rng: &mut Rng| reference.took.mul_f64(rng.f64());
            let hit = place.kill(*stage, moment(&mut rng));
            if hit {
                tally.kills += 1;
                *tally.by_stage.entry(stage.name).or_default() += 1;
                // Every fourth time the run that mends it does not get far either.
                if rng.u8(0..4) == 0 && place.kill(*stage, moment(&mut rng)) {
                    tally.kills += 1;
                    tally.second_kills += 1;
                    *tally.by_stage.entry(stage.name).or_default() += 1;
                }
            } else {
                tally.misses += 1;
            }
            let rounds = place.converge(*stage);
            if hit {
                *tally.rounds.entry(rounds).or_default() += 1;
            }
            let what = format!("{} after kill {}: orphans, duplicates, or something missing", stage.name, tally.kills);
            assert_eq!(place.existing(), reference.leaves, "{what}");
        }
    }
    tally
}

/// Serves a place's sandbox, and counts what is in it by boto3.
fn counted_from_outside(place: &Place, clients: &Clients) -> Value {
    let mut server = place.start("sandbox serve --listen 127.0.0.1:0");
    let mut endpoint = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut endpoint).unwrap();
    let counted = clients.python(endpoint.trim(), COUNT, &[]);
    server.kill().unwrap();
    server.wait().unwrap();
    serde_json::from_str(&counted.unwrap().stdout().unwrap()).unwrap()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

#[test]
fn killed_at_any_moment_it_converges_with_nothing_orphaned_and_nothing_double() {
    let kills = usize::try_from(number("MESHPLAN_STORM").unwrap_or(40)).unwrap();
    let seed = number("MESHPLAN_STORM_SEED").unwrap_or(20_260_101);
    let folder = tempfile::tempdir().unwrap();
    let calm = Place::new(folder.path().join("calm"), Cloud::Sandbox(None));
    let references = references(&calm);
    let took: Vec<String> =
        STAGES.iter().zip(&references).map(|(stage, it)| format!("{} {:?}", stage.name, it.took)).collect();
    println!("seed {seed}; undisturbed: {}", took.join(", "));

    let each = kills.div_ceil(FAULTS.len());
    let place =
        |worker: usize| Place::new(folder.path().join(format!("storm-{worker}")), Cloud::Sandbox(FAULTS[worker]));
    let tallies: Vec<Tally> = std::thread::scope(|scope| {
        let (references, place) = (&references, &place);
        let storm = |worker: usize| storm(&place(worker), references, each, Rng::with_seed(seed + worker as u64));
        let workers: Vec<_> = (0..FAULTS.len()).map(|worker| scope.spawn(move || storm(worker))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });

    let mut total = Tally::default();
    for tally in tallies {
        total.kills += tally.kills;
        total.second_kills += tally.second_kills;
        total.misses += tally.misses;
        for (stage, kills) in tally.by_stage {
            *total.by_stage.entry(stage).or_default() += kills;
        }
        for (rounds, times) in tally.rounds {
            *total.rounds.entry(rounds).or_default() += times;
        }
    }
    println!(
        "{} kills {:?}, {} of them of a run that was mending; {} runs were over before; 0 orphans, 0 duplicates; \
         recoveries by rounds: {:?}",
        total.kills, total.by_stage, total.second_kills, total.misses, total.rounds
    );
    assert!(total.second_kills > 0, "no recovery was killed");

    // Once more from outside, by a client of another language, where there is one.
    match Clients::find() {
        Err(trouble) => trouble.skip_or_fail(),
        Ok(clients) => {
            let place = Place::new(folder.path().join("seen"), Cloud::Sandbox(None));
            while !place.kill(STAGES[0], references[0].took / 2) {
                place.converge(STAGES[2]);
            }
            place.converge(STAGES[0]);
            calm.told(STAGES[0].run);
            let counted = counted_from_outside(&place, &clients);
            assert_eq!(counted, counted_from_outside(&calm, &clients));
            assert_eq!(counted["aws.vpc"], 2);
        }
    }
}

#[test]
fn the_same_binary_does_it_on_moto() {
    let moto = stand_in!(Moto::start());
    let clients = stand_in!(Clients::find());
    let folder = tempfile::tempdir().unwrap();
    let place = Place::new(folder.path().join("moto"), Cloud::Endpoint(moto.endpoint()));
    let counted = || -> Value {
        let told = clients.python(&moto.endpoint(), COUNT, &[]).unwrap();
        serde_json::from_str(&told.stdout().unwrap()).unwrap()
    };
    let [apply, update, destroy] = STAGES;
    assert_eq!(place.converge(apply), 1);
    let built = counted();
    assert_eq!(
        (&built["aws.vpc"], &built["aws.subnet"], &built["aws.nat_gateway"]),
        (&2.into(), &12.into(), &2.into())
    );
    assert_eq!(place.converge(update), 1);
    assert_eq!(counted()["aws.nat_gateway"], 4, "network1 has one in each zone now");
    // Deletes promise nothing that would have to be looked for, so that this costs no real minute.
    let killed = place.kill(destroy, Duration::from_millis(600));
    assert_eq!(place.converge(destroy), 1, "killed: {killed}");
    assert_eq!(counted(), serde_json::json!({}));
}
