//! What can be typed: the commands and their options, as clap derives them. Nothing here does anything.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use crate::model::Address;
use crate::plan::render::GraphFormat;

/// Plans, applies and destroys an Istio mesh that spans several networks and several EKS clusters.
#[derive(Debug, Parser)]
#[command(name = "meshplan", version, disable_help_subcommand = true, arg_required_else_help = true)]
pub struct Cli {
    /// What holds for every command.
    #[command(flatten)]
    pub globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own on the command line")]
pub struct Globals {
    /// Keep state, pending plans and the sandbox in this directory
    #[arg(long, global = true, value_name = "DIR", default_value = "state")]
    pub state: PathBuf,
    /// Use the built-in simulated cloud instead of AWS
    #[arg(long, global = true)]
    pub sandbox: bool,
    /// Simulated seconds in a real one, or `unlimited`
    #[arg(long, global = true, value_name = "TIMES", requires = "sandbox")]
    pub sandbox_speed: Option<String>,
    /// Make calls to the sandbox fail: a file of rules, or `seed=N,rate=P`
    #[arg(long, global = true, value_name = "FILE|seed=N,rate=P", requires = "sandbox")]
    pub sandbox_faults: Option<String>,
    /// Open sealed keys with this age identity or ssh private key, besides one's own (as does `MESHPLAN_IDENTITY`)
    #[arg(long, global = true, value_name = "FILE", env = "MESHPLAN_IDENTITY", hide_env = true)]
    pub identity: Vec<PathBuf>,
    /// Write no colours (as does `NO_COLOR`)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Draw no live view; write a line per finished step instead
    #[arg(long, global = true)]
    pub no_progress: bool,
    /// Write the events of a run as JSON lines on standard output
    #[arg(long, global = true)]
    pub json: bool,
    /// Log what happens inside on standard error; twice for more (as does `MESHPLAN_LOG`)
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Check a topology without looking at state or cloud
    Validate {
        /// The topology; `meshplan.toml` if not given
        topology: Option<PathBuf>,
    },
    /// Show what an apply would do, and keep it as the pending plan
    Plan(PlanArgs),
    /// Show a saved plan
    Show {
        /// The saved plan
        plan: PathBuf,
        /// How to write it
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// Draw what needs what
    Graph {
        /// The topology; `meshplan.toml` if not given
        topology: Option<PathBuf>,
        /// How to write it
        #[arg(long, value_enum, default_value_t = Drawing::Dot)]
        format: Drawing,
    },
    /// Carry out a plan: of a topology, a saved one, or the pending one
    Apply {
        /// A topology or a saved plan; the pending plan if not given
        #[arg(value_name = "TOPOLOGY|PLAN")]
        source: Option<PathBuf>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Delete clusters along with load balancers of Services that are not meshplan's
        #[arg(long)]
        force: bool,
        /// Take over declared fields of Kubernetes objects that somebody else manages
        #[arg(long)]
        force_conflicts: bool,
        /// Do not verify the mesh at the end
        #[arg(long)]
        no_verify: bool,
        /// What a topology's plan may do
        #[command(flatten)]
        scope: ScopeArgs,
    },
    /// Remove everything that state knows of a mesh
    Destroy {
        /// The mesh's id or topology; the only state if not given
        #[arg(value_name = "MESH|TOPOLOGY")]
        mesh: Option<String>,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        /// Delete clusters along with load balancers of Services that are not meshplan's
        #[arg(long)]
        force: bool,
    },
    /// Say why an address changes, what it waits for, and what waits for it
    Explain {
        /// For example `aws.vpc/network1`
        address: Address,
        /// The topology; `meshplan.toml` if not given
        topology: Option<PathBuf>,
        /// Do not look at the cloud
        #[arg(long)]
        offline: bool,
    },
    /// Show where the cloud no longer is what was applied
    Drift {
        /// The mesh's id or topology; the only state if not given
        #[arg(value_name = "MESH|TOPOLOGY")]
        mesh: Option<String>,
        /// Exit with 2 when there is drift
        #[arg(long)]
        detailed_exitcode: bool,
    },
    /// Check that the mesh really works: control planes, gateways, trust, and requests between all clusters
    Verify {
        /// The mesh's id or topology; the only state if not given
        #[arg(value_name = "MESH|TOPOLOGY")]
        mesh: Option<String>,
        /// How to write the report
        #[arg(long, value_enum, default_value_t = Listing::Text)]
        format: Listing,
        /// Verify again every so many seconds, until interrupted
        #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "30", conflicts_with = "timeout")]
        watch: Option<u64>,
        /// Look again for this many seconds while what is wrong may pass by itself
        #[arg(long, value_name = "SECONDS")]
        timeout: Option<u64>,
    },
    /// Show what the resources yield: ids, addresses, ranges
    Outputs {
        /// The mesh's id or topology; the only state if not given
        #[arg(value_name = "MESH|TOPOLOGY")]
        mesh: Option<String>,
        /// How to write them
        #[arg(long, value_enum, default_value_t = Listing::Text)]
        format: Listing,
    },
    /// Write a kubeconfig with a context for each cluster
    Kubeconfig {
        /// The mesh's id or topology; the only state if not given
        #[arg(value_name = "MESH|TOPOLOGY")]
        mesh: Option<String>,
        /// This cluster only, by its name in the topology
        #[arg(long, value_name = "NAME")]
        cluster: Option<String>,
        /// Merge into this file instead of writing to standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Write a token for an EKS cluster, as kubeconfigs ask for it
    EksToken {
        /// The cluster's name in EKS
        #[arg(long, value_name = "NAME")]
        cluster: String,
        /// Its region; that of the environment if not given
        #[arg(long, value_name = "REGION")]
        region: Option<String>,
    },
    /// Look at and mend what meshplan remembers
    State(StateArgs),
    /// Serve, look at or empty the built-in simulated cloud
    Sandbox {
        /// What to do with it
        #[command(subcommand)]
        command: SandboxCommand,
    },
    /// Write the JSON Schema of a topology
    Schema,
    /// Write a shell's completions
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write the manual page
    #[command(hide = true)]
    Man,
}

/// `plan`.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// The topology; `meshplan.toml` if not given
    pub topology: Option<PathBuf>,
    /// Save the plan in this file too
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// How to write it
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// Exit with 2 when there are changes
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Do not look at the cloud; such a plan cannot be applied
    #[arg(long)]
    pub offline: bool,
    /// Plan to remove everything
    #[arg(long)]
    pub destroy: bool,
    /// What the plan may do
    #[command(flatten)]
    pub scope: ScopeArgs,
}

/// What a plan may do.
#[derive(Debug, Clone, Default, Args)]
pub struct ScopeArgs {
    /// Plan this address only, and what it needs
    #[arg(long, value_name = "ADDRESS")]
    pub only: Vec<Address>,
    /// Allow this protected address to be deleted or replaced
    #[arg(long, value_name = "ADDRESS")]
    pub allow_replace: Vec<Address>,
    /// Replace this address though nothing forces it
    #[arg(long, value_name = "ADDRESS")]
    pub replace: Vec<Address>,
}

/// `state`.
#[derive(Debug, Args)]
pub struct StateArgs {
    /// The mesh's id or topology; the only state if not given
    #[arg(long, global = true, value_name = "MESH|TOPOLOGY")]
    pub mesh: Option<String>,
    /// What to do with it
    #[command(subcommand)]
    pub command: StateCommand,
}

/// What to do with state.
#[derive(Debug, Subcommand)]
pub enum StateCommand {
    /// List what is owned
    List {
        /// How to write it
        #[arg(long, value_enum, default_value_t = Listing::Text)]
        format: Listing,
    },
    /// Show one record as JSON
    Show {
        /// For example `aws.vpc/network1`
        address: Address,
    },
    /// Drop a record and leave its object where it is
    Forget {
        /// For example `aws.vpc/network1`
        address: Address,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Take an existing object into state
    Adopt {
        /// For example `aws.vpc/network1`; it must be declared
        address: Address,
        /// The provider's id, for example `vpc-0a1b2c3d`
        id: String,
        /// The topology; `meshplan.toml` if not given
        topology: Option<PathBuf>,
    },
    /// List the states kept from before
    History,
    /// Make a state from before the present one
    Restore {
        /// Its serial, as `state history` lists it
        serial: u64,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

/// Where the sandbox is served when nothing else is said.
pub(super) const DEFAULT_LISTEN: &str = "127.0.0.1:4566";

/// What to do with the sandbox.
#[derive(Debug, Subcommand)]
pub enum SandboxCommand {
    /// Serve it on loopback for any AWS client, and its clusters for kubectl, until interrupted
    Serve {
        /// Where to listen; port 0 for any free one
        #[arg(long, value_name = "ADDRESS:PORT", default_value = DEFAULT_LISTEN)]
        listen: String,
    },
    /// Count what exists in it
    Status {
        /// How to write it
        #[arg(long, value_enum, default_value_t = Listing::Text)]
        format: Listing,
    },
    /// Empty it
    Reset,
}

/// How a plan is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For a terminal
    Text,
    /// For scripts
    Json,
    /// For a pull request
    Markdown,
}

/// How a list is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Listing {
    /// For people
    Text,
    /// For scripts
    Json,
}

/// How a graph is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Drawing {
    /// For Graphviz
    Dot,
    /// For markdown that draws Mermaid
    Mermaid,
    /// For scripts
    Json,
}

impl From<Drawing> for GraphFormat {
    fn from(drawing: Drawing) -> Self {
        match drawing {
            Drawing::Dot => Self::Dot,
            Drawing::Mermaid => Self::Mermaid,
            Drawing::Json => Self::Json,
        }
    }
}
