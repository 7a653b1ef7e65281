//! Versions: R7 (skew between control planes) and R8 (the compatibility matrix).
//!
//! What needs the state (one minor at a time) or the nodes (at most three behind) is for the plan.

use std::collections::BTreeSet;

use super::codes::{
    EXTENDED_SUPPORT, ISTIO_END_OF_LIFE, ISTIO_MIXED, ISTIO_SKEW, KUBERNETES_MISMATCH, KUBERNETES_NOT_OFFERED,
    SUPPORT_ENDING, UNKNOWN_ISTIO,
};
use super::matrix::{self, EKS, EksSupport, ISTIO};
use super::{Checked, value};
use crate::model::{AttrPath, Diagnostic};
use crate::topology::resolved::Cluster;

/// Standard support that ends before this day is warned of: two months after [`matrix::AS_OF`], long enough to
/// plan an upgrade and short enough to mean something.
const ENDING_BEFORE: &str = "2027-01-01";

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    skew(checked, diagnostics);
    // Many clusters take their versions from one line: it is judged once.
    let mut judged = BTreeSet::new();
    for cluster in checked.clusters() {
        let (istio_at, kubernetes_at) = (place(checked, cluster, "istio"), place(checked, cluster, "kubernetes"));
        if judged.insert((istio_at.clone(), kubernetes_at.clone())) {
            istio(cluster, &istio_at, &mut judged, diagnostics);
            kubernetes(checked, cluster, &istio_at, &kubernetes_at, diagnostics);
        }
    }
}

/// Where a cluster's version is written, its own or the mesh's.
fn place(checked: &Checked<'_>, cluster: &Cluster, key: &str) -> AttrPath {
    let own = checked.cluster_table(cluster.name.as_str()).and_then(|table| table.versions.as_ref());
    let is_own = own.is_some_and(|own| if key == "istio" { own.istio.is_some() } else { own.kubernetes.is_some() });
    if is_own {
        AttrPath::keys(&["clusters", cluster.name.as_str(), "versions", key])
    } else {
        AttrPath::keys(&["versions", key])
    }
}

/// R7: control planes of one mesh run the same minor release, or two neighbours while it is upgraded.
fn skew(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let (Some(oldest), Some(newest)) =
        (checked.clusters().min_by_key(|c| c.istio), checked.clusters().max_by_key(|c| c.istio))
    else {
        return;
    };
    let apart = newest.istio.minor.abs_diff(oldest.istio.minor);
    let say = format!("{} runs Istio {} and {} runs {}", oldest.name, oldest.istio, newest.name, newest.istio);
    let at = place(checked, oldest, "istio");
    let other = (value(place(checked, newest, "istio")), format!("{} of {}", newest.istio, newest.name));
    if apart > 1 || newest.istio.major != oldest.istio.major {
        diagnostics.push(
            Diagnostic::error(ISTIO_SKEW, format!("{say}, which is {apart} minor releases apart"))
                .at(at)
                .related(other.0, other.1)
                .note("Istio supports control planes and proxies that are one minor release apart")
                .help("upgrade one minor release at a time, all clusters before the next"),
        );
    } else if newest.istio != oldest.istio {
        diagnostics.push(
            Diagnostic::warning(ISTIO_MIXED, say)
                .at(at)
                .related(other.0, other.1)
                .note("they work together, but a mesh is meant to be mixed only while it is upgraded")
                .help(format!("finish the upgrade to {}", newest.istio)),
        );
    }
}

/// R8: the Istio release is known, and still gets fixes.
fn istio(
    cluster: &Cluster,
    at: &AttrPath,
    judged: &mut BTreeSet<(AttrPath, AttrPath)>,
    diagnostics: &mut Vec<Diagnostic>,
) {
    if !judged.insert((at.clone(), AttrPath::root())) {
        return;
    }
    let version = cluster.istio;
    match matrix::istio(version) {
        None => {
            let known: Vec<String> = ISTIO.iter().map(|row| format!("1.{}", row.minor)).collect();
            diagnostics.push(
                Diagnostic::error(UNKNOWN_ISTIO, format!("Istio {version} is not in the compatibility matrix"))
                    .at(at.clone())
                    .label("not a known minor release")
                    .note(format!("the matrix is that of {} and knows {}", matrix::AS_OF, known.join(", ")))
                    .help("choose a release of these, the newest being the best"),
            );
        }
        Some(row) if !row.maintained => diagnostics.push(
            Diagnostic::warning(ISTIO_END_OF_LIFE, format!("Istio 1.{} gets no more fixes", row.minor))
                .at(at.clone())
                .help(format!("upgrade, one minor release at a time, to 1.{} or later", oldest_maintained())),
        ),
        Some(_) => {}
    }
}

fn oldest_maintained() -> u16 {
    ISTIO.iter().find(|row| row.maintained).map_or(0, |row| row.minor)
}

/// R8: EKS offers the Kubernetes version, at the price agreed to, and Istio supports it.
fn kubernetes(
    checked: &Checked<'_>,
    cluster: &Cluster,
    istio_at: &AttrPath,
    at: &AttrPath,
    diagnostics: &mut Vec<Diagnostic>,
) {
    // An existing cluster's version is its own: it is read when the plan goes online.
    if cluster.existing.is_some() {
        return;
    }
    let version = cluster.kubernetes;
    if let Some(row) = matrix::istio(cluster.istio)
        && (version.major != 1 || !(row.oldest_kubernetes..=row.newest_kubernetes).contains(&version.minor))
    {
        diagnostics.push(
            Diagnostic::error(
                KUBERNETES_MISMATCH,
                format!("Istio {} does not support Kubernetes {version}", cluster.istio),
            )
            .at(at.clone())
            .related(value(istio_at.clone()), format!("Istio 1.{} is from here", row.minor))
            .note(format!(
                "Istio 1.{} supports Kubernetes 1.{} to 1.{}",
                row.minor, row.oldest_kubernetes, row.newest_kubernetes
            ))
            .help(help_for(version.minor, row.oldest_kubernetes, row.newest_kubernetes)),
        );
    }
    let agreed = checked.topology.extended_support;
    match matrix::eks(version) {
        EksSupport::NotOffered => {
            let offered: Vec<String> = EKS
                .iter()
                .filter(|row| row.extended_until.is_empty() || row.extended_until >= matrix::AS_OF)
                .map(|row| format!("1.{}", row.minor))
                .collect();
            diagnostics.push(
                Diagnostic::error(KUBERNETES_NOT_OFFERED, format!("EKS does not offer Kubernetes {version}"))
                    .at(at.clone())
                    .note(format!("as of {} it offers {}", matrix::AS_OF, offered.join(", ")))
                    .help("choose one of these"),
            );
        }
        EksSupport::Extended(ended) if !agreed => diagnostics.push(
            Diagnostic::error(
                EXTENDED_SUPPORT,
                format!("standard support of Kubernetes {version} on EKS ended on {ended}"),
            )
            .at(at.clone())
            .note("in extended support a cluster costs six times as much by the hour")
            .help(format!("choose {} or later", oldest_standard()))
            .help("or agree to the price with `extended_support = true` in `[versions]`"),
        ),
        EksSupport::Standard(until) if !until.is_empty() && until < ENDING_BEFORE => diagnostics.push(
            Diagnostic::warning(
                SUPPORT_ENDING,
                format!("standard support of Kubernetes {version} on EKS ends on {until}"),
            )
            .at(at.clone())
            .help("choose the next minor version for a new cluster"),
        ),
        EksSupport::Standard(_) | EksSupport::Extended(_) => {}
    }
}

fn help_for(minor: u16, oldest: u16, newest: u16) -> String {
    if minor < oldest {
        format!("choose Kubernetes 1.{oldest} or later, or an older Istio")
    } else {
        format!("choose Kubernetes 1.{newest} or earlier, or a newer Istio")
    }
}

fn oldest_standard() -> String {
    let row = EKS.iter().find(|row| row.standard_until.is_empty() || row.standard_until >= matrix::AS_OF);
    row.map_or_else(String::new, |row| format!("1.{}", row.minor))
}
