//! The chart `base`: Istio's definitions of kinds, who reads a cluster for its peers, and the validation of Istio's objects.

use serde_json::{Value, json};

use super::values::{merged, text};
use super::{Release, definitions, object, with};

/// The operations and objects that Istio validates.
pub(super) fn validated() -> Value {
    json!([{
        "operations": ["CREATE", "UPDATE"],
        "apiGroups": ["security.istio.io", "networking.istio.io", "telemetry.istio.io", "extensions.istio.io"],
        "apiVersions": ["*"],
        "resources": ["*"],
    }])
}

/// A webhook that validates. It fails open until the control plane says otherwise, which an upgrade leaves alone.
pub(super) fn validator(release: &Release<'_>, (name, service, namespace): (&str, &str, &str)) -> Value {
    let mut webhook = json!({
        "name": name,
        "clientConfig": { "service": { "name": service, "namespace": namespace, "path": "/validate" } },
        "rules": validated(),
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    });
    if !release.upgrades {
        webhook["failurePolicy"] = "Ignore".into();
    }
    webhook
}

pub(super) fn objects(release: &Release<'_>) -> Vec<Value> {
    let own = json!({
        "global": { "istioNamespace": "istio-system", "enableReaderRBAC": true },
        "base": { "enableCRDTemplates": true },
        "defaultRevision": "default",
    });
    let values = merged(own, release.values);
    let mut objects = Vec::new();
    if text(&values, "/global/enableReaderRBAC") != "false" {
        let labels = with(release.istio_labels("istio-reader"), &[("app", "istio-reader"), ("release", release.name)]);
        let namespace = text(&values, "/global/istioNamespace");
        objects.push(object("v1", "ServiceAccount", Some(&namespace), "istio-reader-service-account", labels));
    }
    if text(&values, "/base/enableCRDTemplates") != "false" {
        objects.extend(definitions::istio());
    }
    let revision = text(&values, "/defaultRevision");
    if !revision.is_empty() {
        let labels =
            [("app", "istiod"), ("istio", "istiod"), ("istio.io/rev", revision.as_str()), ("release", release.name)];
        let labels = with(release.istio_labels("istiod"), &labels);
        let service = if revision == "default" { "istiod".to_owned() } else { format!("istiod-{revision}") };
        let kind = "ValidatingWebhookConfiguration";
        let mut webhooks = object("admissionregistration.k8s.io/v1", kind, None, "istiod-default-validator", labels);
        let namespace = text(&values, "/global/istioNamespace");
        webhooks["webhooks"] = json!([validator(release, ("validation.istio.io", &service, &namespace))]);
        objects.push(webhooks);
    }
    objects
}
