//! What is in a cluster of a mesh in which all is well.

use data_encoding::BASE64;
use serde_json::{Value, json};

use super::rig::{Lab, Site};
use crate::sandbox::kubernetes::objects::Key;

/// A root, and an intermediate for each cluster.
pub(super) struct Certificates {
    root: rcgen::CertifiedIssuer<'static, rcgen::KeyPair>,
}

fn parameters(name: &str) -> rcgen::CertificateParams {
    let mut parameters = rcgen::CertificateParams::new(Vec::new()).unwrap();
    parameters.distinguished_name = rcgen::DistinguishedName::new();
    parameters.distinguished_name.push(rcgen::DnType::CommonName, name);
    parameters.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    parameters
}

impl Certificates {
    pub(super) fn new() -> Self {
        let key = rcgen::KeyPair::generate().unwrap();
        Self { root: rcgen::CertifiedIssuer::self_signed(parameters("mesh1 Root CA"), key).unwrap() }
    }

    /// The data of a Secret `cacerts`.
    pub(super) fn cacerts(&self, cluster: &str) -> Value {
        let key = rcgen::KeyPair::generate().unwrap();
        let name = format!("Istio Intermediate CA of {cluster}");
        let signed = parameters(&name).signed_by(&key, &self.root).unwrap().pem();
        json!({
            "ca-cert.pem": encode(&signed), "ca-key.pem": encode(&key.serialize_pem()),
            "root-cert.pem": encode(&self.root.pem()), "cert-chain.pem": encode(&(signed + &self.root.pem())),
        })
    }

    /// The same with a name and serial number that are given.
    pub(super) fn cacerts_numbered(&self, name: &str, number: u64) -> Value {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut parameters = parameters(name);
        parameters.serial_number = Some(number.into());
        let signed = parameters.signed_by(&key, &self.root).unwrap().pem();
        json!({
            "ca-cert.pem": encode(&signed), "ca-key.pem": encode(&key.serialize_pem()),
            "root-cert.pem": encode(&self.root.pem()), "cert-chain.pem": encode(&(signed + &self.root.pem())),
        })
    }

    pub(super) fn root(&self) -> String {
        self.root.pem()
    }
}

pub(super) fn encode(text: &str) -> String {
    BASE64.encode(text.as_bytes())
}

pub(super) fn key(group: &str, plural: &str, namespace: Option<&str>, name: &str) -> Key {
    Key::new(group, plural, namespace, name)
}

/// An object of the control plane's namespace.
pub(super) fn system(plural: &str, name: &str) -> Key {
    key("", plural, Some("istio-system"), name)
}

/// An object of the sample's namespace.
pub(super) fn sample(plural: &str, name: &str) -> Key {
    key("", plural, Some("sample"), name)
}

pub(super) fn gateway_object() -> Key {
    key("networking.istio.io", "gateways", Some("istio-system"), "cross-network-gateway")
}

pub(super) fn token(site: &Site) -> String {
    format!("token-of-{}", site.name())
}

/// A remote secret's kubeconfig.
pub(super) fn kubeconfig(of: &Site, token: &str) -> String {
    let name = of.name();
    format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- cluster:\n    certificate-authority-data: Y2E=\n    server: {}\n  name: {name}\n\
         contexts:\n- context:\n    cluster: {name}\n    user: {name}\n  name: {name}\ncurrent-context: {name}\n\
         users:\n- name: {name}\n  user:\n    token: {token}\n",
        of.endpoint()
    )
}

pub(super) fn remote_secret(of: &Site) -> (Key, Value) {
    let name = format!("istio-remote-secret-{}", of.name());
    let object = json!({
        "apiVersion": "v1", "kind": "Secret",
        "metadata": {
            "labels": { "istio/multiCluster": "true" }, "annotations": { "networking.istio.io/cluster": of.name() }
        },
        "data": { of.name(): encode(&kubeconfig(of, &token(of))) },
    });
    (system("secrets", &name), object)
}

/// A pod that is ready.
pub(super) fn pod(site: &Site, host: u8, labels: &Value, containers: &Value) -> Value {
    let names = containers.as_array().unwrap().iter().map(|container| container["name"].clone());
    let running: Vec<Value> = names
        .map(|name| json!({ "name": name, "ready": true, "state": { "running": { "startedAt": "2026-01-01T00:00:00Z" } } }))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": { "labels": labels },
        "spec": { "nodeName": "node-1", "containers": containers },
        "status": {
            "phase": "Running", "startTime": "2026-01-01T00:00:00Z", "podIP": site.pod(host).to_string(),
            "podIPs": [{ "ip": site.pod(host).to_string() }],
            "conditions": [{ "type": "Ready", "status": "True" }], "containerStatuses": running,
        },
    })
}

fn with_proxy(site: &Site, host: u8, labels: &Value, container: &Value) -> Value {
    let mut labels = labels.clone();
    labels["topology.istio.io/network"] = json!(site.network());
    let proxy = json!({ "name": "istio-proxy", "image": "registry.istio.io/release/proxyv2:1.31.0" });
    pod(site, host, &labels, &json!([container, proxy]))
}

/// Everything in a cluster.
pub(super) fn furnish(lab: &Lab, site: &Site, sites: &[Site]) {
    let name = site.name();
    let put = |key: Key, object: Value| lab.put(&name, &key, object);
    put(
        key("", "nodes", None, "node-1"),
        json!({ "spec": { "providerID": format!("aws:///us-west-2a/i-{}", site.number) } }),
    );
    for namespace in ["istio-system", "sample"] {
        let labels = json!({ "topology.istio.io/network": site.network() });
        put(key("", "namespaces", None, namespace), json!({ "metadata": { "labels": labels } }));
        let root = json!({ "data": { "root-cert.pem": lab.certificates.root() } });
        put(key("", "configmaps", Some(namespace), "istio-ca-root-cert"), root);
    }
    put(system("configmaps", "istio"), json!({ "data": { "mesh": "trustDomain: cluster.local\n" } }));
    control_plane(lab, site, sites);
    gateway(lab, site);
    applications(lab, site);
}

fn control_plane(lab: &Lab, site: &Site, sites: &[Site]) {
    let name = site.name();
    let put = |key: Key, object: Value| lab.put(&name, &key, object);
    put(system("secrets", "cacerts"), json!({ "type": "Opaque", "data": lab.certificates.cacerts(&name) }));
    put(system("serviceaccounts", "istio-reader-service-account"), json!({}));
    put(
        system("secrets", "istio-reader-service-account-istio-remote-secret-token"),
        json!({
            "type": "kubernetes.io/service-account-token",
            "metadata": { "annotations": { "kubernetes.io/service-account.name": "istio-reader-service-account" } },
            "data": { "token": encode(&token(site)), "ca.crt": "Y2E=" },
        }),
    );
    let rbac = "rbac.authorization.k8s.io";
    put(
        key(rbac, "clusterroles", None, "istio-reader-clusterrole-istio-system"),
        json!({ "rules": [{ "apiGroups": [""], "resources": ["pods", "services"], "verbs": ["get", "list", "watch"] }] }),
    );
    put(
        key(rbac, "clusterrolebindings", None, "istio-reader-clusterrole-istio-system"),
        json!({
            "roleRef": { "kind": "ClusterRole", "name": "istio-reader-clusterrole-istio-system" },
            "subjects": [{
                "kind": "ServiceAccount", "name": "istio-reader-service-account", "namespace": "istio-system"
            }],
        }),
    );
    for peer in sites.iter().filter(|peer| peer.number != site.number) {
        let (key, object) = remote_secret(peer);
        put(key, object);
    }
    for number in [1_u8, 2] {
        let container = json!([{
            "name": "discovery", "image": format!("registry.istio.io/release/pilot:{}", site.istio),
            "env": [{ "name": "CLUSTER_ID", "value": site.name() }],
        }]);
        put(
            system("pods", &format!("istiod-{number}")),
            pod(site, 10 + number, &json!({ "app": "istiod" }), &container),
        );
    }
    put(
        key("admissionregistration.k8s.io", "mutatingwebhookconfigurations", None, "istio-sidecar-injector"),
        json!({ "webhooks": [{ "name": "a", "clientConfig": { "caBundle": "Y2E=" } }] }),
    );
}

fn gateway(lab: &Lab, site: &Site) {
    let name = site.name();
    let put = |key: Key, object: Value| lab.put(&name, &key, object);
    let labels = json!({ "app": "istio-eastwestgateway", "istio": "eastwestgateway" });
    put(
        system("services", "istio-eastwestgateway"),
        json!({
            "metadata": { "labels": { "topology.istio.io/network": site.network() } },
            "spec": {
                "type": "LoadBalancer", "selector": labels,
                "ports": [{ "name": "status-port", "port": 15021 }, { "name": "tls", "port": 15443 }],
            },
            "status": { "loadBalancer": { "ingress": [{ "hostname": site.balancer() }] } },
        }),
    );
    let mut all = labels.clone();
    all["topology.istio.io/network"] = json!(site.network());
    let proxy = json!([{ "name": "istio-proxy", "image": "registry.istio.io/release/proxyv2:1.31.0" }]);
    put(system("pods", "istio-eastwestgateway-1"), pod(site, 30, &all, &proxy));
    put(
        gateway_object(),
        json!({
            "spec": {
                "selector": { "istio": "eastwestgateway" },
                "servers": [{
                    "port": { "number": 15443, "name": "tls", "protocol": "TLS" },
                    "tls": { "mode": "AUTO_PASSTHROUGH" }, "hosts": ["*.local"],
                }],
            },
        }),
    );
}

fn applications(lab: &Lab, site: &Site) {
    let name = site.name();
    let put = |key: Key, object: Value| lab.put(&name, &key, object);
    let version = format!("v{}", site.number);
    let server = format!("helloworld-{version}-5b75657f75-x7b2d");
    put(
        sample("services", "helloworld"),
        json!({ "spec": { "ports": [{ "name": "http", "port": 5000 }], "selector": { "app": "helloworld" } } }),
    );
    let container = json!({ "name": "helloworld", "image": format!("registry.istio.io/release/examples-helloworld-{version}:1.0") });
    put(sample("pods", &server), with_proxy(site, 40, &json!({ "app": "helloworld", "version": version }), &container));
    put(
        key("discovery.k8s.io", "endpointslices", Some("sample"), "helloworld-1"),
        json!({
            "metadata": { "labels": { "kubernetes.io/service-name": "helloworld" } },
            "ports": [{ "name": "http", "port": 5000 }],
            "endpoints": [{
                "addresses": [site.pod(40).to_string()], "conditions": { "ready": true },
                "targetRef": { "kind": "Pod", "name": server, "namespace": "sample" },
            }],
        }),
    );
    let container = json!({ "name": "curl", "image": "docker.io/curlimages/curl:8.16.0" });
    put(sample("pods", "curl-1"), with_proxy(site, 41, &json!({ "app": "curl" }), &container));
}
