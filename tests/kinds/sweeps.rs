//! The sweeps of a teardown, the look for what they would take along, and the audit, in a VPC of two clusters.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{IpPermission, ResourceType, Tag, TagSpecification, UserIdGroupPair};
use aws_sdk_elasticloadbalancingv2::types as elb;
use meshplan::kinds::audit::{Places, Scope, audit};
use meshplan::kinds::registry;
use meshplan::kinds::teardown::foreign;
use meshplan::model::{Clock, Target};
use meshplan::resource::{Cloud, Deletion, ErrorClass, ProviderError, RemoteId};

use crate::identity::eventually;

const REGION: &str = "us-west-2";

/// The services as anybody uses them.
struct Scene<'a> {
    cloud: &'a Cloud,
    clock: &'a dyn Clock,
    ec2: aws_sdk_ec2::Client,
    elb: aws_sdk_elasticloadbalancingv2::Client,
    logs: aws_sdk_cloudwatchlogs::Client,
    vpc: String,
    subnets: Vec<String>,
}

fn tagged(resource: ResourceType, tags: &[(&str, &str)]) -> TagSpecification {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(*key).value(*value).build()).collect();
    TagSpecification::builder().resource_type(resource).set_tags(Some(tags)).build()
}

impl<'a> Scene<'a> {
    async fn new(cloud: &'a Cloud, clock: &'a dyn Clock) -> Self {
        let region = || aws_config::Region::from_static(REGION);
        let config = aws_sdk_ec2::config::Builder::from(cloud.aws()).region(region()).build();
        let ec2 = aws_sdk_ec2::Client::from_conf(config);
        let config = aws_sdk_elasticloadbalancingv2::config::Builder::from(cloud.aws()).region(region()).build();
        let elb = aws_sdk_elasticloadbalancingv2::Client::from_conf(config);
        let config = aws_sdk_cloudwatchlogs::config::Builder::from(cloud.aws()).region(region()).build();
        let logs = aws_sdk_cloudwatchlogs::Client::from_conf(config);
        let made = ec2
            .create_vpc()
            .cidr_block("10.8.0.0/16")
            .tag_specifications(tagged(ResourceType::Vpc, &[("meshplan:mesh", "walk")]))
            .send();
        let vpc = made.await.unwrap().vpc.unwrap().vpc_id.unwrap();
        let mut subnets = Vec::new();
        for (zone, cidr) in [("us-west-2a", "10.8.0.0/24"), ("us-west-2b", "10.8.1.0/24")] {
            let make = || ec2.create_subnet().vpc_id(&vpc).availability_zone(zone).cidr_block(cidr).send();
            subnets.push(eventually(clock, make).await.subnet.unwrap().subnet_id.unwrap());
        }
        Self { cloud, clock, ec2, elb, logs, vpc, subnets }
    }

    async fn group(&self, name: &str, tags: &[(&str, &str)]) -> String {
        let make = || {
            let request = self.ec2.create_security_group().vpc_id(&self.vpc).group_name(name).description(name);
            request.tag_specifications(tagged(ResourceType::SecurityGroup, tags)).send()
        };
        eventually(self.clock, make).await.group_id.unwrap()
    }

    /// Lets the members of `peer` into `group`.
    async fn admit(&self, group: &str, peer: &str) {
        let pair = UserIdGroupPair::builder().group_id(peer).build();
        let permission =
            IpPermission::builder().ip_protocol("tcp").from_port(80).to_port(80).user_id_group_pairs(pair).build();
        let request =
            || self.ec2.authorize_security_group_ingress().group_id(group).ip_permissions(permission.clone()).send();
        eventually(self.clock, request).await;
    }

    async fn interface(&self, description: &str, group: &str, tags: &[(&str, &str)]) -> String {
        let make = || {
            let request = self.ec2.create_network_interface().subnet_id(&self.subnets[0]).description(description);
            let request = request.groups(group);
            request.tag_specifications(tagged(ResourceType::NetworkInterface, tags)).send()
        };
        eventually(self.clock, make).await.network_interface.unwrap().network_interface_id.unwrap()
    }

    async fn balancer(&self, name: &str, groups: &[&str], tags: &[(&str, &str)]) -> String {
        let tags: Vec<elb::Tag> =
            tags.iter().map(|(key, value)| elb::Tag::builder().key(*key).value(*value).build()).collect();
        let make = || {
            self.elb
                .create_load_balancer()
                .name(name)
                .r#type(elb::LoadBalancerTypeEnum::Network)
                .scheme(elb::LoadBalancerSchemeEnum::Internal)
                .set_subnets(Some(self.subnets.clone()))
                .set_security_groups(Some(groups.iter().map(|group| (*group).to_owned()).collect()))
                .set_tags((!tags.is_empty()).then(|| tags.clone()))
                .send()
        };
        let made = eventually(self.clock, make).await.load_balancers.unwrap();
        made[0].load_balancer_arn.clone().unwrap()
    }

    async fn target_group(&self, name: &str, cluster: &str) -> String {
        let make = || {
            self.elb
                .create_target_group()
                .name(name)
                .protocol(elb::ProtocolEnum::Tcp)
                .port(80)
                .vpc_id(&self.vpc)
                .target_type(elb::TargetTypeEnum::Ip)
                .tags(elb::Tag::builder().key("elbv2.k8s.aws/cluster").value(cluster).build())
                .send()
        };
        eventually(self.clock, make).await.target_groups.unwrap()[0].target_group_arn.clone().unwrap()
    }

    /// Sweeps until nothing is left of it, or it cannot.
    async fn sweep(&self, kind: &str, cluster: &str) -> Result<(), ProviderError> {
        let kind = registry().kind(kind).unwrap();
        let id = RemoteId::new(format!("{cluster}|{}", self.vpc));
        let target = Target::aws(REGION);
        let mut waits = Vec::new();
        for _ in 0..400 {
            match kind.delete(self.cloud, &target, &id).await {
                Ok(Deletion::Accepted) => return Ok(()),
                Ok(Deletion::Again) => {}
                Ok(Deletion::Later(why)) => {
                    waits.push(why);
                    self.clock.sleep(kind.wait().interval).await;
                }
                Err(error) if matches!(error.class, ErrorClass::Throttled | ErrorClass::NotYet) => {
                    self.clock.sleep(kind.wait().interval).await;
                }
                Err(error) => return Err(error),
            }
        }
        panic!("{} never ends: {:?}", kind.name(), waits.last())
    }

    async fn load_balancers(&self) -> Vec<String> {
        let all = self.elb.describe_load_balancers().send().await.unwrap().load_balancers.unwrap();
        sorted(all.into_iter().filter_map(|one| one.load_balancer_name))
    }

    async fn target_groups(&self) -> Vec<String> {
        let all = self.elb.describe_target_groups().send().await.unwrap().target_groups.unwrap();
        sorted(all.into_iter().filter_map(|one| one.target_group_name))
    }

    async fn groups(&self) -> Vec<String> {
        let filter = aws_sdk_ec2::types::Filter::builder().name("vpc-id").values(&self.vpc).build();
        let all = self.ec2.describe_security_groups().filters(filter).send().await.unwrap().security_groups.unwrap();
        sorted(all.into_iter().filter_map(|one| one.group_name))
    }

    async fn log_groups(&self) -> Vec<String> {
        let all = self.logs.describe_log_groups().send().await.unwrap().log_groups.unwrap();
        sorted(all.into_iter().filter_map(|one| one.log_group_name))
    }

    async fn has_interface(&self, id: &str) -> bool {
        let filter = aws_sdk_ec2::types::Filter::builder().name("network-interface-id").values(id).build();
        let all = self.ec2.describe_network_interfaces().filters(filter).send().await.unwrap();
        !all.network_interfaces().is_empty()
    }
}

fn sorted(names: impl Iterator<Item = String>) -> Vec<String> {
    let mut names: Vec<String> = names.collect();
    names.sort_unstable();
    names
}

/// Two clusters in one VPC, and things of neither: only what is the first one's goes.
pub(crate) async fn sweeps(cloud: &Cloud, clock: &dyn Clock) {
    let scene = Scene::new(cloud, clock).await;
    let node = scene.group("nodes-c1", &[("kubernetes.io/cluster/c1", "owned")]).await;
    let shared = scene.group("shared", &[("kubernetes.io/cluster/c1", "shared")]).await;
    let traffic = scene.group("k8s-traffic-c1", &[("elbv2.k8s.aws/cluster", "c1")]).await;
    let other = scene.group("k8s-traffic-c2", &[("elbv2.k8s.aws/cluster", "c2")]).await;
    let database = scene.group("database", &[]).await;
    scene.admit(&node, &traffic).await;
    scene.admit(&database, &traffic).await;
    let front = scene
        .balancer("front", &[&traffic], &[("elbv2.k8s.aws/cluster", "c1"), ("service.k8s.aws/stack", "shop/front")])
        .await;
    scene.balancer("other", &[&other], &[("elbv2.k8s.aws/cluster", "c2")]).await;
    scene.balancer("mine", &[], &[]).await;
    let targets = scene.target_group("front", "c1").await;
    scene.target_group("other", "c2").await;
    let forward = elb::Action::builder().r#type(elb::ActionTypeEnum::Forward).target_group_arn(&targets).build();
    let listen = || {
        let request = scene.elb.create_listener().load_balancer_arn(&front).protocol(elb::ProtocolEnum::Tcp).port(80);
        request.default_actions(forward.clone()).send()
    };
    eventually(clock, listen).await;
    let leaked = scene.interface("aws-K8S-i-1", &node, &[("cluster.k8s.amazonaws.com/name", "c1")]).await;
    let nameless = scene.interface("aws-K8S-i-2", &node, &[]).await;
    let others = scene.interface("aws-K8S-i-3", &shared, &[("cluster.k8s.amazonaws.com/name", "c2")]).await;
    let mine = scene.interface("mine", &node, &[]).await;
    for name in ["/aws/eks/c1/cluster", "/aws/eks/c1/cluster-of-somebody", "/aws/eks/c2/cluster"] {
        eventually(clock, || scene.logs.create_log_group().log_group_name(name).send()).await;
    }

    takes_along(&scene).await;
    balancers_go(&scene, &database, &traffic).await;

    scene.sweep("teardown.interfaces", "c1").await.unwrap();
    assert!(!scene.has_interface(&leaked).await && !scene.has_interface(&nameless).await);
    assert!(scene.has_interface(&others).await && scene.has_interface(&mine).await);

    // What holds a group and will not go is named, and left alone.
    let refused = scene.sweep("teardown.remains", "c1").await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Conflict);
    assert!(refused.message.contains(&format!("(nodes-c1) cannot be deleted while {mine} (`mine`)")), "{refused}");
    scene.ec2.delete_network_interface().network_interface_id(&mine).send().await.unwrap();
    scene.sweep("teardown.remains", "c1").await.unwrap();
    assert_eq!(scene.groups().await, ["database", "default", "k8s-traffic-c2", "shared"]);
    assert_eq!(
        scene.log_groups().await,
        ["/aws/eks/c1/cluster", "/aws/eks/c1/cluster-of-somebody", "/aws/eks/c2/cluster"]
    );
    assert!(scene.has_interface(&others).await);
    for kind in ["teardown.load_balancers", "teardown.interfaces", "teardown.remains"] {
        scene.sweep(kind, "c1").await.unwrap();
    }
    audited(&scene, &others).await;
}

/// The load balancers that a teardown of the first cluster would take along.
async fn takes_along(scene: &Scene<'_>) {
    let sweeps = [RemoteId::new(format!("c1|{}", scene.vpc))];
    let found = foreign::load_balancers(scene.cloud, REGION, &sweeps, |_, _| false).await.unwrap();
    let named: Vec<_> = found.iter().map(|one| (one.load_balancer.as_str(), one.service.as_deref())).collect();
    assert_eq!(named, [("front", Some("shop/front"))]);
    let ours = |cluster: &str, service: &str| (cluster, service) == ("c1", "shop/front");
    assert_eq!(foreign::load_balancers(scene.cloud, REGION, &sweeps, ours).await.unwrap(), []);
}

/// A rule in a group of somebody else's is theirs to remove.
async fn balancers_go(scene: &Scene<'_>, database: &str, traffic: &str) {
    let refused = scene.sweep("teardown.load_balancers", "c1").await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Conflict);
    assert!(refused.message.contains(&format!("a rule of {database} (database) names it")), "{refused}");
    let pair = UserIdGroupPair::builder().group_id(traffic).build();
    let permission =
        IpPermission::builder().ip_protocol("tcp").from_port(80).to_port(80).user_id_group_pairs(pair).build();
    let revoke = scene.ec2.revoke_security_group_ingress().group_id(database).ip_permissions(permission).send();
    revoke.await.unwrap();
    scene.sweep("teardown.load_balancers", "c1").await.unwrap();
    assert_eq!(scene.load_balancers().await, ["mine", "other"]);
    assert_eq!(scene.target_groups().await, ["other"]);
    assert_eq!(scene.groups().await, ["database", "default", "k8s-traffic-c2", "nodes-c1", "shared"]);
}

/// What the audit finds in the VPC, and elsewhere by the mesh's tag.
async fn audited(scene: &Scene<'_>, interface: &str) {
    let address = scene.ec2.allocate_address();
    let address = address.tag_specifications(tagged(ResourceType::ElasticIp, &[("meshplan:mesh", "walk")])).send();
    let address = address.await.unwrap().allocation_id.unwrap();
    // What was just made is listed after a while.
    scene.clock.sleep(std::time::Duration::from_mins(1)).await;
    let places = Places { vpcs: [scene.vpc.clone()].into(), clusters: ["c2".to_owned()].into() };
    let scope = Scope { mesh: "walk".to_owned(), regions: BTreeMap::from([(REGION.to_owned(), places)]) };
    let found = audit(scene.cloud, &scope).await;
    assert_eq!(found.unseen, Vec::<String>::new());
    let find = |id: &str| found.left.iter().find(|one| one.id.ends_with(id) || one.id.contains(id));
    for (id, what, ours, costs) in [
        (address.as_str(), "Elastic IP address", true, true),
        (scene.vpc.as_str(), "VPC", true, false),
        ("loadbalancer/net/other/", "load balancer", true, true),
        ("loadbalancer/net/mine/", "load balancer", false, true),
        ("/aws/eks/c2/cluster", "log group", true, true),
        (interface, "network interface `aws-K8S-i-3`", false, false),
    ] {
        let one = find(id).unwrap_or_else(|| panic!("{id} is not found: {:#?}", found.left));
        assert_eq!((one.what.as_str(), one.ours, one.why_billable.is_some()), (what, ours, costs), "{id}");
    }
    assert!(found.left[0].why_billable.is_some(), "what costs money comes first");

    let elsewhere =
        Scope { mesh: "nobody".to_owned(), regions: BTreeMap::from([(REGION.to_owned(), Places::default())]) };
    let nothing = audit(scene.cloud, &elsewhere).await;
    assert_eq!((nothing.left, nothing.unseen), (Vec::new(), Vec::new()));
}
