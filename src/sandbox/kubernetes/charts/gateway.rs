//! The chart `gateway`: a proxy that stands alone, for traffic between networks or from outside.

use serde_json::{Map, Value, json};

use super::values::{environment, is_set, merged, text};
use super::{Release, binding, object, rule};

fn own() -> Value {
    let port = |name: &str, port: u16| json!({ "name": name, "port": port, "protocol": "TCP", "targetPort": port });
    let network = |port: u16| json!({ "port": port, "targetPort": port });
    json!({
        "rbac": { "enabled": true },
        "serviceAccount": { "create": true },
        "podAnnotations": {
            "inject.istio.io/templates": "gateway",
            "prometheus.io/path": "/stats/prometheus",
            "prometheus.io/port": "15020",
            "prometheus.io/scrape": "true",
            "sidecar.istio.io/inject": "true",
        },
        "service": {
            "type": "LoadBalancer",
            "ports": [port("status-port", 15021), port("http2", 80), port("https", 443)],
            "annotations": {},
        },
        "resources": {
            "requests": { "cpu": "100m", "memory": "128Mi" }, "limits": { "cpu": "2000m", "memory": "1024Mi" },
        },
        "autoscaling": { "enabled": true, "minReplicas": 1, "maxReplicas": 5, "targetCPUUtilizationPercentage": 80 },
        "env": {},
        "labels": { "istio.io/dataplane-mode": "none" },
        "annotations": {},
        "nodeSelector": {},
        "tolerations": [],
        "affinity": {},
        "networkGateway": "",
        "networkGatewayPorts": {
            "status-port": network(15021), "tls": network(15443), "tls-istiod": network(15012), "tls-webhook": network(15017),
        },
        "podDisruptionBudget": {},
        "terminationGracePeriodSeconds": 30,
    })
}

pub(super) fn objects(release: &Release<'_>) -> Result<Vec<Value>, String> {
    let values = merged(own(), release.values);
    let or = |given: String, otherwise: &str| if given.is_empty() { otherwise.to_owned() } else { given };
    let name = or(text(&values, "/name"), release.name);
    let app = or(text(&values, "/labels/app"), &name);
    let istio = or(text(&values, "/labels/istio"), name.trim_start_matches("istio-"));
    let selector = json!({ "app": app, "istio": istio });
    let labels = merged(merged(Value::Object(release.istio_labels(&name)), &values["labels"]), &selector);
    let network = text(&values, "/networkGateway");
    let of_network = |labels: &Value| {
        let mut labels = labels.clone();
        if !network.is_empty() {
            labels["topology.istio.io/network"] = network.as_str().into();
        }
        labels
    };
    let make = |api: &str, kind: &str, labels: Value| {
        let mut made = object(api, kind, Some(release.namespace), &name, labels);
        if is_set(&values, "/annotations") {
            made["metadata"]["annotations"] = values["annotations"].clone();
        }
        made
    };
    let creates = is_set(&values, "/serviceAccount/create");
    let account = or(text(&values, "/serviceAccount/name"), if creates { &name } else { "default" });
    let mut objects = Vec::new();
    if creates {
        let mut made = object("v1", "ServiceAccount", Some(release.namespace), &account, labels.clone());
        if is_set(&values, "/serviceAccount/annotations") {
            made["metadata"]["annotations"] = values["serviceAccount"]["annotations"].clone();
        }
        objects.push(made);
    }
    if is_set(&values, "/rbac/enabled") {
        let mut role = make("rbac.authorization.k8s.io/v1", "Role", labels.clone());
        role["rules"] = json!([rule(&[""], &["secrets"], &["get", "watch", "list"])]);
        objects.push(role);
        let bound = make("rbac.authorization.k8s.io/v1", "RoleBinding", labels.clone());
        objects.push(binding(bound, "Role", &name, (release.namespace, &account)));
    }
    let mut deployment = make("apps/v1", "Deployment", labels.clone());
    deployment["spec"] = workload(&values, &selector, of_network(&labels), &account);
    objects.push(deployment);
    let kind = text(&values, "/service/type");
    if kind != "None" {
        let mut service = make("v1", "Service", of_network(&labels));
        service["metadata"]["annotations"] = merged(values["annotations"].clone(), &values["service"]["annotations"]);
        service["spec"] = service_spec(&values, &selector, &network)?;
        objects.push(service);
    }
    let scales = is_set(&values, "/autoscaling/enabled");
    if scales {
        let mut scaler = make("autoscaling/v2", "HorizontalPodAutoscaler", labels.clone());
        let target = &values["autoscaling"]["targetCPUUtilizationPercentage"];
        scaler["spec"] = json!({
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": name },
            "minReplicas": values["autoscaling"]["minReplicas"],
            "maxReplicas": values["autoscaling"]["maxReplicas"],
            "metrics": [{ "type": "Resource", "resource": {
                "name": "cpu", "target": { "type": "Utilization", "averageUtilization": target },
            } }],
        });
        objects.push(scaler);
    }
    let least = if scales { &values["autoscaling"]["minReplicas"] } else { &values["replicaCount"] };
    if is_set(&values, "/podDisruptionBudget") && least.as_i64().unwrap_or_default() > 1 {
        let mut budget = make("policy/v1", "PodDisruptionBudget", labels);
        budget["spec"] = merged(json!({ "selector": { "matchLabels": selector } }), &values["podDisruptionBudget"]);
        objects.push(budget);
    }
    Ok(objects)
}

fn workload(values: &Value, selector: &Value, labels: Value, account: &str) -> Value {
    let mut labels = labels;
    labels["sidecar.istio.io/inject"] = "true".into();
    if is_set(values, "/revision") {
        labels["istio.io/rev"] = text(values, "/revision").into();
    }
    let mut env = Vec::new();
    if is_set(values, "/networkGateway") {
        env.push(json!({ "name": "ISTIO_META_REQUESTED_NETWORK_VIEW", "value": text(values, "/networkGateway") }));
    }
    env.extend(environment(values, "/env"));
    let mut container = json!({
        "name": "istio-proxy",
        // What the injector replaces.
        "image": "auto",
        "securityContext": {
            "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] }, "privileged": false,
            "readOnlyRootFilesystem": true, "runAsNonRoot": true,
        },
        "ports": [{ "containerPort": 15090, "protocol": "TCP", "name": "http-envoy-prom" }],
        "resources": values["resources"],
    });
    if !env.is_empty() {
        container["env"] = env.into();
    }
    let mut pod = json!({
        "serviceAccountName": account,
        "securityContext": { "sysctls": [{ "name": "net.ipv4.ip_unprivileged_port_start", "value": "0" }] },
        "containers": [container],
        "terminationGracePeriodSeconds": values["terminationGracePeriodSeconds"],
    });
    for field in ["nodeSelector", "tolerations", "affinity", "topologySpreadConstraints"] {
        if is_set(values, &format!("/{field}")) {
            pod[field] = values[field].clone();
        }
    }
    let mut spec = json!({
        "selector": { "matchLabels": selector },
        "template": { "metadata": { "labels": labels, "annotations": values["podAnnotations"] }, "spec": pod },
    });
    if !is_set(values, "/autoscaling/enabled") && is_set(values, "/replicaCount") {
        spec["replicas"] = values["replicaCount"].clone();
    }
    if is_set(values, "/strategy") {
        spec["strategy"] = values["strategy"].clone();
    }
    spec
}

fn service_spec(values: &Value, selector: &Value, network: &str) -> Result<Value, String> {
    let service = &values["service"];
    let mut spec = Map::new();
    for field in [
        "loadBalancerIP",
        "allocateLoadBalancerNodePorts",
        "loadBalancerClass",
        "ipFamilyPolicy",
        "ipFamilies",
        "loadBalancerSourceRanges",
        "externalTrafficPolicy",
        "internalTrafficPolicy",
        "clusterIP",
        "externalIPs",
    ] {
        if is_set(service, &format!("/{field}")) || service[field] == false {
            spec.insert(field.to_owned(), service[field].clone());
        }
    }
    let ports: Value = if network.is_empty() {
        service["ports"].clone()
    } else {
        ["status-port", "tls", "tls-istiod", "tls-webhook"]
            .into_iter()
            .map(|name| {
                let port = &values["networkGatewayPorts"][name];
                let target = if port["targetPort"].is_null() { &port["port"] } else { &port["targetPort"] };
                json!({ "name": name, "port": port["port"], "targetPort": target, "protocol": "TCP" })
            })
            .collect()
    };
    if ports.as_array().is_none_or(Vec::is_empty) {
        return Err("service.ports must not be empty when networkGateway is not set".to_owned());
    }
    spec.insert("ports".to_owned(), ports);
    spec.insert("type".to_owned(), service["type"].clone());
    spec.insert("selector".to_owned(), merged(selector.clone(), &merged(json!({}), &service["selectorLabels"])));
    Ok(Value::Object(spec))
}
