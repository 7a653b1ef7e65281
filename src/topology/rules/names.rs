//! Names and identities: R1 (schema, moves, tags), R2, R3, R4 and R6.

use std::collections::BTreeMap;

use super::codes::{
    ADOPTED_TWICE, EXISTING_FORM, INVALID_EKS_NAME, INVALID_MOVE, INVALID_NAME, INVALID_TAG, LOAD_BALANCER_NAME,
    MISSING_KEY, TRUST_DOMAIN, UNKNOWN_SCHEMA,
};
use super::{Checked, cluster_at, network_at, value};
use crate::model::{Address, AttrPath, Diagnostic, Location};
use crate::topology::resolved::ExistingCluster;
use crate::topology::schema::SCHEMA_VERSION;

/// AWS allows 50 tags on a resource; meshplan's own, the cloud's and Kubernetes' need up to 10 of them.
const MAX_TAGS: usize = 40;

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    schema(checked, diagnostics);
    labels(checked, diagnostics);
    mesh(checked, diagnostics);
    tags(checked, diagnostics);
    moves(checked, diagnostics);
    existing(checked, diagnostics);
    load_balancers(checked, diagnostics);
}

/// R1: the version of the format is known.
fn schema(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let at = AttrPath::keys(&["schema"]);
    match checked.written.schema {
        Some(SCHEMA_VERSION) => {}
        Some(other) => diagnostics.push(
            Diagnostic::error(UNKNOWN_SCHEMA, format!("this program reads schema {SCHEMA_VERSION}, not {other}"))
                .at(at)
                .label("not a known version")
                .help(if other > SCHEMA_VERSION {
                    "the file is for a newer meshplan: update meshplan".to_owned()
                } else {
                    format!("write `schema = {SCHEMA_VERSION}`")
                }),
        ),
        None if checked.set_aside.contains(&at) => {}
        None => diagnostics.push(
            Diagnostic::error(MISSING_KEY, "the topology does not say which `schema` it follows")
                .help(format!("begin the file with `schema = {SCHEMA_VERSION}`")),
        ),
    }
}

/// Why a text is no DNS-1123 label, if it is none.
fn label_error(text: &str) -> Option<&'static str> {
    let is_edge = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (None, _) | (_, None) => Some("it is empty"),
        _ if bytes.len() > 63 => Some("it has more than 63 characters"),
        _ if bytes.iter().any(u8::is_ascii_uppercase) => Some("it has a capital letter"),
        _ if !bytes.iter().all(|b| is_edge(*b) || *b == b'-') => Some("it has a character other than a-z, 0-9 and `-`"),
        (Some(first), Some(last)) if !is_edge(*first) || !is_edge(*last) => Some("it starts or ends with `-`"),
        _ => None,
    }
}

/// A label that resembles the text, if there is one.
fn label_from(text: &str) -> Option<String> {
    let lower: String =
        text.to_ascii_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(63).collect();
    let label = lower.trim_matches('-').to_owned();
    label_error(&label).is_none().then_some(label)
}

fn label(what: &str, text: &str, at: Location, diagnostics: &mut Vec<Diagnostic>) {
    if let Some(reason) = label_error(text) {
        let found = Diagnostic::error(INVALID_NAME, format!("`{text}` cannot be {what}: {reason}"))
            .at_location(at)
            .label("not a DNS label")
            .note("Istio and Kubernetes put it into labels, secret names and kubeconfigs, which take DNS labels only");
        diagnostics.push(match label_from(text) {
            Some(near) => found.help(format!("for example `{near}`")),
            None => found.help("use 1 to 63 of a-z, 0-9 and `-`, with a letter or digit at both ends"),
        });
    }
}

/// R3: names of clusters, networks and of what goes into them are DNS-1123 labels.
fn labels(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for (name, table) in checked.written.networks.iter().flatten() {
        let at = AttrPath::keys(&["networks", name]);
        label("a network's name", name, Location::TopologyKey(at.clone()), diagnostics);
        if let Some(network) = &table.istio_network {
            label("an Istio network's name", network, value(at.key("istio_network")), diagnostics);
        }
    }
    for (name, table) in checked.written.clusters.iter().flatten() {
        let at = AttrPath::keys(&["clusters", name]);
        label("a cluster's name", name, Location::TopologyKey(at.clone()), diagnostics);
        for (n, release) in table.releases.iter().flatten().enumerate() {
            let at = at.key("releases").index(n);
            for (key, what, text) in
                [("name", "a release's name", &release.name), ("namespace", "a namespace's name", &release.namespace)]
            {
                if let Some(text) = text {
                    label(what, text, value(at.key(key)), diagnostics);
                }
            }
        }
    }
    for name in checked.written.peering.iter().flatten().map(|(name, _)| name) {
        label("a peering's name", name, Location::TopologyKey(AttrPath::keys(&["peering", name])), diagnostics);
    }
    for name in checked.written.addons.iter().flatten().map(|(name, _)| name) {
        label("an add-on's name", name, Location::TopologyKey(AttrPath::keys(&["addons", name])), diagnostics);
    }
}

/// R6: one mesh id, one trust domain, and aliases that add something.
fn mesh(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let at = AttrPath::keys(&["mesh"]);
    let Some(mesh) = &checked.written.mesh else { return };
    if let Some(id) = &mesh.id {
        label("a mesh's id", id, value(at.key("id")), diagnostics);
    }
    let domain = |text: &str| text.len() <= 253 && text.split('.').all(|part| label_error(part).is_none());
    let mut refuse = |text: &str, at: AttrPath, reason: &str| {
        diagnostics.push(
            Diagnostic::error(TRUST_DOMAIN, format!("`{text}` {reason}"))
                .at(at)
                .note("a trust domain is the first part of every workload's identity: spiffe://DOMAIN/ns/…")
                .help("write a domain name such as `cluster.local`, the same for every cluster"),
        );
    };
    if let Some(text) = mesh.trust_domain.as_deref().filter(|text| !domain(text)) {
        refuse(text, at.key("trust_domain"), "is not a domain name");
    }
    let mut seen = vec![checked.topology.mesh.trust_domain.as_str()];
    for (n, alias) in mesh.trust_domain_aliases.iter().flatten().enumerate() {
        let at = at.key("trust_domain_aliases").index(n);
        if !domain(alias) {
            refuse(alias, at, "is not a domain name");
        } else if seen.contains(&alias.as_str()) {
            refuse(alias, at, "is a trust domain of the mesh already");
        } else {
            seen.push(alias);
        }
    }
}

/// R1: tags that AWS takes, and that are not meshplan's own.
fn tags(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let Some(tags) = &checked.written.tags else { return };
    let at = AttrPath::keys(&["tags"]);
    if tags.len() > MAX_TAGS {
        diagnostics.push(
            Diagnostic::error(
                INVALID_TAG,
                format!("{} tags are more than the {MAX_TAGS} there is room for", tags.len()),
            )
            .at(at.clone())
            .note("AWS allows 50 tags on a resource, and meshplan, EKS and Kubernetes need up to 10 of them")
            .help("remove the least used ones"),
        );
    }
    let allowed = |c: char| c.is_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
    for (key, text) in tags {
        let at = at.key(key);
        let own = ["aws:", "meshplan:", "kubernetes.io/", "eks:", "elbv2.k8s.aws/"];
        let reason = if let Some(prefix) = own.iter().find(|prefix| key.to_ascii_lowercase().starts_with(**prefix)) {
            Some((true, format!("cannot be a tag's key: `{prefix}` is reserved")))
        } else if key == "Name" {
            Some((true, "cannot be a tag's key: meshplan names each resource itself".to_owned()))
        } else if key.is_empty() || key.chars().count() > 128 || !key.chars().all(allowed) {
            Some((true, "cannot be a tag's key: AWS takes 1 to 128 letters, digits, spaces and _ . : / = + - @".into()))
        } else if text.chars().count() > 256 || !text.chars().all(allowed) {
            Some((
                false,
                "cannot be a tag's value: AWS takes up to 256 letters, digits, spaces and _ . : / = + - @".into(),
            ))
        } else {
            None
        };
        if let Some((is_key, reason)) = reason {
            let shown = if is_key { key } else { text };
            let found = Diagnostic::error(INVALID_TAG, format!("`{shown}` {reason}"));
            let found = if is_key { found.at_key(at) } else { found.at(at) };
            diagnostics.push(found.help("choose another one"));
        }
    }
}

/// R1: moves that can be followed.
fn moves(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut from: BTreeMap<&str, usize> = BTreeMap::new();
    let mut to: BTreeMap<&str, usize> = BTreeMap::new();
    for (n, table) in checked.written.moved.iter().flatten().enumerate() {
        let at = |n: usize, key: &str| AttrPath::keys(&["moved"]).index(n).key(key);
        let (Some(source), Some(goal)) = (table.from.as_deref(), table.to.as_deref()) else { continue };
        if source.parse::<Address>().is_err() || goal.parse::<Address>().is_err() {
            continue;
        }
        let kind = |address: &str| address.split('/').next().unwrap_or_default().to_owned();
        if source == goal {
            let message = format!("`{source}` is moved to itself");
            diagnostics.push(Diagnostic::error(INVALID_MOVE, message).at(at(n, "to")).help("remove this entry"));
        } else if kind(source) != kind(goal) {
            diagnostics.push(
                Diagnostic::error(INVALID_MOVE, format!("`{}` cannot become `{}`", kind(source), kind(goal)))
                    .at(at(n, "to"))
                    .label("another kind")
                    .related(value(at(n, "from")), "moved from here")
                    .help("a move renames a resource; another kind is another resource, which is planned by itself"),
            );
        }
        for (key, address, seen) in [("from", source, &mut from), ("to", goal, &mut to)] {
            if let Some(first) = seen.insert(address, n) {
                diagnostics.push(
                    Diagnostic::error(INVALID_MOVE, format!("two moves have `{key} = \"{address}\"`"))
                        .at(at(n, key))
                        .related(value(at(first, key)), "first here")
                        .help("keep one of the two entries"),
                );
            }
        }
    }
}

/// R2: existing VPCs and clusters are named completely, in one way, and once.
fn existing(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut vpcs: BTreeMap<&str, &str> = BTreeMap::new();
    for network in checked.networks() {
        let Some(existing) = &network.existing else { continue };
        let at = network_at(network.name.as_str(), "existing");
        if !existing.vpc_id.is_empty() {
            id(&existing.vpc_id, "vpc", "a VPC", at.key("vpc_id"), diagnostics);
            if let Some(first) = vpcs.insert(&existing.vpc_id, network.name.as_str()) {
                diagnostics.push(
                    Diagnostic::error(ADOPTED_TWICE, format!("{} is two networks at once", existing.vpc_id))
                        .at(at.key("vpc_id"))
                        .related(value(network_at(first, "existing").key("vpc_id")), "first here")
                        .help("declare one network, and put the clusters of both into it"),
                );
            }
        }
        let mut seen: BTreeMap<&str, AttrPath> = BTreeMap::new();
        for (key, subnets) in
            [("private_subnets", &existing.private_subnets), ("public_subnets", &existing.public_subnets)]
        {
            for (n, subnet) in subnets.iter().enumerate() {
                let at = at.key(key).index(n);
                id(subnet, "subnet", "a subnet", at.clone(), diagnostics);
                if let Some(first) = seen.insert(subnet, at.clone()) {
                    diagnostics.push(
                        Diagnostic::error(ADOPTED_TWICE, format!("{subnet} is listed twice"))
                            .at(at)
                            .related(value(first), "first here")
                            .help("a subnet is either private or public, and listed once"),
                    );
                }
            }
        }
    }
    let mut eks: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (name, table) in checked.written.clusters.iter().flatten() {
        let Some(existing) = &table.existing else { continue };
        let at = cluster_at(name, "existing");
        let mistaken = checked.is_mistaken(&at);
        let problem = match (&existing.name, &existing.kubeconfig, &existing.context) {
            _ if mistaken => None,
            (Some(_), Some(_), _) | (Some(_), None, Some(_)) => Some("is both an EKS cluster and one of a kubeconfig"),
            (None, None, _) => Some("does not say which cluster it is"),
            (Some(_), None, None) | (None, Some(_), _) => None,
        };
        if let Some(problem) = problem {
            diagnostics.push(
                Diagnostic::error(EXISTING_FORM, format!("`clusters.{name}.existing` {problem}"))
                    .at(at.clone())
                    .help("for an EKS cluster write `name`, for any other `kubeconfig` and `context`"),
            );
        }
        if let Some(eks_name) = &existing.name {
            eks_cluster_name(eks_name, at.key("name"), diagnostics);
        }
    }
    for cluster in checked.clusters() {
        let name = match &cluster.existing {
            Some(ExistingCluster::Eks { name }) => name.as_str(),
            Some(ExistingCluster::Kubeconfig { .. }) => continue,
            None => cluster.name.as_str(),
        };
        let Some(network) = checked.topology.network_of(cluster) else { continue };
        let at = cluster_at(cluster.name.as_str(), "existing").key("name");
        if let Some(first) = eks.insert((network.region.as_str(), name), cluster.name.as_str()) {
            diagnostics.push(
                Diagnostic::error(ADOPTED_TWICE, format!("the EKS cluster {name} is two clusters of the mesh"))
                    .at(at)
                    .related(Location::TopologyKey(AttrPath::keys(&["clusters", first])), "the other one")
                    .note("a cluster's name is unique in an account and region, and unique in a mesh")
                    .help("declare it once"),
            );
        }
    }
}

/// Whether a text is an id of EC2's: a prefix and hexadecimal digits.
pub(super) fn is_id(text: &str, prefix: &str) -> bool {
    let digits = text.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('-')).unwrap_or_default();
    // Eight digits are ids from before 2018, seventeen are today's.
    [8, 17].contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

fn id(text: &str, prefix: &str, what: &str, at: AttrPath, diagnostics: &mut Vec<Diagnostic>) {
    if !is_id(text, prefix) {
        diagnostics.push(
            Diagnostic::error(EXISTING_FORM, format!("`{text}` is not {what}'s id")).at(at).help(format!(
                "ids read `{prefix}-` and 17 hexadecimal digits, for example `{prefix}-0123456789abcdef0`"
            )),
        );
    }
}

fn eks_cluster_name(name: &str, at: AttrPath, diagnostics: &mut Vec<Diagnostic>) {
    let valid = (1..=100).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if !valid {
        diagnostics.push(
            Diagnostic::error(INVALID_EKS_NAME, format!("`{name}` cannot be the name of an EKS cluster"))
                .at(at)
                .help("EKS takes 1 to 100 letters, digits, `-` and `_`, the first a letter or digit"),
        );
    }
}

/// R4: names of load balancers, where they are given. (Names of IAM roles are derived, and cut to fit.)
fn load_balancers(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    let mut seen: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for cluster in checked.clusters() {
        let Some(name) = &cluster.load_balancer_name else { continue };
        let at = cluster_at(cluster.name.as_str(), "load_balancer_name");
        let reason = if name.is_empty() || name.len() > 32 {
            Some("has not 1 to 32 characters")
        } else if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            Some("has a character other than letters, digits and `-`")
        } else if name.starts_with('-') || name.ends_with('-') {
            Some("starts or ends with `-`")
        } else if name.starts_with("internal-") {
            Some("starts with `internal-`, which AWS reserves")
        } else {
            None
        };
        if let Some(reason) = reason {
            diagnostics.push(
                Diagnostic::error(LOAD_BALANCER_NAME, format!("`{name}` {reason}"))
                    .at(at.clone())
                    .help("leave `load_balancer_name` out, and the controller chooses one"),
            );
        }
        let Some(network) = checked.topology.network_of(cluster) else { continue };
        if let Some(first) = seen.insert((network.region.as_str(), name), cluster.name.as_str()) {
            diagnostics.push(
                Diagnostic::error(LOAD_BALANCER_NAME, format!("two load balancers of one region are named `{name}`"))
                    .at(at)
                    .related(value(cluster_at(first, "load_balancer_name")), "the other one")
                    .help("give each its own name, or leave both out"),
            );
        }
    }
}
