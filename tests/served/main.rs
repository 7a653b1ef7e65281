//! Clients of another language against the served sandbox: boto3 and the aws command read what the engine wrote, and
//! write beside it.
//!
//! The scripts beside this file hold the assertions, in the clients' own terms; what they compare with comes from the
//! engine's state.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and writes what clients read"
)]

mod kubernetes;
#[path = "../support/networks.rs"]
mod networks;
#[path = "../support/rig.rs"]
mod rig;
#[path = "../support/stand_ins.rs"]
mod stand_ins;

use std::thread::JoinHandle;

use meshplan::sandbox::{Options, Sandbox, Speed};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use networks::networks;
use rig::{InSandbox, declarations, topology};
use stand_ins::{Clients, stand_in};

/// A sandbox that answers on loopback, from a thread of its own, until dropped.
struct Served {
    endpoint: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    fn start(sandbox: &Sandbox) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel();
        let sandbox = sandbox.clone();
        let thread = std::thread::spawn(move || {
            rig::run(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = sandbox.serve(listener) => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self { endpoint, stop: Some(stop), thread: Some(thread) }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        drop(self.stop.take());
        // A panic over there is one of the assertions' own consequences; the test tells of those.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A sandbox in which the two networks are applied.
fn applied(folder: &std::path::Path) -> InSandbox {
    let mut mesh = InSandbox::start(folder, Options { speed: Speed::Unlimited, ..Options::default() });
    mesh.apply(&networks(&topology("two-network.toml")));
    mesh
}

/// What state knows, by address.
fn known(mesh: &InSandbox) -> String {
    let records = &mesh.process.store.state().records;
    let records: Map<String, Value> = records
        .iter()
        .map(|(address, record)| {
            (address.to_string(), json!({"id": record.id.as_str(), "outputs": record.outputs, "spec": record.spec}))
        })
        .collect();
    Value::from(records).to_string()
}

#[test]
fn boto3_reads_what_was_applied() {
    let clients = stand_in!(Clients::find());
    let folder = tempfile::tempdir().unwrap();
    let mesh = applied(folder.path());
    let served = Served::start(&mesh.sandbox);
    let told = clients.python(&served.endpoint, include_str!("read.py"), &[&known(&mesh)]).unwrap();
    assert_eq!(told.stdout().unwrap().trim(), "read");
}

#[test]
fn boto3_makes_and_removes_and_is_refused_as_by_ec2() {
    let clients = stand_in!(Clients::find());
    let folder = tempfile::tempdir().unwrap();
    let mut mesh = applied(folder.path());
    let before = mesh.sandbox.status().regions;
    let served = Served::start(&mesh.sandbox);
    let told = clients.python(&served.endpoint, include_str!("write.py"), &[&known(&mesh)]).unwrap();
    assert_eq!(told.stdout().unwrap().trim(), "written");
    drop(served);
    assert_eq!(mesh.sandbox.status().regions, before, "boto3 took back what it made");

    // What boto3 did to one of our VPCs is what a plan finds.
    let plan = mesh.plan(&networks(&topology("two-network.toml")));
    let touched: Vec<_> = plan.steps.iter().map(|step| step.address.to_string()).collect();
    assert_eq!(touched, ["aws.vpc/network1"], "{plan:#?}");
    mesh.apply(&networks(&topology("two-network.toml")));
    mesh.apply(&[]);
    assert_eq!(mesh.sandbox.status().total, 0);
}

#[test]
fn boto3_uses_roles_load_balancers_and_log_groups() {
    let clients = stand_in!(Clients::find());
    let folder = tempfile::tempdir().unwrap();
    let mesh = applied(folder.path());
    let before = mesh.sandbox.status().regions;
    let served = Served::start(&mesh.sandbox);
    let told = clients.python(&served.endpoint, include_str!("services.py"), &[&known(&mesh)]).unwrap();
    assert_eq!(told.stdout().unwrap().trim(), "used");
    drop(served);
    assert_eq!(mesh.sandbox.status().regions, before, "boto3 took back what it made");
}

#[test]
fn boto3_lives_through_a_cluster() {
    let clients = stand_in!(Clients::find());
    let folder = tempfile::tempdir().unwrap();
    let mesh = applied(folder.path());
    let before = mesh.sandbox.status().regions;
    let served = Served::start(&mesh.sandbox);
    let told = clients.python(&served.endpoint, include_str!("clusters.py"), &[&known(&mesh)]).unwrap();
    assert_eq!(told.stdout().unwrap().trim(), "lived");
    drop(served);
    assert_eq!(mesh.sandbox.status().regions, before, "boto3 took back what it made");
}

#[test]
fn boto3_finds_the_clusters_that_were_applied() {
    let clients = stand_in!(Clients::find());
    let folder = tempfile::tempdir().unwrap();
    let mut mesh = InSandbox::start(folder.path(), Options { speed: Speed::Unlimited, ..Options::default() });
    mesh.apply(&declarations(&topology("two-network.toml")));
    let served = Served::start(&mesh.sandbox);
    let told = clients.python(&served.endpoint, include_str!("find.py"), &[&known(&mesh)]).unwrap();
    assert_eq!(told.stdout().unwrap().trim(), "found");
}

#[test]
fn the_aws_command_looks_around() {
    let clients = stand_in!(Clients::find());
    let folder = tempfile::tempdir().unwrap();
    let mesh = applied(folder.path());
    let served = Served::start(&mesh.sandbox);
    let told = |line: &str| {
        let mut words: Vec<&str> = line.split(' ').collect();
        words.extend(["--region", "us-west-2", "--output", "text"]);
        let told = clients.aws(&served.endpoint, &words).unwrap();
        told.stdout().map_err(|trouble| trouble.to_string()).map(|text| text.trim().replace('\t', " "))
    };
    let record = |address: &str| {
        let records = &mesh.process.store.state().records;
        let (_, record) = records.iter().find(|(known, _)| known.to_string() == address).unwrap();
        record.id.as_str().to_owned()
    };
    let vpc = record("aws.vpc/network1");
    assert_eq!(told("sts get-caller-identity --query Account").unwrap(), "123456789012");
    assert_eq!(told("ec2 describe-vpcs --filters Name=cidr,Values=10.1.* --query Vpcs[].VpcId").unwrap(), vpc);
    assert_eq!(told("ec2 describe-vpcs --query length(Vpcs)").unwrap(), "3");
    let subnets = format!("ec2 describe-subnets --filters Name=vpc-id,Values={vpc} --query Subnets[].[SubnetId]");
    assert_eq!(told(&format!("{subnets} --page-size 5")).unwrap().lines().count(), 6);
    // The command's own cutting, in the middle of what the service calls a page.
    let cut = told(&format!("{subnets} --max-items 2")).unwrap();
    assert_eq!(cut.lines().filter(|line| line.starts_with("subnet-")).count(), 2, "{cut}");
    let zones = "ec2 describe-availability-zones --query AvailabilityZones[0].[ZoneName,ZoneId,State]";
    assert_eq!(told(zones).unwrap(), "us-west-2a usw2-az1 available");
    let tags = format!("ec2 describe-tags --filters Name=resource-id,Values={vpc} Name=key,Values=owner");
    assert_eq!(told(&format!("{tags} --query Tags[].[ResourceType,Value]")).unwrap(), "vpc platform");
    let nat = record("aws.nat_gateway/network1/nat");
    assert_eq!(told(&format!("ec2 wait nat-gateway-available --nat-gateway-ids {nat}")).unwrap(), "");
    let types = "ec2 describe-instance-types --instance-types m6i.large --query InstanceTypes[].Hypervisor";
    assert_eq!(told(types).unwrap(), "nitro");
    let policies = "iam list-policies --query length(Policies[?PolicyName=='AmazonEKS_CNI_Policy'])";
    assert_eq!(told(policies).unwrap(), "1");
    assert_eq!(told("iam list-roles --query length(Roles)").unwrap(), "0");
    assert_eq!(told("elbv2 describe-load-balancers --query length(LoadBalancers)").unwrap(), "0");
    assert_eq!(told("logs describe-log-groups --query length(logGroups)").unwrap(), "0");
    let refused = told("iam get-role --role-name nobody").unwrap_err();
    assert!(refused.contains("(NoSuchEntity)") && refused.contains("nobody cannot be found"), "{refused}");
    let refused = told("ec2 describe-vpcs --vpc-ids vpc-0123456789abcdef0").unwrap_err();
    assert!(refused.contains("(InvalidVpcID.NotFound)") && refused.contains("vpc-0123456789abcdef0"), "{refused}");
    let refused = told(&format!("ec2 delete-vpc --vpc-id {vpc}")).unwrap_err();
    assert!(refused.contains("(DependencyViolation)"), "{refused}");
    let refused = told("ec2 create-vpc --cidr-block 10.9.0.0/16 --dry-run").unwrap_err();
    assert!(refused.contains("(DryRunOperation)"), "{refused}");
}
