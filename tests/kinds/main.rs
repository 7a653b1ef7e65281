//! Every kind against clouds it was not written beside: the sandbox, and moto over the wire.
//!
//! The same walk runs on each: make a whole network resource by resource, as the engine would but without it; change
//! it; look at it as an existing network; take it down.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod clusters;
mod identity;
mod ministack;
#[path = "../support/stand_ins.rs"]
mod stand_ins;
mod walk;

use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use jiff::Timestamp;
use meshplan::model::Clock;
use meshplan::resource::Cloud;
use meshplan::sandbox::{Options, Sandbox, Speed};
use stand_ins::{Moto, stand_in};
use walk::Walk;

/// Real time, shortened: moto makes nobody wait.
struct Impatient;

impl Clock for Impatient {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration.min(Duration::from_millis(5))))
    }
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn over_the_wire(endpoint: &str) -> Cloud {
    let credentials = Credentials::new("test", "test", None, None, "a test");
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-west-2"))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    Cloud::new(config)
}

#[test]
fn on_the_sandbox() {
    let options = Options { persist: false, speed: Speed::Unlimited, ..Options::default() };
    let sandbox = Sandbox::open(Path::new("unused"), options).unwrap();
    let cloud = Cloud::new(sandbox.sdk_config());
    let walk = Walk::new(&cloud, sandbox.clock(), "nat = \"per-az\"\ndns64 = true\n");
    run(sandbox.drive(walk.run()));
}

#[test]
fn identities_on_the_sandbox() {
    let options = Options { persist: false, speed: Speed::Unlimited, ..Options::default() };
    let sandbox = Sandbox::open(Path::new("unused"), options).unwrap();
    let cloud = Cloud::new(sandbox.sdk_config());
    let walk = async {
        identity::roles(&cloud, sandbox.clock(), true).await;
        identity::taken(&cloud, sandbox.clock()).await;
        identity::rules(&cloud, sandbox.clock(), true).await;
    };
    run(sandbox.drive(walk));
}

#[test]
fn identities_on_moto() {
    let moto = stand_in!(Moto::start());
    let cloud = over_the_wire(&moto.endpoint());
    run(async {
        // moto knows no AddClientIDToOpenIDConnectProvider: it answers 500.
        identity::roles(&cloud, &Impatient, false).await;
        identity::taken(&cloud, &Impatient).await;
        // It forgets the description of a rule for another group.
        identity::rules(&cloud, &Impatient, false).await;
    });
}

#[test]
fn on_moto() {
    let moto = stand_in!(Moto::start());
    let cloud = over_the_wire(&moto.endpoint());
    // Without DNS64, which moto accepts and forgets.
    run(Walk::new(&cloud, &Impatient, "").without_tokens().run());
}

#[test]
fn clusters_on_moto() {
    let moto = stand_in!(Moto::start());
    let cloud = over_the_wire(&moto.endpoint());
    run(async {
        clusters::walk(&cloud, &Impatient, clusters::Parts::Nodes).await;
        clusters::taken(&cloud, &Impatient, clusters::Parts::Nodes).await;
    });
}
