//! What a run pays for its state: the time from an effect to its durable record, and the time to load and to save.
//!
//! `cargo bench --bench journal`. It writes to the target directory, so that the disk measured is a real one, and prints
//! a table: times of single appends (one write and one fsync each) for groups of several sizes, then saves and
//! loads of large states with what the process needed at its largest.

#![expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]
#![expect(clippy::cast_precision_loss, reason = "counts and sizes are far below 2^52")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use meshplan::model::{Address, Document, Target};
use meshplan::resource::RemoteId;
use meshplan::state::{Entry, IntendedRecord, Opening, Store};

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// Appends measured for each size of a group.
const APPENDS: usize = 500;
/// Entries in a group: alone, what a few steps finish at once, and a burst.
const GROUPS: [usize; 3] = [1, 8, 64];
/// Records in a large state.
const SIZES: [usize; 2] = [10_000, 100_000];

fn main() -> Outcome<()> {
    if let [_, command, directory] = std::env::args().collect::<Vec<_>>().as_slice()
        && command == "load"
    {
        return load(Path::new(directory));
    }
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    println!("append, with fsync     p50 ms   p99 ms   entries/s");
    for group in GROUPS {
        appends(&scratch.path().join(format!("group-{group}")), group)?;
    }
    println!("\nrecords      file MB   save ms   journal load ms   load ms   peak MB");
    for size in SIZES {
        whole(&scratch.path().join(format!("size-{size}")), size)?;
    }
    Ok(())
}

fn appends(directory: &Path, group: usize) -> Outcome<()> {
    let mut store = open(directory)?;
    let mut times = Vec::with_capacity(APPENDS);
    for round in 0..APPENDS {
        let entries = (0..group).map(|n| adopted(round * group + n)).collect::<Outcome<Vec<_>>>()?;
        let (time, result) = timed(|| store.append(&entries));
        result?;
        times.push(time);
    }
    times.sort_unstable();
    let total: Duration = times.iter().sum();
    let rate = (APPENDS * group) as f64 / total.as_secs_f64();
    let (p50, p99) = (ms(times[APPENDS / 2]), ms(times[APPENDS * 99 / 100]));
    println!("groups of {group:<10} {p50:>8.3} {p99:>8.3} {rate:>11.0}");
    Ok(())
}

fn whole(directory: &Path, size: usize) -> Outcome<()> {
    let mut store = open(directory)?;
    for start in (0..size).step_by(1_000) {
        let entries = (start..start + 1_000).map(adopted).collect::<Outcome<Vec<_>>>()?;
        store.append(&entries)?;
    }
    drop(store);
    let (from_journal, loaded) = timed(|| Store::read(directory, "bench"));
    drop(loaded?);
    let mut store = open(directory)?;
    let (save, saved) = timed(|| store.save());
    saved?;
    drop(store);
    let megabytes = std::fs::metadata(directory.join("bench.json"))?.len() as f64 / 1e6;
    // A process of its own, so that what it needed at its largest is that of a load and of nothing before.
    let child = Command::new(std::env::current_exe()?).arg("load").arg(directory).output()?;
    let loaded = String::from_utf8(child.stdout)?;
    let (save, from_journal) = (ms(save), ms(from_journal));
    println!("{size:<9} {megabytes:>10.1} {save:>9.1} {from_journal:>17.1} {}", loaded.trim_end());
    Ok(())
}

fn load(directory: &Path) -> Outcome<()> {
    let before = peak_megabytes();
    let (time, loaded) = timed(|| Store::read(directory, "bench"));
    let loaded = loaded?;
    println!("{:>9.1} {:>9.1}", ms(time), peak_megabytes() - before);
    drop(loaded);
    Ok(())
}

fn open(directory: &Path) -> Outcome<Store> {
    Ok(Store::open(directory, "bench", Opening::new("bench", Timestamp::UNIX_EPOCH))?)
}

/// A resource as a mesh has most: a subnet, its record about 700 bytes.
fn adopted(n: usize) -> Outcome<Entry> {
    let (network, part) = (n / 64, n % 64);
    let spec = Document::of(&serde_json::json!({
        "vpc_id": format!("vpc-{network:017x}"),
        "availability_zone": "us-west-2a",
        "cidr": format!("10.{}.{part}.0/24", network % 256),
        "ipv6_cidr": format!("2600:1f13:{:x}:{:x}::/64", network % 65_536, part),
        "map_public_ip_on_launch": false,
        "assign_ipv6_address_on_creation": true,
        "tags": {
            "Name": format!("network{network}-private-{part}"),
            "kubernetes.io/role/internal-elb": "1",
            "meshplan:mesh": "bench",
            "meshplan:address": format!("aws.subnet/network{network}/private-{part}"),
            "team": "platform",
        },
    }))?;
    let record = IntendedRecord {
        schema_version: 1,
        target: Target::aws("us-west-2"),
        declared: spec.digest(),
        spec,
        depends_on: vec![Address::new("aws.vpc", &[&format!("network{network}")])],
        protected: false,
        deposes: false,
    };
    Ok(Entry::Adopted {
        address: Address::new("aws.subnet", &[&format!("network{network}"), &format!("private-{part}")]),
        id: RemoteId::new(format!("subnet-{n:017x}")),
        record,
        outputs: Document::of(&serde_json::json!({ "subnet_id": format!("subnet-{n:017x}") }))?,
    })
}

#[expect(clippy::disallowed_methods, clippy::disallowed_types, reason = "a benchmark measures real time")]
fn timed<T>(run: impl FnOnce() -> T) -> (Duration, T) {
    let start = std::time::Instant::now();
    let result = run();
    (start.elapsed(), result)
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// The largest resident size that the process had, or zero where the system does not say.
fn peak_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes: f64 = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).unwrap_or_default();
    kilobytes * 1024.0 / 1e6
}
