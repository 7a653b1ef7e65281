//! The command line: what is typed becomes calls of the library, and their answers become text and exit codes.
//!
//! Entry point: [`main`]. This is the only module that reads the environment, the wall's clock and the files that the
//! user names, and the only one that ends the process. It decides nothing about a mesh.

mod apply;
pub mod args;
mod audit;
mod clock;
mod context;
mod drift;
mod eks_token;
mod foreign;
mod helm;
mod identity;
mod interrupt;
mod kubeconfig;
mod look;
mod plan;
mod report;
mod sandbox;
pub mod sandboxed;
mod session;
mod state;
mod verify;

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use self::args::{Cli, Command, Globals, SandboxCommand};
use self::context::{Context, Reported};
use crate::ui::{Streams, Wishes};
use crate::vault::identity_path;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// Done, or nothing to do.
    Done,
    /// Refused or failed.
    Failed,
    /// Changes are present; only where it was asked for.
    Changes,
    /// The operator asked to stop.
    Interrupted,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Changes => 2,
            // 128 + SIGINT, as shells say it.
            Exit::Interrupted => 130,
        })
    }
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let environment = Environment::read();
    let cli = match Cli::try_parse_from(&environment.arguments) {
        Ok(cli) => cli,
        // Help and version are data; a usage error exits with 1, because 2 means that changes are present.
        Err(error) => {
            let printed = error.print();
            return if error.use_stderr() || printed.is_err_and(|error| !is_broken_pipe(&error)) {
                Exit::Failed.into()
            } else {
                Exit::Done.into()
            };
        }
    };
    let streams =
        Streams::new(Wishes { no_color: environment.no_color || cli.globals.no_color, columns: environment.columns });
    trace(&cli.globals, environment.log.as_deref());
    match run(cli, streams, &environment) {
        Ok(exit) => exit.into(),
        Err(error) => failed(&streams, &error).into(),
    }
}

/// What a process is told besides its arguments.
struct Environment {
    arguments: Vec<OsString>,
    no_color: bool,
    columns: Option<usize>,
    log: Option<String>,
    /// Where the operator's own identity is kept.
    identity: Option<PathBuf>,
    /// Where programs are looked for.
    path: Vec<PathBuf>,
}

impl Environment {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the environment")]
    fn read() -> Self {
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        Self {
            arguments: std::env::args_os().collect(),
            no_color: set("NO_COLOR") || std::env::var_os("TERM").is_some_and(|term| term == "dumb"),
            columns: std::env::var("COLUMNS")
                .ok()
                .and_then(|columns| columns.parse().ok())
                .filter(|columns| *columns > 0),
            log: std::env::var("MESHPLAN_LOG").ok().filter(|log| !log.is_empty()),
            identity: identity_path(
                std::env::var_os("XDG_CONFIG_HOME").as_ref().map(Path::new),
                std::env::var_os("HOME").as_ref().map(Path::new),
            ),
            path: std::env::var_os("PATH").map_or_else(Vec::new, |path| std::env::split_paths(&path).collect()),
        }
    }
}

fn run(cli: Cli, streams: Streams, environment: &Environment) -> anyhow::Result<Exit> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("could not start")?;
    let context = Context::new(cli.globals, streams, &environment.arguments, environment.identity.clone());
    let context = context.searching(environment.path.clone());
    let exit = runtime.block_on(dispatch(&context, cli.command));
    // A connection that does not close must not keep the prompt.
    runtime.shutdown_background();
    exit
}

async fn dispatch(context: &Context, command: Command) -> anyhow::Result<Exit> {
    tracing::info!(?command);
    // A credential plugin is called by other programs, for every token: they know where they are.
    let is_plugin = matches!(command, Command::EksToken { .. });
    if !is_plugin && (context.globals.sandbox || matches!(command, Command::Sandbox { .. })) {
        // The first line, so that nobody takes what follows for AWS.
        let directory = session::sandbox_directory(context);
        context.streams.say(&format!("sandbox: a simulated cloud in `{}`, not AWS", directory.display()));
    }
    match command {
        Command::Validate { topology } => look::validate(context, topology.as_deref()),
        Command::Plan(args) => plan::plan(context, args).await,
        Command::Show { plan, format } => plan::show(context, &plan, format),
        Command::Graph { topology, format } => look::graph(context, topology.as_deref(), format),
        Command::Apply { source, yes, force, force_conflicts, no_verify, scope } => {
            let consent = apply::Consent { yes, force, force_conflicts, no_verify };
            Box::pin(apply::apply(context, source.as_deref(), consent, &scope)).await
        }
        Command::Destroy { mesh, yes, force } => {
            let consent = apply::Consent { yes, force, force_conflicts: false, no_verify: true };
            Box::pin(apply::destroy(context, mesh.as_deref(), consent)).await
        }
        Command::Explain { address, topology, offline } => {
            look::explain(context, &address, topology.as_deref(), offline).await
        }
        Command::Drift { mesh, detailed_exitcode } => drift::drift(context, mesh.as_deref(), detailed_exitcode).await,
        Command::Verify { mesh, format, watch, timeout } => {
            let timeout = timeout.map(std::time::Duration::from_secs);
            let asked = verify::Asked { mesh: mesh.as_deref(), format, watch, timeout };
            Box::pin(verify::verify(context, asked)).await
        }
        Command::Outputs { mesh, format } => look::outputs(context, mesh.as_deref(), format),
        Command::Kubeconfig { mesh, cluster, out } => {
            kubeconfig::kubeconfig(context, mesh.as_deref(), cluster.as_deref(), out.as_deref())
        }
        Command::EksToken { cluster, region } => eks_token::eks_token(context, &cluster, region.as_deref()).await,
        Command::State(args) => state::state(context, args).await,
        Command::Sandbox { command: SandboxCommand::Serve { listen } } => sandbox::serve(context, &listen).await,
        Command::Sandbox { command: SandboxCommand::Status { format } } => sandbox::status(context, format),
        Command::Sandbox { command: SandboxCommand::Reset } => sandbox::reset(context),
        Command::Schema => {
            let schema = serde_json::to_string_pretty(&crate::topology::json_schema())?;
            data(context, &(schema + "\n"))
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "meshplan", &mut script);
            data(context, &String::from_utf8(script)?)
        }
        Command::Man => {
            let mut page = Vec::new();
            clap_mangen::Man::new(Cli::command()).render(&mut page)?;
            data(context, &String::from_utf8(page)?)
        }
    }
}

/// Writes data and is done.
fn data(context: &Context, text: &str) -> anyhow::Result<Exit> {
    context.streams.data(text)?;
    Ok(Exit::Done)
}

/// Prints an error and its causes, once, at the top.
fn failed(streams: &Streams, error: &anyhow::Error) -> Exit {
    if error.chain().any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_broken_pipe)) {
        // Whoever read has enough.
        return Exit::Done;
    }
    if error.is::<Reported>() {
        return Exit::Failed;
    }
    let style = streams.err_style();
    let label = style.paint(crate::plan::render::Tone::Remove, "error:");
    let mut causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    // An error that wraps another one transparently prints the same text.
    causes.dedup();
    let mut causes = causes.iter();
    streams.say(&format!("{label} {}", causes.next().map_or("", String::as_str)));
    for cause in causes {
        streams.say(&format!("  caused by: {cause}"));
    }
    Exit::Failed
}

fn is_broken_pipe(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

/// Turns the log on where it was asked for. It is for us; nothing reads it back.
fn trace(globals: &Globals, log: Option<&str>) {
    let filter = match (log, globals.verbose) {
        (Some(log), _) => log.to_owned(),
        (None, 0) => return,
        (None, 1) => "meshplan=info".to_owned(),
        (None, 2) => "meshplan=debug".to_owned(),
        (None, _) => "meshplan=trace,aws_smithy_runtime=debug".to_owned(),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(io::stderr)
        .with_ansi(false)
        .finish();
    // It can only be set once, and this is the one place that sets it.
    let _ = tracing::subscriber::set_global_default(subscriber);
}
