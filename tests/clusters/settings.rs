//! What a control plane is told in place: its logs and its further security groups, one type of change a request.

use aws_sdk_ec2::types::Filter;
use aws_sdk_eks::config::Region;
use meshplan::model::event::Event;
use meshplan::sandbox::{Options, Speed};

use crate::rig::{InSandbox, declarations, run, topology};

/// The topology with keys for its first cluster.
fn with(keys: &str) -> String {
    let text = topology("two-network.toml");
    let changed = text.replace("[clusters.cluster-1]\n", &format!("[clusters.cluster-1]\n{keys}\n"));
    assert_ne!(text, changed);
    changed
}

fn ec2(process: &InSandbox) -> aws_sdk_ec2::Client {
    let config = aws_sdk_ec2::config::Builder::from(&process.sandbox.sdk_config()).region(Region::new("us-west-2"));
    aws_sdk_ec2::Client::from_conf(config.build())
}

/// A security group of somebody else's in the first network.
async fn group(process: &InSandbox, name: &str) -> String {
    let ec2 = ec2(process);
    let filter = Filter::builder().name("tag:meshplan:address").values("aws.vpc/network1").build();
    let vpcs = ec2.describe_vpcs().filters(filter).send().await.unwrap();
    let vpc = vpcs.vpcs()[0].vpc_id().unwrap();
    let made = ec2.create_security_group().group_name(name).description("for audits").vpc_id(vpc).send().await;
    made.unwrap().group_id.unwrap()
}

/// The types of update that the steps of a cluster waited for.
fn waited(process: &InSandbox, address: &str) -> Vec<String> {
    let events = process.process.events.iter();
    let waiting = events.filter_map(|stamped| match &stamped.event {
        Event::StepWaiting { address: of, what, .. } if of.as_str() == address => Some(what.clone()),
        _ => None,
    });
    waiting.collect()
}

#[test]
fn logs_and_security_groups_come_and_go_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = InSandbox::start(folder.path(), Options { speed: Speed::Unlimited, ..Options::default() });
    let logged = declarations(&with("logging = [\"audit\"]"));
    process.apply(&logged);
    assert!(process.plan(&logged).is_empty());
    let sandbox = process.sandbox.clone();
    let groups = run(sandbox.drive(async { [group(&process, "one").await, group(&process, "two").await] }));
    let [one, two] = &groups;
    let changed =
        declarations(&with(&format!("logging = [\"scheduler\", \"api\"]\nsecurity_groups = [\"{one}\", \"{two}\"]")));
    process.process.events.clear();
    process.apply(&changed);
    let waited = waited(&process, "eks.cluster/cluster-1");
    for update in ["VpcConfigUpdate", "LoggingUpdate"] {
        assert!(waited.iter().any(|detail| detail.contains(update)), "{update}: {waited:?}");
    }
    assert!(process.plan(&changed).is_empty());
    // EKS's interfaces have the groups, which cannot go before them.
    let refused = run(sandbox.drive(async { ec2(&process).delete_security_group().group_id(one).send().await }));
    assert!(format!("{refused:?}").contains("DependencyViolation"), "{refused:?}");

    let bare = declarations(&topology("two-network.toml"));
    process.apply(&bare);
    assert!(process.plan(&bare).is_empty());
    run(sandbox.drive(async {
        for group in &groups {
            ec2(&process).delete_security_group().group_id(group).send().await.unwrap();
        }
    }));

    // EKS keeps the logs of a cluster that is gone.
    process.apply(&[]);
    let status = process.sandbox.status();
    let left: Vec<&str> =
        status.regions.iter().flat_map(|region| &region.counts).map(|count| count.resource_type).collect();
    assert_eq!(left, ["log-group"], "{status:#?}");
}
