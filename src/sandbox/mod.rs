//! The embedded simulated AWS cloud: EC2's network layer, IAM, EKS and what they need, in this process.
//!
//! Entry points: [`Sandbox::open`], [`Sandbox::sdk_config`] for unmodified AWS SDK clients, [`Sandbox::drive`] around a
//! run, [`Sandbox::serve`] for clients in other processes. It behaves as AWS does where that matters to an engine that
//! plans and applies: states that take time, read-after-write lag, client tokens, pages, filters, error codes, quotas,
//! dependencies. It is never described as AWS, and it knows nothing of the engine.
//!
//! | part | what it does |
//! | --- | --- |
//! | `clock` | virtual time, discrete events |
//! | `connector`, `serve` | the two ways in: under the SDK, and over HTTP on loopback |
//! | `service`, `aws` | one request from fuse to fuse |
//! | `protocol` | forms and JSON in, XML and JSON out |
//! | `api` | what a service is, and which there are |
//! | `ec2`, `eks`, `iam`, `elb`, `logs`, `sts` | their operations; `query` is what some of them share |
//! | `kubernetes` | what is in EKS's clusters: their API servers |
//! | `world` | the objects, and keeping them on disk |
//! | `settle` | what time alone does |
//! | `faults`, `meddle`, `throttle` | what goes wrong |

mod api;
mod aws;
mod clock;
mod connector;
mod ec2;
mod eks;
mod elb;
mod faults;
mod iam;
mod istio;
mod kubernetes;
mod logs;
mod meddle;
mod options;
mod protocol;
mod query;
mod serve;
mod service;
mod settle;
mod status;
mod sts;
mod throttle;
mod wildcard;
mod world;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use aws_config::SdkConfig;
use jiff::Timestamp;

pub use self::clock::{Flowing, Hold, SimClock, Speed, SpeedError};
pub use self::faults::{Faults, FaultsError};
pub use self::kubernetes::charts;
pub use self::kubernetes::route::{Clusters, Executed, Pod};
pub use self::options::{Options, Profile, Quotas, Throttle};
pub use self::serve::ServeError;
use self::service::Service;
pub use self::status::{Count, RegionStatus, Status};
use self::world::World;
use self::world::ids::Mint;
pub use self::world::store::SandboxError;
use self::world::store::{Store, reset};

/// When a fresh world begins: a fixed instant, so that its output can be compared.
const EPOCH: Timestamp = Timestamp::constant(1_767_225_600, 0);

/// A simulated cloud. Clones are the same cloud; the files are closed with the last one.
#[derive(Debug, Clone)]
pub struct Sandbox {
    service: Arc<Service>,
}

impl Sandbox {
    /// Opens the sandbox that persists in `dir`, or starts a fresh one there.
    ///
    /// # Errors
    /// When another process has it open, when its files are damaged or newer, when an option makes no sense.
    pub fn open(dir: &Path, options: Options) -> Result<Self, SandboxError> {
        if options.account.len() != 12 || !options.account.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(SandboxError::Option(format!(
                "`{}` is not an account id: it has twelve digits",
                options.account
            )));
        }
        if let Speed::Times(times) = options.speed
            && !(times.is_finite() && times > 0.0)
        {
            return Err(SandboxError::Option(format!(
                "a sandbox speed of {times} is not above zero: try 600, or unlimited"
            )));
        }
        let mint = Mint {
            account: options.account.clone(),
            counter: 0,
            realistic: options.profile == Profile::Realistic,
            even: options.even,
            never_ready: false,
        };
        let (store, world, now) = if options.persist {
            let (store, world, now) = Store::open(dir, mint, EPOCH)?;
            (Some(store), world, now)
        } else {
            (None, World::new(mint), EPOCH)
        };
        let clock = SimClock::new(now, options.speed, options.fuse.clone());
        Ok(Self { service: Service::new(clock, options, world, store) })
    }

    /// Empties the sandbox that persists in `dir`.
    ///
    /// # Errors
    /// When another process has it open, or the files cannot be removed.
    pub fn reset(dir: &Path) -> Result<(), SandboxError> {
        reset(dir)
    }

    /// The configuration for unmodified AWS SDK clients; set the region per client.
    pub fn sdk_config(&self) -> SdkConfig {
        connector::sdk_config(&self.service)
    }

    /// The API servers of this cloud's clusters.
    pub fn kubernetes(&self) -> Clusters {
        Clusters::new(Arc::clone(&self.service))
    }

    /// The clock of this cloud; clones of it are the same clock.
    pub fn clock(&self) -> &SimClock {
        &self.service.clock
    }

    /// Runs `future` in virtual time: see [`SimClock::drive`].
    pub fn drive<'a, F: Future + 'a>(&'a self, future: F) -> impl Future<Output = F::Output> + 'a {
        self.service.clock.drive(future)
    }

    /// The same for the crash harness: see [`SimClock::drive_until_blown`].
    pub fn drive_until_blown<'a, F: Future + 'a>(&'a self, future: F) -> impl Future<Output = Option<F::Output>> + 'a {
        self.service.clock.drive_until_blown(future)
    }

    /// What exists, per region and type.
    pub fn status(&self) -> Status {
        Status::of(&self.service)
    }

    /// Answers HTTP clients on a loopback listener, until dropped. Virtual time follows real time meanwhile.
    ///
    /// # Errors
    /// When the listener is not on a loopback address, or accepting fails.
    pub async fn serve(&self, listener: tokio::net::TcpListener) -> Result<(), ServeError> {
        serve::serve(&self.service, listener).await
    }
}
