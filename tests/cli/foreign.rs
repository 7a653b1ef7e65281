//! Load balancers that somebody else put into a cluster: they go with it only if that was asked for.

use crate::support::Place;

const ONE_CLUSTER: &str = r#"schema = 1

[mesh]
id = "small"
region = "us-west-2"

[networks.network1]
cidr = "10.1.0.0/16"
azs = 2

[clusters.cluster-1]
network = "network1"
"#;

/// While somebody looks, somebody else's Service gets its load balancer.
const SHOP: &str = r#"[[rules]]
operation = "DescribeVpcs"
fault = "modify"
resource = "tag:meshplan:address=aws.subnet/network1/public-a"

[rules.call]
Service = "elasticloadbalancing"
Action = "CreateLoadBalancer"
Name = "k8s-shop-front"
Type = "network"
"Subnets.member.1" = "{id}"
"Tags.member.1.Key" = "elbv2.k8s.aws/cluster"
"Tags.member.1.Value" = "cluster-1"
"Tags.member.2.Key" = "service.k8s.aws/stack"
"Tags.member.2.Value" = "shop/front"
"#;

#[test]
fn a_destroy_is_refused_over_the_load_balancers_of_others_unless_it_is_forced() {
    let place = Place::new("foreign");
    place.write("one.toml", ONE_CLUSTER);
    place.sandbox("apply one.toml --yes").succeeded();
    place.write("faults.toml", SHOP);
    place.sandbox("drift --sandbox-faults faults.toml").succeeded();

    let named = "load balancer k8s-shop-front in us-west-2, of shop/front, which is not meshplan's, goes with cluster \
                 `cluster-1`";
    let planned = place.sandbox("plan --destroy one.toml").succeeded();
    assert!(planned.all().contains(named), "{}", planned.all());

    let before = place.read("state/small.json");
    let refused = place.sandbox("destroy --yes").refused();
    assert!(
        refused.stderr.contains("error[foreign-load-balancers]: 1 load balancer not of meshplan's would be deleted")
    );
    assert!(refused.stderr.contains(named) && refused.stderr.contains("`--force`"), "{}", refused.all());
    assert_eq!(place.read("state/small.json"), before, "nothing was done");

    let forced = place.sandbox("destroy --yes --force").succeeded();
    assert!(forced.stdout.contains("Left: nothing"), "{}", forced.all());
    let left: serde_json::Value =
        serde_json::from_str(&place.sandbox("sandbox status --format json").succeeded().stdout).unwrap();
    assert_eq!(left["total"], 0, "{left}");
}
