//! `eks.access_entry`: who may do what in a cluster, by IAM principal.
//!
//! Create makes the entry; updates associate and dissociate its policies, one a request.

use aws_sdk_eks::types::{AccessScope, AccessScopeType};
use aws_smithy_types::DateTime;
use serde::{Deserialize, Serialize};

use super::client::Eks;
use super::error::{Reclass, explained, is_taken};
use super::tags::{self, Tags};
use super::{describe, many};
use crate::kinds::sdk::Answer;
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, AttrPath, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputRule, Ownership, ProviderError,
    RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

/// The kind `eks.access_entry`.
#[derive(Debug, Clone, Copy)]
pub struct AccessEntry;

/// What is declared of an access entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The cluster's name.
    pub cluster: Input<String>,
    /// The ARN of the role or user; never that of a session.
    pub principal_arn: String,
    /// What it may do.
    pub policies: Vec<Policy>,
    /// Its tags.
    pub tags: Tags,
}

/// An access policy of EKS, and where it holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// For example `arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy`.
    pub policy_arn: String,
    /// Where it holds.
    pub scope: Scope,
}

/// Where an access policy holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// In the whole cluster.
    Cluster,
    /// In these namespaces, sorted.
    Namespaces(Vec<String>),
}

/// What an access entry yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its ARN.
    pub arn: String,
}

impl KindRules for AccessEntry {
    fn name(&self) -> &'static str {
        "eks.access_entry"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "cluster", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "principal_arn", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "policies", traits: &[FieldTrait::Unordered] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("arn")] }
    }

    fn expected(&self) -> Expected {
        Expected { create: 3.0, update: 1.0, delete: 2.0 }
    }

    fn api(&self) -> Api {
        Api::Eks
    }

    fn is_named(&self) -> bool {
        true
    }

    fn reads_each(&self) -> u32 {
        1
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(500, 1_000, 300)
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let mut errors = tags::check(spec);
        let principal = spec.get("principal_arn").and_then(Value::as_str);
        if let Some(principal) = principal.filter(|arn| !is_principal(arn)) {
            let message = if principal.contains(":sts:") {
                format!("`{principal}` is a session: name the role that it assumed, arn:aws:iam::ACCOUNT:role/NAME")
            } else {
                format!("`{principal}` is not the ARN of a role or user, for example arn:aws:iam::ACCOUNT:role/NAME")
            };
            errors.push(FieldError { path: AttrPath::keys(&["principal_arn"]), message });
        }
        errors
    }
}

fn is_principal(arn: &str) -> bool {
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
    let names_one =
        ["role/", "user/"].iter().any(|kind| resource.strip_prefix(kind).is_some_and(|name| !name.is_empty()));
    arn == "arn"
        && partition.starts_with("aws")
        && service == "iam"
        && region.is_empty()
        && !account.is_empty()
        && names_one
}

impl ResourceKind for AccessEntry {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Eks;

    fn example() -> Spec {
        Spec {
            cluster: Reference::to(&Address::new("eks.cluster", &["cluster-1"]), "name").into(),
            principal_arn: "arn:aws:iam::111122223333:role/platform-admin".to_owned(),
            policies: vec![Policy {
                policy_arn: "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy".to_owned(),
                scope: Scope::Cluster,
            }],
            tags: Tags::from([("meshplan:mesh".to_owned(), "mesh1".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Eks,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        many(ids, async |id: &RemoteId| {
            let Some((cluster, principal)) = id.as_str().split_once('|') else { return Ok(None) };
            let Some(entry) = entry(client, cluster, principal).await? else { return Ok(None) };
            let Some(policies) = policies(client, cluster, principal).await? else { return Ok(None) };
            Ok(Some(live(entry, policies)))
        })
        .await
    }

    /// Makes the entry. EKS has made one already for whoever made the cluster: that one is taken over.
    async fn create(
        &self,
        client: &Eks,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let cluster = spec.cluster.known()?;
        let created = || Created { id: id_of(cluster, &spec.principal_arn), live: None };
        let answer = client
            .api()
            .create_access_entry()
            .client_request_token(&owner.token)
            .cluster_name(cluster)
            .principal_arn(&spec.principal_arn)
            .set_tags(Some(tags::at_create(&spec.tags, owner).collect()))
            .send()
            .await
            .written("eks:CreateAccessEntry")
            .reclass();
        let error = match answer {
            Ok(_) => return Ok(created()),
            Err(error) if is_taken(&error) => error,
            Err(error) => return Err(error),
        };
        let Some(entry) = entry(client, cluster, &spec.principal_arn).await? else {
            // Deleted a moment ago, or not seen yet.
            return Err(error.with_class(ErrorClass::NotYet));
        };
        let there = tags::sorted(entry.tags());
        if tags::made_by(owner, &there) {
            return Ok(created());
        }
        let made = describe::cluster(client, cluster).await?.and_then(|cluster| cluster.created_at);
        if there.is_empty() && is_bootstrapped(made.as_ref(), entry.created_at()) {
            tags::set(client, entry.access_entry_arn().unwrap_or_default(), tags::at_create(&spec.tags, owner)).await?;
            return Ok(created());
        }
        let way = "it is not of this mesh: remove it, take it over with `meshplan state adopt`, or leave the principal \
                   out of `admins`";
        Err(ProviderError { at: Some(AttrPath::keys(&["principal_arn"])), ..explained(error, way) })
    }

    async fn find(&self, client: &Eks, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let cluster = spec.cluster.known()?;
        let entry = entry(client, cluster, &spec.principal_arn).await?;
        let ours = entry.is_some_and(|entry| tags::made_by(owner, &tags::sorted(entry.tags())));
        Ok(ours.then(|| id_of(cluster, &spec.principal_arn)))
    }

    /// What is granted comes before what is taken away: whoever applies this may be the principal.
    async fn update(&self, client: &Eks, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        let (cluster, principal) = split(id)?;
        if let Some(policy) = to.policies.iter().find(|policy| !from.policies.contains(policy)) {
            let request = client.api().associate_access_policy().cluster_name(cluster).principal_arn(principal);
            let request = request.policy_arn(&policy.policy_arn).access_scope(scope(&policy.scope));
            request.send().await.written("eks:AssociateAccessPolicy").reclass()?;
            return Ok(Updated::Done);
        }
        let kept = |policy: &Policy| to.policies.iter().any(|kept| kept.policy_arn == policy.policy_arn);
        if let Some(policy) = from.policies.iter().find(|policy| !kept(policy)) {
            let request = client.api().disassociate_access_policy().cluster_name(cluster).principal_arn(principal);
            let answer = request.policy_arn(&policy.policy_arn).send().await;
            answer.written("eks:DisassociateAccessPolicy").unless_gone()?;
            return Ok(Updated::Done);
        }
        let entry = entry(client, cluster, principal).await?;
        let arn = entry.as_ref().and_then(|entry| entry.access_entry_arn());
        tags::update(client, arn, "eks:DescribeAccessEntry", &from.tags, &to.tags).await
    }

    async fn delete(&self, client: &Eks, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let (cluster, principal) = split(id)?;
        let answer = client.api().delete_access_entry().cluster_name(cluster).principal_arn(principal).send().await;
        answer.written("eks:DeleteAccessEntry").unless_gone()?;
        Ok(Deletion::Accepted)
    }
}

/// EKS makes the creator's entry with the cluster. Nobody else can make one before the cluster is active, which takes
/// eight minutes and more; what has no tags and is as young as that is EKS's.
const BOOTSTRAP_SECONDS: i64 = 900;

fn is_bootstrapped(cluster: Option<&DateTime>, entry: Option<&DateTime>) -> bool {
    match (cluster, entry) {
        (Some(cluster), Some(entry)) => (entry.secs() - cluster.secs()).abs() <= BOOTSTRAP_SECONDS,
        (None, _) | (_, None) => false,
    }
}

fn id_of(cluster: &str, principal: &str) -> RemoteId {
    RemoteId::new(format!("{cluster}|{principal}"))
}

fn split(id: &RemoteId) -> Result<(&str, &str), ProviderError> {
    let parts = id.as_str().split_once('|');
    parts
        .ok_or_else(|| ProviderError::bug("eks:DescribeAccessEntry", format!("`{id}` does not read CLUSTER|PRINCIPAL")))
}

async fn entry(
    client: &Eks,
    cluster: &str,
    principal: &str,
) -> Result<Option<aws_sdk_eks::types::AccessEntry>, ProviderError> {
    let request = client.api().describe_access_entry().cluster_name(cluster).principal_arn(principal);
    let answer = request.send().await.read("eks:DescribeAccessEntry").unless_gone()?;
    Ok(answer.and_then(|answer| answer.access_entry))
}

/// The policies of an entry, sorted; `None` if it is gone.
async fn policies(client: &Eks, cluster: &str, principal: &str) -> Result<Option<Vec<Policy>>, ProviderError> {
    let request = client.api().list_associated_access_policies().cluster_name(cluster).principal_arn(principal);
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let Some(page) = page.read("eks:ListAssociatedAccessPolicies").unless_gone()? else { return Ok(None) };
        for policy in page.associated_access_policies() {
            let scope = policy.access_scope();
            found.push(Policy {
                policy_arn: policy.policy_arn().unwrap_or_default().to_owned(),
                scope: match scope.and_then(|scope| scope.r#type()) {
                    Some(AccessScopeType::Namespace) => {
                        let mut names = scope.map(|scope| scope.namespaces().to_vec()).unwrap_or_default();
                        names.sort_unstable();
                        Scope::Namespaces(names)
                    }
                    Some(_) | None => Scope::Cluster,
                },
            });
        }
    }
    found.sort_unstable();
    Ok(Some(found))
}

fn scope(scope: &Scope) -> AccessScope {
    match scope {
        Scope::Cluster => AccessScope::builder().r#type(AccessScopeType::Cluster).build(),
        Scope::Namespaces(names) => {
            AccessScope::builder().r#type(AccessScopeType::Namespace).set_namespaces(Some(names.clone())).build()
        }
    }
}

fn live(entry: aws_sdk_eks::types::AccessEntry, policies: Vec<Policy>) -> Live<Spec, Outputs> {
    let tags = tags::project(&tags::sorted(entry.tags()));
    Live {
        spec: Spec {
            cluster: Input::Known(entry.cluster_name.unwrap_or_default()),
            principal_arn: entry.principal_arn.unwrap_or_default(),
            policies,
            tags,
        },
        outputs: Outputs { arn: entry.access_entry_arn.unwrap_or_default() },
        status: Status::Ready,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Document;

    #[test]
    fn a_principal_is_a_role_or_a_user_and_never_a_session() {
        for (arn, is) in [
            ("arn:aws:iam::111122223333:role/platform-admin", true),
            ("arn:aws-cn:iam::111122223333:user/path/me", true),
            ("arn:aws:sts::111122223333:assumed-role/platform-admin/me", false),
            ("arn:aws:iam::111122223333:role/", false),
            ("platform-admin", false),
        ] {
            assert_eq!(is_principal(arn), is, "{arn}");
        }
        let session = "arn:aws:sts::111122223333:assumed-role/platform-admin/me";
        let spec = Spec { principal_arn: session.to_owned(), ..AccessEntry::example() };
        let errors = AccessEntry.check(&Document::of(&spec).unwrap().value());
        assert!(errors[0].message.ends_with("name the role that it assumed, arn:aws:iam::ACCOUNT:role/NAME"));
    }

    #[test]
    fn a_scope_is_a_word_or_a_list() {
        assert_eq!(serde_json::to_string(&Scope::Cluster).unwrap(), r#""cluster""#);
        let scope: Scope = serde_json::from_str(r#"{"namespaces": ["a", "b"]}"#).unwrap();
        assert_eq!(scope, Scope::Namespaces(vec!["a".to_owned(), "b".to_owned()]));
    }

    #[test]
    fn the_creators_entry_is_as_old_as_the_cluster() {
        let at = |seconds| DateTime::from_secs(seconds);
        assert!(is_bootstrapped(Some(&at(1_000)), Some(&at(1_600))));
        assert!(!is_bootstrapped(Some(&at(1_000)), Some(&at(9_000))));
        assert!(!is_bootstrapped(None, Some(&at(9_000))));
    }
}
