//! Kinds whose objects are questions, answered and not kept: reviews of tokens and rights, and requests for tokens.
//!
//! Entry points: [`is_question`], [`answer`], [`token`].

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::body;
use crate::sandbox::kubernetes::auth::{Clock, User, rules, rules::Deed, token as tokens};
use crate::sandbox::kubernetes::objects::{Key, Objects, time};
use crate::sandbox::kubernetes::request::{Asked, Place};
use crate::sandbox::kubernetes::schema::Kind;
use crate::sandbox::kubernetes::status::Refusal;

/// How long a token is good when nothing else is said.
const HOUR_SECONDS: i64 = 3600;
/// "spec.expirationSeconds: may not specify a duration less than 10 minutes".
const LEAST_SECONDS: i64 = 600;

/// Whether the objects of a kind are questions.
pub(crate) fn is_question(kind: &Kind) -> bool {
    kind.custom.is_none() && ["authentication.k8s.io", "authorization.k8s.io"].contains(&kind.group.as_str())
}

/// Answers a question.
pub(crate) fn answer(
    objects: &Objects<'_>,
    place: &Place,
    asked: &Asked,
    user: &User,
    clock: Clock,
) -> Result<Value, Refusal> {
    let mut review = body::object(asked, &place.kind)?;
    let spec = review["spec"].clone();
    let status = match place.kind.plural.as_str() {
        "tokenreviews" => match tokens::user(objects, spec["token"].as_str().unwrap_or_default(), clock) {
            Some(user) => json!({ "authenticated": true, "user": shown(&user), "audiences": spec["audiences"] }),
            None => json!({ "authenticated": false, "error": "invalid bearer token" }),
        },
        "selfsubjectreviews" => json!({ "userInfo": shown(user) }),
        "selfsubjectaccessreviews" => verdict(objects, user, &spec),
        "subjectaccessreviews" | "localsubjectaccessreviews" => {
            let groups = spec["groups"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let somebody = User {
                name: spec["user"].as_str().unwrap_or_default().to_owned(),
                groups: groups.map(str::to_owned).collect(),
                ..User::default()
            };
            verdict(objects, &somebody, &spec)
        }
        "selfsubjectrulesreviews" => {
            json!({ "resourceRules": [], "nonResourceRules": [], "incomplete": true, "evaluationError": "the sandbox lists no rules" })
        }
        _ => return Err(Refusal::not_allowed(&place.kind)),
    };
    review["status"] = status;
    Ok(review)
}

fn shown(user: &User) -> Value {
    let mut shown = json!({ "username": user.name, "groups": user.groups });
    if !user.uid.is_empty() {
        shown["uid"] = user.uid.as_str().into();
    }
    shown
}

fn verdict(objects: &Objects<'_>, user: &User, spec: &Value) -> Value {
    let text = |value: &Value, field: &str| value[field].as_str().unwrap_or_default().to_owned();
    let allowed = if spec["resourceAttributes"].is_object() {
        let asked = &spec["resourceAttributes"];
        let mut resource = text(asked, "resource");
        let subresource = text(asked, "subresource");
        if !subresource.is_empty() {
            resource = format!("{resource}/{subresource}");
        }
        let namespace = text(asked, "namespace");
        rules::may(
            objects,
            user,
            &Deed::Objects {
                verb: &text(asked, "verb"),
                group: &text(asked, "group"),
                resource: &resource,
                namespace: Some(namespace.as_str()).filter(|name| !name.is_empty()),
                name: &text(asked, "name"),
            },
        )
    } else {
        let asked = &spec["nonResourceAttributes"];
        rules::may(objects, user, &Deed::Path { verb: &text(asked, "verb"), path: &text(asked, "path") })
    };
    json!({ "allowed": allowed })
}

/// Makes a token of a service account (`serviceaccounts/NAME/token`).
pub(crate) fn token(objects: &Objects<'_>, place: &Place, asked: &Asked) -> Result<Value, Refusal> {
    let namespace = place.namespace.as_deref().unwrap_or_default();
    let account = objects
        .get(&Key::new("", "serviceaccounts", Some(namespace), &place.name))
        .ok_or_else(|| Refusal::not_found(&place.kind, &place.name))?;
    let mut request = body::document(asked)?;
    if !request.is_object() {
        request = json!({});
    }
    let seconds = request["spec"]["expirationSeconds"].as_i64().unwrap_or(HOUR_SECONDS);
    if seconds < LEAST_SECONDS {
        let why = "Invalid value: may not specify a duration less than 10 minutes";
        return Err(Refusal::invalid_options("TokenRequest", "spec.expirationSeconds", why));
    }
    let Some(cluster) = objects.region().clusters.get(objects.cluster()) else {
        return Err(Refusal::internal("no cluster"));
    };
    let issuer = format!("https://oidc.eks.{}.amazonaws.com/id/{}", objects.region().name, cluster.unique);
    let given = &request["spec"]["audiences"];
    let audiences = if given.as_array().is_some_and(|list| !list.is_empty()) { given.clone() } else { json!([issuer]) };
    let now = objects.now();
    let until = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(now);
    let uid = account["metadata"]["uid"].as_str().unwrap_or_default();
    let token = tokens::mint_bound(cluster, &issuer, (namespace, &place.name, uid), &audiences, (now, until));
    request["kind"] = "TokenRequest".into();
    request["apiVersion"] = "authentication.k8s.io/v1".into();
    request["metadata"] = json!({ "name": place.name, "namespace": namespace, "creationTimestamp": time(now) });
    request["spec"]["audiences"] = audiences;
    request["spec"]["expirationSeconds"] = seconds.into();
    request["status"] = json!({ "token": token, "expirationTimestamp": time(until) });
    Ok(request)
}
