//! Requests to the API servers of simulated clusters, as helm's own client makes them.
//!
//! Entry point: [`Wire`].

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::ProvideCredentials;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE};
use jiff::Timestamp;
use serde_json::Value;

use crate::kinds::eks::token::{Token, presign};
use crate::model::Clock;
use crate::resource::{ClusterAccess, ClusterAuth, ClusterRoute, ErrorClass, ProviderError};

/// A token is replaced this long before it expires.
const SPARE: Duration = Duration::from_mins(1);

/// The kinds of the objects of known charts, with their names in paths and whether they are in namespaces.
const KINDS: [(&str, &str, bool); 17] = [
    ("ClusterRole", "clusterroles", false),
    ("ClusterRoleBinding", "clusterrolebindings", false),
    ("ConfigMap", "configmaps", true),
    ("CustomResourceDefinition", "customresourcedefinitions", false),
    ("DaemonSet", "daemonsets", true),
    ("Deployment", "deployments", true),
    ("HorizontalPodAutoscaler", "horizontalpodautoscalers", true),
    ("IngressClass", "ingressclasses", false),
    ("MutatingWebhookConfiguration", "mutatingwebhookconfigurations", false),
    ("NetworkPolicy", "networkpolicies", true),
    ("PodDisruptionBudget", "poddisruptionbudgets", true),
    ("Role", "roles", true),
    ("RoleBinding", "rolebindings", true),
    ("Secret", "secrets", true),
    ("Service", "services", true),
    ("ServiceAccount", "serviceaccounts", true),
    ("ValidatingWebhookConfiguration", "validatingwebhookconfigurations", false),
];

/// The form of a body.
#[derive(Debug, Clone, Copy)]
pub(super) enum Form {
    /// A whole object.
    Whole,
    /// What is applied.
    Apply,
    /// What is merged.
    Merge,
}

/// The way to the clusters, and who goes it.
pub(super) struct Wire {
    pub(super) route: Rc<dyn ClusterRoute>,
    pub(super) aws: aws_config::SdkConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tokens: RefCell<BTreeMap<(String, String), Token>>,
}

/// The path of an object of a release in a namespace.
pub(super) fn path_of(object: &Value, release_namespace: &str) -> Result<String, ProviderError> {
    let (kind, api) = (text(object, "kind"), text(object, "apiVersion"));
    let known = KINDS.iter().find(|(known, _, _)| *known == kind);
    let Some((_, plural, namespaced)) = known else {
        return Err(ProviderError::bug("helm:Path", format!("no known chart has objects of the kind {kind}")));
    };
    let root = if api.contains('/') { format!("/apis/{api}") } else { format!("/api/{api}") };
    let name = text(&object["metadata"], "name");
    let namespace = object["metadata"]["namespace"].as_str().unwrap_or(release_namespace);
    Ok(if *namespaced {
        format!("{root}/namespaces/{namespace}/{plural}/{name}")
    } else {
        format!("{root}/{plural}/{name}")
    })
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

impl Wire {
    /// Makes one request; `None` where there is no such thing.
    ///
    /// # Errors
    /// What the server refused, in helm's place.
    pub(super) async fn ask(
        &self,
        access: &ClusterAccess,
        (operation, method): (&'static str, Method),
        path: &str,
        body: Option<(Form, &Value)>,
    ) -> Result<Option<Value>, ProviderError> {
        let bug = |error: http::Error| ProviderError::bug(operation, error.to_string());
        let token = self.token(operation, access).await?;
        let mut request = http::Request::builder().method(method).uri(path).header("accept", "application/json");
        request = request.header("user-agent", "Helm/4 (sandbox)");
        let mut authorization = http::HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|error| ProviderError::bug(operation, error.to_string()))?;
        authorization.set_sensitive(true);
        request = request.header(AUTHORIZATION, authorization);
        let request = match body {
            None => request.body(Vec::new()).map_err(bug)?,
            Some((form, object)) => {
                let media = match form {
                    Form::Whole => "application/json",
                    Form::Apply => "application/apply-patch+yaml",
                    Form::Merge => "application/merge-patch+json",
                };
                request.header(CONTENT_TYPE, media).body(object.to_string().into_bytes()).map_err(bug)?
            }
        };
        let answer = self.route.send(&access.endpoint, request).await.map_err(|error| {
            let message = format!("{} did not answer: {error}", access.endpoint);
            ProviderError::new(ErrorClass::Ambiguous, operation, message)
        })?;
        let status = answer.status().as_u16();
        let document: Value = serde_json::from_slice(answer.body()).unwrap_or_default();
        match status {
            200..=299 => Ok(Some(document)),
            404 if document["kind"] == "Status" => Ok(None),
            _ => Err(refusal(operation, status, &document, answer.body())),
        }
    }

    /// The caller's token for a cluster.
    async fn token(&self, operation: &'static str, access: &ClusterAccess) -> Result<String, ProviderError> {
        let ClusterAuth::Eks { cluster, region } = &access.auth else {
            return Err(ProviderError::bug(operation, "a cluster of the sandbox is one of EKS"));
        };
        let denied = |why: String| ProviderError::new(ErrorClass::Denied, operation, why);
        let key = (region.clone(), cluster.clone());
        let now: Timestamp = self.clock.now();
        let fresh_until = now.checked_add(SPARE).unwrap_or(Timestamp::MAX);
        if let Some(token) = self.tokens.borrow().get(&key).filter(|token| fresh_until < token.expires) {
            return Ok(token.token.expose().clone());
        }
        let provider = self.aws.credentials_provider();
        let provider = provider.ok_or_else(|| denied("there are no AWS credentials".to_owned()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| denied(error.to_string()))?;
        let token = presign(&credentials, region, cluster, now)?;
        let text = token.token.expose().clone();
        self.tokens.borrow_mut().insert(key, token);
        Ok(text)
    }
}

/// What a server refused.
fn refusal(operation: &'static str, status: u16, document: &Value, body: &[u8]) -> ProviderError {
    let message = match document["message"].as_str() {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(body).trim().to_owned(),
    };
    let class = match status {
        401 => ErrorClass::NotYet,
        403 => ErrorClass::Denied,
        409 => ErrorClass::Conflict,
        429 => ErrorClass::Throttled,
        // A webhook whose pods are on their way.
        500 if message.contains("failed calling webhook") => ErrorClass::NotYet,
        500 if message.contains("failed to create typed patch object") => ErrorClass::Invalid,
        500.. => ErrorClass::Transient,
        _ => ErrorClass::Invalid,
    };
    ProviderError::new(class, operation, message)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::sandbox::charts::{Wanted, render};

    #[test]
    fn every_object_of_a_known_chart_has_a_path() {
        let values = json!({ "clusterName": "c1", "podDisruptionBudget": { "minAvailable": 1 }, "replicaCount": 2 });
        for chart in ["base", "istiod", "gateway", "aws-load-balancer-controller"] {
            let wanted =
                Wanted { name: "x", namespace: "istio-system", chart, version: None, values: &values, upgrades: false };
            for object in render(&wanted).unwrap().objects {
                assert!(path_of(&object, "istio-system").is_ok(), "{object}");
            }
        }
        let deployment = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "x" } });
        assert_eq!(path_of(&deployment, "ns").unwrap(), "/apis/apps/v1/namespaces/ns/deployments/x");
    }

    #[test]
    fn a_refusal_says_what_may_pass() {
        let class = |status, message: &str| refusal("helm:Upgrade", status, &json!({ "message": message }), b"").class;
        assert_eq!(class(500, "Internal error occurred: failed calling webhook \"x\""), ErrorClass::NotYet);
        assert_eq!(class(409, "Apply failed with 1 conflict"), ErrorClass::Conflict);
        assert_eq!(class(422, "invalid"), ErrorClass::Invalid);
        assert_eq!(class(503, "try again"), ErrorClass::Transient);
    }
}
