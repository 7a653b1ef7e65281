//! What a real API server refuses though it fits its type: names, required fields, fields that never change.
//!
//! Entry points: [`object`], [`change`], [`name`]. Not every rule of Kubernetes is here: those are that a chart or a person
//! meets.

use serde_json::{Value, json};

use super::schema::{Kind, Schema};
use super::status::Cause;

const LABEL: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const DNS_1035: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

fn is_label(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

/// What is wrong with an object's name.
pub(crate) fn name(kind: &Kind, name: &str) -> Option<Cause> {
    let at = "metadata.name";
    if name.is_empty() {
        return Some(Cause::required(at, "name or generateName is required"));
    }
    let value = Value::from(name);
    let too_long = |most: usize| (name.len() > most).then(|| format!("must be no more than {most} bytes"));
    let wrong = match (kind.group.as_str(), kind.plural.as_str()) {
        // Roles of RBAC have colons.
        ("rbac.authorization.k8s.io", _) => {
            let bad = name == "." || name == ".." || name.contains('/') || name.contains('%');
            bad.then(|| "may not contain '/' or '%'".to_owned())
        }
        ("", "namespaces") => too_long(63).or_else(|| (!is_label(name)).then(|| LABEL.to_owned())),
        ("", "services") => too_long(63).or_else(|| {
            let good = is_label(name) && name.starts_with(|first: char| first.is_ascii_lowercase());
            (!good).then(|| DNS_1035.to_owned())
        }),
        _ => too_long(253).or_else(|| (!name.split('.').all(is_label)).then(|| SUBDOMAIN.to_owned())),
    };
    wrong.map(|why| Cause::invalid(at, &value, &why))
}

/// What is wrong with a whole object.
pub(crate) fn object(kind: &Kind, object: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    causes.extend(name(kind, object["metadata"]["name"].as_str().unwrap_or_default()));
    labels(object, &mut causes);
    if kind.custom.is_none() {
        required(kind.schema(), object, "", &mut causes);
        specific(kind, object, &mut causes);
    }
    causes
}

fn labels(object: &Value, causes: &mut Vec<Cause>) {
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    for (key, value) in object["metadata"]["labels"].as_object().into_iter().flatten() {
        let text = value.as_str().unwrap_or_default();
        let edges = text.chars().next().into_iter().chain(text.chars().last());
        if text.len() > 63 {
            causes.push(Cause::invalid("metadata.labels", value, "must be no more than 63 bytes"));
        } else if !text.bytes().all(named) || !edges.into_iter().all(|edge| edge.is_ascii_alphanumeric()) {
            let why = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
            causes.push(Cause::invalid("metadata.labels", value, why));
        }
        let short = key.rsplit('/').next().unwrap_or_default();
        if short.is_empty() || short.len() > 63 || !short.bytes().all(named) {
            let why = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
            causes.push(Cause::invalid("metadata.labels", &key.as_str().into(), why));
        }
    }
}

/// Fields that must be there, and values that are none of those that can be. Numbers that are not there are zero.
fn required(schema: Schema<'_>, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    let join = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match value {
        Value::Object(fields) => {
            for name in schema.required().filter(|name| fields.get(*name).is_none_or(Value::is_null)) {
                let of_field = schema.field(name).0;
                if !matches!(of_field.type_name(), Some("integer" | "number" | "boolean")) && !is_lenient(&join(name)) {
                    causes.push(Cause::required(join(name), ""));
                }
            }
            for (name, value) in fields.iter().filter(|(name, _)| !at.is_empty() || name.as_str() != "status") {
                required(schema.field(name).0, value, &join(name), causes);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                required(schema.items(), item, &format!("{at}[{index}]"), causes);
            }
        }
        Value::String(_) => {
            if let Some(allowed) = schema.allowed()
                && !allowed.contains(value)
            {
                causes.push(Cause::unsupported(at, value, allowed));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Fields that the schema calls required because Go always writes them, and that may be absent or empty.
fn is_lenient(at: &str) -> bool {
    ["endpoints", "rules", "metadata", "webhooks", "spec.versions"].contains(&at)
        || at.ends_with(".template.metadata")
        || at.ends_with(".resources.claims")
}

fn specific(kind: &Kind, object: &Value, causes: &mut Vec<Cause>) {
    let spec = &object["spec"];
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("apps", "deployments" | "daemonsets" | "statefulsets" | "replicasets") => {
            let labels = &spec["template"]["metadata"]["labels"];
            let selector = &spec["selector"];
            let wanted = selector["matchLabels"].as_object();
            if selector.is_object()
                && wanted.is_none_or(serde_json::Map::is_empty)
                && selector["matchExpressions"].is_null()
            {
                let why = "empty selector is invalid for deployment";
                causes.push(Cause::invalid("spec.selector", selector, &why.replace("deployment", &kind.singular)));
            }
            let fits = wanted.into_iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
            if !fits {
                let why = "`selector` does not match template `labels`";
                causes.push(Cause::invalid("spec.template.metadata.labels", labels, why));
            }
            containers(&spec["template"]["spec"], "spec.template.spec", causes);
        }
        ("batch", "jobs") => {
            let policy = &spec["template"]["spec"]["restartPolicy"];
            if policy.is_null() {
                let allowed = [json!("OnFailure"), json!("Never")];
                causes.push(Cause::required(
                    "spec.template.spec.restartPolicy",
                    &format!("valid values: {}", allowed.map(|one| one.to_string()).join(", ")),
                ));
            }
            containers(&spec["template"]["spec"], "spec.template.spec", causes);
        }
        ("", "pods") => containers(spec, "spec", causes),
        ("", "services") => {
            let ports = spec["ports"].as_array().map(Vec::as_slice).unwrap_or_default();
            if ports.is_empty() && spec["clusterIP"] != "None" && spec["type"] != "ExternalName" {
                causes.push(Cause::required("spec.ports", ""));
            }
            for (index, port) in ports.iter().enumerate() {
                if ports.len() > 1 && port["name"].as_str().is_none_or(str::is_empty) {
                    causes.push(Cause::required(format!("spec.ports[{index}].name"), ""));
                }
                if !port["port"].as_u64().is_some_and(|number| (1..=65_535).contains(&number)) {
                    let why = "must be between 1 and 65535, inclusive";
                    causes.push(Cause::invalid(format!("spec.ports[{index}].port"), &port["port"], why));
                }
            }
        }
        ("", "secrets") => {
            for (key, value) in object["data"].as_object().into_iter().flatten() {
                if data_encoding::BASE64.decode(value.as_str().unwrap_or_default().as_bytes()).is_err() {
                    causes.push(Cause::invalid(format!("data[{key}]"), value, "illegal base64 data"));
                }
            }
            if object["type"] == "kubernetes.io/service-account-token"
                && object["metadata"]["annotations"]["kubernetes.io/service-account.name"].is_null()
            {
                causes.push(Cause::required("metadata.annotations[kubernetes.io/service-account.name]", ""));
            }
        }
        _ => {}
    }
}

fn containers(spec: &Value, at: &str, causes: &mut Vec<Cause>) {
    let list = spec["containers"].as_array().map(Vec::as_slice).unwrap_or_default();
    if list.is_empty() && spec["containers"].is_array() {
        causes.push(Cause::required(format!("{at}.containers"), ""));
    }
    for (index, container) in list.iter().enumerate() {
        let at = format!("{at}.containers[{index}]");
        if container["image"].as_str().is_none_or(str::is_empty) {
            causes.push(Cause::required(format!("{at}.image"), ""));
        }
        let name = container["name"].as_str().unwrap_or_default();
        if !name.is_empty() && !is_label(name) {
            causes.push(Cause::invalid(format!("{at}.name"), &name.into(), LABEL));
        }
        if list.iter().take(index).any(|one| one["name"] == container["name"]) {
            causes.push(Cause::duplicate(format!("{at}.name"), &container["name"]));
        }
    }
}

/// What is wrong with a change from one object to another.
pub(crate) fn change(kind: &Kind, old: &Value, new: &Value) -> Vec<Cause> {
    let mut causes = Vec::new();
    let mut immutable = |path: &[&str], why: &str| {
        let at = |object: &Value| path.iter().try_fold(object.clone(), |at, key| at.get(*key).cloned());
        let (before, after) = (at(old).unwrap_or_default(), at(new).unwrap_or_default());
        if before != after {
            causes.push(Cause::invalid(path.join("."), &after, why));
        }
    };
    let field = "field is immutable";
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("apps", "deployments" | "daemonsets" | "replicasets") => immutable(&["spec", "selector"], field),
        ("batch", "jobs") => {
            for part in ["selector", "template", "completionMode"] {
                immutable(&["spec", part], field);
            }
        }
        ("", "secrets") => immutable(&["type"], field),
        ("rbac.authorization.k8s.io", "rolebindings" | "clusterrolebindings") => {
            immutable(&["roleRef"], "cannot change roleRef");
        }
        ("storage.k8s.io", "storageclasses") => {
            for part in ["provisioner", "reclaimPolicy", "volumeBindingMode"] {
                immutable(&[part], field);
            }
        }
        ("scheduling.k8s.io", _) => immutable(&["value"], "may not be changed in an update."),
        ("", "services")
            if old["spec"]["type"] != "ExternalName"
                && new["spec"]["type"] != "ExternalName"
                && old["spec"]["clusterIP"].as_str().is_some_and(|address| !address.is_empty()) =>
        {
            immutable(&["spec", "clusterIP"], "may not change once set");
        }
        ("apiextensions.k8s.io", _) => {
            immutable(&["spec", "group"], field);
            immutable(&["spec", "scope"], field);
            immutable(&["spec", "names", "plural"], field);
        }
        _ => {}
    }
    if kind.is("apps", "statefulsets") {
        let rest = |object: &Value| {
            let mut spec = object["spec"].clone();
            for part in [
                "replicas",
                "ordinals",
                "template",
                "updateStrategy",
                "revisionHistoryLimit",
                "persistentVolumeClaimRetentionPolicy",
                "minReadySeconds",
            ] {
                spec.as_object_mut().map(|fields| fields.remove(part));
            }
            spec
        };
        if rest(old) != rest(new) {
            causes.push(Cause::forbidden("spec", "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"));
        }
    }
    if old["immutable"] == true && (kind.is("", "secrets") || kind.is("", "configmaps")) {
        for part in ["data", "binaryData"] {
            if old[part] != new[part] {
                causes.push(Cause::forbidden(part, "field is immutable when `immutable` is set"));
            }
        }
        if new["immutable"] != true {
            causes.push(Cause::forbidden("immutable", "field is immutable when `immutable` is set"));
        }
    }
    causes.extend(finalizers(old, new));
    causes
}

/// An object that goes gets no new finalizers.
fn finalizers(old: &Value, new: &Value) -> Option<Cause> {
    if old["metadata"]["deletionTimestamp"].is_null() {
        return None;
    }
    let had = old["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let has = new["metadata"]["finalizers"].as_array().cloned().unwrap_or_default();
    let added: Vec<&str> = has.iter().filter(|one| !had.contains(one)).filter_map(Value::as_str).collect();
    let why = format!(
        "no new finalizers can be added if the object is being deleted, found new finalizers []string{added:?}"
    );
    (!added.is_empty()).then(|| Cause::forbidden("metadata.finalizers", &why))
}
