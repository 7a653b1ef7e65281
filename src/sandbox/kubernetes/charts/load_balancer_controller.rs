//! The chart `aws-load-balancer-controller`: the controller, its rights, its webhooks.
//!
//! Left out: the certificate of the webhooks, which the chart makes at random (its authority here is one that nobody has the
//! key of), the kinds for target groups and for the Gateway API, and the webhooks of these.

use serde_json::{Value, json};

use super::values::{is_set, merged, text};
use super::{Release, binding, object, rule};

/// An authority for the webhooks' certificates. The sandbox's API server asks who answers, and not with what certificate.
const AUTHORITY: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCi0tLS0tRU5EIENFUlRJRklDQVRFLS0tLS0K";

const WEBHOOKS: &str = "admissionregistration.k8s.io/v1";
const RBAC: &str = "rbac.authorization.k8s.io/v1";

fn own(release: &Release<'_>) -> Value {
    json!({
        "replicaCount": 2,
        "image": { "repository": "public.ecr.aws/eks/aws-load-balancer-controller", "tag": format!("v{}", release.version) },
        "ingressClass": "alb",
        "createIngressClassResource": true,
        "serviceAccount": { "create": true },
        "rbac": { "create": true },
        "enableServiceMutatorWebhook": true,
        "serviceMutatorWebhookConfig": { "failurePolicy": "Fail" },
        "podMutatorWebhookConfig": { "failurePolicy": "Ignore" },
        "priorityClassName": "system-cluster-critical",
        "terminationGracePeriodSeconds": 10,
        "resources": {},
        "podDisruptionBudget": {},
    })
}

pub(super) fn objects(release: &Release<'_>) -> Result<Vec<Value>, String> {
    let values = merged(own(release), release.values);
    let cluster = text(&values, "/clusterName");
    if cluster.is_empty() {
        return Err("Chart cannot be installed without a valid clusterName!".to_owned());
    }
    let chart = release.chart;
    let full = match text(&values, "/fullnameOverride") {
        named if !named.is_empty() => named,
        _ if release.name.contains(chart) => release.name.to_owned(),
        _ => format!("{}-{chart}", release.name),
    };
    let selector = json!({ "app.kubernetes.io/name": chart, "app.kubernetes.io/instance": release.name });
    let more = json!({
        "app.kubernetes.io/managed-by": "Helm",
        "helm.sh/chart": format!("{chart}-{}", release.version),
        "app.kubernetes.io/version": format!("v{}", release.version),
    });
    let labels = merged(selector.clone(), &more);
    let space = Some(release.namespace);
    let creates = is_set(&values, "/serviceAccount/create");
    let account = match text(&values, "/serviceAccount/name") {
        named if !named.is_empty() => named,
        _ if creates => full.clone(),
        _ => "default".to_owned(),
    };
    let mut objects = Vec::new();
    if creates {
        let mut made = object("v1", "ServiceAccount", space, &account, labels.clone());
        made["automountServiceAccountToken"] = true.into();
        if is_set(&values, "/serviceAccount/annotations") {
            made["metadata"]["annotations"] = values["serviceAccount"]["annotations"].clone();
        }
        objects.push(made);
    }
    if is_set(&values, "/rbac/create") {
        objects.extend(rights(&labels, release.namespace, &full, &account));
    }
    objects.push(deployment(release, &values, (&full, &account, &cluster), (&labels, &selector)));
    let mut service = object("v1", "Service", space, "aws-load-balancer-webhook-service", labels.clone());
    service["spec"] = json!({
        "ports": [{ "port": 443, "name": "webhook-server", "targetPort": "webhook-server" }],
        "selector": selector,
    });
    objects.push(service);
    objects.extend(webhooks(&values, &labels, release.namespace));
    if is_set(&values, "/createIngressClassResource") {
        let class = text(&values, "/ingressClass");
        let mut class = object("networking.k8s.io/v1", "IngressClass", None, &class, labels.clone());
        class["spec"] = json!({ "controller": "ingress.k8s.aws/alb" });
        objects.push(class);
    }
    if is_set(&values, "/podDisruptionBudget") && values["replicaCount"].as_i64().unwrap_or_default() > 1 {
        let mut budget = object("policy/v1", "PodDisruptionBudget", space, &full, labels);
        budget["spec"] = merged(json!({ "selector": { "matchLabels": selector } }), &values["podDisruptionBudget"]);
        objects.push(budget);
    }
    Ok(objects)
}

fn rights(labels: &Value, space: &str, full: &str, account: &str) -> Vec<Value> {
    let role = format!("{full}-role");
    let mut cluster = object(RBAC, "ClusterRole", None, &role, labels.clone());
    let reads = &["get", "list", "watch"];
    cluster["rules"] = json!([
        rule(&[""], &["configmaps"], &["create", "delete", "get", "update"]),
        rule(&[""], &["endpoints", "namespaces", "nodes", "pods", "secrets"], reads),
        rule(&[""], &["events"], &["create", "patch"]),
        rule(&[""], &["pods/status", "services/status"], &["patch", "update"]),
        rule(&[""], &["services"], &["get", "list", "patch", "update", "watch"]),
        rule(&["discovery.k8s.io"], &["endpointslices"], reads),
        rule(
            &["elbv2.k8s.aws"],
            &["targetgroupbindings"],
            &["create", "delete", "get", "list", "patch", "update", "watch"]
        ),
        rule(&["networking.k8s.io"], &["ingresses", "ingressclasses"], reads),
    ]);
    let bound = object(RBAC, "ClusterRoleBinding", None, &format!("{full}-rolebinding"), labels.clone());
    let bound = binding(bound, "ClusterRole", &role, (space, account));
    let leader = format!("{full}-leader-election-role");
    let mut election = object(RBAC, "Role", Some(space), &leader, labels.clone());
    election["rules"] = json!([
        rule(&[""], &["configmaps"], &["create", "get", "patch", "update"]),
        rule(&["coordination.k8s.io"], &["leases"], &["create", "get", "update", "patch"]),
    ]);
    let elected =
        object(RBAC, "RoleBinding", Some(space), &format!("{full}-leader-election-rolebinding"), labels.clone());
    vec![cluster, bound, election, binding(elected, "Role", &leader, (space, account))]
}

fn deployment(
    release: &Release<'_>,
    values: &Value,
    (full, account, cluster): (&str, &str, &str),
    (labels, selector): (&Value, &Value),
) -> Value {
    let mut arguments =
        vec![format!("--cluster-name={cluster}"), format!("--ingress-class={}", text(values, "/ingressClass"))];
    for (field, argument) in
        [("/region", "--aws-region"), ("/vpcId", "--aws-vpc-id"), ("/loadBalancerClass", "--load-balancer-class")]
    {
        if is_set(values, field) {
            arguments.push(format!("{argument}={}", text(values, field)));
        }
    }
    let probe = |path: &str, delay: u16| {
        json!({
            "httpGet": { "path": path, "port": 61_779, "scheme": "HTTP" }, "initialDelaySeconds": delay,
            "failureThreshold": 2, "timeoutSeconds": 10,
        })
    };
    let port = |name: &str, port: u16| json!({ "name": name, "containerPort": port, "protocol": "TCP" });
    let container = json!({
        "name": release.chart,
        "args": arguments,
        "image": format!("{}:{}", text(values, "/image/repository"), text(values, "/image/tag")),
        "imagePullPolicy": "IfNotPresent",
        "ports": [port("webhook-server", 9443), port("metrics-server", 8080)],
        "resources": values["resources"],
        "livenessProbe": probe("/healthz", 30),
        "readinessProbe": probe("/readyz", 10),
    });
    let mut made = object("apps/v1", "Deployment", Some(release.namespace), full, labels.clone());
    made["spec"] = json!({
        "replicas": values["replicaCount"],
        "revisionHistoryLimit": 10,
        "selector": { "matchLabels": selector },
        "template": {
            "metadata": {
                "labels": selector,
                "annotations": { "prometheus.io/scrape": "true", "prometheus.io/port": "8080" },
            },
            "spec": {
                "serviceAccountName": account,
                "securityContext": { "fsGroup": 65_534 },
                "containers": [container],
                "terminationGracePeriodSeconds": values["terminationGracePeriodSeconds"],
                "priorityClassName": values["priorityClassName"],
            },
        },
    });
    made
}

fn webhooks(values: &Value, labels: &Value, space: &str) -> Vec<Value> {
    let client = |path: &str| {
        json!({
            "caBundle": AUTHORITY,
            "service": { "name": "aws-load-balancer-webhook-service", "namespace": space, "path": path },
        })
    };
    let not_own = json!({ "matchExpressions": [{
        "key": "app.kubernetes.io/name", "operator": "NotIn", "values": ["aws-load-balancer-controller"],
    }] });
    let rules = |operations: &[&str], group: &str, version: &str, resource: &str| json!([{ "operations": operations, "apiGroups": [group], "apiVersions": [version], "resources": [resource] }]);
    let injected = json!({ "matchExpressions": [{
        "key": "elbv2.k8s.aws/pod-readiness-gate-inject", "operator": "In", "values": ["enabled"],
    }] });
    let mut mutating = vec![json!({
        "name": "mpod.elbv2.k8s.aws",
        "clientConfig": client("/mutate-v1-pod"),
        "failurePolicy": values["podMutatorWebhookConfig"]["failurePolicy"],
        "admissionReviewVersions": ["v1"],
        "namespaceSelector": injected,
        "objectSelector": not_own,
        "rules": rules(&["CREATE"], "", "v1", "pods"),
        "sideEffects": "None",
    })];
    if is_set(values, "/enableServiceMutatorWebhook") {
        mutating.push(json!({
            "name": "mservice.elbv2.k8s.aws",
            "clientConfig": client("/mutate-v1-service"),
            "failurePolicy": values["serviceMutatorWebhookConfig"]["failurePolicy"],
            "admissionReviewVersions": ["v1"],
            "objectSelector": not_own,
            "rules": rules(&["CREATE"], "", "v1", "services"),
            "sideEffects": "None",
        }));
    }
    let validating = json!([{
        "name": "vingress.elbv2.k8s.aws",
        "clientConfig": client("/validate-networking-v1-ingress"),
        "failurePolicy": "Fail",
        "matchPolicy": "Equivalent",
        "admissionReviewVersions": ["v1"],
        "rules": rules(&["CREATE", "UPDATE"], "networking.k8s.io", "v1", "ingresses"),
        "sideEffects": "None",
    }]);
    [("MutatingWebhookConfiguration", json!(mutating)), ("ValidatingWebhookConfiguration", validating)]
        .into_iter()
        .map(|(kind, webhooks)| {
            let mut made = object(WEBHOOKS, kind, None, "aws-load-balancer-webhook", labels.clone());
            made["webhooks"] = webhooks;
            made
        })
        .collect()
}
