//! One request to an API server, and the paths of the objects that requests are about.

use std::fmt;

use http::Method;
use serde_json::Value as Json;

use crate::resource::{ErrorClass, ProviderError, RemoteId};

/// A request.
#[derive(Debug, Clone)]
pub(in crate::kinds) struct Call {
    /// Its name in messages, for example `kubernetes:Apply`.
    pub(in crate::kinds) operation: &'static str,
    pub(in crate::kinds) method: Method,
    /// With its query.
    pub(in crate::kinds) path: String,
    /// The type and text of its body; none for a read.
    pub(in crate::kinds) body: Option<(&'static str, Vec<u8>)>,
}

impl Call {
    pub(in crate::kinds) fn get(operation: &'static str, path: impl Into<String>) -> Self {
        Self { operation, method: Method::GET, path: path.into(), body: None }
    }

    pub(in crate::kinds) fn with_body(
        operation: &'static str,
        method: Method,
        path: String,
        content_type: &'static str,
        body: &Json,
    ) -> Result<Self, ProviderError> {
        let body = serde_json::to_vec(body).map_err(|error| ProviderError::bug(operation, error.to_string()))?;
        Ok(Self { operation, method, path, body: Some((content_type, body)) })
    }

    /// Whether it may change something.
    pub(in crate::kinds) fn writes(&self) -> bool {
        self.method != Method::GET
    }
}

/// A group, a version and a kind, as objects write them: `apps/v1`, `Deployment`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kinds) struct GroupVersion {
    /// Empty for the core group.
    pub(in crate::kinds) group: String,
    pub(in crate::kinds) version: String,
}

impl GroupVersion {
    pub(in crate::kinds) fn parse(api_version: &str) -> Self {
        let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
        Self { group: group.to_owned(), version: version.to_owned() }
    }

    /// The path under which its kinds are served.
    pub(in crate::kinds) fn path(&self) -> String {
        if self.group.is_empty() {
            format!("/api/{}", self.version)
        } else {
            format!("/apis/{}/{}", self.group, self.version)
        }
    }
}

impl fmt::Display for GroupVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.group.is_empty() {
            write!(f, "{}/", self.group)?;
        }
        f.write_str(&self.version)
    }
}

/// Which object: its id is `GROUP|KIND|NAMESPACE|NAME`, with an empty group for the core one and an empty namespace for
/// what is in none. The version is no part of it: one object is served in several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kinds) struct ObjectRef {
    pub(in crate::kinds) group: String,
    pub(in crate::kinds) kind: String,
    pub(in crate::kinds) namespace: Option<String>,
    pub(in crate::kinds) name: String,
}

impl ObjectRef {
    /// An object of the core group.
    pub(in crate::kinds) fn core(kind: &str, namespace: Option<&str>, name: &str) -> Self {
        Self {
            group: String::new(),
            kind: kind.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    pub(in crate::kinds) fn parse(id: &RemoteId) -> Result<Self, ProviderError> {
        let parts: Vec<&str> = id.as_str().split('|').collect();
        let [group, kind, namespace, name] = parts[..] else {
            return Err(ProviderError::bug("kubernetes:Id", format!("`{id}` is no id of a Kubernetes object")));
        };
        let namespace = Some(namespace).filter(|namespace| !namespace.is_empty()).map(str::to_owned);
        Ok(Self { group: group.to_owned(), kind: kind.to_owned(), namespace, name: name.to_owned() })
    }

    pub(in crate::kinds) fn id(&self) -> RemoteId {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        RemoteId::new(format!("{}|{}|{namespace}|{}", self.group, self.kind, self.name))
    }

    /// The path of the object, in a version of its group and under the plural name of its kind.
    pub(in crate::kinds) fn path(&self, version: &str, plural: &str) -> String {
        let base = GroupVersion { group: self.group.clone(), version: version.to_owned() }.path();
        let namespace = self.namespace.as_ref().map(|name| format!("/namespaces/{}", escape(name))).unwrap_or_default();
        format!("{base}{namespace}/{plural}/{}", escape(&self.name))
    }
}

/// As people name it: `deployment mesh/istiod`.
impl fmt::Display for ObjectRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// A text as one part of a path or the value of a query's field.
pub(in crate::kinds) fn escape(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).map(|part| if part == "+" { "%20" } else { part }).collect()
}

/// The text at a path of keys; `None` if there is none.
pub(in crate::kinds) fn text_at<'a>(object: &'a Json, keys: &[&str]) -> Option<&'a str> {
    at(object, keys)?.as_str()
}

/// What is at a path of keys.
pub(in crate::kinds) fn at<'a>(object: &'a Json, keys: &[&str]) -> Option<&'a Json> {
    keys.iter().try_fold(object, |value, key| value.get(*key))
}

/// An error for an answer that lacks what every such answer has. What a write did is then not known.
pub(in crate::kinds) fn incomplete(operation: &'static str, what: &str) -> ProviderError {
    ProviderError::new(ErrorClass::Ambiguous, operation, format!("the answer has no {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_names_an_object_in_any_version() {
        let object = ObjectRef {
            group: "apps".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: Some("mesh".to_owned()),
            name: "istiod".to_owned(),
        };
        assert_eq!(object.id().as_str(), "apps|Deployment|mesh|istiod");
        assert_eq!(ObjectRef::parse(&object.id()).unwrap(), object);
        assert_eq!(object.path("v1", "deployments"), "/apis/apps/v1/namespaces/mesh/deployments/istiod");
        assert_eq!(object.to_string(), "Deployment mesh/istiod");

        let namespace = ObjectRef::core("Namespace", None, "mesh");
        assert_eq!(namespace.id().as_str(), "|Namespace||mesh");
        assert_eq!(ObjectRef::parse(&namespace.id()).unwrap(), namespace);
        assert_eq!(namespace.path("v1", "namespaces"), "/api/v1/namespaces/mesh");
        assert!(ObjectRef::parse(&RemoteId::new("vpc-1")).is_err());
        assert_eq!(GroupVersion::parse("networking.istio.io/v1").to_string(), "networking.istio.io/v1");
        assert_eq!(escape("system:node proxier/x"), "system%3Anode%20proxier%2Fx");
    }
}
