//! Tokens of service accounts: made and checked.
//!
//! Entry points: [`mint_token`] for the one that a Secret holds, [`mint_bound`] for one that expires, [`user`]. They have the
//! form of real ones (JWT); what signs them is the simulated cluster's, and secret from nobody who can read this program.

use aws_lc_rs::hmac;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Clock, User};
use crate::sandbox::kubernetes::objects::{Key, Objects};
use crate::sandbox::world::rows::Cluster;

/// The token that a Secret of a service account holds: good for as long as both are there.
pub(crate) fn mint_token(cluster: &Cluster, namespace: &str, secret: &str, service_account: &str, uid: &str) -> String {
    sign(
        cluster,
        &json!({
            "iss": "kubernetes/serviceaccount",
            "kubernetes.io/serviceaccount/namespace": namespace,
            "kubernetes.io/serviceaccount/secret.name": secret,
            "kubernetes.io/serviceaccount/service-account.name": service_account,
            "kubernetes.io/serviceaccount/service-account.uid": uid,
            "sub": format!("system:serviceaccount:{namespace}:{service_account}"),
        }),
    )
}

/// A token that expires.
pub(crate) fn mint_bound(
    cluster: &Cluster,
    issuer: &str,
    (namespace, service_account, uid): (&str, &str, &str),
    audiences: &Value,
    (from, until): (Timestamp, Timestamp),
) -> String {
    sign(
        cluster,
        &json!({
            "aud": audiences,
            "exp": until.as_second(),
            "iat": from.as_second(),
            "iss": issuer,
            "kubernetes.io": { "namespace": namespace, "serviceaccount": { "name": service_account, "uid": uid } },
            "nbf": from.as_second(),
            "sub": format!("system:serviceaccount:{namespace}:{service_account}"),
        }),
    )
}

fn key(cluster: &Cluster) -> hmac::Key {
    let secret = format!("service accounts of {} in {}", cluster.unique, cluster.name());
    hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())
}

fn sign(cluster: &Cluster, claims: &Value) -> String {
    let kid = HEXLOWER.encode(hmac::sign(&key(cluster), b"kid").as_ref().get(..8).unwrap_or_default());
    let head = BASE64URL_NOPAD.encode(json!({ "alg": "HS256", "kid": kid }).to_string().as_bytes());
    let body = BASE64URL_NOPAD.encode(claims.to_string().as_bytes());
    let text = format!("{head}.{body}");
    let signature = BASE64URL_NOPAD.encode(hmac::sign(&key(cluster), text.as_bytes()).as_ref());
    format!("{text}.{signature}")
}

/// Whom a token names; `None` if it is not good, or what it stands on is gone.
pub(crate) fn user(objects: &Objects<'_>, token: &str, clock: Clock) -> Option<User> {
    let cluster = objects.region().clusters.get(objects.cluster())?;
    let (text, signature) = token.rsplit_once('.')?;
    let signature = BASE64URL_NOPAD.decode(signature.as_bytes()).ok()?;
    hmac::verify(&key(cluster), text.as_bytes(), &signature).ok()?;
    let claims = BASE64URL_NOPAD.decode(text.split_once('.')?.1.as_bytes()).ok()?;
    let claims: Value = serde_json::from_slice(&claims).ok()?;
    let legacy = |name: &str| claims[format!("kubernetes.io/serviceaccount/{name}")].as_str();
    let bound = &claims["kubernetes.io"];
    let (namespace, name, uid) = if let Some(namespace) = legacy("namespace") {
        let secret = Key::new("", "secrets", Some(namespace), legacy("secret.name")?);
        let held = objects.get(&secret)?["data"]["token"].as_str()?;
        if data_encoding::BASE64.decode(held.as_bytes()).ok()? != token.as_bytes() {
            return None;
        }
        (namespace, legacy("service-account.name")?, legacy("service-account.uid")?)
    } else {
        // The instant of the cluster: whatever the caller's clock, these were made by this one.
        let now = match clock {
            Clock::Virtual(now) => now,
            Clock::Unknown => objects.now(),
        };
        if claims["exp"].as_i64()? <= now.as_second() {
            return None;
        }
        let account = &bound["serviceaccount"];
        (bound["namespace"].as_str()?, account["name"].as_str()?, account["uid"].as_str()?)
    };
    let account = objects.get(&Key::new("", "serviceaccounts", Some(namespace), name))?;
    if account["metadata"]["uid"] != uid {
        return None;
    }
    Some(User {
        name: format!("system:serviceaccount:{namespace}:{name}"),
        uid: uid.to_owned(),
        groups: vec!["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")],
        policies: Vec::new(),
    })
}
