//! `sandbox serve`, `status` and `reset`.

use std::net::SocketAddr;

use anyhow::Context as _;
use tokio::net::TcpListener;

use super::args::{DEFAULT_LISTEN, Listing};
use super::context::Context;
use super::interrupt::Interrupts;
use super::session::{open_sandbox, sandbox_directory};
use super::{Exit, data};
use crate::sandbox::Sandbox;
use crate::state::{Store, store};

/// `sandbox serve`: until interrupted.
pub(super) async fn serve(context: &Context, listen: &str) -> anyhow::Result<Exit> {
    let interrupts = Interrupts::listen()?;
    let sandbox = open_sandbox(context)?;
    let listener = TcpListener::bind(listen).await.with_context(|| format!("could not listen on `{listen}`"))?;
    let address = listener.local_addr().context("could not listen")?;
    // Data: a script that asked for any free port reads it here.
    context.streams.data(&format!("http://{address}\n"))?;
    let mark = sandbox_directory(context).join(SERVED_AT);
    store::write_atomically(&mark, address.to_string().as_bytes())?;
    context.streams.say("any credentials and region will do, for example:");
    context.streams.say(&format!("  aws --endpoint-url http://{address} ec2 describe-vpcs"));
    context.streams.say(&format!("  AWS_ENDPOINT_URL=http://{address} meshplan plan TOPOLOGY"));
    context.streams.say("its clusters' Kubernetes APIs are on the same port, for example:");
    context.streams.say("  meshplan kubeconfig --sandbox --out sandbox.kubeconfig");
    context.streams.say("  kubectl --kubeconfig sandbox.kubeconfig get pods --all-namespaces");
    tokio::select! {
        served = sandbox.serve(listener) => served.map(|()| Exit::Done).map_err(Into::into),
        () = interrupts.first => Ok(Exit::Done),
    }
}

/// The file that says where the sandbox was served last, so that a kubeconfig that was written then stays right.
const SERVED_AT: &str = "served-at";

/// Where the sandbox is served: where it was last, or else where it is when nothing else is said.
pub(super) fn served_at(context: &Context) -> String {
    let known = std::fs::read_to_string(sandbox_directory(context).join(SERVED_AT)).ok();
    let known = known.map(|text| text.trim().to_owned()).filter(|text| text.parse::<SocketAddr>().is_ok());
    known.unwrap_or_else(|| DEFAULT_LISTEN.to_owned())
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
