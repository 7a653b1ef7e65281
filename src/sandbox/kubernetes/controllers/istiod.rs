//! What a control plane of Istio does in its own cluster, once its pods are ready.
//!
//! Entry point: [`run`]: it lets the API server trust its webhooks, and tells every namespace the root of its trust. What
//! it tells proxies and other clusters is not here: that is asked for when somebody looks.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyPair, KeyUsagePurpose, SerialNumber,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::control::Control;
use super::parts::{
    core, created, holds, instant, is_going, label, list, name, namespace, number, set, since, text, uid,
};
use crate::sandbox::kubernetes::objects::{Key, Objects};

const WEBHOOKS: &str = "admissionregistration.k8s.io";

/// From ready to the webhooks' certificates.
const PATCH_MS: (u64, u64) = (500, 2_500);

/// Namespaces that get no root of trust (istio, `pkg/kube/inject`, `IgnoredNamespaces`).
const IGNORED: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "local-path-storage"];

/// The parts of a plugged-in authority.
const PARTS: [&str; 4] = ["ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"];

/// Whether a pod is a control plane's.
fn is_istiod(pod: &Value) -> bool {
    label(pod, "app") == Some("istiod")
}

/// The control planes' pods of a cluster that serve.
pub(in crate::sandbox) fn serving<'o>(objects: &'o Objects<'_>) -> impl Iterator<Item = &'o Value> {
    objects.list("", "pods", None).filter(|pod| is_istiod(pod) && holds(pod, "Ready") && !is_going(pod))
}

/// Whether there is a control plane that serves.
pub(super) fn is_serving(control: &mut Control<'_, '_>) -> bool {
    serving(&control.objects()).next().is_some()
}

/// Why a pod cannot start, if it is a control plane's: an authority that is not whole.
pub(super) fn refusal(control: &mut Control<'_, '_>, pod: &Value) -> Option<String> {
    if !is_istiod(pod) {
        return None;
    }
    let secret = control.get(&core("secrets", namespace(pod), "cacerts"))?;
    let has = |part: &&str| !text(&secret, &format!("/data/{part}")).is_empty();
    if secret["type"] == "kubernetes.io/tls" && ["tls.crt", "tls.key", "ca.crt"].iter().all(has) {
        return None;
    }
    let missing: Vec<&str> = PARTS.iter().filter(|part| !has(part)).copied().collect();
    if missing.is_empty() {
        return None;
    }
    Some(format!(
        "Error: failed to create discovery service: failed to create CA: the plugged-in certificates in cacerts are not complete: \
         {} missing",
        missing.join(", ")
    ))
}

pub(super) fn run(control: &mut Control<'_, '_>) {
    let pods: Vec<Value> = serving(&control.objects()).cloned().collect();
    let mut revisions: Vec<&str> = pods.iter().map(revision).collect();
    revisions.sort_unstable();
    revisions.dedup();
    for revision_name in revisions {
        // The pod that has been ready for the longest speaks for them all.
        let of_revision = pods.iter().filter(|pod| revision(pod) == revision_name);
        let Some(pod) = of_revision.min_by_key(|pod| (since(pod, "Ready"), name(pod).to_owned())) else { continue };
        let ready = since(pod, "Ready").unwrap_or(control.now);
        let patched = control.after(ready, uid(pod), "webhooks", PATCH_MS);
        if !control.has_come(patched) {
            continue;
        }
        let Some(root) = root(control, pod) else { continue };
        patch_webhooks(control, revision_name, &root);
        tell_namespaces(control, &root);
    }
}

fn revision(pod: &Value) -> &str {
    label(pod, "istio.io/rev").unwrap_or("default")
}

/// Writes the root into the webhooks of a revision; those that validate must be asked from then on.
fn patch_webhooks(control: &mut Control<'_, '_>, revision: &str, root: &str) {
    let bundle = data_encoding::BASE64.encode(root.as_bytes());
    for plural in ["mutatingwebhookconfigurations", "validatingwebhookconfigurations"] {
        let of_revision = |one: &Value| label(one, "istio.io/rev") == Some(revision) && !is_going(one);
        for mut configuration in control.list_if(WEBHOOKS, plural, of_revision) {
            let mut webhooks = list(&configuration, "/webhooks").to_vec();
            for webhook in &mut webhooks {
                let name = text(webhook, "/name");
                let (injects, validates) =
                    (name.ends_with("sidecar-injector.istio.io"), name.ends_with("validation.istio.io"));
                if !injects && !validates {
                    continue;
                }
                set(webhook, &["clientConfig", "caBundle"], bundle.as_str().into());
                if validates {
                    set(webhook, &["failurePolicy"], "Fail".into());
                }
            }
            let key = Key::new(WEBHOOKS, plural, None, name(&configuration));
            set(&mut configuration, &["webhooks"], webhooks.into());
            control.put(&key, configuration);
        }
    }
}

/// Writes the root into every namespace.
fn tell_namespaces(control: &mut Control<'_, '_>, root: &str) {
    for namespace in control.list_if("", "namespaces", |one| !is_going(one) && !IGNORED.contains(&name(one))) {
        let key = core("configmaps", name(&namespace), "istio-ca-root-cert");
        let mut map = control.get(&key).unwrap_or_else(|| json!({ "apiVersion": "v1", "kind": "ConfigMap" }));
        set(&mut map, &["metadata", "labels", "istio.io/config"], "true".into());
        set(&mut map, &["data", "root-cert.pem"], root.into());
        control.put(&key, map);
    }
}

/// The root of a control plane's trust: that of the authority that was plugged in when it started, or else its own.
fn root(control: &mut Control<'_, '_>, pod: &Value) -> Option<String> {
    let plugged = control.get(&core("secrets", namespace(pod), "cacerts"));
    let started = instant(pod, "/status/startTime").unwrap_or_else(|| created(pod));
    if let Some(secret) = plugged.filter(|secret| created(secret) <= started) {
        let part = if secret["type"] == "kubernetes.io/tls" { "/data/ca.crt" } else { "/data/root-cert.pem" };
        return decoded(text(&secret, part));
    }
    let key = core("secrets", namespace(pod), "istio-ca-secret");
    if !control.has(&key) {
        let (certificate, private) = self_signed(control)?;
        let encode = |text: &str| data_encoding::BASE64.encode(text.as_bytes());
        let secret = json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "istio.io/ca-root",
            "metadata": {},
            "data": {
                "ca-cert.pem": encode(&certificate), "ca-key.pem": encode(&private), "cert-chain.pem": "", "key.pem": "",
                "root-cert.pem": "",
            },
        });
        control.put(&key, secret);
    }
    let secret = control.get(&key)?;
    decoded(text(&secret, "/data/ca-cert.pem"))
}

fn decoded(data: &str) -> Option<String> {
    let bytes = data_encoding::BASE64.decode(data.as_bytes()).ok()?;
    String::from_utf8(bytes).ok().filter(|text| !text.is_empty())
}

/// A certificate that signs itself, and its key; fixed by the cluster, so that the same world has the same.
fn self_signed(control: &Control<'_, '_>) -> Option<(String, String)> {
    // RFC 8410, section 7: what stands before the 32 bytes of an Ed25519 key in PKCS #8.
    const HEAD: [u8; 16] =
        [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    let digest = Sha256::digest(format!("istiod of {}", control.cluster.unique).as_bytes());
    let der: Vec<u8> = HEAD.iter().chain(digest.iter()).copied().collect();
    let key = KeyPair::from_pkcs8_der_and_sign_algo(&PrivatePkcs8KeyDer::from(der), &rcgen::PKCS_ED25519).ok()?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, "cluster.local");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.serial_number = Some(SerialNumber::from(digest.iter().take(16).copied().collect::<Vec<u8>>()));
    let day = 24 * 60 * 60;
    let begins = control.cluster.settled_at.as_second();
    params.not_before = time::OffsetDateTime::from_unix_timestamp(begins).ok()?;
    params.not_after = time::OffsetDateTime::from_unix_timestamp(begins + 3_650 * day).ok()?;
    let certificate = params.self_signed(&key).ok()?;
    Some((certificate.pem(), key.serialize_pem()))
}

/// What is wrong with an object of Istio's, as far as it would keep a gateway from working.
pub(super) fn invalid(key: &Key, object: &Value) -> Option<String> {
    if key.group != "networking.istio.io" || key.plural != "gateways" {
        return None;
    }
    let servers = list(object, "/spec/servers");
    if servers.is_empty() {
        return Some("gateway must have at least one server".to_owned());
    }
    servers.iter().find_map(|server| {
        if list(server, "/hosts").is_empty() {
            return Some("server config must contain at least one host".to_owned());
        }
        match number(server, "/port/number") {
            Some(1..=65_535) if text(server, "/port/name").is_empty() => {
                Some("invalid value: server port name must be set".to_owned())
            }
            Some(1..=65_535) => None,
            Some(_) | None => Some("port number must be in the range 1..65535".to_owned()),
        }
    })
}
