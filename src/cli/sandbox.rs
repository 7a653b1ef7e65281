//! `sandbox serve`, `status` and `reset`.

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::args::Listing;
use super::context::Context;
use super::interrupt::Interrupts;
use super::session::{open_sandbox, sandbox_directory};
use super::{Exit, data};
use crate::sandbox::Sandbox;
use crate::state::Store;

/// `sandbox serve`: until interrupted.
pub(super) async fn serve(context: &Context, listen: &str) -> anyhow::Result<Exit> {
    let interrupts = Interrupts::listen()?;
    let sandbox = open_sandbox(context)?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("could not listen on `{listen}`"))?;
    let address = listener.local_addr().context("could not listen")?;
    // Data: a script that asked for any free port reads it here.
    context.streams.data(&format!("http://{address}\n"))?;
    context.streams.say("any credentials and region will do, for example:");
    context.streams.say(&format!("  aws --endpoint-url http://{address} ec2 describe-vpcs"));
    context.streams.say(&format!("  AWS_ENDPOINT_URL=http://{address} meshplan plan TOPOLOGY"));
    tokio::select! {
        served = sandbox.serve(listener) => served.map(|()| Exit::Done).map_err(Into::into),
        () = interrupts.first => Ok(Exit::Done),
    }
}

/// `sandbox status`.
pub(super) fn status(context: &Context, format: Listing) -> anyhow::Result<Exit> {
    let status = open_sandbox(context)?.status();
    if format == Listing::Json || context.globals.json {
        return data(context, &(serde_json::to_string_pretty(&status)? + "\n"));
    }
    data(context, &status.to_string())
}

/// `sandbox reset`.
pub(super) fn reset(context: &Context) -> anyhow::Result<Exit> {
    let directory = sandbox_directory(context);
    Sandbox::reset(&directory).with_context(|| format!("could not empty the sandbox `{}`", directory.display()))?;
    context.streams.say("it is empty now");
    let meshes = Store::list(&context.globals.state)?;
    if !meshes.is_empty() {
        let meshes = meshes.join(", ");
        context.streams.say(&format!("note: state still knows of {meshes}: the next plan finds everything gone"));
    }
    Ok(Exit::Done)
}
