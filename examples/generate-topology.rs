//! Prints a topology of any size, for benchmarks and load tests: `cargo run --example generate-topology -- --networks 350`.
//!
//! The same arguments always print the same text. A dual-stack network makes 17 resources, so that 590 networks are
//! some 10,000 and 5,890 some 100,000. Every topology printed is valid; beyond a handful of networks a region it
//! has warnings, because default quotas would not suffice.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;

/// Where the networks are spread when there are several regions.
const REGIONS: [&str; 8] = [
    "us-west-2",
    "us-east-1",
    "eu-central-1",
    "eu-west-1",
    "ap-northeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "sa-east-1",
];

/// How many /16 there are in 10.0.0.0/8: networks share ranges beyond, which is legal.
const RANGES: usize = 256;

/// Prints a topology of any size.
#[derive(Debug, Parser)]
#[command(about)]
pub(crate) struct Arguments {
    /// How many networks.
    #[arg(long, default_value_t = 350)]
    pub(crate) networks: usize,
    /// How many clusters live in each network; 0 for networks only.
    #[arg(long, default_value_t = 1)]
    pub(crate) clusters_per_network: usize,
    /// Over how many regions the networks are spread, 1 to 8.
    #[arg(long, default_value_t = 4, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=8))]
    pub(crate) regions: usize,
    /// How many availability zones each network has.
    #[arg(long, default_value_t = 3, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(2..=6))]
    pub(crate) azs: usize,
    /// Make every network dual-stack.
    #[arg(long)]
    pub(crate) dual_stack: bool,
    /// Make every second cluster IPv6, the clusters of one network all alike.
    #[arg(long)]
    pub(crate) ipv6: bool,
}

/// The text of a topology. The benchmarks make theirs with it too.
pub(crate) fn topology(arguments: &Arguments) -> Result<String, std::fmt::Error> {
    let mut text = String::from("# Made by examples/generate-topology.rs.\nschema = 1\n\n[mesh]\nid = \"bench\"\n");
    for n in 1..=arguments.networks {
        let region = REGIONS.get(n % arguments.regions).copied().unwrap_or("us-west-2");
        write!(text, "\n[networks.network-{n}]\ncidr = \"10.{}.0.0/16\"\nregion = \"{region}\"\n", n % RANGES)?;
        if arguments.azs != 3 {
            writeln!(text, "azs = {}", arguments.azs)?;
        }
        if arguments.dual_stack {
            text.push_str("dual_stack = true\n");
        }
    }
    if arguments.clusters_per_network > 0 {
        // EKS takes 40 ranges for a public endpoint: fewer than many networks have.
        text.push_str("\n[api_access]\npublic = \"any\"\n");
    }
    for n in 1..=arguments.networks {
        for m in 1..=arguments.clusters_per_network {
            write!(text, "\n[clusters.cluster-{n}-{m}]\nnetwork = \"network-{n}\"\n")?;
            if arguments.ipv6 && n % 2 == 0 {
                text.push_str("ip_family = \"ipv6\"\n");
            }
        }
    }
    Ok(text)
}

fn main() -> ExitCode {
    let written = topology(&Arguments::parse()).map(|text| std::io::stdout().lock().write_all(text.as_bytes()));
    // A closed pipe is the reader's choice.
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
