//! A mesh in a world: networks, NAT gateways, clusters with their objects, load balancers; and a look at it through
//! `verify`'s own gatherer.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::objects::{self, Certificates};
use super::route::Route;
use crate::model::Address;
use crate::resource::{Cloud, ClusterAccess, ClusterAuth};
use crate::sandbox::kubernetes::objects::{Key, Objects};
use crate::sandbox::world::ids::Mint;
use crate::sandbox::world::rows::elb::{HealthCheck, Target};
use crate::sandbox::world::rows::{
    self, Addon, Head, Instance, Ipv6Block, Listener, LoadBalancer, NatGateway, NetworkInterface, Peer, RouteTable,
    RouteTarget, SecurityGroupRule, Subnet, TargetGroup,
};
use crate::sandbox::world::{Region, World};
use crate::sandbox::{EPOCH, Options, Sandbox, Speed};
use crate::verify::{self, Family, Mesh, Reach, Report, Sample, Version};

/// When everything has been there for an hour.
pub(super) const NOW: Timestamp = Timestamp::constant(1_767_229_200, 0);
pub(super) const REGION: &str = "us-west-2";

/// One cluster of the mesh, in a network of its own unless another one is named.
#[expect(clippy::struct_excessive_bools, reason = "each is a choice of its own")]
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    /// From 1: it is in all its names and addresses.
    pub(super) number: u8,
    /// The number of its network.
    pub(super) network: u8,
    pub(super) ipv6: bool,
    /// Whether its pods connect to the other family.
    pub(super) egress: bool,
    pub(super) dns64: bool,
    /// Whether its gateway's load balancer has IPv6 addresses.
    pub(super) dualstack: bool,
    pub(super) istio: &'static str,
}

impl Site {
    pub(super) fn ipv4(number: u8) -> Self {
        Self { number, network: number, ipv6: false, egress: false, dns64: false, dualstack: true, istio: "1.31.0" }
    }

    pub(super) fn ipv6(number: u8) -> Self {
        Self { ipv6: true, egress: true, ..Self::ipv4(number) }
    }

    pub(super) fn name(&self) -> String {
        format!("cluster-{}", self.number)
    }

    pub(super) fn network(&self) -> String {
        format!("network{}", self.network)
    }

    /// An address in the family of its pods.
    pub(super) fn pod(&self, host: u8) -> IpAddr {
        if self.ipv6 {
            IpAddr::V6(Ipv6Addr::new(0x2600, 0x1f14, u16::from(self.number), 0, 1, 0, 0, u16::from(host)))
        } else {
            IpAddr::V4(Ipv4Addr::new(10, self.number, 0, host))
        }
    }

    pub(super) fn endpoint(&self) -> String {
        if self.ipv6 {
            format!("https://{}.eks-cluster.{REGION}.api.aws", self.unique())
        } else {
            format!("https://{}.gr7.{REGION}.eks.amazonaws.com", self.unique())
        }
    }

    fn unique(&self) -> String {
        format!("{:032X}", self.number)
    }

    pub(super) fn balancer(&self) -> String {
        format!("k8s-istio-{}.elb.{REGION}.amazonaws.com", self.number)
    }

    fn nat(&self) -> Ipv4Addr {
        Ipv4Addr::new(52, 10, 0, self.network)
    }

    fn block(&self) -> ipnet::Ipv6Net {
        format!("2600:1f14:{}::/64", self.number).parse().unwrap()
    }

    /// What verify is told of it.
    fn declared(&self) -> verify::Cluster {
        let mut version = self.istio.split('.').map(|part| part.parse().unwrap());
        let pods = if self.ipv6 { Family::Ipv6 } else { Family::Ipv4 };
        verify::Cluster {
            address: Address::new("eks.cluster", &[&self.name()]),
            network: self.network(),
            region: Some(REGION.to_owned()),
            eks: Some(self.name()),
            reach: Reach { pods, other: self.egress, dns64: self.dns64 },
            istio: Version {
                major: version.next().unwrap(),
                minor: version.next().unwrap(),
                patch: version.next().unwrap(),
            },
            leaves_from: vec![
                IpAddr::V4(self.nat()).into(),
                ipnet::IpNet::V6(format!("2600:1f14:{}::/56", self.number).parse().unwrap()),
            ],
        }
    }
}

/// A mesh, and whoever looks at it.
pub(super) struct Lab {
    pub(super) world: Rc<RefCell<World>>,
    pub(super) mesh: Mesh,
    pub(super) certificates: Certificates,
    sites: Vec<Site>,
    /// Answers for AWS. It has the same rows and nothing in its clusters, so that no controller minds what is made here.
    sandbox: Sandbox,
}

pub(super) fn head(id: impl Into<String>) -> Head {
    Head { id: id.into(), created_at: EPOCH, visible_at: EPOCH, tags: BTreeMap::new(), native: false }
}

impl Lab {
    /// A mesh in which all is well.
    pub(super) fn new(sites: &[Site]) -> Self {
        let mint =
            Mint { account: "000000000000".to_owned(), counter: 0, realistic: false, even: true, never_ready: false };
        let options = Options { persist: false, speed: Speed::Unlimited, ..Options::unhindered() };
        let lab = Self {
            world: Rc::new(RefCell::new(World::new(mint))),
            mesh: Mesh {
                id: "mesh1".to_owned(),
                clusters: sites.iter().map(|site| (site.name(), site.declared())).collect(),
                sample: Some(Sample { requests: 20, port: 5000 }),
            },
            certificates: Certificates::new(),
            sites: sites.to_vec(),
            sandbox: Sandbox::open(Path::new("unused"), options).unwrap(),
        };
        lab.cloud(|region| {
            for site in sites {
                furnish(region, site, sites);
            }
        });
        for site in sites {
            objects::furnish(&lab, site, sites);
        }
        lab
    }

    /// The usual pair: an IPv4 cluster and an IPv6 one.
    pub(super) fn pair() -> Self {
        Self::new(&[Site::ipv4(1), Site::ipv6(2)])
    }

    /// Changes the cloud around the clusters.
    pub(super) fn cloud(&self, change: impl Fn(&mut Region)) {
        change(self.world.borrow_mut().region(REGION, EPOCH).0);
        change(self.sandbox.service.state().world.region(REGION, EPOCH).0);
    }

    /// Puts an object into a cluster.
    pub(super) fn put(&self, cluster: &str, key: &Key, object: Value) {
        Objects::of(self.world.borrow_mut().region(REGION, EPOCH).0, cluster, EPOCH).put(key, object);
    }

    /// Changes an object.
    pub(super) fn edit(&self, cluster: &str, key: &Key, change: impl FnOnce(&mut Value)) {
        let mut object = {
            let mut world = self.world.borrow_mut();
            let objects = Objects::of(world.region(REGION, EPOCH).0, cluster, EPOCH);
            objects.get(key).unwrap_or_else(|| panic!("{key:?}")).clone()
        };
        change(&mut object);
        self.put(cluster, key, object);
    }

    /// Takes an object out.
    pub(super) fn remove(&self, cluster: &str, key: &Key) {
        let mut world = self.world.borrow_mut();
        let mut objects = Objects::of(world.region(REGION, EPOCH).0, cluster, EPOCH);
        assert!(objects.get(key).is_some(), "{key:?}");
        objects.remove(key);
    }

    /// What verify says.
    pub(super) fn verify(&self) -> Report {
        let route = Rc::new(Route { world: Rc::clone(&self.world), now: NOW });
        let clock = Arc::new(self.sandbox.clock().clone());
        let cloud = Cloud::new(self.sandbox.sdk_config()).with_route(route).with_clock(clock);
        for site in &self.sites {
            cloud.offer_cluster(
                Address::new("eks.cluster", &[&site.name()]),
                ClusterAccess {
                    endpoint: site.endpoint(),
                    certificate_authority: "Y2E=".to_owned(),
                    auth: ClusterAuth::Eks { cluster: site.name(), region: REGION.to_owned() },
                },
            );
        }
        let looking = async {
            let facts = verify::gather::gather(&self.mesh, &cloud, self.sandbox.clock()).await;
            verify::check(&self.mesh, &facts)
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(self.sandbox.drive(looking))
    }

    /// The codes of everything that is wrong.
    pub(super) fn codes(&self) -> BTreeSet<&'static str> {
        self.verify().concerns().iter().map(|concern| concern.cause.code).collect()
    }
}

/// The cloud around a cluster.
fn furnish(region: &mut Region, site: &Site, sites: &[Site]) {
    let (n, name) = (site.number, site.name());
    let vpc = format!("vpc-{}", site.network);
    let ipv6 = Ipv6Block {
        association_id: format!("assoc-{n}"),
        block: site.block(),
        associated_at: EPOCH,
        disassociated_at: None,
    };
    region.subnets.insert(Subnet {
        head: head(format!("subnet-{n}")),
        vpc_id: vpc.clone(),
        zone: "us-west-2a".to_owned(),
        zone_id: "usw2-az1".to_owned(),
        cidr: format!("10.{n}.0.0/20").parse().unwrap(),
        ipv6: vec![ipv6],
        available_at: EPOCH,
        default_for_az: false,
        map_public_ip: false,
        assign_ipv6: true,
        dns64: site.dns64,
        hostname_type: "ip-name".to_owned(),
        dns_a: false,
        dns_aaaa: false,
        acl_association: format!("aclassoc-{n}"),
    });
    region.nat_gateways.insert(NatGateway {
        head: head(format!("nat-{n}")),
        vpc_id: vpc.clone(),
        subnet_id: format!("subnet-{n}"),
        public: true,
        allocation_id: None,
        association_id: None,
        public_ip: Some(site.nat()),
        private_ip: Ipv4Addr::new(10, n, 0, 250),
        interface_id: format!("eni-nat-{n}"),
        settled_at: EPOCH,
        failure: None,
        deletion: None,
        released: false,
    });
    let route = |destination: &str, target| rows::Route { destination: destination.parse().unwrap(), target };
    region.route_tables.insert(RouteTable {
        head: head(format!("rtb-{n}")),
        vpc_id: vpc.clone(),
        main: None,
        associations: BTreeMap::from([(format!("rtbassoc-{n}"), format!("subnet-{n}"))]),
        routes: vec![
            route("0.0.0.0/0", RouteTarget::NatGateway(format!("nat-{n}"))),
            route("64:ff9b::/96", RouteTarget::NatGateway(format!("nat-{n}"))),
            route("::/0", RouteTarget::EgressOnlyGateway(format!("eigw-{n}"))),
        ],
    });
    region.instances.insert(Instance {
        head: head(format!("i-{n}")),
        vpc_id: vpc.clone(),
        subnet_id: format!("subnet-{n}"),
        zone: "us-west-2a".to_owned(),
        instance_type: "m6i.large".to_owned(),
        image_id: "ami-1".to_owned(),
        private_ip: Ipv4Addr::new(10, n, 0, 200),
        ipv6: Vec::new(),
        groups: vec![format!("sg-{n}")],
        profile_arn: None,
        spot: false,
        running_at: EPOCH,
        termination: None,
        released: false,
    });
    let peers = sites.iter().filter(|peer| peer.number != n);
    region.clusters.insert(rows::Cluster {
        head: head(name.as_str()),
        unique: site.unique(),
        role_arn: String::new(),
        version: "1.35".to_owned(),
        vpc_id: vpc.clone(),
        subnets: vec![format!("subnet-{n}")],
        security_groups: Vec::new(),
        public_access: true,
        private_access: true,
        public_cidrs: peers
            .clone()
            .flat_map(|peer| [format!("{}/32", peer.nat()), format!("2600:1f14:{}::/56", peer.number)])
            .collect(),
        ipv6: site.ipv6,
        service_cidr: "172.20.0.0/16".to_owned(),
        authentication_mode: "API".to_owned(),
        bootstrap_admin: false,
        auto_mode: None,
        support_type: "STANDARD".to_owned(),
        deletion_protection: false,
        zonal_shift: false,
        logging: BTreeSet::new(),
        group_id: format!("sg-{n}"),
        settled_at: EPOCH,
        failure: None,
        deletion: None,
    });
    let switch = if site.ipv6 { "ENABLE_V4_EGRESS" } else { "ENABLE_V6_EGRESS" };
    let env = json!({ switch: site.egress.to_string() });
    region.addons.insert(Addon {
        head: head(format!("{name}/vpc-cni")),
        cluster: name.clone(),
        name: "vpc-cni".to_owned(),
        unique: "u".to_owned(),
        version: "v1.23.1-eksbuild.1".to_owned(),
        configuration: Some(json!({ "env": env, "init": { "env": env } }).to_string()),
        service_account_role: None,
        modified_at: EPOCH,
        active_at: EPOCH,
        deleted_at: None,
    });
    let rule = |id: String, egress, ports: Option<(i64, i64)>, peer| SecurityGroupRule {
        head: head(id),
        group_id: format!("sg-{n}"),
        egress,
        protocol: if ports.is_none() { "-1" } else { "tcp" }.to_owned(),
        ports,
        peer,
        description: None,
    };
    region.security_group_rules.insert(rule(format!("sgr-{n}-out"), true, None, Peer::Ipv6("::/0".parse().unwrap())));
    for peer in peers.filter(|peer| peer.network == site.network) {
        let from = Peer::Group(format!("sg-{}", peer.number));
        region.security_group_rules.insert(rule(format!("sgr-{n}-{}", peer.number), false, None, from));
    }
    balancer(region, site, &vpc);
}

/// The load balancer of a cluster's gateway.
fn balancer(region: &mut Region, site: &Site, vpc: &str) {
    let n = site.number;
    let arn = format!("arn:aws:elasticloadbalancing:{REGION}:000000000000:loadbalancer/net/istio/{n:016x}");
    let group = format!("arn:aws:elasticloadbalancing:{REGION}:000000000000:targetgroup/istio-{n}/{n:016x}");
    region.load_balancers.insert(LoadBalancer {
        head: head(arn.as_str()),
        name: format!("k8s-istio-{n}"),
        dns_name: site.balancer(),
        vpc_id: vpc.to_owned(),
        internet_facing: true,
        dual_stack: site.dualstack,
        subnets: BTreeMap::from([("us-west-2a".to_owned(), format!("subnet-{n}"))]),
        groups: Vec::new(),
        attributes: BTreeMap::new(),
        active_at: EPOCH,
    });
    region.interfaces.insert(NetworkInterface {
        head: head(format!("eni-lb-{n}")),
        vpc_id: vpc.to_owned(),
        subnet_id: format!("subnet-{n}"),
        zone: "us-west-2a".to_owned(),
        groups: Vec::new(),
        description: format!("ELB net/istio/{n:016x}"),
        interface_type: "network_load_balancer".to_owned(),
        private_ip: Ipv4Addr::new(10, n, 0, 240),
        ipv6: if site.dualstack {
            vec![Ipv6Addr::new(0x2600, 0x1f14, u16::from(n), 0, 0, 0, 0, 0x35)]
        } else {
            Vec::new()
        },
        allocation_id: None,
        attachment_id: None,
        requester_managed: true,
        public_ip: Some(Ipv4Addr::new(35, 160, 0, n)),
        instance_id: None,
        gone_at: None,
    });
    region.target_groups.insert(TargetGroup {
        head: head(group.as_str()),
        name: format!("istio-{n}"),
        protocol: "TCP".to_owned(),
        port: 15443,
        vpc_id: vpc.to_owned(),
        target_type: "ip".to_owned(),
        ipv6: site.ipv6,
        check: HealthCheck {
            protocol: "HTTP".to_owned(),
            port: "15021".to_owned(),
            path: Some("/healthz/ready".to_owned()),
            matcher: None,
            interval: 10,
            timeout: 6,
            healthy: 3,
            unhealthy: 3,
        },
        targets: vec![Target {
            id: site.pod(30).to_string(),
            port: 15443,
            zone: "us-west-2a".to_owned(),
            healthy_at: EPOCH,
            drained_at: None,
            failing: false,
        }],
    });
    region.listeners.insert(Listener {
        head: head(arn.replace("loadbalancer/", "listener/")),
        load_balancer_arn: arn,
        protocol: "TCP".to_owned(),
        port: 15443,
        target_group_arn: group,
    });
}
