//! Admission webhooks: what those that are configured in a cluster say of an object that is about to be written.
//!
//! Entry point: [`admit`], for the API server and for controllers that make pods. Who answers a webhook is found as the API
//! server finds it: the configuration names a Service, and the pods behind it must be ready. Pods that are known to answer
//! (Istio's control plane, the AWS load balancer controller) do what they do in life; those of others let everything pass.

use serde_json::Value;

use super::injection;
use super::istiod;
use super::parts::{holds, label, list, selects, selects_plainly, set, text, texts};
use crate::sandbox::kubernetes::objects::{Key, Objects};

const GROUP: &str = "admissionregistration.k8s.io";

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// It is made.
    Create,
    /// It is changed.
    Update,
}

/// Why an object is not written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The status of the answer.
    pub(crate) code: u16,
    /// The reason in a `Status` object; empty when there is none.
    pub(crate) reason: &'static str,
    pub(crate) message: String,
}

/// A webhook, with what its configuration says.
struct Webhook<'a> {
    configuration: &'a Value,
    webhook: &'a Value,
}

/// Asks all webhooks that are configured for an object: answers it as they changed it.
///
/// # Errors
/// When one denies it, or one that must be asked cannot be.
pub(crate) fn admit(objects: &Objects<'_>, key: &Key, operation: Operation, object: Value) -> Result<Value, Refusal> {
    let mut object = object;
    for webhook in matching(objects, "mutatingwebhookconfigurations", key, operation, &object) {
        if let Some(pod) = webhook.answerer(objects)? {
            object = mutate(objects, &webhook, pod, key, object);
        }
    }
    for webhook in matching(objects, "validatingwebhookconfigurations", key, operation, &object) {
        let Some(pod) = webhook.answerer(objects)? else { continue };
        if label(pod, "app") == Some("istiod")
            && let Some(why) = istiod::invalid(key, &object)
        {
            let name = text(webhook.webhook, "/name");
            let message = format!("admission webhook \"{name}\" denied the request: configuration is invalid: {why}");
            return Err(Refusal { code: 400, reason: "BadRequest", message });
        }
    }
    Ok(object)
}

/// The webhooks of a kind of configuration that want to be asked, in order.
fn matching<'a>(
    objects: &'a Objects<'_>,
    plural: &str,
    key: &Key,
    operation: Operation,
    object: &Value,
) -> Vec<Webhook<'a>> {
    // Configurations themselves are written whatever webhooks say, or nobody could repair one.
    if key.group == GROUP {
        return Vec::new();
    }
    let all = objects.list(GROUP, plural, None);
    all.flat_map(|configuration| {
        list(configuration, "/webhooks").iter().map(move |webhook| Webhook { configuration, webhook })
    })
    .filter(|one| one.is_for(objects, key, operation, object))
    .collect()
}

impl Webhook<'_> {
    fn is_for(&self, objects: &Objects<'_>, key: &Key, operation: Operation, object: &Value) -> bool {
        let verb = match operation {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
        };
        let among = |rule: &Value, field: &str, wanted: &str| {
            texts(rule, field).iter().any(|one| *one == "*" || *one == wanted)
        };
        let rules = list(self.webhook, "/rules").iter().any(|rule| {
            among(rule, "/operations", verb)
                && among(rule, "/apiGroups", &key.group)
                && (among(rule, "/resources", &key.plural) || texts(rule, "/resources").contains(&"*/*"))
        });
        if !rules || !selects(&self.webhook["objectSelector"], &object["metadata"]["labels"]) {
            return false;
        }
        let selector = &self.webhook["namespaceSelector"];
        match &key.namespace {
            Some(namespace) => {
                let namespace = objects.get(&Key::new("", "namespaces", None, namespace));
                selects(selector, namespace.map_or(&Value::Null, |namespace| &namespace["metadata"]["labels"]))
            }
            None if key.plural == "namespaces" => selects(selector, &object["metadata"]["labels"]),
            None => true,
        }
    }

    /// The pod that answers; `None` when nobody does and nobody must.
    fn answerer<'o>(&self, objects: &'o Objects<'_>) -> Result<Option<&'o Value>, Refusal> {
        match self.reach(objects) {
            Ok(pod) => Ok(pod),
            Err(_) if text(self.webhook, "/failurePolicy") == "Ignore" => Ok(None),
            Err(why) => {
                let client = &self.webhook["clientConfig"]["service"];
                let port = client["port"].as_i64().unwrap_or(443);
                let timeout = self.webhook["timeoutSeconds"].as_i64().unwrap_or(10);
                let url = format!(
                    "https://{}.{}.svc:{port}{}?timeout={timeout}s",
                    text(client, "/name"),
                    text(client, "/namespace"),
                    text(client, "/path")
                );
                let message = format!(
                    "Internal error occurred: failed calling webhook \"{}\": failed to call webhook: Post \"{url}\": {why}",
                    text(self.webhook, "/name")
                );
                Err(Refusal { code: 500, reason: "InternalError", message })
            }
        }
    }

    /// The pod that a call to the webhook reaches; `None` for one outside the cluster, which the sandbox does not have.
    fn reach<'o>(&self, objects: &'o Objects<'_>) -> Result<Option<&'o Value>, String> {
        let client = &self.webhook["clientConfig"]["service"];
        if !client.is_object() {
            return Ok(None);
        }
        let (namespace, service) = (text(client, "/namespace"), text(client, "/name"));
        let found = objects.get(&Key::new("", "services", Some(namespace), service));
        let found = found.ok_or_else(|| format!("service \"{service}\" not found"))?;
        let selector = &found["spec"]["selector"];
        let pod = objects
            .list("", "pods", Some(namespace))
            .find(|pod| selects_plainly(selector, &pod["metadata"]["labels"]) && holds(pod, "Ready"))
            .ok_or_else(|| format!("no endpoints available for service \"{service}\""))?;
        if text(self.webhook, "/clientConfig/caBundle").is_empty() {
            return Err("tls: failed to verify certificate: x509: certificate signed by unknown authority".to_owned());
        }
        Ok(Some(pod))
    }
}

/// What the pod behind a webhook makes of an object.
fn mutate(objects: &Objects<'_>, webhook: &Webhook<'_>, pod: &Value, key: &Key, mut object: Value) -> Value {
    if label(pod, "app") == Some("istiod") && key.plural == "pods" {
        let revision = label(webhook.configuration, "istio.io/rev").unwrap_or("default");
        return injection::inject(objects, pod, revision, key, object);
    }
    if label(pod, "app.kubernetes.io/name") == Some("aws-load-balancer-controller")
        && key.plural == "services"
        && text(&object, "/spec/type") == "LoadBalancer"
        && text(&object, "/spec/loadBalancerClass").is_empty()
    {
        set(&mut object, &["spec", "loadBalancerClass"], "service.k8s.aws/nlb".into());
    }
    object
}
