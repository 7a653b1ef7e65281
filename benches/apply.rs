//! What an apply costs besides waiting: resources a second in a sandbox without latency, with every effect in the
//! journal; and how long runs take in simulated time against what no schedule can beat.
//!
//! `cargo bench --bench apply`. It writes to the target directory, so that the disk measured is a real one.

#![expect(clippy::print_stdout, reason = "the table is what a benchmark is for")]
#![expect(clippy::cast_precision_loss, reason = "counts and sizes are far below 2^52")]

mod support;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::pin::Pin;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use meshplan::apply::Budgets;
use meshplan::model::Clock;
use meshplan::resource::Cloud;
use meshplan::sandbox::{Options, Quotas, Speed};

use support::{Measured, RESOURCES_PER_NETWORK, Watch, ms, peak_megabytes, resident_megabytes, timed};

/// Resources in a mesh, about.
const SIZES: [usize; 3] = [1_000, 10_000, 40_000];
/// Networks in a mesh of one region: alone, a large mesh, and more than the request limits let through at once.
const NETWORKS: [usize; 3] = [1, 16, 150];

fn main() -> Measured<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["speed", size] => return speed(size.parse()?),
        ["load", folder] => return load(Path::new(folder)),
        ["alone", size] => return alone(size.parse()?),
        ["cloud"] => return cloud(),
        ["makespan", networks] => return makespan(networks.parse()?),
        _ => {}
    }
    println!(
        "no latency, no limits; memory before and after planning, and when a quarter, half, three quarters and all of"
    );
    println!("the steps are done; what the state alone takes in a process that only loads it");
    println!(
        "resources  seconds  resources/s  journal MB  save ms  MB before   plan    1/4    1/2    3/4    all   peak  state"
    );
    for size in SIZES {
        child(&["speed", &size.to_string()])?;
    }
    println!("\nthe same with the cloud in another process, over loopback: what the run alone takes");
    println!("resources  seconds  MB before   plan    1/4    1/2    3/4    all   peak");
    for size in SIZES {
        child(&["alone", &size.to_string()])?;
    }
    println!("\nrealistic, request limits on; seconds of simulated time");
    println!("networks  resources  makespan  critical path   limits   ratio  real seconds");
    for networks in NETWORKS {
        child(&["makespan", &networks.to_string()])?;
    }
    Ok(())
}

/// Runs this in a process of its own, so that what it needed at its largest is that of one run.
fn child(arguments: &[&str]) -> Measured<()> {
    let child = Command::new(std::env::current_exe()?).args(arguments).output()?;
    if !child.status.success() {
        return Err(String::from_utf8_lossy(&child.stderr).into_owned().into());
    }
    print!("{}", String::from_utf8(child.stdout)?);
    Ok(())
}

fn speed(size: usize) -> Measured<()> {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let declarations = support::declarations(&support::topology(size.div_ceil(RESOURCES_PER_NETWORK), 4)?)?;
    let sandbox = support::sandbox(Options::unhindered())?;
    let mut store = support::open(scratch.path())?;
    let before = resident_megabytes();
    let mut watch = Watch::every(declarations.len() / 4);
    let (time, outcome) = support::create_all(&mut store, &sandbox, &declarations, Budgets::unlimited(), &mut watch)?;
    let journal = store.journal_bytes() as f64 / 1e6;
    let (save, saved) = timed(|| store.save());
    saved?;
    drop(store);
    let (created, seconds, save) = (outcome.counts.created, time.as_secs_f64(), ms(save));
    print!(
        "{created:>9} {seconds:>8.2} {:>12.0} {journal:>11.1} {save:>8.1} {before:>10.1} {:>6.1}",
        created as f64 / seconds,
        watch.planned
    );
    watch.megabytes.iter().take(4).for_each(|megabytes| print!(" {megabytes:>6.1}"));
    print!(" {:>6.1}", peak_megabytes());
    std::io::Write::flush(&mut std::io::stdout())?;
    child(&["load", &scratch.path().to_string_lossy()])
}

/// The simulated cloud is most of what a process of both grows by; here it is somebody else's memory.
fn alone(size: usize) -> Measured<()> {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let mut server =
        Command::new(std::env::current_exe()?).arg("cloud").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let mut address = String::new();
    BufReader::new(server.stdout.take().ok_or("the cloud has no output")?).read_line(&mut address)?;
    let config = aws_config::SdkConfig::builder()
        .behavior_version(aws_config::BehaviorVersion::latest())
        .region(aws_config::Region::from_static("us-east-1"))
        .endpoint_url(address.trim())
        .credentials_provider(SharedCredentialsProvider::new(
            Credentials::builder().access_key_id("AKID").secret_access_key("none").provider_name("none").build(),
        ))
        .retry_config(aws_config::retry::RetryConfig::disabled())
        .build();
    let declarations = support::declarations(&support::topology(size.div_ceil(RESOURCES_PER_NETWORK), 4)?)?;
    let mut store = support::open(scratch.path())?;
    let before = resident_megabytes();
    let mut watch = Watch::every(declarations.len() / 4);
    let cloud = Cloud::new(config);
    let outcome = support::create(
        &mut store,
        &cloud,
        Arc::new(Wall),
        &declarations,
        Budgets::unlimited(),
        &mut watch,
        meshplan::apply::apply,
    );
    drop(server.stdin.take());
    server.wait()?;
    let (time, outcome) = outcome?;
    print!("{:>9} {:>8.2} {before:>10.1} {:>6.1}", outcome.counts.created, time.as_secs_f64(), watch.planned);
    watch.megabytes.iter().take(4).for_each(|megabytes| print!(" {megabytes:>6.1}"));
    println!(" {:>6.1}", peak_megabytes());
    Ok(())
}

/// Serves a cloud without latency until its input ends, and says first where.
fn cloud() -> Measured<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("http://{}", listener.local_addr()?);
        let sandbox = support::sandbox(Options::unhindered())?;
        let (ended, end) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
            let _ = ended.send(());
        });
        tokio::select! {
            served = sandbox.serve(listener) => Ok(served?),
            _ = end => Ok(()),
        }
    })
}

/// Real time.
struct Wall;

impl Clock for Wall {
    #[expect(clippy::disallowed_methods, reason = "the cloud is another process, which has real time")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// What a process grows by when it loads a saved state.
fn load(folder: &Path) -> Measured<()> {
    let before = resident_megabytes();
    let store = support::open(folder)?;
    println!(" {:>6.1}", resident_megabytes() - before);
    drop(store);
    Ok(())
}

fn makespan(networks: usize) -> Measured<()> {
    let scratch = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
    let declarations = support::declarations(&support::topology(networks, 1)?)?;
    let realistic = Options { speed: Speed::Unlimited, quotas: Quotas::unlimited(), ..Options::default() };
    let sandbox = support::sandbox(realistic)?;
    let mut store = support::open(scratch.path())?;
    let mut watch = Watch::every(usize::MAX);
    let (time, outcome) = support::create_all(&mut store, &sandbox, &declarations, Budgets::default(), &mut watch)?;
    let (makespan, critical, limits) = (outcome.seconds, outcome.critical_seconds, outcome.limit_seconds);
    println!(
        "{networks:>8} {:>10} {makespan:>9.1} {critical:>14.1} {limits:>8.1} {:>7.3} {:>13.2}",
        outcome.counts.created,
        makespan / critical.max(limits),
        time.as_secs_f64()
    );
    Ok(())
}
