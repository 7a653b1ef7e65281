//! Istio's custom resource definitions, by name: their schemas take any fields.

use serde_json::{Value, json};

/// A kind: group, kind, plural, short name, and its versions, the stored one first.
type Kind = (&'static str, &'static str, &'static str, &'static str, &'static [&'static str]);

const KINDS: &[Kind] = &[
    ("extensions.istio.io", "WasmPlugin", "wasmplugins", "", &["v1alpha1"]),
    ("networking.istio.io", "DestinationRule", "destinationrules", "dr", &["v1", "v1alpha3", "v1beta1"]),
    ("networking.istio.io", "EnvoyFilter", "envoyfilters", "", &["v1alpha3"]),
    ("networking.istio.io", "Gateway", "gateways", "gw", &["v1", "v1alpha3", "v1beta1"]),
    ("networking.istio.io", "ProxyConfig", "proxyconfigs", "", &["v1beta1"]),
    ("networking.istio.io", "ServiceEntry", "serviceentries", "se", &["v1", "v1alpha3", "v1beta1"]),
    ("networking.istio.io", "Sidecar", "sidecars", "", &["v1", "v1alpha3", "v1beta1"]),
    ("networking.istio.io", "VirtualService", "virtualservices", "vs", &["v1", "v1alpha3", "v1beta1"]),
    ("networking.istio.io", "WorkloadEntry", "workloadentries", "we", &["v1", "v1alpha3", "v1beta1"]),
    ("networking.istio.io", "WorkloadGroup", "workloadgroups", "wg", &["v1", "v1alpha3", "v1beta1"]),
    ("security.istio.io", "AuthorizationPolicy", "authorizationpolicies", "ap", &["v1", "v1beta1"]),
    ("security.istio.io", "PeerAuthentication", "peerauthentications", "pa", &["v1", "v1beta1"]),
    ("security.istio.io", "RequestAuthentication", "requestauthentications", "ra", &["v1", "v1beta1"]),
    ("telemetry.istio.io", "Telemetry", "telemetries", "telemetry", &["v1", "v1alpha1"]),
];

/// The definitions. They stay when their release goes, as the chart says.
pub(super) fn istio() -> impl Iterator<Item = Value> {
    KINDS.iter().map(|&(group, kind, plural, short, versions)| {
        let family = group.split('.').next().unwrap_or_default();
        let mut names = json!({
            "kind": kind,
            "listKind": format!("{kind}List"),
            "plural": plural,
            "singular": kind.to_ascii_lowercase(),
            "categories": ["istio-io", format!("{family}-istio-io")],
        });
        if !short.is_empty() {
            names["shortNames"] = json!([short]);
        }
        let any = json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true });
        let versions: Vec<Value> = versions
            .iter()
            .enumerate()
            .map(|(number, version)| {
                json!({
                    "name": version,
                    "served": true,
                    "storage": number == 0,
                    "subresources": { "status": {} },
                    "schema": { "openAPIV3Schema": {
                        "type": "object", "properties": { "spec": any, "status": any },
                    } },
                })
            })
            .collect();
        json!({
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {
                "name": format!("{plural}.{group}"),
                "annotations": { "helm.sh/resource-policy": "keep" },
                "labels": { "app": "istio-pilot", "chart": "istio", "heritage": "Tiller", "release": "istio" },
            },
            "spec": { "group": group, "names": names, "scope": "Namespaced", "versions": versions },
        })
    })
}
