//! Clusters, in meshes as small as they can be.

use std::collections::BTreeSet;

use crate::compile::tests::{compiled, graph, spec};
use crate::compile::{Compiled, Declaration};
use crate::model::Value;

const TWO: &str = "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n[networks.n2]\ncidr = \"10.2.0.0/16\"\nazs = 2\n\
                   [clusters.c1]\nnetwork = \"n1\"\n[clusters.c2]\nnetwork = \"n2\"\nip_family = \"ipv6\"\n";

fn declaration<'a>(compiled: &'a Compiled, address: &str) -> &'a Declaration {
    let found = compiled.declarations.iter().find(|declaration| declaration.address.as_str() == address);
    found.unwrap_or_else(|| panic!("{address} is not declared:\n{}", graph(compiled)))
}

fn value(compiled: &Compiled, address: &str) -> Value {
    declaration(compiled, address).spec.value()
}

fn field(compiled: &Compiled, address: &str, key: &str) -> String {
    value(compiled, address).get(key).unwrap_or_else(|| panic!("{address} has no {key}")).to_string()
}

/// Everything that has to be ready before this, whatever is between.
fn before(compiled: &Compiled, address: &str) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut pending = vec![address.to_owned()];
    while let Some(next) = pending.pop() {
        for required in declaration(compiled, &next).requirements() {
            if reached.insert(required.to_string()) {
                pending.push(required.to_string());
            }
        }
    }
    reached
}

fn addresses<'a>(compiled: &'a Compiled, prefix: &str) -> Vec<&'a str> {
    let all = compiled.declarations.iter().map(|declaration| declaration.address.as_str());
    all.filter(|address| address.starts_with(prefix)).collect()
}

/// The graph without the networks, and without what is inside of the clusters.
fn clusters(compiled: &Compiled) -> String {
    let of_clusters = |line: &&str| {
        let is = |kinds: &[&str]| kinds.iter().any(|kind| line.starts_with(kind));
        !is(&["aws.", "helm.", "istio.", "kubernetes.", "pki."]) || is(&["aws.security_group_rule"])
    };
    graph(compiled).lines().filter(of_clusters).fold(String::new(), |text, line| text + line + "\n")
}

#[test]
fn one_cluster_alone() {
    let compiled = compiled("[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n[clusters.c1]\nnetwork = \"n1\"\n");
    insta::assert_snapshot!("one_cluster_graph", clusters(&compiled));
    insta::assert_snapshot!("one_cluster_control_plane", spec(&compiled, "eks.cluster/c1"));
    insta::assert_snapshot!("one_cluster_nodes", spec(&compiled, "eks.nodegroup/c1/nodes"));
    let cluster = declaration(&compiled, "eks.cluster/c1");
    assert!(cluster.protected);
    assert_eq!(cluster.origin.to_string(), "clusters.c1");
    assert_eq!(
        cluster.notes,
        [
            "the API server is open to any IPv4 address, because `api_access.cidrs` names no operator and nobody could \
             reach it otherwise; it still asks who calls",
            "services take 10.100.0.0/16 or 172.20.0.0/16, whichever EKS finds apart from the network",
            "standard support: EKS upgrades the control plane itself when that of 1.35 ends",
        ]
    );
    assert_eq!(compiled.notes, Vec::<String>::new());
}

#[test]
fn an_ipv4_and_an_ipv6_cluster() {
    let compiled = compiled(&format!("{TWO}[api_access]\ncidrs = [\"203.0.113.0/24\", \"2001:db8::/32\"]\n"));
    insta::assert_snapshot!("two_clusters_graph", clusters(&compiled));
    assert_eq!(
        field(&compiled, "eks.cluster/c1", "public_access_cidrs"),
        "[\"203.0.113.0/24\", (known after apply: aws.eip/n2/nat.public_cidr)]",
        "an IPv4 endpoint takes no IPv6 range"
    );
    assert_eq!(
        field(&compiled, "eks.cluster/c2", "public_access_cidrs"),
        "[\"203.0.113.0/24\", \"2001:db8::/32\", (known after apply: aws.eip/n1/nat.public_cidr), \
         (known after apply: aws.vpc/n1.ipv6_cidr)]"
    );
    assert_eq!(field(&compiled, "eks.addon/c1/vpc-cni", "configuration"), "{}");
    assert_eq!(field(&compiled, "eks.addon/c2/vpc-cni", "configuration"), "{ env = { ENABLE_V4_EGRESS = \"true\" } }");
    let cni = |cluster: &str| format!("iam.role/{cluster}/vpc-cni");
    assert!(field(&compiled, &cni("c1"), "managed_policies").contains("AmazonEKS_CNI_Policy"));
    assert_eq!(field(&compiled, &cni("c2"), "managed_policies"), "[]", "AWS has none for IPv6");
    let policy = field(&compiled, &cni("c2"), "inline_policies");
    assert!(policy.contains("ec2:DescribeSubnets") && policy.contains("ec2:DescribeSecurityGroups"), "{policy}");
    assert!(declaration(&compiled, &cni("c2")).notes[0].contains("IPv6 cluster"));
}

#[test]
fn the_order_and_parallelism_of_a_human_expert() {
    let compiled = compiled(&format!("{TWO}[api_access]\ncidrs = [\"203.0.113.0/24\"]\n"));
    for role in addresses(&compiled, "iam.role/") {
        assert_eq!(before(&compiled, role), BTreeSet::new(), "{role} is made at once");
    }
    for (cluster, network, peer) in [("c1", "n1", "n2"), ("c2", "n2", "n1")] {
        let plane = before(&compiled, &format!("eks.cluster/{cluster}"));
        assert!(plane.contains(&format!("aws.subnet/{network}/private-a")), "{plane:?}");
        assert!(plane.contains(&format!("iam.role/{cluster}/control-plane")), "{plane:?}");
        assert!(plane.contains(&format!("aws.eip/{peer}/nat")), "{plane:?}");
        for kind in ["aws.nat_gateway", "aws.route/", "eks.", "aws.subnet/n1/public", "aws.subnet/n2/public"] {
            let waits: Vec<_> = plane.iter().filter(|address| address.starts_with(kind)).collect();
            assert_eq!(waits, Vec::<&String>::new(), "{cluster} does not wait for that");
        }
        let nodes = before(&compiled, &format!("eks.nodegroup/{cluster}/nodes"));
        for addon in ["vpc-cni", "kube-proxy", "eks-pod-identity-agent"] {
            assert!(nodes.contains(&format!("eks.addon/{cluster}/{addon}")), "{addon} comes before nodes");
        }
        assert!(nodes.contains(&format!("aws.route/{network}/private/ipv4")), "nodes have a way to a registry");
        assert!(
            nodes.contains(&format!("aws.route/{network}/public/ipv4")),
            "which their NAT gateway has as long as its subnet has one: also while nodes are drained"
        );
        assert!(nodes.contains(&format!("iam.role/{cluster}/node")));
        assert!(!nodes.contains(&format!("aws.nat_gateway/{peer}/nat")), "and wait for no other network's");
        assert!(!nodes.contains(&format!("eks.addon/{cluster}/coredns")));
        let dns = before(&compiled, &format!("eks.addon/{cluster}/coredns"));
        assert!(dns.contains(&format!("eks.nodegroup/{cluster}/nodes")), "DNS runs on nodes");
    }
}

#[test]
fn taking_down_is_the_reverse_with_the_sweeps_in_their_places() {
    let compiled = compiled(TWO);
    let goes_before = |first: &str, second: &str| {
        assert!(before(&compiled, first).contains(second), "{first} is gone before {second} goes");
    };
    for (cluster, network) in [("c1", "n1"), ("c2", "n2")] {
        let of = |kind: &str| format!("{kind}/{cluster}");
        let balancers = of("teardown.load_balancers");
        for later in [
            format!("eks.nodegroup/{cluster}/nodes"),
            format!("iam.role/{cluster}/load-balancer-controller"),
            format!("eks.pod_identity_association/{cluster}/aws-load-balancer-controller"),
            format!("aws.subnet/{network}/public-b"),
            format!("aws.route/{network}/public/ipv4"),
            format!("aws.internet_gateway/{network}"),
        ] {
            goes_before(&balancers, &later);
        }
        goes_before(&format!("eks.nodegroup/{cluster}/nodes"), &of("teardown.interfaces"));
        goes_before(&of("teardown.interfaces"), &of("eks.cluster"));
        goes_before(&of("eks.cluster"), &of("teardown.remains"));
        goes_before(&of("teardown.remains"), &format!("aws.subnet/{network}/private-b"));
        goes_before(&of("teardown.remains"), &format!("aws.vpc/{network}"));
    }
}

#[test]
fn auto_mode_brings_nodes_networking_and_load_balancing() {
    let compiled = compiled(
        "[tags]\nowner = \"me\"\n[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n\
         [clusters.c1]\nnetwork = \"n1\"\nnodes = { mode = \"auto\" }\ndeletion_protection = true\n\
         [addons.metrics-server]\nversion = \"latest\"\n[addons.coredns]\nversion = \"latest\"\n",
    );
    insta::assert_snapshot!("auto_mode_graph", clusters(&compiled));
    assert!(field(&compiled, "eks.cluster/c1", "auto_mode").contains("node_pools = [\"general-purpose\", \"system\"]"));
    assert_eq!(field(&compiled, "eks.cluster/c1", "deletion_protection"), "true");
    assert!(field(&compiled, "iam.role/c1/control-plane", "trust").contains("sts:TagSession"));
    assert!(field(&compiled, "iam.role/c1/node", "managed_policies").contains("AmazonEKSWorkerNodeMinimalPolicy"));
}

#[test]
fn with_an_oidc_provider_there_is_no_association() {
    let compiled = compiled(
        "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n[clusters.c1]\nnetwork = \"n1\"\nworkload_identity = \"irsa\"\n",
    );
    insta::assert_snapshot!("irsa_graph", clusters(&compiled));
    for (role, account) in [("load-balancer-controller", "aws-load-balancer-controller"), ("vpc-cni", "aws-node")] {
        let trust = field(&compiled, &format!("iam.role/c1/{role}"), "trust");
        let subject = format!("\"system:serviceaccount:kube-system:{account}\"");
        assert!(trust.contains("iam.oidc_provider/c1.arn") && trust.contains(&subject), "{trust}");
        assert!(trust.contains("\"sts.amazonaws.com\""), "{trust}");
    }
    assert!(field(&compiled, "iam.role/c1/vpc-cni", "managed_policies").contains("AmazonEKS_CNI_Policy"));
    assert!(
        !field(&compiled, "iam.role/c1/node", "managed_policies").contains("CNI"),
        "nodes may not rewire the network"
    );
    let cni = value(&compiled, "eks.addon/c1/vpc-cni");
    assert!(cni.get("pod_identity").is_none());
    assert_eq!(
        cni.get("service_account_role_arn").unwrap().to_string(),
        "(known after apply: iam.role/c1/vpc-cni.arn)"
    );
    let values = field(&compiled, "helm.release/c1/kube-system/aws-load-balancer-controller", "values");
    assert!(values.contains("(known after apply: iam.role/c1/load-balancer-controller.arn)"), "{values}");
    let nodes = before(&compiled, "eks.nodegroup/c1/nodes");
    assert!(nodes.contains("iam.oidc_provider/c1") && nodes.contains("iam.role/c1/vpc-cni"), "{nodes:?}");
}

#[test]
fn a_control_plane_has_the_logs_and_groups_that_were_asked_for() {
    let compiled = compiled(
        "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n[clusters.c1]\nnetwork = \"n1\"\n\
         logging = [\"scheduler\", \"audit\"]\nsecurity_groups = [\"sg-0123456789abcdef0\"]\n",
    );
    assert_eq!(field(&compiled, "eks.cluster/c1", "logging"), "[\"audit\", \"scheduler\"]");
    assert_eq!(field(&compiled, "eks.cluster/c1", "security_group_ids"), "[\"sg-0123456789abcdef0\"]");
    let notes = &declaration(&compiled, "eks.cluster/c1").notes;
    assert!(notes.iter().any(|note| note.contains("/aws/eks/c1/cluster")), "{notes:?}");
}

#[test]
fn clusters_of_one_network_let_each_other_in() {
    let compiled = compiled(
        "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n[api_access]\ncidrs = [\"203.0.113.0/24\"]\n\
         [clusters.c1]\nnetwork = \"n1\"\n[clusters.c2]\nnetwork = \"n1\"\n\
         [clusters.old]\nnetwork = \"n1\"\nexisting = { name = \"Production_1\" }\n\
         [clusters.lab]\nnetwork = \"n1\"\nexisting = { kubeconfig = \"lab.yaml\", context = \"kind\" }\n",
    );
    assert_eq!(
        addresses(&compiled, "aws.security_group_rule/"),
        [
            "aws.security_group_rule/c1/from-c2",
            "aws.security_group_rule/c1/from-old",
            "aws.security_group_rule/c2/from-c1",
            "aws.security_group_rule/c2/from-old",
        ]
    );
    assert_eq!(
        field(&compiled, "aws.security_group_rule/c1/from-old", "source_group_id"),
        "(known after apply: eks.existing_cluster/old.cluster_security_group_id)"
    );
    assert_eq!(field(&compiled, "eks.cluster/c1", "public_access_cidrs"), "[\"203.0.113.0/24\"]");
    assert_eq!(field(&compiled, "eks.existing_cluster/old", "name"), "\"Production_1\"");
    let lab = declaration(&compiled, "kubernetes.existing_cluster/lab");
    assert_eq!((lab.target.to_string().as_str(), lab.requirements()), ("local", vec![]));
    let others: Vec<_> = compiled
        .declarations
        .iter()
        .filter(|d| d.address.parts().next() == Some("old") && matches!(d.target, crate::model::Target::Aws { .. }))
        .collect();
    assert_eq!(others.len(), 1, "an existing cluster is looked at and nothing else");
}

#[test]
fn an_existing_network_gives_what_its_clusters_need() {
    let compiled = compiled(
        "[networks.n1]\ncidr = \"10.1.0.0/16\"\n[networks.n1.existing]\nvpc_id = \"vpc-0123456789abcdef0\"\n\
         private_subnets = [\"subnet-0123456789abcdef0\", \"subnet-0123456789abcdef1\"]\n\
         public_subnets = [\"subnet-0123456789abcdef2\"]\n[networks.n2]\ncidr = \"10.2.0.0/16\"\nazs = 2\n\
         [clusters.c1]\nnetwork = \"n1\"\n[clusters.c2]\nnetwork = \"n2\"\n[api_access]\ncidrs = [\"203.0.113.0/24\"]\n",
    );
    assert_eq!(
        field(&compiled, "eks.cluster/c1", "subnet_ids"),
        "[(known after apply: aws.existing_network/n1.private_subnet_ids[0]), \
         (known after apply: aws.existing_network/n1.private_subnet_ids[1])]"
    );
    assert_eq!(
        field(&compiled, "eks.cluster/c2", "public_access_cidrs"),
        "[\"203.0.113.0/24\", (known after apply: aws.existing_network/n1.nat_cidrs[*])]"
    );
}

#[test]
fn who_reaches_the_public_endpoint() {
    let with = |access: &str| {
        let compiled = compiled(&format!("{TWO}[api_access]\n{access}\n"));
        let of = |key: &str| field(&compiled, "eks.cluster/c2", key);
        format!("{} {}", of("endpoint_public_access"), of("public_access_cidrs"))
    };
    assert_eq!(with("public = \"any\""), "true [\"0.0.0.0/0\", \"::/0\"]");
    assert_eq!(with("public = \"peers\""), "true [\"0.0.0.0/0\", (known after apply: aws.vpc/n1.ipv6_cidr)]");
    let private = compiled(
        "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n[clusters.c1]\nnetwork = \"n1\"\n[api_access]\npublic = \"none\"\n",
    );
    assert_eq!(field(&private, "eks.cluster/c1", "endpoint_public_access"), "false");
    assert_eq!(field(&private, "eks.cluster/c1", "public_access_cidrs"), "[]");
}

#[test]
fn pods_with_egress_to_the_other_family() {
    let compiled = compiled(
        "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\ndual_stack = true\n[clusters.c1]\nnetwork = \"n1\"\nv6_egress = true\n\
         [addons.vpc-cni]\nversion = \"v1.23.1-eksbuild.1\"\n[addons.vpc-cni.configuration]\ninit = { resources = {} }\n\
         env = { WARM_IP_TARGET = \"2\" }\n",
    );
    assert_eq!(
        field(&compiled, "eks.addon/c1/vpc-cni", "configuration"),
        "{ env = { ENABLE_V6_EGRESS = \"true\", WARM_IP_TARGET = \"2\" }, \
         init = { env = { ENABLE_V6_EGRESS = \"true\" }, resources = {} } }"
    );
    assert_eq!(field(&compiled, "eks.addon/c1/vpc-cni", "version"), "\"v1.23.1-eksbuild.1\"");
    assert_eq!(declaration(&compiled, "eks.addon/c1/vpc-cni").origin.to_string(), "addons.vpc-cni");
    assert_eq!(field(&compiled, "aws.security_group_rule/c1/ipv6-egress", "cidr"), "\"::/0\"");
    assert!(declaration(&compiled, "aws.security_group_rule/c1/ipv6-egress").notes[0].starts_with("because EKS's own"));
}

#[test]
fn administrators_have_an_entry_each() {
    let compiled = compiled(
        "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\nregion = \"cn-north-1\"\n[clusters.c1]\nnetwork = \"n1\"\n[api_access]\n\
         admins = [\"arn:aws-cn:iam::111122223333:role/a/admin\", \"arn:aws-cn:iam::111122223333:user/admin\", \
         \"arn:aws-cn:iam::111122223333:user/admin\", \"arn:aws-cn:iam::111122223333:user/me@example.com\"]\n",
    );
    let entries = addresses(&compiled, "eks.access_entry/c1/");
    assert_eq!(entries.len(), 3, "{entries:?}");
    assert_eq!(entries[0], "eks.access_entry/c1/admin");
    assert!(entries.iter().all(|entry| entry.parse::<crate::model::Address>().is_ok()), "{entries:?}");
    let policies = field(&compiled, entries[0], "policies");
    assert!(policies.contains("arn:aws-cn:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"), "{policies}");
    assert_eq!(declaration(&compiled, entries[0]).origin.to_string(), "api_access.admins[0]");
    let node = field(&compiled, "iam.role/c1/node", "managed_policies");
    assert!(node.contains("arn:aws-cn:iam::aws:policy/AmazonEKSWorkerNodePolicy"), "{node}");
}

#[test]
fn roles_have_the_meshs_path_and_boundary_and_names_that_fit() {
    let long = "a-very-long-name-of-a-cluster-that-somebody-chose-for-good-reason";
    let long = &long[..63];
    let topology = format!(
        "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\nrole_path = \"/team/\"\n\
         permissions_boundary = \"arn:aws:iam::111122223333:policy/bound\"\n[networks.n1]\ncidr = \"10.1.0.0/16\"\n\
         [clusters.{long}]\nnetwork = \"n1\"\n"
    );
    let compiled = crate::compile::compile(&crate::topology::parse(&topology).topology.unwrap());
    let roles = addresses(&compiled, "iam.role/");
    assert_eq!(roles.len(), 4);
    for role in roles {
        assert_eq!(field(&compiled, role, "path"), "\"/team/\"");
        assert!(field(&compiled, role, "permissions_boundary").contains(":policy/bound"));
        assert!(field(&compiled, role, "name").len() <= 66, "64 and two quotes");
        let notes = &declaration(&compiled, role).notes;
        assert!(notes.iter().any(|note| note.ends_with("because IAM takes 64 characters")), "{notes:?}");
    }
}

#[test]
fn nodes_get_the_image_of_their_processor() {
    let compiled = compiled(
        "[networks.n1]\ncidr = \"10.1.0.0/16\"\nazs = 2\n[clusters.c1]\nnetwork = \"n1\"\n\
         nodes = { instance_types = [\"m7g.large\"], ami = \"bottlerocket\", capacity = \"spot\" }\n",
    );
    assert_eq!(field(&compiled, "eks.nodegroup/c1/nodes", "ami_type"), "\"BOTTLEROCKET_ARM_64\"");
    assert_eq!(field(&compiled, "eks.nodegroup/c1/nodes", "capacity_type"), "\"SPOT\"");
    let notes = &declaration(&compiled, "eks.nodegroup/c1/nodes").notes;
    assert_eq!(*notes, ["an ARM image, because m7g.large has a Graviton processor"]);
}
