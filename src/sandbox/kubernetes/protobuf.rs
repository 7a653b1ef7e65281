//! The protobuf bodies that generated Go clients send: helm stores its releases in Secrets that it writes so.
//!
//! Entry point: [`decode`]. Answers are JSON always, which those clients accept. The numbers are those of Kubernetes'
//! `generated.proto` files. Kinds that nobody sends so are refused with 415.

use std::collections::BTreeMap;

use jiff::Timestamp;
use prost::Message;
use serde_json::{Map, Value, json};

use super::objects::time;
use super::status::Refusal;

/// What every body begins with.
pub(crate) const MAGIC: &[u8] = b"k8s\0";

#[derive(Clone, PartialEq, Message)]
struct TypeMeta {
    #[prost(string, tag = "1")]
    api_version: String,
    #[prost(string, tag = "2")]
    kind: String,
}

#[derive(Clone, PartialEq, Message)]
struct Unknown {
    #[prost(message, optional, tag = "1")]
    type_meta: Option<TypeMeta>,
    #[prost(bytes = "vec", tag = "2")]
    raw: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

#[derive(Clone, PartialEq, Message)]
struct OwnerReference {
    #[prost(string, tag = "1")]
    kind: String,
    #[prost(string, tag = "3")]
    name: String,
    #[prost(string, tag = "4")]
    uid: String,
    #[prost(string, tag = "5")]
    api_version: String,
    #[prost(bool, optional, tag = "6")]
    controller: Option<bool>,
    #[prost(bool, optional, tag = "7")]
    block_owner_deletion: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct ObjectMeta {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    generate_name: String,
    #[prost(string, tag = "3")]
    namespace: String,
    #[prost(string, tag = "5")]
    uid: String,
    #[prost(string, tag = "6")]
    resource_version: String,
    #[prost(int64, tag = "7")]
    generation: i64,
    #[prost(message, optional, tag = "8")]
    creation_timestamp: Option<Time>,
    #[prost(btree_map = "string, string", tag = "11")]
    labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: BTreeMap<String, String>,
    #[prost(message, repeated, tag = "13")]
    owner_references: Vec<OwnerReference>,
    #[prost(string, repeated, tag = "14")]
    finalizers: Vec<String>,
}

impl ObjectMeta {
    fn json(self) -> Value {
        let mut meta = Map::new();
        let texts = [
            ("name", self.name),
            ("generateName", self.generate_name),
            ("namespace", self.namespace),
            ("uid", self.uid),
            ("resourceVersion", self.resource_version),
        ];
        for (field, text) in texts {
            if !text.is_empty() {
                meta.insert(field.to_owned(), text.into());
            }
        }
        if self.generation != 0 {
            meta.insert("generation".to_owned(), self.generation.into());
        }
        let made = self.creation_timestamp.and_then(|at| Timestamp::from_second(at.seconds).ok());
        if let Some(made) = made {
            meta.insert("creationTimestamp".to_owned(), time(made).into());
        }
        for (field, texts) in [("labels", self.labels), ("annotations", self.annotations)] {
            if !texts.is_empty() {
                meta.insert(field.to_owned(), json!(texts));
            }
        }
        if !self.owner_references.is_empty() {
            let owners = self.owner_references.into_iter().map(|owner| {
                let mut reference = json!({
                    "apiVersion": owner.api_version, "kind": owner.kind, "name": owner.name, "uid": owner.uid,
                });
                for (field, flag) in
                    [("controller", owner.controller), ("blockOwnerDeletion", owner.block_owner_deletion)]
                {
                    if let Some(flag) = flag {
                        reference[field] = flag.into();
                    }
                }
                reference
            });
            meta.insert("ownerReferences".to_owned(), owners.collect());
        }
        if !self.finalizers.is_empty() {
            meta.insert("finalizers".to_owned(), json!(self.finalizers));
        }
        Value::Object(meta)
    }
}

#[derive(Clone, PartialEq, Message)]
struct Secret {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(btree_map = "string, bytes", tag = "2")]
    data: BTreeMap<String, Vec<u8>>,
    #[prost(string, tag = "3")]
    kind: String,
    #[prost(btree_map = "string, string", tag = "4")]
    string_data: BTreeMap<String, String>,
    #[prost(bool, optional, tag = "5")]
    immutable: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct ConfigMap {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(btree_map = "string, string", tag = "2")]
    data: BTreeMap<String, String>,
    #[prost(btree_map = "string, bytes", tag = "3")]
    binary_data: BTreeMap<String, Vec<u8>>,
    #[prost(bool, optional, tag = "4")]
    immutable: Option<bool>,
}

/// Of a namespace, and of whatever else has nothing but metadata that matters when it is made.
#[derive(Clone, PartialEq, Message)]
struct Bare {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
}

#[derive(Clone, PartialEq, Message)]
struct Preconditions {
    #[prost(string, optional, tag = "1")]
    uid: Option<String>,
    #[prost(string, optional, tag = "2")]
    resource_version: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct DeleteOptions {
    #[prost(int64, optional, tag = "1")]
    grace_period_seconds: Option<i64>,
    #[prost(message, optional, tag = "2")]
    preconditions: Option<Preconditions>,
    #[prost(string, optional, tag = "4")]
    propagation_policy: Option<String>,
    #[prost(string, repeated, tag = "5")]
    dry_run: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct TokenRequestSpec {
    #[prost(string, repeated, tag = "1")]
    audiences: Vec<String>,
    #[prost(int64, optional, tag = "4")]
    expiration_seconds: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
struct TokenRequest {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(message, optional, tag = "2")]
    spec: Option<TokenRequestSpec>,
}

#[derive(Clone, PartialEq, Message)]
struct ResourceAttributes {
    #[prost(string, tag = "1")]
    namespace: String,
    #[prost(string, tag = "2")]
    verb: String,
    #[prost(string, tag = "3")]
    group: String,
    #[prost(string, tag = "5")]
    resource: String,
    #[prost(string, tag = "6")]
    subresource: String,
    #[prost(string, tag = "7")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct NonResourceAttributes {
    #[prost(string, tag = "1")]
    path: String,
    #[prost(string, tag = "2")]
    verb: String,
}

#[derive(Clone, PartialEq, Message)]
struct AccessReviewSpec {
    #[prost(message, optional, tag = "1")]
    resource: Option<ResourceAttributes>,
    #[prost(message, optional, tag = "2")]
    path: Option<NonResourceAttributes>,
}

#[derive(Clone, PartialEq, Message)]
struct AccessReview {
    #[prost(message, optional, tag = "2")]
    spec: Option<AccessReviewSpec>,
}

impl AccessReviewSpec {
    fn json(self) -> Value {
        let mut spec = json!({});
        if let Some(asked) = self.resource {
            spec["resourceAttributes"] = json!({
                "namespace": asked.namespace, "verb": asked.verb, "group": asked.group,
                "resource": asked.resource, "subresource": asked.subresource, "name": asked.name,
            });
        }
        if let Some(asked) = self.path {
            spec["nonResourceAttributes"] = json!({ "path": asked.path, "verb": asked.verb });
        }
        spec
    }
}

/// A body as JSON would have it.
pub(crate) fn decode(body: &[u8]) -> Result<Value, Refusal> {
    let wrong = |error: prost::DecodeError| Refusal::bad_request(format!("the body is no protobuf: {error}"));
    let unknown = Unknown::decode(body.get(MAGIC.len()..).unwrap_or_default()).map_err(wrong)?;
    let TypeMeta { api_version, kind } = unknown.type_meta.unwrap_or_default();
    let raw = unknown.raw.as_slice();
    let bytes = |data: BTreeMap<String, Vec<u8>>| -> Value {
        data.into_iter()
            .map(|(key, bytes)| (key, Value::from(data_encoding::BASE64.encode(&bytes))))
            .collect::<Map<_, _>>()
            .into()
    };
    let meta = |metadata: Option<ObjectMeta>| metadata.unwrap_or_default().json();
    let mut object = match kind.as_str() {
        "Secret" => {
            let secret = Secret::decode(raw).map_err(wrong)?;
            let mut object = json!({ "metadata": meta(secret.metadata), "data": bytes(secret.data) });
            if !secret.kind.is_empty() {
                object["type"] = secret.kind.into();
            }
            if !secret.string_data.is_empty() {
                object["stringData"] = json!(secret.string_data);
            }
            if let Some(immutable) = secret.immutable {
                object["immutable"] = immutable.into();
            }
            object
        }
        "ConfigMap" => {
            let map = ConfigMap::decode(raw).map_err(wrong)?;
            let mut object = json!({ "metadata": meta(map.metadata) });
            if !map.data.is_empty() {
                object["data"] = json!(map.data);
            }
            if !map.binary_data.is_empty() {
                object["binaryData"] = bytes(map.binary_data);
            }
            if let Some(immutable) = map.immutable {
                object["immutable"] = immutable.into();
            }
            object
        }
        "Namespace" => json!({ "metadata": meta(Bare::decode(raw).map_err(wrong)?.metadata) }),
        "DeleteOptions" => {
            let options = DeleteOptions::decode(raw).map_err(wrong)?;
            let mut object = json!({});
            if let Some(seconds) = options.grace_period_seconds {
                object["gracePeriodSeconds"] = seconds.into();
            }
            if let Some(policy) = options.propagation_policy {
                object["propagationPolicy"] = policy.into();
            }
            if !options.dry_run.is_empty() {
                object["dryRun"] = json!(options.dry_run);
            }
            if let Some(conditions) = options.preconditions {
                for (field, text) in [("uid", conditions.uid), ("resourceVersion", conditions.resource_version)] {
                    if let Some(text) = text {
                        object["preconditions"][field] = text.into();
                    }
                }
            }
            object
        }
        "TokenRequest" => {
            let request = TokenRequest::decode(raw).map_err(wrong)?;
            let spec = request.spec.unwrap_or_default();
            let mut object = json!({ "metadata": meta(request.metadata), "spec": { "audiences": spec.audiences } });
            if let Some(seconds) = spec.expiration_seconds {
                object["spec"]["expirationSeconds"] = seconds.into();
            }
            object
        }
        "SelfSubjectAccessReview" => {
            let review = AccessReview::decode(raw).map_err(wrong)?;
            json!({ "metadata": {}, "spec": review.spec.unwrap_or_default().json() })
        }
        other => {
            return Err(Refusal::unsupported_media(format!(
                "the sandbox reads no protobuf of kind {other}: send application/json"
            )));
        }
    };
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    Ok(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_of_helm_is_read() {
        let secret = Secret {
            metadata: Some(ObjectMeta {
                name: "sh.helm.release.v1.demo.v1".to_owned(),
                labels: BTreeMap::from([("owner".to_owned(), "helm".to_owned())]),
                ..ObjectMeta::default()
            }),
            data: BTreeMap::from([("release".to_owned(), b"H4sI".to_vec())]),
            kind: "helm.sh/release.v1".to_owned(),
            ..Secret::default()
        };
        let unknown = Unknown {
            type_meta: Some(TypeMeta { api_version: "v1".to_owned(), kind: "Secret".to_owned() }),
            raw: secret.encode_to_vec(),
        };
        let mut body = MAGIC.to_vec();
        body.extend(unknown.encode_to_vec());
        assert_eq!(
            decode(&body).unwrap(),
            json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": { "name": "sh.helm.release.v1.demo.v1", "labels": { "owner": "helm" } },
                "data": { "release": "SDRzSQ==" },
                "type": "helm.sh/release.v1",
            })
        );
        let pod = Unknown {
            type_meta: Some(TypeMeta { api_version: "v1".to_owned(), kind: "Pod".to_owned() }),
            raw: Vec::new(),
        };
        let mut body = MAGIC.to_vec();
        body.extend(pod.encode_to_vec());
        assert_eq!(decode(&body).unwrap_err().code, 415);
    }
}
