//! The certificate authority, as far as the topology tells: R27 and R28. What is in the files is checked where
//! they are read.

use super::codes::{CA_LIFETIME, CA_RECIPIENT, CA_SOURCE, MULTI_ROOT_ISTIO, MULTI_ROOT_OFF};
use super::{Checked, enumerate, value};
use crate::model::{AttrPath, Diagnostic};
use crate::topology::schema::{CaSource, IstioVersion};

/// The release whose istiod crashed on several roots (istio/istio#55793).
const BROKEN_MULTI_ROOT: IstioVersion = IstioVersion { major: 1, minor: 25, patch: 1 };

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    source(checked, diagnostics);
    lifetimes(checked, diagnostics);
    recipients(checked, diagnostics);
    roots(checked, diagnostics);
}

fn at(key: &str) -> AttrPath {
    AttrPath::keys(&["ca", key])
}

/// R27: the source has what it needs, and nothing is given that it does not use.
fn source(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(table) = &checked.written.ca else { return };
    let ca = &checked.topology.ca;
    let source = ca.source.as_str();
    let given =
        [(CaSource::Files, "files", table.files.is_some()), (CaSource::AcmPca, "acm_pca", table.acm_pca.is_some())];
    for (user, key, is_given) in given {
        let mistaken = checked.set_aside.contains(&at(key)) || checked.set_aside.contains(&at("source"));
        if mistaken || is_given == (ca.source == user) {
            continue;
        }
        diagnostics.push(if is_given {
            Diagnostic::error(CA_SOURCE, format!("`[ca.{key}]` is not used by `source = \"{source}\"`"))
                .at(at(key))
                .related(value(at("source")), "the source")
                .help(format!("write `source = \"{}\"`, or remove the table", user.as_str()))
        } else {
            Diagnostic::error(CA_SOURCE, format!("`source = \"{source}\"` needs the table `[ca.{key}]`"))
                .at(at("source"))
                .help(if user == CaSource::Files {
                    "add `[ca.files]` with `root` and `key`, or with `root` and ready `intermediates`"
                } else {
                    "add `[ca.acm_pca]` with the authority's `arn`"
                })
        });
    }
    if let Some(files) = ca.files.as_ref().filter(|_| ca.source == CaSource::Files) {
        let at = at("files");
        let ready = !files.intermediates.is_empty();
        let missing: Vec<&str> = checked
            .clusters()
            .map(|cluster| cluster.name.as_str())
            .filter(|name| !files.intermediates.contains_key(*name))
            .collect();
        let written = table.files.as_ref().and_then(|files| files.intermediates.as_ref()).is_some();
        match (&files.key, ready || written) {
            (Some(_), true) => diagnostics.push(
                Diagnostic::error(CA_SOURCE, "both the root's key and ready intermediates are given")
                    .at(at.key("key"))
                    .related(value(at.key("intermediates")), "the intermediates")
                    .help("give the key, and intermediates are made; or give the intermediates and keep the key away"),
            ),
            (None, false) => diagnostics.push(
                Diagnostic::error(CA_SOURCE, "a root alone issues nothing")
                    .at(at)
                    .help("add the root's `key`, or ready `intermediates`"),
            ),
            (None, true) if !missing.is_empty() => diagnostics.push(
                Diagnostic::error(CA_SOURCE, format!("there is no intermediate for {}", enumerate(&missing)))
                    .at(at.key("intermediates"))
                    .help("add `[ca.files.intermediates.CLUSTER]` with `cert`, `key` and `chain` for each cluster"),
            ),
            (Some(_), false) | (None, true) => {}
        }
    }
    if let Some(arn) = &ca.acm_pca {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let valid = matches!(parts.as_slice(), ["arn", partition, "acm-pca", region, account, resource]
            if partition.starts_with("aws") && !region.is_empty() && account.len() == 12
                && account.bytes().all(|b| b.is_ascii_digit()) && resource.strip_prefix("certificate-authority/").is_some_and(|id| !id.is_empty()));
        if !valid {
            diagnostics.push(
                Diagnostic::error(CA_SOURCE, format!("`{arn}` is not the ARN of a private authority"))
                    .at(at("acm_pca").key("arn"))
                    .help("it reads `arn:aws:acm-pca:REGION:ACCOUNT:certificate-authority/ID`"),
            );
        }
    }
}

/// R27: no certificate outlives its issuer, and a given one lives long enough to be worth it.
fn lifetimes(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let ca = &checked.topology.ca;
    if ca.intermediate_ttl >= ca.root_ttl {
        diagnostics.push(
            Diagnostic::error(
                CA_LIFETIME,
                format!("intermediates of {} outlive their root of {}", ca.intermediate_ttl, ca.root_ttl),
            )
            .at(at("intermediate_ttl"))
            .related(value(at("root_ttl")), "the root's lifetime")
            .help("make the root live several times as long: `root_ttl = \"10y\"`, `intermediate_ttl = \"2y\"`"),
        );
    }
    if ca.min_validity >= ca.intermediate_ttl {
        diagnostics.push(
            Diagnostic::error(
                CA_LIFETIME,
                format!("no intermediate of {} is valid for {} yet", ca.intermediate_ttl, ca.min_validity),
            )
            .at(at("min_validity"))
            .related(value(at("intermediate_ttl")), "the intermediates' lifetime")
            .help("make `min_validity` shorter; the default is `90d`"),
        );
    }
}

/// R27: the root's key is encrypted to somebody.
fn recipients(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for (n, recipient) in checked.topology.ca.recipients.iter().enumerate() {
        // Shape only: a recipient's checksum is age's to verify, when the key is encrypted.
        let age = recipient
            .strip_prefix("age1")
            .is_some_and(|rest| rest.len() == 58 && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()));
        let mut words = recipient.split_ascii_whitespace();
        let ssh = matches!(words.next(), Some("ssh-ed25519" | "ssh-rsa"))
            && words.next().is_some_and(|w| w.starts_with("AAAA"));
        if age || ssh {
            continue;
        }
        let secret = recipient.starts_with("AGE-SECRET-KEY-") || recipient.contains("PRIVATE KEY");
        // A private key is not repeated in the message.
        let found = if secret {
            Diagnostic::error(CA_RECIPIENT, "a private key has no place in a topology")
                .note("consider it disclosed if this file was shared or committed")
        } else {
            Diagnostic::error(CA_RECIPIENT, format!("`{recipient}` is not a public key"))
        };
        diagnostics.push(
            found
                .at(at("recipients").index(n))
                .help("write an age recipient (`age1…`) or an ssh public key (`ssh-ed25519 AAAA…`)"),
        );
    }
}

/// R28: several roots at once.
fn roots(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    if !checked.topology.ca.multi_root {
        diagnostics.push(
            Diagnostic::warning(MULTI_ROOT_OFF, "without `multi_root`, changing the root interrupts the whole mesh")
                .at(at("multi_root"))
                .note("workloads learn to accept several roots when they start, so that it must be on before it is needed")
                .help("remove this line: it is on by default"),
        );
    } else if let Some(cluster) = checked.clusters().find(|cluster| cluster.istio == BROKEN_MULTI_ROOT) {
        diagnostics.push(
            Diagnostic::error(
                MULTI_ROOT_ISTIO,
                format!("Istio {BROKEN_MULTI_ROOT} of {} fails with several roots", cluster.name),
            )
            .at(AttrPath::keys(&["versions", "istio"]))
            .help("use another release"),
        );
    }
}
