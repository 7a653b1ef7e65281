//! What the charts render from the values of a mesh, and what Helm would read of a release.

use super::*;

fn rendered(name: &str, chart: &str, values: &Value) -> Rendered {
    let namespace = if chart.contains("load-balancer") { "kube-system" } else { "istio-system" };
    render(&Wanted { name, namespace, chart, version: None, values, upgrades: false }).unwrap()
}

fn find<'a>(rendered: &'a Rendered, kind: &str, name: &str) -> Option<&'a Value> {
    rendered.objects.iter().find(|object| object["kind"] == kind && object["metadata"]["name"] == name)
}

fn istiod_values() -> Value {
    json!({
        "global": { "meshID": "mesh1", "network": "network1", "multiCluster": { "clusterName": "cluster-1" } },
        "meshConfig": {
            "trustDomain": "cluster.local",
            "defaultConfig": { "proxyMetadata": { "PROXY_CONFIG_XDS_AGENT": "true" } },
        },
        "env": { "ISTIO_MULTIROOT_MESH": "true" },
        "autoscaleMin": 2,
    })
}

#[test]
fn a_chart_is_known_by_the_end_of_its_reference() {
    for (reference, name) in [
        ("base", "base"),
        ("istio/istiod", "istiod"),
        ("oci://gcr.io/istio-release/charts/gateway", "gateway"),
        ("./charts/gateway/", "gateway"),
        ("/air-gapped/istiod-1.31.0.tgz", "istiod"),
        ("manifests/charts/istio-control/istio-discovery", "istiod"),
        ("eks/aws-load-balancer-controller", "aws-load-balancer-controller"),
        ("aws-load-balancer-controller-3.5.0.tgz", "aws-load-balancer-controller"),
        ("charts/cross-network-gateway", "cross-network-gateway"),
    ] {
        assert_eq!(chart_name(reference), name, "{reference}");
    }
}

#[test]
fn the_control_plane_says_what_it_was_told() {
    let istiod = rendered("istiod", "istiod", &istiod_values());
    let deployment = find(&istiod, "Deployment", "istiod").unwrap();
    let env = &deployment["spec"]["template"]["spec"]["containers"][0]["env"];
    let value = |name: &str| env.as_array().unwrap().iter().find(|one| one["name"] == name).map(|one| &one["value"]);
    assert_eq!(value("CLUSTER_ID"), Some(&json!("cluster-1")));
    assert_eq!(value("ISTIO_MULTIROOT_MESH"), Some(&json!("true")));
    assert_eq!(
        deployment["spec"]["template"]["spec"]["containers"][0]["image"],
        "registry.istio.io/release/pilot:1.31.0"
    );
    let map = find(&istiod, "ConfigMap", "istio-sidecar-injector").unwrap();
    let values: Value = serde_json::from_str(map["data"]["values"].as_str().unwrap()).unwrap();
    assert_eq!(values["global"]["network"], "network1");
    let mesh = find(&istiod, "ConfigMap", "istio").unwrap()["data"]["mesh"].as_str().unwrap().to_owned();
    let mesh: Value = serde_saphyr::from_str(&mesh).unwrap();
    assert_eq!(mesh["defaultConfig"]["proxyMetadata"]["PROXY_CONFIG_XDS_AGENT"], "true");
    assert_eq!(mesh["defaultConfig"]["discoveryAddress"], "istiod.istio-system.svc:15012");
    assert!(find(&istiod, "ClusterRoleBinding", "istio-reader-clusterrole-istio-system").is_some());
    assert_eq!(find(&istiod, "HorizontalPodAutoscaler", "istiod").unwrap()["spec"]["minReplicas"], 2);
    let webhooks = find(&istiod, "MutatingWebhookConfiguration", "istio-sidecar-injector").unwrap();
    assert_eq!(webhooks["webhooks"].as_array().unwrap().len(), 4);
    assert!(webhooks["webhooks"][0]["clientConfig"].get("caBundle").is_none(), "the control plane writes it");
}

#[test]
fn an_upgrade_leaves_to_the_control_plane_what_it_patches() {
    let values = json!({});
    let policy = |upgrades| {
        let wanted = Wanted {
            name: "istio-base",
            namespace: "istio-system",
            chart: "base",
            version: None,
            values: &values,
            upgrades,
        };
        let base = render(&wanted).unwrap();
        find(&base, "ValidatingWebhookConfiguration", "istiod-default-validator").unwrap()["webhooks"][0]["failurePolicy"]
            .clone()
    };
    assert_eq!(policy(false), "Ignore");
    assert_eq!(policy(true), Value::Null);
}

#[test]
fn a_gateway_of_a_network_can_do_without_its_service() {
    let values = json!({
        "networkGateway": "network1", "service": { "type": "None" }, "autoscaling": { "enabled": false }, "replicaCount": 2,
    });
    let gateway = rendered("istio-eastwestgateway", "gateway", &values);
    assert!(find(&gateway, "Service", "istio-eastwestgateway").is_none());
    assert!(find(&gateway, "HorizontalPodAutoscaler", "istio-eastwestgateway").is_none());
    let deployment = find(&gateway, "Deployment", "istio-eastwestgateway").unwrap();
    assert_eq!(deployment["spec"]["replicas"], 2);
    assert_eq!(
        deployment["spec"]["selector"]["matchLabels"],
        json!({ "app": "istio-eastwestgateway", "istio": "eastwestgateway" })
    );
    let pod = &deployment["spec"]["template"];
    assert_eq!(pod["metadata"]["labels"]["topology.istio.io/network"], "network1");
    assert_eq!(pod["spec"]["containers"][0]["image"], "auto");
    assert_eq!(pod["spec"]["containers"][0]["env"][0]["name"], "ISTIO_META_REQUESTED_NETWORK_VIEW");

    let gateway = rendered("istio-eastwestgateway", "gateway", &json!({ "networkGateway": "network1" }));
    let service = find(&gateway, "Service", "istio-eastwestgateway").unwrap();
    let ports: Vec<i64> =
        service["spec"]["ports"].as_array().unwrap().iter().filter_map(|port| port["port"].as_i64()).collect();
    assert_eq!(ports, [15021, 15443, 15012, 15017]);
    assert_eq!(service["metadata"]["labels"]["topology.istio.io/network"], "network1");
    let ingress = rendered("istio-ingressgateway", "gateway", &json!({}));
    let service = find(&ingress, "Service", "istio-ingressgateway").unwrap();
    assert_eq!(service["spec"]["ports"][1]["port"], 80);
}

#[test]
fn the_controller_needs_its_clusters_name() {
    let wanted = |values| Wanted {
        name: "aws-load-balancer-controller",
        namespace: "kube-system",
        chart: "aws-load-balancer-controller",
        version: Some("3.5.0"),
        values,
        upgrades: false,
    };
    let nothing = json!({});
    assert!(render(&wanted(&nothing)).unwrap_err().contains("clusterName"));
    let values = json!({ "clusterName": "c1", "vpcId": "vpc-1", "enableServiceMutatorWebhook": false });
    let controller = render(&wanted(&values)).unwrap();
    let deployment = find(&controller, "Deployment", "aws-load-balancer-controller").unwrap();
    let arguments = &deployment["spec"]["template"]["spec"]["containers"][0]["args"];
    assert!(arguments.as_array().unwrap().contains(&json!("--aws-vpc-id=vpc-1")));
    let webhooks = find(&controller, "MutatingWebhookConfiguration", "aws-load-balancer-webhook").unwrap();
    assert_eq!(webhooks["webhooks"].as_array().unwrap().len(), 1);
}

#[test]
fn another_chart_has_no_objects_and_says_so() {
    let sample = rendered("sample", "./charts/sample", &json!({}));
    assert!(!sample.is_known && sample.objects.is_empty());
    assert!(note_on_unknown("sample", &sample.chart).contains("chart sample"));
}

#[test]
fn definitions_come_before_what_needs_them_and_a_manifest_reads_back() {
    let base = rendered("istio-base", "base", &json!({ "defaultRevision": "default" }));
    assert_eq!(base.objects.first().unwrap()["kind"], "ServiceAccount");
    assert_eq!(base.objects.last().unwrap()["kind"], "ValidatingWebhookConfiguration");
    let record = Record {
        name: "istio-base".to_owned(),
        namespace: "istio-system".to_owned(),
        revision: 3,
        status: "deployed".to_owned(),
        description: "meshplan mesh1/helm.release/cluster-1/istio-system/istio-base".to_owned(),
        times: ("2026-01-01T00:00:00Z".to_owned(), "2026-01-02T00:00:00Z".to_owned()),
        chart: ("base".to_owned(), "1.31.0".to_owned(), "1.31.0".to_owned()),
        values: json!({ "defaultRevision": "default" }),
        manifest: manifest(&base),
    };
    assert_eq!(record.objects(), base.objects);
    let secret = record.secret().unwrap();
    assert_eq!(secret["metadata"]["name"], "sh.helm.release.v1.istio-base.v3");
    assert_eq!(secret["metadata"]["labels"]["status"], "deployed");
    assert_eq!(Record::parse(&secret).unwrap(), record);
    assert!(Record::parse(&json!({ "metadata": { "name": "x" }, "data": { "release": "????" } })).is_err());
}
