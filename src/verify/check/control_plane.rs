//! Every istiod of the reader reads the peer: `/debug/clusterz` says `synced`.

use super::{Cause, Verdict, View, listed};
use crate::verify::facts::{Istiod, RemoteAccess, RemoteSecret};
use crate::verify::mesh::Family;

pub(super) fn check(view: &View<'_>) -> Verdict {
    let (reader, seen) = (view.reader.name, view.reader.seen);
    if seen.istiods.is_empty() {
        return Verdict::Fail(vec![Cause::settling(
            "istiod-absent",
            format!("{reader} has no istiod pod in istio-system"),
            format!(
                "see `kubectl -n istio-system get deployment istiod` in {reader}; `meshplan drift` says whether it was removed"
            ),
        )]);
    }
    let mut causes: Vec<Cause> = Vec::new();
    for istiod in &seen.istiods {
        if let Some(cause) = look(view, istiod)
            && !causes.contains(&cause)
        {
            causes.push(cause);
        }
    }
    if causes.is_empty() {
        let n = seen.istiods.len();
        return Verdict::Pass(if n == 1 { "synced".to_owned() } else { format!("synced in {n} of {n} istiods") });
    }
    Verdict::Fail(causes)
}

fn look(view: &View<'_>, istiod: &Istiod) -> Option<Cause> {
    let (reader, peer) = (view.reader.name, view.peer.name);
    let pod = &istiod.pod;
    if !pod.ready {
        let why = pod.why.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        return Some(Cause::settling(
            "istiod-not-ready",
            format!("{reader}'s istiod {} is not ready{why}", pod.name),
            format!("see `kubectl -n istio-system describe pod {}` in {reader}", pod.name),
        ));
    }
    let clusters = match &istiod.clusters {
        Ok(clusters) => clusters,
        Err(why) => {
            let what = format!("{reader}'s istiod {} does not say which clusters it reads: {why}", pod.name);
            let remedy =
                "the caller needs `create` on pods/portforward in istio-system, and istiod ENABLE_DEBUG_ON_HTTP";
            return Some(Cause { settles: why.passes, ..Cause::new("istiod-silent", what, remedy) });
        }
    };
    if let Some(own) = clusters.iter().find(|cluster| cluster.secret.is_empty() && cluster.id != reader) {
        return Some(Cause::new(
            "cluster-name-mismatch",
            format!("{reader}'s istiod calls its own cluster `{}`, and its peers know it as `{reader}`", own.id),
            format!("install istiod with `global.multiCluster.clusterName: {reader}`"),
        ));
    }
    if view.is_alone() {
        return None;
    }
    let Some(read) = clusters.iter().find(|cluster| cluster.id == peer) else { return Some(unlisted(view)) };
    match read.status.as_str() {
        "synced" => None,
        "syncing" => Some(Cause::settling(
            "remote-still-syncing",
            format!("{reader}'s istiod is still reading {peer}"),
            "it takes about 12 seconds; after 30 it says `timeout`",
        )),
        status => Some(not_synced(view, status)),
    }
}

/// The istiod does not know of the peer at all: what is wrong with the Secret?
fn unlisted(view: &View<'_>) -> Cause {
    let (reader, peer) = (view.reader.name, view.peer.name);
    let secrets = &view.reader.seen.remote_secrets;
    let mend = format!("`meshplan apply` writes it: istio.remote_secret/{reader}/{peer}");
    let name = format!("istio-remote-secret-{peer}");
    let keyed: Vec<&RemoteSecret> = secrets.iter().filter(|secret| secret.key == peer).collect();
    let named: Vec<&RemoteSecret> = secrets.iter().filter(|secret| secret.secret == name).collect();
    match (keyed.as_slice(), named.as_slice()) {
        ([], []) => {
            Cause::new("remote-secret-missing", format!("{reader}'s istiod has no remote secret for {peer}"), mend)
        }
        ([], [named, ..]) => {
            let what = if named.key == reader {
                format!(
                    "{reader}'s remote secret {name} has the key `{}`, which is {reader} itself: istiod ignores it",
                    named.key
                )
            } else {
                format!(
                    "{reader}'s remote secret {name} has the key `{}`, and the key is the cluster's id: it must be `{peer}`",
                    named.key
                )
            };
            Cause::new("remote-secret-wrong-key", what, mend)
        }
        ([secret, ..], _) if !keyed.iter().any(|secret| secret.labelled) => Cause::new(
            "remote-secret-unlabelled",
            format!(
                "{reader}'s remote secret {} for {peer} lacks the label istio/multiCluster=true, so istiod does not see it",
                secret.secret
            ),
            mend,
        ),
        ([secret, ..], _) => match &secret.kubeconfig {
            Err(why) => Cause::new(
                "remote-secret-unusable",
                format!(
                    "{reader}'s istiod refuses the kubeconfig in the remote secret {} for {peer}: {why}",
                    secret.secret
                ),
                mend,
            ),
            Ok(_) => Cause::settling(
                "remote-secret-overlooked",
                format!(
                    "{reader}'s istiod does not list {peer}, although the remote secret {} is there",
                    secret.secret
                ),
                restart(view),
            ),
        },
    }
}

fn restart(view: &View<'_>) -> String {
    let reader = view.reader.name;
    let mut remedy =
        format!("if it stays so for a minute: `kubectl -n istio-system rollout restart deployment istiod` in {reader}");
    if !view.reader.declared.istio.follows_rotations() {
        remedy.push_str("; Istio before 1.30.3 can wedge when a remote secret changes");
    }
    remedy
}

/// The istiod tries and does not succeed.
fn not_synced(view: &View<'_>, status: &str) -> Cause {
    let (reader, peer) = (view.reader.name, view.peer.name);
    let access = view.reader.seen.remote_secrets.iter().find(|secret| secret.key == peer && secret.labelled);
    let access = access.and_then(|secret| secret.kubeconfig.as_ref().ok());
    if let Some(cause) = access.and_then(|access| stale(view, access)) {
        return cause;
    }
    if let Some(cause) = out_of_reach(view) {
        return cause;
    }
    if !view.peer.seen.reader.may_read {
        return Cause::new(
            "reader-without-permission",
            format!(
                "{reader}'s istiod may not read {peer}: there the service account istio-reader-service-account is bound to no role that reads"
            ),
            format!("`meshplan apply`: {peer}'s release istiod makes the binding (`global.enableReaderRBAC`)"),
        );
    }
    Cause {
        settles: true,
        ..Cause::new(
            "remote-unsynced",
            format!(
                "{reader}'s istiod says `{status}` of {peer}, whose API server lets it in as far as can be seen from here"
            ),
            restart(view),
        )
    }
}

/// The credentials or the place that the secret names are not the peer's any more.
fn stale(view: &View<'_>, access: &RemoteAccess) -> Option<Cause> {
    let (reader, peer) = (view.reader.name, view.peer.name);
    let mend = format!("`meshplan apply` writes it anew: istio.remote_secret/{reader}/{peer}");
    if let Some(api) = &view.peer.seen.api
        && api.url.trim_end_matches('/') != access.server.trim_end_matches('/')
    {
        return Some(Cause::new(
            "remote-secret-elsewhere",
            format!(
                "{reader}'s remote secret for {peer} leads to {}, and {peer}'s API server is {}",
                access.server, api.url
            ),
            mend,
        ));
    }
    let tokens = &view.peer.seen.reader.tokens;
    if tokens.is_empty() {
        return Some(Cause::new(
            "reader-token-missing",
            format!(
                "{peer} has no token for its istio-reader-service-account any more, so the one in {reader}'s remote secret is refused"
            ),
            "`meshplan apply` makes it, and writes the remote secrets anew",
        ));
    }
    (!tokens.contains(&access.token)).then(|| {
        Cause::new(
            "remote-token-refused",
            format!("the token in {reader}'s remote secret for {peer} is none of those that {peer} gives its reader: {peer}'s API server refuses it"),
            mend,
        )
    })
}

/// The peer's API server does not let connections of the reader in.
fn out_of_reach(view: &View<'_>) -> Option<Cause> {
    let (reader, peer) = (view.reader.name, view.peer.name);
    let api = view.peer.seen.api.as_ref()?;
    let reach = view.reader.declared.reach;
    let families: Vec<Family> = [Family::Ipv4, Family::Ipv6]
        .into_iter()
        .filter(|family| (*family == Family::Ipv4 || api.has_ipv6) && (reach.connects(*family) || reach.dns64))
        .collect();
    if families.is_empty() {
        return Some(Cause::new(
            "remote-api-family",
            format!(
                "{reader}'s pods have only {} addresses, and {peer}'s API server has none of that family",
                reach.pods
            ),
            "give them a way to IPv4: managed nodes (whose CNI translates), or `dns64 = true` for the network",
        ));
    }
    if !api.public {
        return Some(Cause::new(
            "remote-api-private",
            format!("{peer}'s API server is not public, and {reader}'s istiod does not reach it"),
            "`[api_access] public = \"peers\"`, or peer the two networks",
        ));
    }
    let admits = |from: &ipnet::IpNet| api.admits.iter().any(|range| range.contains(from));
    let leaves = &view.reader.declared.leaves_from;
    let usable = leaves
        .iter()
        .filter(|from| families.contains(&if from.addr().is_ipv6() { Family::Ipv6 } else { Family::Ipv4 }));
    let usable: Vec<&ipnet::IpNet> = usable.collect();
    if usable.is_empty() || usable.iter().any(|from| admits(from)) {
        return None;
    }
    Some(Cause::new(
        "remote-api-not-admitted",
        format!(
            "{peer}'s API server admits only {} (publicAccessCidrs), and {reader}'s istiod comes from {}",
            listed(&api.admits),
            listed(usable)
        ),
        format!(
            "`meshplan apply` puts it right where the topology says `[api_access] public = \"peers\"`; else add the range to {peer}'s publicAccessCidrs"
        ),
    ))
}
