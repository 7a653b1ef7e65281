//! `iam.role`: a role, with everything that says who may act as it and what it may do.
//!
//! The policies of a role die with it, so they are part of its spec: managed ones by their ARNs, inline ones as
//! documents. The create makes the role alone; its policies follow, one request each. What was read is projected in
//! `project`, one step of an update is chosen in `change`.

mod change;
mod project;

use std::collections::BTreeMap;

use futures_util::stream::{self, StreamExt as _, TryStreamExt as _};
use serde::{Deserialize, Serialize};

use crate::kinds::iam::policies::Partition;
use crate::kinds::iam::policy::{canonical, wire};
use crate::kinds::sdk::{Absence, Answer, in_order, no_id};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{AttrPath, Value};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputRule, Ownership, ProviderError,
    RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Iam;
use super::policies;
use super::tags::{self, Tags};
use super::taken::taken;
use change::{Change, next};

/// Roles read at the same time. Each takes three requests or four; IAM allows about 20 a second of an account.
const READERS: usize = 4;

/// The longest name of a role ("IAM and AWS STS quotas").
const LONGEST_NAME: usize = 64;

/// What the inline policies of one role may have together, in characters without white space (same page).
const INLINE: usize = 10_240;

/// The kind `iam.role`.
#[derive(Debug, Clone, Copy)]
pub struct Role;

/// What is declared of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its name, unique in the account.
    pub name: String,
    /// Where it is in the account's tree of names, `/` for the root.
    pub path: String,
    /// Who may act as it: a [canonical] document.
    pub trust: Value,
    /// The ARNs of the managed policies attached to it.
    pub managed_policies: Vec<String>,
    /// Its own policies by name: [canonical] documents.
    pub inline_policies: BTreeMap<String, Value>,
    /// The ARN of the policy that bounds what it may ever be allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<String>,
    /// Its tags.
    pub tags: Tags,
}

/// What a role yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
}

impl KindRules for Role {
    fn name(&self) -> &'static str {
        "iam.role"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "name", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "path", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "managed_policies", traits: &[FieldTrait::Unordered] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("arn"), OutputRule::plain("name")] }
    }

    fn reads_each(&self) -> u32 {
        1 // of GetRole, of each list, and of GetRolePolicy: no role of ours has two inline policies
    }

    fn expected(&self) -> Expected {
        Expected { create: 3.0, update: 1.0, delete: 2.0 }
    }

    fn api(&self) -> Api {
        Api::Iam
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(500, 1_000, 120)
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let mut errors = tags::check(spec);
        let mut wrong = |path: AttrPath, message: String| errors.push(FieldError { path, message });
        if let Some(name) = spec.get("name").and_then(Value::as_str) {
            let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
            if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(fits) {
                let message = format!("`{name}` is no name of a role: 1 to {LONGEST_NAME} letters, digits and +=,.@_-");
                wrong(AttrPath::keys(&["name"]), message);
            }
        }
        if let Some(path) = spec.get("path").and_then(Value::as_str)
            && !(path.starts_with('/') && path.ends_with('/'))
        {
            wrong(AttrPath::keys(&["path"]), format!("`{path}` is no path: it begins and ends with `/`"));
        }
        if let Some(message) = spec.get("trust").and_then(misfit) {
            wrong(AttrPath::keys(&["trust"]), message);
        }
        let mut characters = 0;
        for (name, document) in spec.get("inline_policies").and_then(Value::as_object).into_iter().flatten() {
            if let Some(message) = misfit(document) {
                wrong(AttrPath::keys(&["inline_policies"]).key(name), message);
            }
            characters += wire(document).map_or(0, |text| text.len());
        }
        if characters > INLINE {
            let message = format!("{characters} characters of inline policies are more than the {INLINE} a role holds");
            wrong(AttrPath::keys(&["inline_policies"]), message);
        }
        errors
    }
}

/// Why a document would never compare equal to what IAM answers.
fn misfit(document: &Value) -> Option<String> {
    let several_around_a_hole = |value: &Value| matches!(value, Value::Array(items) if items.len() > 1 && items.iter().any(|item| matches!(item, Value::Unknown(_))));
    if document.get("Statement").is_none() {
        Some("it is no policy document: it has no `Statement`".to_owned())
    } else if canonical(document.clone()) != *document {
        Some("the policy document is not in canonical form".to_owned())
    } else if any(document, &several_around_a_hole) {
        // Its place in the list is known only with its value, and the list would have to be sorted again.
        Some("a value known after apply is beside others in a list of the policy document".to_owned())
    } else {
        None
    }
}

fn any(value: &Value, found: &dyn Fn(&Value) -> bool) -> bool {
    found(value)
        || match value {
            Value::Array(items) => items.iter().any(|item| any(item, found)),
            Value::Object(fields) => fields.values().any(|field| any(field, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Unknown(_) => false,
        }
}

impl ResourceKind for Role {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Iam;

    fn example() -> Spec {
        Spec {
            name: "mesh1-cluster-2-vpc-cni".to_owned(),
            path: "/".to_owned(),
            trust: policies::pod_identity_trust(),
            managed_policies: policies::cni_ipv4_managed(Partition::Aws),
            inline_policies: BTreeMap::from([("ipv6".to_owned(), policies::cni_ipv6(Partition::Aws))]),
            permissions_boundary: None,
            tags: Tags::from([("meshplan:mesh".to_owned(), "mesh1".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Iam,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        let found: Vec<_> = stream::iter(ids)
            .map(|id| async move {
                let live = project::read(client, id.as_str()).await?;
                Ok::<_, ProviderError>(live.map(|live| (id.as_str().to_owned(), live)))
            })
            .buffered(READERS)
            .try_collect()
            .await?;
        Ok(in_order(ids, found.into_iter().flatten()))
    }

    async fn create(
        &self,
        client: &Iam,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let answer = client
            .api()
            .create_role()
            .role_name(&spec.name)
            .path(&spec.path)
            .assume_role_policy_document(text(&spec.trust)?)
            .set_permissions_boundary(spec.permissions_boundary.clone())
            .set_tags(Some(tags::at_create(&spec.tags, owner)?))
            .send()
            .await
            .written("iam:CreateRole");
        let id = RemoteId::new(&spec.name);
        match answer {
            Ok(answer) => {
                let role = answer.role().ok_or_else(|| no_id("iam:CreateRole"))?;
                // Everything that the request did not set is known: there is none of it.
                let made = Spec { managed_policies: Vec::new(), inline_policies: BTreeMap::new(), ..spec.clone() };
                let outputs = Outputs { arn: role.arn().to_owned(), name: spec.name.clone() };
                Ok(Created { id, live: Some(Live { spec: made, outputs, status: Status::Ready }) })
            }
            Err(error) if error.has_code("EntityAlreadyExists") => {
                let Some(role) = project::role(client, &spec.name).await? else {
                    // It exists, and a look does not see it yet: it may be what this create made.
                    return Err(error.with_class(ErrorClass::NotYet));
                };
                if tags::made_by(owner, role.tags()) {
                    return Ok(Created { id, live: None });
                }
                Err(taken(error, &format!("role `{}`", spec.name), &spec.name, owner, role.tags()))
            }
            Err(error) => Err(error),
        }
    }

    async fn find(&self, client: &Iam, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let role = project::role(client, &spec.name).await?;
        Ok(role.filter(|role| tags::made_by(owner, role.tags())).map(|_| RemoteId::new(&spec.name)))
    }

    async fn update(&self, client: &Iam, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        let (api, role) = (client.api(), id.as_str());
        match next(from, to) {
            None => {}
            Some(Change::Trust(document)) => {
                let request = api.update_assume_role_policy().role_name(role).policy_document(text(document)?);
                request.send().await.written("iam:UpdateAssumeRolePolicy")?;
            }
            Some(Change::Bound(arn)) => {
                let request = api.put_role_permissions_boundary().role_name(role).permissions_boundary(arn);
                request.send().await.written("iam:PutRolePermissionsBoundary")?;
            }
            Some(Change::Attach(arn)) => {
                let request = api.attach_role_policy().role_name(role).policy_arn(arn);
                request.send().await.written("iam:AttachRolePolicy")?;
            }
            Some(Change::Put(name, document)) => {
                let request = api.put_role_policy().role_name(role).policy_name(name).policy_document(text(document)?);
                request.send().await.written("iam:PutRolePolicy")?;
            }
            Some(Change::Tags(tags::Step::Set(changed))) => {
                let request = api.tag_role().role_name(role).set_tags(Some(tags::request(&changed)?));
                request.send().await.written("iam:TagRole")?;
            }
            Some(Change::Tags(tags::Step::Remove(keys))) => {
                let request = api.untag_role().role_name(role).set_tag_keys(Some(keys));
                request.send().await.written("iam:UntagRole")?;
            }
            Some(Change::Detach(arn)) => {
                detach(client, role, arn).await?;
            }
            Some(Change::Drop(name)) => {
                drop_inline(client, role, name).await?;
            }
            Some(Change::Unbound) => {
                let answer = api.delete_role_permissions_boundary().role_name(role).send().await;
                answer.written("iam:DeleteRolePermissionsBoundary").unless_absent()?;
            }
        }
        Ok(Updated::Done)
    }

    /// A role goes only without policies, whoever attached them: one of them a call, then the role.
    async fn delete(&self, client: &Iam, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let role = id.as_str();
        for arn in project::attached(client, role).await?.unwrap_or_default() {
            if detach(client, role, &arn).await? {
                return Ok(Deletion::Again);
            }
        }
        for name in project::inline_names(client, role).await?.unwrap_or_default() {
            if drop_inline(client, role, &name).await? {
                return Ok(Deletion::Again);
            }
        }
        client.api().delete_role().role_name(role).send().await.written("iam:DeleteRole").unless_absent()?;
        Ok(Deletion::Accepted)
    }
}

/// `false` if it was not attached any more: lists lag behind.
async fn detach(client: &Iam, role: &str, arn: &str) -> Result<bool, ProviderError> {
    let answer = client.api().detach_role_policy().role_name(role).policy_arn(arn).send().await;
    Ok(answer.written("iam:DetachRolePolicy").unless_absent()?.is_some())
}

/// `false` if it was gone already.
async fn drop_inline(client: &Iam, role: &str, name: &str) -> Result<bool, ProviderError> {
    let answer = client.api().delete_role_policy().role_name(role).policy_name(name).send().await;
    Ok(answer.written("iam:DeleteRolePolicy").unless_absent()?.is_some())
}

fn text(document: &Value) -> Result<String, ProviderError> {
    wire(document).map_err(|error| ProviderError::bug("iam:PolicyDocument", error.to_string()))
}

#[cfg(test)]
mod tests;
