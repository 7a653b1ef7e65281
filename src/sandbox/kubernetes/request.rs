//! Requests to an API server: what is asked, of which objects.
//!
//! Entry points: [`Asked`], [`Route::of`].

use std::borrow::Cow;

use serde_json::Value;

use super::objects::{Key, Objects};
use super::schema::{Kind, kinds};
use super::status::Refusal;

/// A request as it comes in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    pub(crate) method: String,
    pub(crate) path: String,
    /// The query, without its question mark.
    pub(crate) query: String,
    pub(crate) authorization: Option<String>,
    pub(crate) accept: String,
    pub(crate) content_type: String,
    pub(crate) user_agent: String,
    pub(crate) body: Vec<u8>,
}

impl Asked {
    /// A field of the query.
    pub(crate) fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        form_urlencoded::parse(self.query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A field of the query that is on or off.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.query(name).is_some_and(|value| value == "true" || value == "1")
    }

    /// Who writes, when the request does not say: the program's name, as a real server takes it from the user agent.
    pub(crate) fn manager(&self) -> String {
        if let Some(manager) = self.query("fieldManager").filter(|manager| !manager.is_empty()) {
            return manager.into_owned();
        }
        let program = self.user_agent.split('/').next().unwrap_or_default();
        if program.is_empty() { "unknown".to_owned() } else { program.chars().take(128).collect() }
    }
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verb {
    Get,
    List,
    Watch,
    Create,
    Update,
    Patch,
    Delete,
    DeleteCollection,
}

impl Verb {
    /// As rules and messages write it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::List => "list",
            Self::Watch => "watch",
            Self::Create => "create",
            Self::Update => "update",
            Self::Patch => "patch",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
        }
    }
}

/// Which objects a request is about.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) namespace: Option<String>,
    /// Empty for a collection.
    pub(crate) name: String,
    /// Empty for the object itself.
    pub(crate) subresource: String,
}

impl Place {
    /// The key of the object with a name.
    pub(crate) fn key(&self, name: &str) -> Key {
        Key::new(&self.kind.group, &self.kind.plural, self.namespace.as_deref(), name)
    }
}

/// Where a request goes.
#[derive(Debug, Clone)]
pub(crate) enum Route {
    /// To objects.
    Objects(Box<Place>, Verb),
    /// To what the server says of itself.
    Itself,
}

impl Route {
    /// The route of a request.
    pub(crate) fn of(asked: &Asked, objects: &Objects<'_>) -> Result<Self, Refusal> {
        let decoded: Vec<String> = asked.path.split('/').filter(|part| !part.is_empty()).map(percent_decoded).collect();
        let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
        let (group, version, rest) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return Ok(Self::Itself),
        };
        // `namespaces/x/y…` is about what is in x, and `namespaces/x` (`/status`, `/finalize`) about x itself.
        let (namespace, rest) = match rest {
            ["namespaces", name, what, ..] if !(group.is_empty() && ["status", "finalize"].contains(what)) => {
                (Some((*name).to_owned()), rest.get(2..).unwrap_or_default())
            }
            _ => (None, rest),
        };
        let (plural, name, subresource) = match rest {
            [plural] => (*plural, "", ""),
            [plural, name] => (*plural, *name, ""),
            [plural, name, subresource, ..] => (*plural, *name, *subresource),
            [] => return Err(Refusal::no_path()),
        };
        let kind = find(objects, group, version, plural).ok_or_else(Refusal::no_path)?;
        if (namespace.is_some() && !kind.is_namespaced)
            || (namespace.is_none() && kind.is_namespaced && !name.is_empty())
        {
            return Err(Refusal::no_path());
        }
        if !subresource.is_empty() && !kind.has_subresource(subresource) {
            return Err(Refusal::no_path());
        }
        let verb = match (asked.method.as_str(), name.is_empty()) {
            ("GET", true) if asked.flag("watch") => Verb::Watch,
            ("GET", true) => Verb::List,
            ("GET", false) => Verb::Get,
            ("POST", _) => Verb::Create,
            ("PUT", false) => Verb::Update,
            ("PATCH", false) => Verb::Patch,
            ("DELETE", false) => Verb::Delete,
            ("DELETE", true) => Verb::DeleteCollection,
            _ => return Err(Refusal::not_allowed(&kind)),
        };
        let place = Place { kind, namespace, name: name.to_owned(), subresource: subresource.to_owned() };
        Ok(Self::Objects(Box::new(place), verb))
    }
}

/// One part of a path as it was before it was escaped.
fn percent_decoded(part: &str) -> String {
    if !part.contains('%') {
        return part.to_owned();
    }
    // A plus is a plus in a path.
    let escaped = part.replace('+', "%2B");
    form_urlencoded::parse(format!("x={escaped}").as_bytes()).map(|(_, value)| value.into_owned()).collect()
}

/// The kind that is served under a name in paths: built in, or made by a definition.
pub(crate) fn find(objects: &Objects<'_>, group: &str, version: &str, plural: &str) -> Option<Kind> {
    let built_in = kinds().iter().find(|kind| kind.is(group, plural) && kind.version == version);
    built_in.cloned().or_else(|| {
        let definition = objects.get(&Key::new(DEFINITIONS.0, DEFINITIONS.1, None, &format!("{plural}.{group}")))?;
        custom_kinds(definition).into_iter().find(|kind| kind.version == version)
    })
}

/// Group and plural of the definitions of custom resources.
pub(crate) const DEFINITIONS: (&str, &str) = ("apiextensions.k8s.io", "customresourcedefinitions");

/// The kinds that a definition makes, in the order of its versions.
pub(crate) fn custom_kinds(definition: &Value) -> Vec<Kind> {
    let versions = definition["spec"]["versions"].as_array();
    versions.into_iter().flatten().filter_map(|version| Kind::custom(definition, version)).collect()
}

/// All kinds that are served: the built-in ones, then those of definitions.
pub(crate) fn all_kinds(objects: &Objects<'_>) -> Vec<Kind> {
    let custom = objects.list(DEFINITIONS.0, DEFINITIONS.1, None).flat_map(custom_kinds);
    kinds().iter().cloned().chain(custom).collect()
}
