//! What somebody may do: RBAC by the bindings that are really there, and the access policies of EKS.
//!
//! Entry points: [`check`], [`may`].

use serde_json::Value;

use super::{User, roles};
use crate::sandbox::kubernetes::objects::{Key, Objects};
use crate::sandbox::kubernetes::request::{Place, Verb};
use crate::sandbox::kubernetes::status::Refusal;

const GROUP: &str = "rbac.authorization.k8s.io";

/// What is to be done.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Deed<'a> {
    /// Something with objects.
    Objects {
        verb: &'a str,
        group: &'a str,
        /// With its subresource: `pods/exec`.
        resource: &'a str,
        namespace: Option<&'a str>,
        /// Empty for all.
        name: &'a str,
    },
    /// A look at a path.
    Path { verb: &'a str, path: &'a str },
}

/// Refuses what somebody may not do with objects.
pub(crate) fn check(
    objects: &Objects<'_>,
    user: &User,
    place: &Place,
    verb: Verb,
    is_apply: bool,
) -> Result<(), Refusal> {
    let kind = &place.kind;
    let resource = if place.subresource.is_empty() {
        kind.plural.clone()
    } else {
        format!("{}/{}", kind.plural, place.subresource)
    };
    let deed = |verb| Deed::Objects {
        verb,
        group: &kind.group,
        resource: &resource,
        // A namespace is looked at from within.
        namespace: match &place.namespace {
            Some(namespace) => Some(namespace.as_str()),
            None if kind.is("", "namespaces") && !place.name.is_empty() => Some(place.name.as_str()),
            None => None,
        },
        name: &place.name,
    };
    // An apply may create, whatever comes of it.
    let verbs = if is_apply { vec![verb.name(), "create"] } else { vec![verb.name()] };
    let Some(verb) = verbs.into_iter().find(|verb| !may(objects, user, &deed(verb))) else { return Ok(()) };
    let place_of = match deed(verb) {
        Deed::Objects { namespace: Some(namespace), .. } => format!("in the namespace \"{namespace}\""),
        Deed::Objects { namespace: None, .. } | Deed::Path { .. } => "at the cluster scope".to_owned(),
    };
    let why = format!(
        "User \"{}\" cannot {verb} resource \"{resource}\" in API group \"{}\" {place_of}",
        user.name, kind.group
    );
    Err(Refusal::forbidden(kind, &place.name, &why))
}

/// Refuses a look at a path that somebody may not have.
pub(crate) fn check_path(objects: &Objects<'_>, user: &User, verb: &str, path: &str) -> Result<(), Refusal> {
    if may(objects, user, &Deed::Path { verb, path }) {
        return Ok(());
    }
    Err(Refusal::forbidden_path(&format!("User \"{}\" cannot {verb} path \"{path}\"", user.name)))
}

/// Whether somebody may do something.
pub(crate) fn may(objects: &Objects<'_>, user: &User, deed: &Deed<'_>) -> bool {
    if user.groups.iter().any(|group| group == "system:masters") {
        return true;
    }
    let by_policy = user.policies.iter().any(|(name, namespaces)| {
        let inside = match (namespaces, deed) {
            (None, _) => true,
            (Some(names), Deed::Objects { namespace: Some(namespace), .. }) => names.iter().any(|one| one == namespace),
            (Some(_), Deed::Objects { namespace: None, .. } | Deed::Path { .. }) => false,
        };
        inside && roles::of_policy(name).iter().any(|rule| allows(rule, deed))
    });
    if by_policy {
        return true;
    }
    let everywhere = objects.list(GROUP, "clusterrolebindings", None);
    if everywhere.filter(|binding| binds(binding, user)).any(|binding| grants(objects, binding, None, deed)) {
        return true;
    }
    let Deed::Objects { namespace: Some(namespace), .. } = deed else { return false };
    let mut here = objects.list(GROUP, "rolebindings", Some(namespace)).filter(|binding| binds(binding, user));
    here.any(|binding| grants(objects, binding, Some(namespace), deed))
}

/// Whether a binding is about somebody.
fn binds(binding: &Value, user: &User) -> bool {
    let own = binding["metadata"]["namespace"].as_str().unwrap_or_default();
    binding["subjects"].as_array().into_iter().flatten().any(|subject| {
        let name = subject["name"].as_str().unwrap_or_default();
        match subject["kind"].as_str() {
            Some("User") => name == user.name,
            Some("Group") => user.groups.iter().any(|group| group == name),
            Some("ServiceAccount") => {
                let namespace = subject["namespace"].as_str().filter(|text| !text.is_empty()).unwrap_or(own);
                user.name == format!("system:serviceaccount:{namespace}:{name}")
            }
            Some(_) | None => false,
        }
    })
}

/// Whether the role that a binding is to allows something.
fn grants(objects: &Objects<'_>, binding: &Value, namespace: Option<&str>, deed: &Deed<'_>) -> bool {
    let name = binding["roleRef"]["name"].as_str().unwrap_or_default();
    let key = match binding["roleRef"]["kind"].as_str() {
        Some("ClusterRole") => Key::new(GROUP, "clusterroles", None, name),
        Some(_) | None => Key::new(GROUP, "roles", namespace, name),
    };
    let rules = objects.get(&key).map(|role| rules(objects, role)).unwrap_or_default();
    rules.iter().any(|rule| allows(rule, deed))
}

/// The rules of a role, those of the roles that it gathers included.
fn rules(objects: &Objects<'_>, role: &Value) -> Vec<Value> {
    let mut rules = role["rules"].as_array().cloned().unwrap_or_default();
    for selector in role["aggregationRule"]["clusterRoleSelectors"].as_array().into_iter().flatten() {
        let labels = selector["matchLabels"].as_object();
        let gathered = objects.list(GROUP, "clusterroles", None).filter(|other| {
            let wanted = labels.into_iter().flatten();
            wanted.clone().count() > 0
                && wanted.clone().all(|(key, value)| other["metadata"]["labels"].get(key) == Some(value))
        });
        rules.extend(gathered.flat_map(|other| other["rules"].as_array().cloned().unwrap_or_default()));
    }
    rules
}

/// Whether a rule allows something.
pub(super) fn allows(rule: &Value, deed: &Deed<'_>) -> bool {
    let has = |field: &str, wanted: &str| {
        let list = rule[field].as_array();
        list.into_iter().flatten().filter_map(Value::as_str).any(|one| one == "*" || one == wanted)
    };
    match deed {
        Deed::Objects { verb, group, resource, name, .. } => {
            let names = rule["resourceNames"].as_array().map(Vec::as_slice).unwrap_or_default();
            let of_resource = has("resources", resource)
                || resource.split_once('/').is_some_and(|(_, sub)| {
                    let any = format!("*/{sub}");
                    rule["resources"].as_array().into_iter().flatten().any(|one| *one == any)
                });
            has("verbs", verb)
                && has("apiGroups", group)
                && of_resource
                && (names.is_empty() || names.iter().any(|one| one == name))
        }
        Deed::Path { verb, path } => {
            let paths = rule["nonResourceURLs"].as_array();
            let fits = paths.into_iter().flatten().filter_map(Value::as_str).any(|one| match one.strip_suffix('*') {
                Some(start) => path.starts_with(start),
                None => one == *path,
            });
            has("verbs", verb) && fits
        }
    }
}
