//! `eks-token`: the credential plugin of the kubeconfigs that meshplan writes; no other program is needed.

use std::path::Path;

use anyhow::Context as _;
use serde::Serialize;

use super::clock::WallClock;
use super::context::Context;
use super::session::Session;
use super::{Exit, data};
use crate::kinds::eks::token;
use crate::kinds::helm::program::TOKEN_API_VERSION;
use crate::model::Clock;
use crate::resource::Cloud;
use crate::sandbox::{Options, Sandbox};

/// What a credential plugin answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExecCredential<'a> {
    kind: &'static str,
    api_version: &'static str,
    status: Status<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Status<'a> {
    expiration_timestamp: String,
    token: &'a str,
}

/// `eks-token`.
pub(super) async fn eks_token(context: &Context, cluster: &str, region: Option<&str>) -> anyhow::Result<Exit> {
    let cloud = cloud(context, region).await?;
    let region = region
        .or(cloud.aws().region().map(AsRef::as_ref))
        .context("no region is known: give `--region`, or set `AWS_REGION`")?;
    // By the wall's clock, in the sandbox too: the client that keeps the token lives by it.
    let token = token::token(&cloud, region, cluster, WallClock.now()).await?;
    let credential = ExecCredential {
        kind: "ExecCredential",
        api_version: TOKEN_API_VERSION,
        status: Status {
            expiration_timestamp: token.expires.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            token: token.token.expose(),
        },
    };
    data(context, &(serde_json::to_string(&credential)? + "\n"))
}

/// The caller's credentials. The sandbox's are the same in each: its files are left to the run that calls this.
async fn cloud(context: &Context, region: Option<&str>) -> anyhow::Result<Cloud> {
    if context.globals.sandbox {
        let sandbox = Sandbox::open(Path::new(""), Options { persist: false, ..Options::default() })?;
        return Ok(Cloud::new(sandbox.sdk_config()));
    }
    // Nothing is sealed on the way to a token, so there is no lineage to salt with.
    Ok(Session::open(context, region, "").await?.cloud)
}
