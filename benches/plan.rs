//! What a plan costs when everything is applied and nothing changed: by phase, and growing with the mesh.
//!
//! `cargo bench --bench plan` makes the states of applied meshes of several sizes, then plans them offline in a process of
//! its own and prints a table: the median of several such processes for each phase, what one needed at its
//! largest, and how long the command takes from its start to its end.
//!
//! `cargo bench --bench plan -- write DIRECTORY NETWORKS` leaves topology and state behind instead, for measuring
//! whole commands with other tools.

#![expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]
#![expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

mod support;

use std::fs::{File, create_dir_all, read_to_string};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use meshplan::apply::Budgets;
use meshplan::compile::{Declaration, compile};
use meshplan::model::{Address, Document};
use meshplan::plan::render::{Style, text};
use meshplan::sandbox::Options;
use meshplan::state::{Entry, IntendedRecord, State, Store};
use meshplan::topology::parse;

use support::{MESH, Measured, RESOURCES_PER_NETWORK, Watch, median, ms, peak_megabytes, timed};

/// Resources in a mesh, about.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];
/// Networks that are really applied: one for each region.
const SAMPLES: usize = 4;
/// How often each is planned.
const ROUNDS: usize = 5;
/// What a child prints: parse and rules, compile, load, plan, render, all of them, and its peak.
const COLUMNS: usize = 7;

fn main() -> Measured<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["measure", folder, topology] => measure(Path::new(folder), topology),
        ["write", folder, networks] => write(Path::new(folder), networks.parse()?).map(|_| ()),
        _ => table(),
    }
}

fn table() -> Measured<()> {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!("resources  changed   parse  compile    load    plan  render   all ms  us each  peak MB  command ms");
    for size in SIZES {
        let folder = scratch.path().join(size.to_string());
        let resources = write(&folder, size.div_ceil(RESOURCES_PER_NETWORK))?;
        for (topology, changed) in [("bench.toml", "no"), ("changed.toml", "yes")] {
            row(&folder, topology, changed, resources)?;
        }
    }
    Ok(())
}

fn row(folder: &Path, topology: &str, changed: &str, resources: usize) -> Measured<()> {
    let mut columns = vec![Vec::new(); COLUMNS];
    let mut commands = Vec::new();
    for _ in 0..ROUNDS {
        let child = Command::new(std::env::current_exe()?).arg("measure").arg(folder).arg(topology).output()?;
        if !child.status.success() {
            return Err(String::from_utf8_lossy(&child.stderr).into_owned().into());
        }
        let line = String::from_utf8(child.stdout)?;
        for (column, value) in columns.iter_mut().zip(line.split_whitespace()) {
            column.push(value.parse()?);
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_meshplan"));
        command.arg("plan").arg(folder.join(topology)).args(["--offline", "--sandbox", "--state"]).arg(folder);
        let (time, status) = timed(|| command.stdout(Stdio::null()).stderr(Stdio::null()).status());
        if !status?.success() {
            return Err("the command failed".into());
        }
        commands.push(ms(time));
    }
    let medians: Vec<f64> = columns.into_iter().map(median).collect();
    let [parse, compile, load, plan, render, all, peak] = medians.as_slice() else { return Ok(()) };
    let each = all * 1e3 / resources as f64;
    let command = median(commands);
    println!(
        "{resources:>9}  {changed:<7} {parse:>7.1} {compile:>8.1} {load:>7.1} {plan:>7.1} {render:>7.1} {all:>8.1} {each:>8.2} {peak:>8.1} {command:>11.1}"
    );
    Ok(())
}

/// Everything that the command does, in its order.
fn measure(folder: &Path, topology: &str) -> Measured<()> {
    let content = read_to_string(folder.join(topology))?;
    let (parse_time, parsed) = timed(|| parse(&content));
    let topology = parsed.topology.as_ref().ok_or("the topology has errors")?;
    let (compile_time, compiled) = timed(|| compile(topology));
    let (load_time, loaded) = timed(|| Store::read(folder, MESH));
    let state = loaded?.ok_or("there is no state")?.state;
    let (plan_time, planned) = timed(|| support::plan(&compiled.declarations, &state, None));
    let plan = planned.plan.ok_or("the plan has errors")?;
    let (render_time, shown) = timed(|| text(&plan, Style::plain()));
    let all = parse_time + compile_time + load_time + plan_time + render_time;
    for time in [parse_time, compile_time, load_time, plan_time, render_time, all] {
        print!("{} ", ms(time));
    }
    println!("{}", peak_megabytes());
    drop(shown);
    Ok(())
}

/// Writes a topology, the same with one network changed, and the state of the first when it is applied. Answers how
/// many resources it has.
///
/// The first networks are applied in a sandbox; the records of the others are theirs, under the others' names.
fn write(folder: &Path, networks: usize) -> Measured<usize> {
    create_dir_all(folder)?;
    let content = support::topology(networks, SAMPLES)?;
    let changed = content.replacen("[networks.network-1]\n", "[networks.network-1]\ndns64 = true\n", 1);
    for (name, content) in [("bench.toml", &content), ("changed.toml", &changed)] {
        File::create(folder.join(name))?.write_all(content.as_bytes())?;
    }
    let samples = samples(&folder.join("samples"))?;
    let declarations = support::declarations(&content)?;
    let mut store = support::open(folder)?;
    for group in declarations.chunks(1_000) {
        let entries =
            group.iter().map(|declaration| like_sample(declaration, &samples)).collect::<Measured<Vec<_>>>()?;
        store.append(&entries)?;
    }
    store.save()?;
    Ok(declarations.len())
}

/// The state of as many networks as there are regions, so that there is one of each that differs in more than names.
fn samples(folder: &Path) -> Measured<State> {
    let declarations = support::declarations(&support::topology(SAMPLES, SAMPLES)?)?;
    let sandbox = support::sandbox(Options::unhindered())?;
    let mut store = support::open(folder)?;
    support::create_all(&mut store, &sandbox, &declarations, Budgets::unlimited(), &mut Watch::every(usize::MAX))?;
    Ok(store.state().clone())
}

/// What the record of a declaration is, going by that of the sample in its region.
fn like_sample(declaration: &Declaration, samples: &State) -> Measured<Entry> {
    let name = declaration.address.parts().next().ok_or("an address without a network")?;
    let number: usize = name.strip_prefix("network-").ok_or("a network of another name")?.parse()?;
    let (own, sampled) = (format!("/{name}"), format!("/network-{}", (number - 1) % SAMPLES + 1));
    let renamed = |document: &Document| -> Measured<Document> {
        Ok(serde_json::from_str(&document.as_str().replace(&sampled, &own))?)
    };
    let sample: Address = declaration.address.as_str().replacen(&own, &sampled, 1).parse()?;
    let sample = samples.records.get(&sample).ok_or_else(|| format!("{sample} was not applied"))?;
    Ok(Entry::Adopted {
        address: declaration.address.clone(),
        id: sample.id.clone(),
        record: IntendedRecord {
            schema_version: sample.schema_version,
            target: sample.target.clone(),
            spec: renamed(&sample.spec)?,
            declared: declaration.digest(),
            depends_on: declaration.requirements(),
            protected: sample.protected,
            deposes: false,
        },
        outputs: renamed(&sample.outputs)?,
    })
}
