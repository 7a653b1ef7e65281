//! The roles that every cluster has, and what EKS's access policies allow.
//!
//! Entry points: [`furnish`], [`of_policy`].

use serde_json::{Value, json};

use crate::sandbox::kubernetes::objects::{Key, Objects};

const GROUP: &str = "rbac.authorization.k8s.io";

const READ: [&str; 3] = ["get", "list", "watch"];

/// What a namespace holds that its users see ("view" in "User-facing roles"): no secrets, no roles.
fn viewed() -> Vec<Value> {
    let core = [
        "configmaps",
        "endpoints",
        "persistentvolumeclaims",
        "pods",
        "pods/log",
        "pods/status",
        "serviceaccounts",
        "services",
        "services/status",
        "events",
        "limitranges",
        "resourcequotas",
        "namespaces",
        "replicationcontrollers",
    ];
    vec![
        json!({ "apiGroups": [""], "resources": core, "verbs": READ }),
        json!({ "apiGroups": ["apps", "autoscaling", "batch", "policy", "discovery.k8s.io"], "resources": ["*"], "verbs": READ }),
        json!({ "apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingresses/status", "networkpolicies"], "verbs": READ }),
    ]
}

/// What the users of a namespace change.
fn edited() -> Vec<Value> {
    let core = [
        "configmaps",
        "endpoints",
        "persistentvolumeclaims",
        "pods",
        "pods/attach",
        "pods/exec",
        "pods/portforward",
        "pods/proxy",
        "pods/eviction",
        "secrets",
        "serviceaccounts",
        "serviceaccounts/token",
        "services",
        "services/proxy",
        "replicationcontrollers",
        "events",
    ];
    let mut rules = viewed();
    rules.extend([
        json!({ "apiGroups": [""], "resources": core, "verbs": ["*"] }),
        json!({ "apiGroups": ["apps", "autoscaling", "batch", "policy"], "resources": ["*"], "verbs": ["*"] }),
        json!({ "apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "networkpolicies"], "verbs": ["*"] }),
        json!({ "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["*"] }),
    ]);
    rules
}

fn administered() -> Vec<Value> {
    let mut rules = edited();
    rules.push(json!({ "apiGroups": [GROUP], "resources": ["roles", "rolebindings"], "verbs": ["*"] }));
    rules.push(json!({ "apiGroups": ["authorization.k8s.io"], "resources": ["localsubjectaccessreviews"], "verbs": ["create"] }));
    rules
}

fn everything() -> Vec<Value> {
    vec![
        json!({ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] }),
        json!({ "nonResourceURLs": ["*"], "verbs": ["*"] }),
    ]
}

/// What an access policy allows ("Review access policy permissions" in the EKS user guide).
pub(super) fn of_policy(name: &str) -> Vec<Value> {
    match name {
        "AmazonEKSClusterAdminPolicy" => everything(),
        "AmazonEKSAdminPolicy" => administered(),
        "AmazonEKSEditPolicy" => edited(),
        "AmazonEKSViewPolicy" => viewed(),
        "AmazonEKSAdminViewPolicy" => vec![json!({ "apiGroups": ["*"], "resources": ["*"], "verbs": READ })],
        // Those are for nodes and for EKS itself.
        _ => Vec::new(),
    }
}

/// Makes the roles and bindings that every cluster has from the start.
pub(crate) fn furnish(objects: &mut Objects<'_>) {
    let discovery = [
        "/api",
        "/api/*",
        "/apis",
        "/apis/*",
        "/healthz",
        "/livez",
        "/openapi",
        "/openapi/*",
        "/readyz",
        "/version",
        "/version/",
    ];
    let public = ["/healthz", "/livez", "/readyz", "/version", "/version/"];
    let reviews = ["selfsubjectaccessreviews", "selfsubjectrulesreviews"];
    let roles = [
        ("cluster-admin", everything()),
        ("admin", administered()),
        ("edit", edited()),
        ("view", viewed()),
        ("system:discovery", vec![json!({ "nonResourceURLs": discovery, "verbs": ["get"] })]),
        ("system:public-info-viewer", vec![json!({ "nonResourceURLs": public, "verbs": ["get"] })]),
        (
            "system:basic-user",
            vec![
                json!({ "apiGroups": ["authorization.k8s.io"], "resources": reviews, "verbs": ["create"] }),
                json!({ "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"], "verbs": ["create"] }),
            ],
        ),
        (
            "system:auth-delegator",
            vec![
                json!({ "apiGroups": ["authentication.k8s.io"], "resources": ["tokenreviews"], "verbs": ["create"] }),
                json!({ "apiGroups": ["authorization.k8s.io"], "resources": ["subjectaccessreviews"], "verbs": ["create"] }),
            ],
        ),
    ];
    let labels = json!({ "kubernetes.io/bootstrapping": "rbac-defaults" });
    let annotations = json!({ "rbac.authorization.kubernetes.io/autoupdate": "true" });
    for (name, rules) in roles {
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": { "labels": labels, "annotations": annotations },
            "rules": rules,
        });
        objects.put(&Key::new(GROUP, "clusterroles", None, name), role);
    }
    let bindings = [
        ("cluster-admin", &["system:masters"][..]),
        ("system:discovery", &["system:authenticated"][..]),
        ("system:basic-user", &["system:authenticated"][..]),
        ("system:public-info-viewer", &["system:authenticated", "system:unauthenticated"][..]),
    ];
    for (name, groups) in bindings {
        let subjects: Vec<Value> =
            groups.iter().map(|group| json!({ "apiGroup": GROUP, "kind": "Group", "name": group })).collect();
        let binding = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": { "labels": labels, "annotations": annotations },
            "roleRef": { "apiGroup": GROUP, "kind": "ClusterRole", "name": name },
            "subjects": subjects,
        });
        objects.put(&Key::new(GROUP, "clusterrolebindings", None, name), binding);
    }
}
