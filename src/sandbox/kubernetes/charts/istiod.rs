//! The chart `istiod`: the control plane, its rights, its configuration, its webhooks.

use serde_json::{Value, json};

use super::base::validator;
use super::values::{environment, is_set, merged, text};
use super::{Release, binding, object, rule, with};

/// What the chart itself says, as far as objects follow from it.
fn own(release: &Release<'_>) -> Value {
    json!({
        "autoscaleEnabled": true,
        "autoscaleMin": 1,
        "autoscaleMax": 5,
        "replicaCount": 1,
        "image": "pilot",
        "traceSampling": 1,
        "revision": "",
        "resources": { "requests": { "cpu": "500m", "memory": "2048Mi" } },
        "cpu": { "targetAverageUtilization": 80 },
        "env": {},
        "podLabels": {},
        "podAnnotations": {},
        "nodeSelector": {},
        "global": {
            "hub": "registry.istio.io/release",
            "tag": release.version,
            "istioNamespace": "istio-system",
            "meshID": "",
            "network": "",
            "multiCluster": { "clusterName": "" },
            "defaultPodDisruptionBudget": { "enabled": true },
            "enableReaderRBAC": true,
            "logging": { "level": "default:info" },
            "proxy": { "image": "proxyv2", "clusterDomain": "cluster.local", "statusPort": 15020 },
        },
        "meshConfig": { "enablePrometheusMerge": true, "trustDomain": "cluster.local" },
    })
}

/// A release with its values, and the names that follow from its revision.
struct Plane<'a> {
    release: &'a Release<'a>,
    values: Value,
    revision: String,
    name: String,
}

impl Plane<'_> {
    fn labels(&self, more: &[(&str, &str)]) -> Value {
        let labels = self.release.istio_labels("istiod");
        let mut all = vec![("app", "istiod"), ("release", self.release.name)];
        all.extend_from_slice(more);
        with(labels, &all)
    }

    /// The labels of what belongs to the revision.
    fn pilot_labels(&self, more: &[(&str, &str)]) -> Value {
        let mut all = vec![
            ("istio.io/rev", self.revision.as_str()),
            ("install.operator.istio.io/owning-resource", "unknown"),
            ("operator.istio.io/component", "Pilot"),
        ];
        all.extend_from_slice(more);
        self.labels(&all)
    }

    fn object(&self, api_version: &str, kind: &str, name: &str, labels: Value) -> Value {
        object(api_version, kind, Some(self.release.namespace), name, labels)
    }

    /// A name with the revision after it, where it has one.
    fn suffixed(&self, name: &str) -> String {
        if self.revision == "default" { name.to_owned() } else { format!("{name}-{}", self.revision) }
    }

    /// The labels that select its pods.
    fn selector(&self) -> Value {
        if self.revision == "default" {
            json!({ "istio": "pilot" })
        } else {
            json!({ "app": "istiod", "istio.io/rev": self.revision })
        }
    }
}

pub(super) fn objects(release: &Release<'_>) -> Result<Vec<Value>, String> {
    let values = merged(own(release), release.values);
    let revision = match text(&values, "/revision") {
        named if named.is_empty() => "default".to_owned(),
        named => named,
    };
    let name = if revision == "default" { "istiod".to_owned() } else { format!("istiod-{revision}") };
    let plane = Plane { release, values, revision, name };
    let mut objects = vec![plane.object("v1", "ServiceAccount", &plane.name, plane.labels(&[]))];
    objects.extend(rights(&plane));
    objects.extend(configuration(&plane)?);
    objects.extend(workload(&plane));
    objects.push(injector(&plane));
    objects.push(validation(&plane));
    Ok(objects)
}

fn rights(plane: &Plane<'_>) -> Vec<Value> {
    const RBAC: &str = "rbac.authorization.k8s.io/v1";
    let reads = &["get", "list", "watch"];
    let space = plane.release.namespace;
    let account = (space, plane.name.as_str());
    let cluster_role = |name: &str, labels: Value, rules: Value| {
        let mut role = object(RBAC, "ClusterRole", None, name, labels);
        role["rules"] = rules;
        role
    };
    let bound = |name: &str, labels: Value, account: (&str, &str)| {
        binding(object(RBAC, "ClusterRoleBinding", None, name, labels), "ClusterRole", name, account)
    };
    let istio = ["security.istio.io", "networking.istio.io", "telemetry.istio.io", "extensions.istio.io"];
    let webhooks = ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"];
    let core = ["pods", "nodes", "services", "namespaces", "endpoints", "secrets", "configmaps"];
    let own = plane.suffixed("istiod-clusterrole");
    let own = format!("{own}-{space}");
    let rules = json!([
        rule(&["admissionregistration.k8s.io"], &webhooks, &["get", "list", "watch", "update", "patch"]),
        rule(&istio, &["*"], reads),
        rule(&[""], &core, reads),
        rule(&[""], &["configmaps"], &["create", "get", "list", "watch", "update"]),
        rule(&["apiextensions.k8s.io"], &["customresourcedefinitions"], reads),
        rule(&["discovery.k8s.io"], &["endpointslices"], reads),
        rule(&["networking.k8s.io"], &["ingresses", "ingressclasses"], reads),
        rule(&["authentication.k8s.io"], &["tokenreviews"], &["create"]),
        rule(&["authorization.k8s.io"], &["subjectaccessreviews"], &["create"]),
    ]);
    let mut all = vec![cluster_role(&own, plane.labels(&[]), rules), bound(&own, plane.labels(&[]), account)];
    if text(&plane.values, "/global/enableReaderRBAC") != "false" {
        // What the remote secrets of other clusters are good for.
        let name = format!("{}-{space}", plane.suffixed("istio-reader-clusterrole"));
        let labels = || {
            let labels = plane.release.istio_labels("istio-reader");
            with(labels, &[("app", "istio-reader"), ("release", plane.release.name)])
        };
        let groups = [
            "config.istio.io",
            "security.istio.io",
            "networking.istio.io",
            "telemetry.istio.io",
            "extensions.istio.io",
        ];
        let core =
            ["endpoints", "pods", "services", "nodes", "replicationcontrollers", "namespaces", "secrets", "configmaps"];
        let rules = json!([
            rule(&groups, &["*"], reads),
            rule(&[""], &core, reads),
            rule(&["networking.x-k8s.io", "gateway.networking.k8s.io"], &["gateways"], reads),
            rule(&["apiextensions.k8s.io"], &["customresourcedefinitions"], reads),
            rule(&["discovery.k8s.io"], &["endpointslices"], reads),
            rule(&["multicluster.x-k8s.io"], &["serviceexports"], &["get", "list", "watch", "create", "delete"]),
            rule(&["multicluster.x-k8s.io"], &["serviceimports"], reads),
            rule(&["apps"], &["replicasets"], reads),
            rule(&["authentication.k8s.io"], &["tokenreviews"], &["create"]),
            rule(&["authorization.k8s.io"], &["subjectaccessreviews"], &["create"]),
        ]);
        all.push(cluster_role(&name, labels(), rules));
        all.push(bound(&name, labels(), (space, "istio-reader-service-account")));
    }
    let mut role = plane.object(RBAC, "Role", &plane.name, plane.labels(&[]));
    role["rules"] = json!([
        rule(&["networking.istio.io"], &["gateways"], &["create"]),
        rule(&[""], &["secrets"], &["create", "get", "watch", "list", "update", "delete"]),
        rule(&["coordination.k8s.io"], &["leases"], &["get", "update", "patch", "create"]),
    ]);
    all.push(role);
    let bound = plane.object(RBAC, "RoleBinding", &plane.name, plane.labels(&[]));
    all.push(binding(bound, "Role", &plane.name, account));
    all
}

/// The mesh's configuration, and what the injector knows.
fn configuration(plane: &Plane<'_>) -> Result<Vec<Value>, String> {
    let values = &plane.values;
    let defaults = json!({
        "defaultConfig": { "discoveryAddress": format!("{}.{}.svc:15012", plane.name, plane.release.namespace) },
        "defaultProviders": { "metrics": ["prometheus"] },
        "rootNamespace": text(values, "/global/istioNamespace"),
    });
    let mut mesh = merged(defaults, &values["meshConfig"]);
    if is_set(values, "/global/meshID") {
        mesh["defaultConfig"]["meshId"] = text(values, "/global/meshID").into();
    }
    let mesh = serde_saphyr::to_string(&mesh).map_err(|error| format!("meshConfig cannot be written: {error}"))?;
    let labels = || plane.pilot_labels(&[]);
    let mut map = plane.object("v1", "ConfigMap", &plane.suffixed("istio"), labels());
    map["data"] = json!({ "mesh": mesh, "meshNetworks": "networks: {}" });
    let mut injector = plane.object("v1", "ConfigMap", &plane.suffixed("istio-sidecar-injector"), labels());
    let known = json!({ "global": values["global"], "revision": values["revision"] });
    let known = serde_json::to_string_pretty(&known).map_err(|error| error.to_string())?;
    let config = "defaultTemplates: [sidecar]\npolicy: enabled\nalwaysInjectSelector: []\nneverInjectSelector: []\n";
    injector["data"] = json!({ "values": known, "config": config });
    Ok(vec![map, injector])
}

fn workload(plane: &Plane<'_>) -> Vec<Value> {
    let values = &plane.values;
    let selector = plane.selector();
    let pilot = |more: &[(&str, &str)]| plane.pilot_labels(&[&[("istio", "pilot")], more].concat());
    let image = match text(values, "/image") {
        whole if whole.contains('/') => whole,
        name => format!("{}/{name}:{}", text(values, "/global/hub"), text(values, "/global/tag")),
    };
    let mut env = vec![
        json!({ "name": "REVISION", "value": plane.revision }),
        json!({ "name": "PILOT_CERT_PROVIDER", "value": "istiod" }),
    ];
    env.extend(environment(values, "/env"));
    let cluster = match text(values, "/global/multiCluster/clusterName") {
        unnamed if unnamed.is_empty() => "Kubernetes".to_owned(),
        name => name,
    };
    env.push(json!({ "name": "CLUSTER_ID", "value": cluster }));
    let port = |number: u16, name: &str| json!({ "containerPort": number, "protocol": "TCP", "name": name });
    let optional = |name: &str| json!({ "name": name, "secret": { "secretName": name, "optional": true } });
    let level = text(values, "/global/logging/level");
    let container = json!({
        "name": "discovery",
        "image": image,
        "args": ["discovery", "--monitoringAddr=:15014", format!("--log_output_level={level}"), "--domain", "cluster.local"],
        "ports": [
            port(8080, "http-debug"), port(15010, "grpc-xds"), port(15012, "tls-xds"), port(15017, "https-webhooks"),
            port(15014, "http-monitoring"),
        ],
        "readinessProbe": {
            "httpGet": { "path": "/ready", "port": 8080 }, "initialDelaySeconds": 1, "periodSeconds": 3, "timeoutSeconds": 5,
        },
        "env": env,
        "resources": values["resources"],
        "volumeMounts": [
            { "name": "cacerts", "mountPath": "/etc/cacerts", "readOnly": true },
            { "name": "istio-kubeconfig", "mountPath": "/var/run/secrets/remote", "readOnly": true },
        ],
    });
    let off = [("sidecar.istio.io/inject", "false"), ("istio.io/dataplane-mode", "none")];
    let pod_labels = merged(pilot(&off), &values["podLabels"]);
    let annotations = json!({
        "prometheus.io/port": "15014", "prometheus.io/scrape": "true", "sidecar.istio.io/inject": "false",
    });
    let mut deployment = plane.object("apps/v1", "Deployment", &plane.name, pilot(&[]));
    deployment["spec"] = json!({
        "strategy": { "rollingUpdate": { "maxSurge": "100%", "maxUnavailable": "25%" } },
        "selector": { "matchLabels": selector },
        "template": {
            "metadata": { "labels": pod_labels, "annotations": merged(annotations, &values["podAnnotations"]) },
            "spec": {
                "serviceAccountName": plane.name,
                "containers": [container],
                "nodeSelector": values["nodeSelector"],
                "volumes": [optional("cacerts"), optional("istio-kubeconfig")],
            },
        },
    });
    let scales = is_set(values, "/autoscaleEnabled");
    if !scales {
        deployment["spec"]["replicas"] = values["replicaCount"].clone();
    }
    let mut service = plane.object("v1", "Service", &plane.name, pilot(&[]));
    let mut selector = plane.selector();
    selector["app"] = "istiod".into();
    service["spec"] = json!({
        "ports": [
            { "port": 15010, "name": "grpc-xds", "protocol": "TCP" },
            { "port": 15012, "name": "https-dns", "protocol": "TCP" },
            { "port": 443, "name": "https-webhook", "targetPort": 15017, "protocol": "TCP" },
            { "port": 15014, "name": "http-monitoring", "protocol": "TCP" },
        ],
        "selector": selector,
    });
    let mut all = vec![deployment, service];
    if scales {
        let target = &values["cpu"]["targetAverageUtilization"];
        let mut scaler =
            plane.object("autoscaling/v2", "HorizontalPodAutoscaler", &plane.name, plane.pilot_labels(&[]));
        scaler["spec"] = json!({
            "minReplicas": values["autoscaleMin"],
            "maxReplicas": values["autoscaleMax"],
            "scaleTargetRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": plane.name },
            "metrics": [{ "type": "Resource", "resource": {
                "name": "cpu", "target": { "type": "Utilization", "averageUtilization": target },
            } }],
        });
        all.push(scaler);
    }
    if is_set(values, "/global/defaultPodDisruptionBudget/enabled") {
        let mut budget = plane.object("policy/v1", "PodDisruptionBudget", &plane.name, pilot(&[]));
        let mut selected = plane.selector();
        selected["app"] = "istiod".into();
        budget["spec"] = json!({ "minAvailable": 1, "selector": { "matchLabels": selected } });
        all.push(budget);
    }
    all
}

/// The webhooks that inject: by namespace or by pod, with a revision or without.
fn injector(plane: &Plane<'_>) -> Value {
    let expression = |key: &str, operator: &str, values: &[&str]| {
        let mut expression = json!({ "key": key, "operator": operator });
        if !values.is_empty() {
            expression["values"] = json!(values);
        }
        expression
    };
    let not = |key: &str| expression(key, "DoesNotExist", &[]);
    let (revision, inject, injection) = ("istio.io/rev", "sidecar.istio.io/inject", "istio-injection");
    let not_off = expression(inject, "NotIn", &["false"]);
    let own = plane.revision.as_str();
    let webhook = |prefix: &str, namespace: Value, object: Value| {
        let service =
            json!({ "name": plane.name, "namespace": plane.release.namespace, "path": "/inject", "port": 443 });
        json!({
            "name": format!("{prefix}sidecar-injector.istio.io"),
            "clientConfig": { "service": service },
            "sideEffects": "None",
            "rules": [{ "operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"] }],
            "failurePolicy": "Fail",
            "reinvocationPolicy": "Never",
            "admissionReviewVersions": ["v1"],
            "namespaceSelector": { "matchExpressions": namespace },
            "objectSelector": { "matchExpressions": object },
        })
    };
    let mut webhooks = vec![
        webhook(
            "rev.namespace.",
            json!([expression(revision, "In", &[own]), not(injection)]),
            json!([not_off.clone()]),
        ),
        webhook(
            "rev.object.",
            json!([not(revision), not(injection)]),
            json!([not_off.clone(), expression(revision, "In", &[own])]),
        ),
    ];
    if own == "default" {
        webhooks.push(webhook("namespace.", json!([expression(injection, "In", &["enabled"])]), json!([not_off])));
        let asked = json!([expression(inject, "In", &["true"]), not(revision)]);
        webhooks.push(webhook("object.", json!([not(injection), not(revision)]), asked));
    }
    let labels = plane.pilot_labels(&[("app", "sidecar-injector")]);
    let name = plane.suffixed("istio-sidecar-injector");
    let name =
        if plane.release.namespace == "istio-system" { name } else { format!("{name}-{}", plane.release.namespace) };
    let mut configuration =
        object("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", None, &name, labels);
    configuration["webhooks"] = webhooks.into();
    configuration
}

fn validation(plane: &Plane<'_>) -> Value {
    let name = format!("{}-{}", plane.suffixed("istio-validator"), plane.release.namespace);
    let labels = plane.labels(&[("istio", "istiod"), ("istio.io/rev", plane.revision.as_str())]);
    let mut configuration =
        object("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", None, &name, labels);
    let mut webhook = validator(plane.release, ("rev.validation.istio.io", &plane.name, plane.release.namespace));
    let of_revision = json!({ "key": "istio.io/rev", "operator": "In", "values": [plane.revision] });
    webhook["objectSelector"] = json!({ "matchExpressions": [of_revision] });
    configuration["webhooks"] = json!([webhook]);
    configuration
}
