//! `verify`, and what `apply` ends with: does the mesh really work?
//!
//! What was built is read from state, so that it can be verified after its topology is gone; of a topology only what state
//! does not know is taken: how many requests are sent.

mod mesh;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::Exit;
use super::args::Listing;
use super::context::{Context, Source};
use super::interrupt::Interrupts;
use super::plan::region_of_state;
use super::session::Session;
use crate::plan::render::{Style, Tone, duration};
use crate::state::{Caller, RecordStatus, State};
use crate::verify::watch::{LIMIT, until_settled};
use crate::verify::{Mesh, Report, check, gather::gather, json, text};

/// How `verify` was asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked<'a> {
    /// The mesh's id or topology; the only state if not given.
    pub(super) mesh: Option<&'a str>,
    /// How the report is written.
    pub(super) format: Listing,
    /// Verify again every so many seconds.
    pub(super) watch: Option<u64>,
    /// How long to wait until everything holds; none to look once.
    pub(super) timeout: Option<Duration>,
}

/// `verify`.
pub(super) async fn verify(context: &Context, asked: Asked<'_>) -> anyhow::Result<Exit> {
    let source = match asked.mesh {
        Some(mesh) if Path::new(mesh).is_file() => Some(context.topology(Some(Path::new(mesh)))?),
        Some(_) | None => None,
    };
    let id = match &source {
        Some(source) => source.mesh.clone(),
        None => context.mesh(asked.mesh)?,
    };
    let state = context.existing_state(&id)?;
    state.check(&Caller { sandbox: Some(context.globals.sandbox), ..Caller::default() })?;
    let region = region_of_state(&state);
    let session = Session::open(context, region.as_deref(), &state.lineage).await?;
    session.check(&state, region.as_deref()).await?;
    let mesh = mesh::of(&state, source.as_ref().and_then(requests));
    if mesh.clusters.is_empty() {
        bail!("state knows no cluster of mesh {id} with a control plane: `meshplan apply` makes them");
    }
    offer(&session, &state);
    let looking = async {
        match asked.watch {
            Some(seconds) => watch(context, &session, &mesh, asked, Duration::from_secs(seconds.max(1))).await,
            None => once(context, &session, &mesh, asked).await,
        }
    };
    let Interrupts { first, .. } = Interrupts::listen()?;
    tokio::select! {
        biased;
        () = first => Ok(Exit::Interrupted),
        exit = session.drive(looking) => exit,
    }
}

/// Verifies what an apply has made, and waits for it to work. `requests` is how many the topology wants to be sent.
pub(super) async fn after_apply(
    context: &Context,
    session: &Session,
    state: &State,
    requests: Option<u32>,
) -> anyhow::Result<Exit> {
    let mesh = mesh::of(state, requests);
    if mesh.clusters.is_empty() {
        return Ok(Exit::Done);
    }
    offer(session, state);
    let streams = context.streams;
    streams.say(&format!("verifying the mesh, for at most {}", duration(LIMIT.as_secs_f64())));
    let looking = until_settled(&mesh, &session.cloud, &*session.clock, LIMIT, |report| say(context, report));
    let Interrupts { first, .. } = Interrupts::listen()?;
    let report = tokio::select! {
        biased;
        () = first => None,
        report = session.drive(looking) => Some(report),
    };
    let Some(report) = report else {
        streams.say("interrupted: the mesh was applied, and not verified: `meshplan verify` does");
        return Ok(Exit::Interrupted);
    };
    if context.globals.json {
        streams.say_text(&written(&report, streams.err_style()));
    } else {
        streams.data(&written(&report, streams.out_style()))?;
    }
    Ok(if report.holds() { Exit::Done } else { Exit::Failed })
}

async fn once(context: &Context, session: &Session, mesh: &Mesh, asked: Asked<'_>) -> anyhow::Result<Exit> {
    let clock = &*session.clock;
    let report = match asked.timeout {
        Some(limit) => until_settled(mesh, &session.cloud, clock, limit, |report| say(context, report)).await,
        None => check(mesh, &gather(mesh, &session.cloud, clock).await),
    };
    print(context, &report, asked.format)?;
    Ok(if report.holds() { Exit::Done } else { Exit::Failed })
}

/// Verifies again and again, until somebody stops it.
async fn watch(
    context: &Context,
    session: &Session,
    mesh: &Mesh,
    asked: Asked<'_>,
    every: Duration,
) -> anyhow::Result<Exit> {
    loop {
        let report = check(mesh, &gather(mesh, &session.cloud, &*session.clock).await);
        print(context, &report, asked.format)?;
        session.clock.sleep(every).await;
    }
}

fn print(context: &Context, report: &Report, format: Listing) -> anyhow::Result<()> {
    let text = if format == Listing::Json || context.globals.json {
        serde_json::to_string(&json::render(report)).context("could not write the report")? + "\n"
    } else {
        written(report, context.streams.out_style())
    };
    context.streams.data(&text)?;
    Ok(())
}

fn written(report: &Report, style: Style) -> String {
    text::render(report, |tone, text| {
        style.paint(
            match tone {
                text::Tone::Good => Tone::Add,
                text::Tone::Bad => Tone::Remove,
                text::Tone::Faint => Tone::Dim,
            },
            text,
        )
    })
}

/// What is waited for, in a line.
fn say(context: &Context, report: &Report) {
    let line = format!("waiting: {}", text::waiting_for(report));
    context.streams.say(&context.streams.err_style().paint(Tone::Dim, &line));
}

/// How many requests a topology wants to be sent.
pub(super) fn requests(source: &Source) -> Option<u32> {
    Some(source.parsed.topology.as_ref()?.sample.as_ref()?.requests)
}

/// Tells the cloud how the clusters of a state are reached.
fn offer(session: &Session, state: &State) {
    for (address, record) in &state.records {
        if record.status != RecordStatus::Ready {
            continue;
        }
        let Some(kind) = session.registry.kind(address.kind()) else { continue };
        let access = kind.cluster_access(&record.target, &record.spec, &record.outputs);
        if let Some(access) = access
            && session.cloud.cluster(address).is_none()
        {
            session.cloud.offer_cluster(address.clone(), access);
        }
    }
}
