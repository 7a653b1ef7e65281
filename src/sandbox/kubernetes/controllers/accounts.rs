//! Service accounts: the Secrets that hold their tokens.
//!
//! The token controller fills a Secret of type `kubernetes.io/service-account-token` within moments, and deletes one whose
//! service account is not there.

use serde_json::Value;

use super::control::Control;
use super::parts::{annotation, core, is_going, name, namespace, set, text, uid};
use crate::sandbox::eks;
use crate::sandbox::kubernetes::auth::token::mint_token;
use crate::sandbox::world::rows::Cluster;

const TYPE: &str = "kubernetes.io/service-account-token";
const ACCOUNT: &str = "kubernetes.io/service-account.name";
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";

/// The certificates that the cluster's API server's is signed by, as PEM.
pub(super) fn bundle(cluster: &Cluster) -> String {
    let pem = data_encoding::BASE64.decode(eks::authority(&cluster.unique).as_bytes()).unwrap_or_default();
    String::from_utf8(pem).unwrap_or_default()
}

pub(super) fn run(control: &mut Control<'_, '_>) {
    for secret in control.list_if("", "secrets", |secret| secret["type"] == TYPE && !is_going(secret)) {
        let key = core("secrets", namespace(&secret), name(&secret));
        let Some(account) = annotation(&secret, ACCOUNT).map(|name| core("serviceaccounts", namespace(&secret), name))
        else {
            continue;
        };
        match control.get(&account) {
            Some(account) if annotation(&secret, ACCOUNT_UID).is_none_or(|known| known == uid(&account)) => {
                if text(&secret, "/data/token").is_empty() {
                    let filled = filled(control, secret, &account);
                    control.put(&key, filled);
                }
            }
            Some(_) | None => control.delete(&key),
        }
    }
}

fn filled(control: &Control<'_, '_>, mut secret: Value, account: &Value) -> Value {
    let encode = |text: &str| Value::from(data_encoding::BASE64.encode(text.as_bytes()));
    let token = token(control, &secret, account);
    set(&mut secret, &["metadata", "annotations", ACCOUNT_UID], uid(account).into());
    let namespace = namespace(account).to_owned();
    for (field, text) in [("token", token), ("ca.crt", bundle(control.cluster)), ("namespace", namespace)] {
        set(&mut secret, &["data", field], encode(&text));
    }
    secret
}

/// A token of a service account, which is good for as long as it and its Secret are there.
fn token(control: &Control<'_, '_>, secret: &Value, account: &Value) -> String {
    mint_token(control.cluster, namespace(secret), name(secret), name(account), uid(account))
}
