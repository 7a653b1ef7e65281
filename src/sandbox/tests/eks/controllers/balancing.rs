//! The life of a Service's load balancer, from the controller's role to what a deletion leaves.

use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum;

use super::*;

type Elb = aws_sdk_elasticloadbalancingv2::Client;

fn elb(inside: &Inside) -> Elb {
    Elb::new(&client_config(&inside.base.sandbox))
}

fn service(family: &str, annotations: Value) -> Value {
    let mut annotations = annotations;
    let prefix = "service.beta.kubernetes.io/aws-load-balancer";
    for (suffix, value) in [
        ("type", "external"),
        ("nlb-target-type", "ip"),
        ("scheme", "internal"),
        ("healthcheck-protocol", "http"),
        ("healthcheck-port", "15021"),
        ("healthcheck-path", "/healthz/ready"),
        ("attributes", "load_balancing.cross_zone.enabled=true"),
        ("additional-resource-tags", "meshplan:mesh=mesh1"),
    ] {
        let key = format!("{prefix}-{suffix}");
        if annotations[&key].is_null() {
            annotations[&key] = value.into();
        }
    }
    json!({
        "apiVersion": "v1", "kind": "Service",
        "metadata": {
            "name": "istio-eastwestgateway", "namespace": "istio-system", "annotations": annotations,
            "labels": { "topology.istio.io/network": "network1" },
        },
        "spec": {
            "type": "LoadBalancer",
            "loadBalancerClass": "service.k8s.aws/nlb",
            "ipFamilies": [family],
            "loadBalancerSourceRanges": ["203.0.113.0/24"],
            "selector": { "istio": "eastwestgateway" },
            "ports": [
                { "name": "status-port", "port": 15021, "targetPort": 15021 },
                { "name": "tls", "port": 15443, "targetPort": 15443 },
            ],
        },
    })
}

fn key() -> Key {
    core("services", "istio-system", "istio-eastwestgateway")
}

/// A cluster with a control plane, whose subnets load balancers find.
async fn mesh(sandbox: Sandbox, family: IpFamily) -> Inside {
    let inside = Inside::with_nodes(sandbox, family).await;
    for subnet in &inside.base.private {
        let tag = aws_sdk_ec2::types::Tag::builder().key("kubernetes.io/role/internal-elb").value("1").build();
        inside.base.ec2.create_tags().resources(subnet).tags(tag).send().await.unwrap();
    }
    inside.write(space("istio-system", json!({})));
    inside
}

fn hostname(inside: &Inside) -> Option<String> {
    let found = inside.read(&key())?;
    let hostname = text(&found, "/status/loadBalancer/ingress/0/hostname");
    (!hostname.is_empty()).then(|| hostname.to_owned())
}

async fn health(client: &Elb, port: i32) -> Vec<TargetHealthStateEnum> {
    let groups = client.describe_target_groups().send().await.unwrap().target_groups.unwrap();
    let group = groups.iter().find(|group| group.port() == Some(port)).unwrap();
    let arn = group.target_group_arn().unwrap();
    let found = client.describe_target_health().target_group_arn(arn).send().await.unwrap();
    found.target_health_descriptions().iter().map(|one| one.target_health().unwrap().state().unwrap().clone()).collect()
}

#[tokio::test]
async fn a_service_becomes_a_load_balancer_and_goes_with_all_of_it() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = mesh(sandbox.clone(), IpFamily::Ipv4).await;
            let client = elb(&inside);
            inside.write(service("IPv4", json!({})));
            inside.sleep(120).await;
            assert_eq!(hostname(&inside), None, "nobody is there to make it");
            inside.balance().await;
            let mut took = 0;
            while hostname(&inside).is_none() {
                inside.sleep(1).await;
                took += 1;
            }
            // From when its first pod is ready, which is a while before they all are.
            assert!((1..=31).contains(&took), "{took}");
            let found = inside.read(&key()).unwrap();
            assert_eq!(found["metadata"]["finalizers"], json!(["service.k8s.aws/resources"]));
            let balancers = client.describe_load_balancers().send().await.unwrap().load_balancers.unwrap();
            assert_eq!(balancers.len(), 1);
            let arn = balancers[0].load_balancer_arn().unwrap();
            assert_eq!(balancers[0].dns_name(), hostname(&inside).as_deref());
            assert!(balancers[0].load_balancer_name().unwrap().starts_with("k8s-istiosys-istioeas-"));
            assert_eq!(balancers[0].security_groups().len(), 2);
            let tags = client.describe_tags().resource_arns(arn).send().await.unwrap();
            let tags: Vec<(&str, &str)> = tags.tag_descriptions()[0]
                .tags()
                .iter()
                .map(|tag| (tag.key().unwrap(), tag.value().unwrap()))
                .collect();
            assert_eq!(
                tags,
                [
                    ("elbv2.k8s.aws/cluster", "c1"),
                    ("meshplan:mesh", "mesh1"),
                    ("service.k8s.aws/resource", "LoadBalancer"),
                    ("service.k8s.aws/stack", "istio-system/istio-eastwestgateway"),
                ]
            );
            let groups = inside.base.ec2.describe_security_groups().filters(filter("group-name", "k8s-istiosys-*"));
            let group = groups.send().await.unwrap().security_groups.unwrap().remove(0);
            let peers: Vec<(Option<i32>, &str)> = group
                .ip_permissions()
                .iter()
                .map(|one| (one.from_port(), one.ip_ranges()[0].cidr_ip().unwrap()))
                .collect();
            assert_eq!(peers, [(Some(15021), "203.0.113.0/24"), (Some(15443), "203.0.113.0/24")]);
            assert_eq!(health(&client, 15443).await, [], "there are no pods");

            // The gateway comes: its pods are checked on 15021, which answers, while nothing listens on 15443.
            inside.install("istiod", "istio-system", "istiod", &json!({ "autoscaleEnabled": false }));
            inside.available("istio-system", "istiod").await;
            inside.sleep(3).await;
            let values =
                json!({ "service": { "type": "None" }, "autoscaling": { "enabled": false }, "replicaCount": 2 });
            inside.install("istio-eastwestgateway", "istio-system", "gateway", &values);
            inside.available("istio-system", "istio-eastwestgateway").await;
            assert_eq!(health(&client, 15443).await, [TargetHealthStateEnum::Initial, TargetHealthStateEnum::Initial]);
            inside.sleep(245).await;
            assert_eq!(health(&client, 15443).await, [TargetHealthStateEnum::Healthy, TargetHealthStateEnum::Healthy]);

            // Its ranges change, and so do the rules.
            inside.edit(&key(), |object| {
                object["spec"]["loadBalancerSourceRanges"] = json!(["198.51.100.7/32"]);
            });
            let groups = inside.base.ec2.describe_security_groups().filters(filter("group-name", "k8s-istiosys-*"));
            let group = groups.send().await.unwrap().security_groups.unwrap().remove(0);
            assert_eq!(group.ip_permissions()[0].ip_ranges()[0].cidr_ip(), Some("198.51.100.7/32"));

            inside.delete(&key());
            let mut took = 0;
            while inside.read(&key()).is_some() {
                inside.sleep(1).await;
                took += 1;
            }
            assert!((30..=120).contains(&took), "{took}");
            assert!(client.describe_load_balancers().send().await.unwrap().load_balancers().is_empty());
            assert!(client.describe_target_groups().send().await.unwrap().target_groups().is_empty());
            let groups = inside.base.ec2.describe_security_groups().filters(filter("group-name", "k8s-*"));
            assert!(groups.send().await.unwrap().security_groups().is_empty());
        })
        .await;
}

#[tokio::test]
async fn a_check_on_the_traffic_port_needs_somebody_who_listens() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = mesh(sandbox.clone(), IpFamily::Ipv4).await;
            let client = elb(&inside);
            inside.balance().await;
            inside.install("istiod", "istio-system", "istiod", &json!({ "autoscaleEnabled": false }));
            inside.available("istio-system", "istiod").await;
            inside.sleep(3).await;
            let values = json!({ "service": { "type": "None" }, "autoscaling": { "enabled": false } });
            inside.install("istio-eastwestgateway", "istio-system", "gateway", &values);
            inside.available("istio-system", "istio-eastwestgateway").await;
            let annotations = json!({
                "service.beta.kubernetes.io/aws-load-balancer-healthcheck-port": "traffic-port",
                "service.beta.kubernetes.io/aws-load-balancer-healthcheck-protocol": "tcp",
            });
            inside.write(service("IPv4", annotations));
            inside.sleep(300).await;
            assert_eq!(health(&client, 15021).await, [TargetHealthStateEnum::Healthy]);
            assert_eq!(health(&client, 15443).await, [TargetHealthStateEnum::Unhealthy]);
            inside.write(json!({
                "apiVersion": "networking.istio.io/v1", "kind": "Gateway",
                "metadata": { "name": "cross-network-gateway", "namespace": "istio-system" },
                "spec": {
                    "selector": { "istio": "eastwestgateway" },
                    "servers": [{ "port": { "number": 15443, "name": "tls", "protocol": "TLS" }, "hosts": ["*.local"] }],
                },
            }));
            inside.sleep(35).await;
            assert_eq!(health(&client, 15443).await, [TargetHealthStateEnum::Healthy]);
        })
        .await;
}

#[tokio::test]
async fn what_cannot_be_is_said_in_events() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = mesh(sandbox.clone(), IpFamily::Ipv6).await;
            // The controller without its role has that of its node.
            inside.install_controller();
            inside.available("kube-system", "aws-load-balancer-controller").await;
            let dual = json!({ "service.beta.kubernetes.io/aws-load-balancer-ip-address-type": "dualstack" });
            inside.write(service("IPv6", dual));
            inside.sleep(60).await;
            let said = inside.said("istio-system", "FailedDeployModel");
            assert!(
                said[0].contains("is not authorized to perform: elasticloadbalancing:CreateTargetGroup"),
                "{said:?}"
            );
            inside.on(|objects| objects.remove(&key()));

            let role = role(&inside.base.sandbox, "balancing", "pods.eks.amazonaws.com", &[]).await;
            let put = inside.base.iam.put_role_policy().role_name("balancing").policy_name("all");
            put.policy_document(BALANCING).send().await.unwrap();
            inside.sleep(15).await;
            let identity = inside.base.eks.create_pod_identity_association().cluster_name("c1");
            let identity = identity.namespace("kube-system").service_account("aws-load-balancer-controller");
            identity.role_arn(role).send().await.unwrap();
            inside.write(service("IPv6", json!({})));
            inside.sleep(60).await;
            assert_eq!(
                inside.said("istio-system", "FailedBuildModel"),
                ["Failed build model due to unsupported IPv6 configuration, lb not dual-stack"]
            );
            assert_eq!(hostname(&inside), None);
        })
        .await;
}

#[tokio::test]
async fn without_its_controller_a_service_keeps_its_finalizer() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = mesh(sandbox.clone(), IpFamily::Ipv4).await;
            inside.balance().await;
            inside.write(service("IPv4", json!({})));
            inside.sleep(60).await;
            assert!(hostname(&inside).is_some());
            inside.delete(&of_apps("deployments", "kube-system", "aws-load-balancer-controller"));
            inside.delete(&key());
            let system = Key::new("", "namespaces", None, "istio-system");
            inside.delete(&system);
            inside.sleep(1800).await;
            let stuck = inside.read(&system).unwrap();
            assert_eq!(stuck["status"]["phase"], "Terminating");
            assert!(inside.read(&key()).is_some());
            let balancers = elb(&inside).describe_load_balancers().send().await.unwrap();
            assert_eq!(balancers.load_balancers().len(), 1);
            // It comes back, and everything goes.
            inside.install_controller();
            inside.sleep(240).await;
            let left = inside.on(|objects| objects.in_namespace("istio-system"));
            assert!(inside.read(&system).is_none(), "{left:#?} {:#?}", inside.read(&key()));
            let balancers = elb(&inside).describe_load_balancers().send().await.unwrap();
            assert!(balancers.load_balancers().is_empty());
        })
        .await;
}
