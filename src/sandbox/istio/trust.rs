//! Which roots a cluster's workloads have: those of `cacerts`, or a root that its istiod made for itself.

use std::collections::BTreeSet;

use x509_parser::pem::Pem;

use super::view::{Cluster, SYSTEM, decoded};

/// The roots that the workloads of a cluster trust, each by its bytes. Their own certificates are signed under one of them.
pub(super) fn roots(cluster: Cluster<'_>) -> BTreeSet<Vec<u8>> {
    let secret = cluster.get("", "secrets", Some(SYSTEM), "cacerts");
    let text = secret.and_then(|secret| decoded(secret, "root-cert.pem").or_else(|| decoded(secret, "ca.crt")));
    let given =
        text.map(|text| Pem::iter_from_buffer(&text).filter_map(Result::ok).map(|block| block.contents).collect());
    // Self-signed: no two clusters have the same.
    given.unwrap_or_else(|| BTreeSet::from([format!("self-signed by {}", cluster.row.unique).into_bytes()]))
}

/// Whether workloads of two clusters accept each other's certificates.
pub(super) fn is_mutual(one: Cluster<'_>, other: Cluster<'_>) -> bool {
    one.is(&other) || !roots(one).is_disjoint(&roots(other))
}
