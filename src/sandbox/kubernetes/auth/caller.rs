//! Callers of AWS: the token that holds a presigned `GetCallerIdentity`, and the access entry of whom it names.
//!
//! Entry point: [`user`]. As everywhere in the sandbox whoever has credentials is the account's one user. The signature of
//! the sandbox's own credentials is checked, which binds a token to its cluster; of others the secret key is not known.

use std::collections::BTreeMap;

use aws_lc_rs::hmac;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use jiff::{SignedDuration, Timestamp, ToSpan as _};
use sha2::{Digest as _, Sha256};

use super::{Clock, User};
use crate::sandbox::connector::{ACCESS_KEY, SECRET_KEY};
use crate::sandbox::kubernetes::objects::Objects;
use crate::sandbox::world::ids::Mint;
use crate::sandbox::world::rows::AccessEntry;

/// What these tokens begin with.
pub(super) const PREFIX: &str = "k8s-aws-v1.";

/// The header that names the cluster.
const CLUSTER: &str = "x-k8s-aws-id";

/// For how long a cluster takes a token from its signature on (`aws-iam-authenticator`, `pkg/token`).
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(15);

/// How long it takes until a cluster knows of an access entry, or of a policy of one, in milliseconds. "Changes may take a
/// few seconds" (`associate-access-policy`); people saw up to a minute.
const KNOWN_AFTER_MS: (u64, u64) = (2_000, 20_000);

/// Whom a token names; `None` if it is not good, or if the cluster does not know them.
pub(super) fn user(objects: &Objects<'_>, mint: &Mint, bearer: &str, clock: Clock) -> Option<User> {
    let region = objects.region();
    let signed = Signed::parse(bearer)?;
    if !signed.is_for(objects.cluster()) {
        return None;
    }
    if let Clock::Virtual(now) = clock {
        let age = now.duration_since(signed.date);
        if age > GOOD_FOR || age < -GOOD_FOR {
            return None;
        }
    }
    let principal = format!("arn:aws:iam::{}:user/sandbox", mint.account);
    let cluster = region.clusters.get(objects.cluster())?;
    if cluster.authentication_mode == "CONFIG_MAP" {
        // Whoever made the cluster administers it, and is in no list.
        let groups = vec!["system:masters".to_owned()];
        return Some(User { name: "kubernetes-admin".to_owned(), groups, ..User::default() });
    }
    let entry = region.access_entries.get(&format!("{}|{principal}", objects.cluster()))?;
    let now = objects.now();
    let known =
        |at: Timestamp, what: &str| mint.after(at, &entry.head.id, what, KNOWN_AFTER_MS.0, KNOWN_AFTER_MS.1) <= now;
    if !known(entry.head.created_at, "access entry is known") {
        return None;
    }
    let policies = entry.policies.iter().filter(|(arn, policy)| known(policy.associated_at, arn));
    let policies = policies.filter_map(|(arn, policy)| {
        let name = arn.rsplit('/').next()?.to_owned();
        Some((name, policy.namespaces.clone()))
    });
    Some(User { name: name(entry), groups: entry.groups.clone(), policies: policies.collect(), ..User::default() })
}

fn name(entry: &AccessEntry) -> String {
    entry.username.replace("{{SessionName}}", "sandbox")
}

/// A presigned request.
struct Signed {
    host: String,
    /// The query, decoded.
    query: BTreeMap<String, String>,
    date: Timestamp,
}

impl Signed {
    fn parse(bearer: &str) -> Option<Self> {
        let encoded = bearer.strip_prefix(PREFIX)?.trim_end_matches('=');
        let url = String::from_utf8(BASE64URL_NOPAD.decode(encoded.as_bytes()).ok()?).ok()?;
        let (host, query) = url.strip_prefix("https://")?.split_once("/?")?;
        if !(host.starts_with("sts.") && host.contains(".amazonaws.")) {
            return None;
        }
        let query: BTreeMap<String, String> = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        if query.get("Action").is_none_or(|action| action != "GetCallerIdentity") {
            return None;
        }
        let headers = query.get("X-Amz-SignedHeaders")?;
        if !headers.split(';').any(|header| header == CLUSTER) {
            return None;
        }
        let date = moment(query.get("X-Amz-Date")?)?;
        Some(Self { host: host.to_owned(), query, date })
    }

    /// Whether it was signed for a cluster.
    fn is_for(&self, cluster: &str) -> bool {
        let Some(credential) = self.query.get("X-Amz-Credential") else { return false };
        let Some((key, scope)) = credential.split_once('/') else { return false };
        key != ACCESS_KEY || self.signature(cluster, scope).as_ref() == self.query.get("X-Amz-Signature")
    }

    /// The signature that the sandbox's credentials make ("Create a signed AWS API request").
    fn signature(&self, cluster: &str, scope: &str) -> Option<String> {
        let escape = |text: &str| -> String {
            form_urlencoded::byte_serialize(text.as_bytes())
                .map(|part| match part {
                    "+" => "%20",
                    "*" => "%2A",
                    "%7E" => "~",
                    other => other,
                })
                .collect()
        };
        let mut query: Vec<String> = self
            .query
            .iter()
            .filter(|(key, _)| key.as_str() != "X-Amz-Signature")
            .map(|(key, value)| format!("{}={}", escape(key), escape(value)))
            .collect();
        query.sort();
        let headers = format!("host:{}\n{CLUSTER}:{cluster}\n", self.host);
        let signed_headers = self.query.get("X-Amz-SignedHeaders")?;
        let nothing = hex(&Sha256::digest([]));
        let request = format!("GET\n/\n{}\n{headers}\n{signed_headers}\n{nothing}", query.join("&"));
        let date = self.query.get("X-Amz-Date")?;
        let request = hex(&Sha256::digest(request.as_bytes()));
        let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{request}");
        let mut key = format!("AWS4{SECRET_KEY}").into_bytes();
        for part in scope.split('/') {
            key = mac(&key, part);
        }
        Some(hex(&mac(&key, &text)))
    }
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(bytes)
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

/// An instant as signatures write it: `20260102T030405Z`.
fn moment(text: &str) -> Option<Timestamp> {
    let part = |from: usize, to: usize| text.get(from..to);
    let written = format!(
        "{}-{}-{}T{}:{}:{}Z",
        part(0, 4)?,
        part(4, 6)?,
        part(6, 8)?,
        part(9, 11)?,
        part(11, 13)?,
        part(13, 15)?
    );
    let at: Timestamp = written.parse().ok()?;
    // Nothing later can be written into a token's expiry.
    at.checked_add(1.hour()).ok().map(|_| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_as_signatures_write_them() {
        assert_eq!(moment("20260102T030405Z").unwrap().to_string(), "2026-01-02T03:04:05Z");
        assert_eq!(moment("soon"), None);
    }
}
