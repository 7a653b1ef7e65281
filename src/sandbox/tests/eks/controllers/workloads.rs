//! From Deployments to pods that are ready: nodes, addresses, durations, rollouts, endpoints.

use super::*;

#[tokio::test]
async fn pods_wait_for_nodes_and_have_addresses_of_their_subnets() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = Inside::bare(sandbox.clone(), IpFamily::Ipv4).await;
            inside.write(deployment("default", "app", 3, "app:1"));
            inside.sleep(30).await;
            let pods = inside.pods("default", "app");
            assert_eq!(pods.len(), 3);
            assert!(pods.iter().all(|pod| pod["status"]["phase"] == "Pending"));
            assert_eq!(inside.said("default", "FailedScheduling")[0], "no nodes available to schedule pods");
            let found = inside.read(&of_apps("deployments", "default", "app")).unwrap();
            assert!(!holds(&found, "Available") && holds(&found, "Progressing"));

            inside.base.addons("c1").await;
            inside.base.nodes("c1").send().await.unwrap();
            while inside.base.nodes_status("c1").await != NodegroupStatus::Active {
                inside.sleep(5).await;
            }
            let took = inside.available("default", "app").await;
            assert!((2..=20).contains(&took), "{took}");
            let nodes = inside.on(|objects| objects.list("", "nodes", None).cloned().collect::<Vec<_>>());
            assert_eq!(nodes.len(), 2);
            assert!(name(&nodes[0]).ends_with(".us-west-2.compute.internal"));
            assert_eq!(nodes[0]["metadata"]["labels"]["eks.amazonaws.com/nodegroup"], "nodes");
            let blocks: Vec<ipnet::Ipv4Net> = vec!["10.1.0.0/24".parse().unwrap(), "10.1.16.0/24".parse().unwrap()];
            let pods = inside.pods("default", "app");
            let mut addresses: Vec<std::net::Ipv4Addr> =
                pods.iter().map(|pod| text(pod, "/status/podIP").parse().unwrap()).collect();
            assert!(addresses.iter().all(|one| blocks.iter().any(|block| block.contains(one))), "{addresses:?}");
            addresses.sort_unstable();
            addresses.dedup();
            assert_eq!(addresses.len(), 3);
            let daemons = inside.read(&of_apps("daemonsets", "kube-system", "aws-node")).unwrap();
            assert_eq!(daemons["status"]["desiredNumberScheduled"], 2);

            // The nodes go, and the pods with them; others wait in their place.
            inside.base.eks.delete_nodegroup().cluster_name("c1").nodegroup_name("nodes").send().await.unwrap();
            inside.sleep(60).await;
            let pods = inside.pods("default", "app");
            assert_eq!(pods.len(), 3);
            assert!(pods.iter().all(|pod| text(pod, "/spec/nodeName").is_empty()));
            assert!(inside.on(|objects| objects.list("", "nodes", None).next().is_none()));
        })
        .await;
}

#[tokio::test]
async fn an_ipv6_cluster_has_ipv6_everywhere() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = Inside::with_nodes(sandbox.clone(), IpFamily::Ipv6).await;
            inside.write(deployment("default", "app", 1, "app:1"));
            inside.write(json!({
                "apiVersion": "v1", "kind": "Service", "metadata": { "name": "app", "namespace": "default" },
                "spec": { "selector": { "app": "app" }, "ports": [{ "port": 80, "targetPort": "http" }] },
            }));
            inside.available("default", "app").await;
            let pod = inside.pods("default", "app").remove(0);
            let found = inside.base.ec2.describe_vpcs().vpc_ids(&inside.base.vpc).send().await.unwrap().vpcs.unwrap();
            let block: ipnet::Ipv6Net =
                found[0].ipv6_cidr_block_association_set()[0].ipv6_cidr_block().unwrap().parse().unwrap();
            let address: std::net::Ipv6Addr = text(&pod, "/status/podIP").parse().unwrap();
            assert!(block.contains(&address), "{address}");
            let service = inside.read(&core("services", "default", "app")).unwrap();
            assert_eq!(service["spec"]["ipFamilies"], json!(["IPv6"]));
            assert!(text(&service, "/spec/clusterIP").parse::<std::net::Ipv6Addr>().is_ok());
            let slices = inside.list("discovery.k8s.io", "endpointslices", "default");
            assert_eq!(slices[0]["addressType"], "IPv6");
            assert_eq!(slices[0]["ports"][0]["port"], 5000);
            assert_eq!(slices[0]["endpoints"][0]["addresses"][0], pod["status"]["podIP"]);
            assert_eq!(slices[0]["endpoints"][0]["conditions"]["ready"], true);
            let endpoints = inside.read(&core("endpoints", "default", "app")).unwrap();
            assert_eq!(endpoints["subsets"][0]["addresses"][0]["ip"], pod["status"]["podIP"]);
        })
        .await;
}

#[tokio::test]
async fn another_template_replaces_the_pods_without_a_gap() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = Inside::with_nodes(sandbox.clone(), IpFamily::Ipv4).await;
            inside.write(deployment("default", "app", 4, "app:1"));
            inside.available("default", "app").await;
            let key = of_apps("deployments", "default", "app");
            inside.edit(&key, |object| {
                object["spec"]["template"]["spec"]["containers"][0]["image"] = "app:2".into();
            });
            let mut least = 4;
            for _ in 0..90 {
                inside.sleep(1).await;
                let found = inside.read(&key).unwrap();
                least = least.min(found["status"]["availableReplicas"].as_i64().unwrap_or_default());
            }
            assert_eq!(least, 3, "a quarter may be missing");
            let found = inside.read(&key).unwrap();
            assert_eq!(found["status"]["observedGeneration"], found["metadata"]["generation"]);
            assert_eq!(found["status"]["updatedReplicas"], 4);
            assert_eq!(found["status"]["replicas"], 4);
            assert_eq!(found["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "2");
            let images: Vec<Value> =
                inside.pods("default", "app").iter().map(|pod| pod["spec"]["containers"][0]["image"].clone()).collect();
            assert_eq!(images, ["app:2"; 4]);
            assert_eq!(inside.list("apps", "replicasets", "default").len(), 2, "the old one is kept for a rollback");
        })
        .await;
}

#[tokio::test]
async fn a_job_runs_to_its_end_and_a_stateful_set_counts_its_pods() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let inside = Inside::with_nodes(sandbox.clone(), IpFamily::Ipv4).await;
            let pod = json!({ "containers": [{ "name": "one", "image": "one:1" }], "restartPolicy": "Never" });
            inside.write(json!({
                "apiVersion": "batch/v1", "kind": "Job", "metadata": { "name": "once", "namespace": "default" },
                "spec": { "template": { "spec": pod } },
            }));
            inside.write(json!({
                "apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": { "name": "db", "namespace": "default" },
                "spec": {
                    "replicas": 2, "serviceName": "db", "selector": { "matchLabels": { "app": "db" } },
                    "template": { "metadata": { "labels": { "app": "db" } }, "spec": pod },
                },
            }));
            inside.sleep(60).await;
            let job = inside.read(&Key::new("batch", "jobs", Some("default"), "once")).unwrap();
            assert!(holds(&job, "Complete"));
            assert_eq!(job["status"]["succeeded"], 1);
            let names: Vec<String> = inside.pods("default", "db").iter().map(|pod| name(pod).to_owned()).collect();
            assert_eq!(names, ["db-0", "db-1"]);
            let set = inside.read(&of_apps("statefulsets", "default", "db")).unwrap();
            assert_eq!(set["status"]["readyReplicas"], 2);
        })
        .await;
}

#[tokio::test]
async fn auto_mode_starts_nodes_for_pods_that_fit_nowhere() {
    let sandbox = realistic();
    sandbox
        .clone()
        .drive(async {
            let base = Base::new(sandbox.clone()).await;
            let pools = aws_sdk_eks::types::ComputeConfigRequest::builder()
                .enabled(true)
                .node_pools("general-purpose")
                .node_role_arn(&base.node)
                .build();
            let balancing = aws_sdk_eks::types::ElasticLoadBalancing::builder().enabled(true).build();
            let network = KubernetesNetworkConfigRequest::builder().ip_family(IpFamily::Ipv4);
            let disks = aws_sdk_eks::types::StorageConfigRequest::builder()
                .block_storage(aws_sdk_eks::types::BlockStorage::builder().enabled(true).build())
                .build();
            for policy in ["Compute", "BlockStorage", "LoadBalancing", "Networking"] {
                let arn = format!("arn:aws:iam::aws:policy/AmazonEKS{policy}Policy");
                base.iam.attach_role_policy().role_name("control-plane").policy_arn(arn).send().await.unwrap();
            }
            base.sleep(20).await;
            let create = base.create("c1", IpFamily::Ipv4).compute_config(pools).storage_config(disks);
            create.kubernetes_network_config(network.elastic_load_balancing(balancing).build()).send().await.unwrap();
            while base.status("c1").await != ClusterStatus::Active {
                base.sleep(20).await;
            }
            let inside = Inside { base, cluster: "c1".to_owned() };
            inside.write(deployment("default", "app", 2, "app:1"));
            let took = inside.available("default", "app").await;
            assert!((60..=120).contains(&took), "{took}");
            assert_eq!(inside.on(|objects| objects.list("", "nodes", None).count()), 1);
            inside.base.eks.delete_cluster().name("c1").send().await.unwrap();
            inside.sleep(600).await;
            let left = inside.base.ec2.describe_instances().send().await.unwrap();
            let states: Vec<_> = left
                .reservations()
                .iter()
                .flat_map(aws_sdk_ec2::types::Reservation::instances)
                .map(|one| one.state().unwrap().name().unwrap().as_str().to_owned())
                .collect();
            assert_eq!(states, ["terminated"]);
        })
        .await;
}
