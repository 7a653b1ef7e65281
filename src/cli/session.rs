//! The cloud of a run: AWS behind the caller's credentials, or the sandbox; and the clock that goes with it.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};

use super::clock::WallClock;
use super::context::Context;
use super::{helm, identity, sandboxed};
use crate::kinds::registry;
use crate::model::{Clock, Target};
use crate::plan::Plan;
use crate::resource::{Cloud, Registry};
use crate::sandbox::{Faults, Options, Sandbox, Speed};
use crate::state::{Caller, State};
use crate::vault::Vault;

/// A connection that is not there after this long will not be.
const CONNECT: Duration = Duration::from_secs(5);

/// EC2 answers within seconds; after this long the answer counts as lost, and the engine looks what happened.
const ANSWER: Duration = Duration::from_mins(1);

/// The region that is asked who the caller is, when nothing names another.
const DEFAULT_REGION: &str = "us-east-1";

/// The cloud of a run.
pub(super) struct Session {
    pub(super) registry: Registry,
    pub(super) cloud: Cloud,
    pub(super) clock: Arc<dyn Clock>,
    /// What the cloud's keeper is, for what it has to say.
    pub(super) vault: Rc<Vault>,
    sandbox: Option<Sandbox>,
}

impl Session {
    /// Connects to what the options name.
    pub(super) async fn open(context: &Context, region: Option<&str>, lineage: &str) -> anyhow::Result<Self> {
        let vault = Rc::new(context.vault(lineage));
        if context.globals.sandbox {
            let sandbox = open_sandbox(context)?;
            let clock: Arc<dyn Clock> = Arc::new(sandbox.clock().clone());
            let program = helm::program(context, &sandbox.sdk_config(), &clock);
            let cloud = sandboxed::cloud(&sandbox, vault.clone(), program);
            return Ok(Self { registry: registry(), cloud, clock, vault, sandbox: Some(sandbox) });
        }
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(CONNECT)
            .operation_attempt_timeout(ANSWER)
            .read_timeout(ANSWER)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            // The engine is the one place that retries.
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        let config = loader.load().await;
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        let helm = helm::program(context, &config, &clock);
        let cloud = Cloud::new(config).with_keeper(vault.clone()).with_clock(Arc::clone(&clock)).with_helm(helm);
        Ok(Self { registry: registry(), cloud, clock, vault, sandbox: None })
    }

    /// The same, taking over fields of Kubernetes objects that others manage.
    pub(super) fn forcing_conflicts(self, forces: bool) -> Self {
        if forces { Self { cloud: self.cloud.forcing_conflicts(), ..self } } else { self }
    }

    /// Runs a future on the session's clock.
    pub(super) async fn drive<F: Future>(&self, future: F) -> F::Output {
        match &self.sandbox {
            Some(sandbox) => sandbox.drive(future).await,
            None => future.await,
        }
    }

    /// Checks that the state is of the caller's account and cloud (R33), and answers the account.
    pub(super) async fn check(&self, state: &State, region: Option<&str>) -> anyhow::Result<String> {
        let asked = region.or(self.cloud.aws().region().map(AsRef::as_ref)).unwrap_or(DEFAULT_REGION);
        let account = self.drive(identity::account(self.cloud.aws(), asked, &*self.clock)).await?;
        let caller = Caller { account: Some(&account), sandbox: Some(self.sandbox.is_some()), ..Caller::default() };
        state.check(&caller)?;
        Ok(account)
    }
}

/// Opens the sandbox that persists below the state directory.
pub(super) fn open_sandbox(context: &Context) -> anyhow::Result<Sandbox> {
    let globals = &context.globals;
    let mut options = Options::default();
    if let Some(speed) = &globals.sandbox_speed {
        options.speed = parse_speed(speed)?;
    }
    if let Some(faults) = &globals.sandbox_faults {
        options.faults = parse_faults(faults)?;
    }
    let directory = sandbox_directory(context);
    Sandbox::open(&directory, options).with_context(|| format!("could not open the sandbox `{}`", directory.display()))
}

/// Where the sandbox of a state directory is.
pub(super) fn sandbox_directory(context: &Context) -> PathBuf {
    context.globals.state.join("sandbox")
}

fn parse_speed(text: &str) -> anyhow::Result<Speed> {
    if text == "unlimited" {
        return Ok(Speed::Unlimited);
    }
    match text.parse::<f64>() {
        Ok(times) if times.is_finite() && times > 0.0 => Ok(Speed::Times(times)),
        Ok(_) | Err(_) => bail!("`--sandbox-speed {text}`: it is a number above zero, or `unlimited`"),
    }
}

fn parse_faults(text: &str) -> anyhow::Result<Faults> {
    if !Path::new(text).exists() && text.contains('=') {
        return Ok(Faults::parse(text)?);
    }
    Ok(Faults::load(Path::new(text))?)
}

/// The region of the first change that has one: where a saved plan's caller is asked for.
pub(super) fn region_of(plan: &Plan) -> Option<&str> {
    plan.changes.iter().find_map(|change| aws_region(&change.target))
}

/// The region of a target.
pub(super) fn aws_region(target: &Target) -> Option<&str> {
    match target {
        Target::Aws { region } => Some(region),
        Target::Cluster { .. } | Target::Local => None,
    }
}
