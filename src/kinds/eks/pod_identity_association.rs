//! `eks.pod_identity_association`: the role that the pods of a service account act with.

use serde::{Deserialize, Serialize};

use super::client::Eks;
use super::error::{Reclass, explained, is_taken};
use super::tags::{self, Tags};
use super::{describe, inner_id, many, parts, parts_of};
use crate::kinds::sdk::{Answer, no_id};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputRule, Ownership, ProviderError,
    RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

/// The kind `eks.pod_identity_association`.
#[derive(Debug, Clone, Copy)]
pub struct PodIdentityAssociation;

/// What is declared of an association.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The cluster's name.
    pub cluster: Input<String>,
    /// The namespace of the service account.
    pub namespace: String,
    /// The service account.
    pub service_account: String,
    /// The role.
    pub role_arn: Input<String>,
    /// Its tags.
    pub tags: Tags,
}

/// What an association yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its id.
    pub association_id: String,
}

impl KindRules for PodIdentityAssociation {
    fn name(&self) -> &'static str {
        "eks.pod_identity_association"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "cluster", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "namespace", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "service_account", traits: &[FieldTrait::Immutable] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("association_id")] }
    }

    fn expected(&self) -> Expected {
        Expected { create: 2.0, update: 2.0, delete: 2.0 }
    }

    fn api(&self) -> Api {
        Api::Eks
    }

    fn reads_each(&self) -> u32 {
        1
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(500, 1_000, 300)
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        tags::check(spec)
    }
}

impl ResourceKind for PodIdentityAssociation {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Eks;

    fn example() -> Spec {
        let role = Address::new("iam.role", &["cluster-1", "load-balancer-controller"]);
        Spec {
            cluster: Reference::to(&Address::new("eks.cluster", &["cluster-1"]), "name").into(),
            namespace: "kube-system".to_owned(),
            service_account: "aws-load-balancer-controller".to_owned(),
            role_arn: Reference::to(&role, "arn").into(),
            tags: Tags::from([("meshplan:mesh".to_owned(), "mesh1".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Eks,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        many(ids, async |id: &RemoteId| {
            let Some((cluster, association)) = parts(id) else { return Ok(None) };
            Ok(describe::association(client, cluster, association).await?.map(live))
        })
        .await
    }

    async fn create(
        &self,
        client: &Eks,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let cluster = spec.cluster.known()?;
        let answer = client
            .api()
            .create_pod_identity_association()
            .client_request_token(&owner.token)
            .cluster_name(cluster)
            .namespace(&spec.namespace)
            .service_account(&spec.service_account)
            .role_arn(spec.role_arn.known()?)
            .set_tags(Some(tags::at_create(&spec.tags, owner).collect()))
            .send()
            .await
            .written("eks:CreatePodIdentityAssociation")
            .reclass();
        match answer {
            Ok(answer) => {
                let association = answer.association.ok_or_else(|| no_id("eks:CreatePodIdentityAssociation"))?;
                let id = association.association_id().ok_or_else(|| no_id("eks:CreatePodIdentityAssociation"))?;
                Ok(Created { id: inner_id(cluster, id), live: Some(live(association)) })
            }
            Err(error) if is_taken(&error) => match self.find(client, spec, owner).await? {
                Some(id) => Ok(Created { id, live: None }),
                // A deletion is seen everywhere only seconds later (aws-controllers-k8s/community#2684).
                None if list(client, cluster, spec).await?.is_empty() => Err(error.with_class(ErrorClass::NotYet)),
                None => {
                    let (namespace, account) = (&spec.namespace, &spec.service_account);
                    let way = format!("{namespace}/{account} is associated by someone else: remove that association");
                    Err(explained(error, &way))
                }
            },
            Err(error) => Err(error),
        }
    }

    async fn find(&self, client: &Eks, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let cluster = spec.cluster.known()?;
        // A service account has one association at most, and the list says nothing of tags.
        for id in list(client, cluster, spec).await? {
            if let Some(association) = describe::association(client, cluster, &id).await?
                && tags::made_by(owner, &tags::sorted(association.tags()))
            {
                return Ok(Some(inner_id(cluster, &id)));
            }
        }
        Ok(None)
    }

    async fn update(&self, client: &Eks, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        let (cluster, association) = parts_of("eks:UpdatePodIdentityAssociation", id)?;
        if from.role_arn != to.role_arn {
            let request = client.api().update_pod_identity_association();
            let request = request.cluster_name(cluster).association_id(association).role_arn(to.role_arn.known()?);
            request.send().await.written("eks:UpdatePodIdentityAssociation").reclass()?;
            return Ok(Updated::Done);
        }
        let there = describe::association(client, cluster, association).await?;
        let arn = there.as_ref().and_then(|there| there.association_arn());
        tags::update(client, arn, "eks:DescribePodIdentityAssociation", &from.tags, &to.tags).await
    }

    async fn delete(&self, client: &Eks, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let (cluster, association) = parts_of("eks:DeletePodIdentityAssociation", id)?;
        let request = client.api().delete_pod_identity_association();
        let answer = request.cluster_name(cluster).association_id(association).send().await;
        answer.written("eks:DeletePodIdentityAssociation").unless_gone()?;
        Ok(Deletion::Accepted)
    }
}

/// The ids of the service account's associations, sorted.
async fn list(client: &Eks, cluster: &str, spec: &Spec) -> Result<Vec<String>, ProviderError> {
    let request = client.api().list_pod_identity_associations().cluster_name(cluster);
    let request = request.namespace(&spec.namespace).service_account(&spec.service_account);
    let mut pages = request.into_paginator().send();
    let mut ids = Vec::new();
    while let Some(page) = pages.next().await {
        let Some(page) = page.read("eks:ListPodIdentityAssociations").unless_gone()? else { break };
        for association in page.associations() {
            // Servers exist that ignore the filter.
            if association.namespace() == Some(&spec.namespace)
                && association.service_account() == Some(&spec.service_account)
            {
                ids.extend(association.association_id().map(str::to_owned));
            }
        }
    }
    ids.sort_unstable();
    Ok(ids)
}

fn live(association: aws_sdk_eks::types::PodIdentityAssociation) -> Live<Spec, Outputs> {
    let tags = tags::project(&tags::sorted(association.tags()));
    let input = |text: Option<String>| Input::Known(text.unwrap_or_default());
    Live {
        spec: Spec {
            cluster: input(association.cluster_name),
            namespace: association.namespace.unwrap_or_default(),
            service_account: association.service_account.unwrap_or_default(),
            role_arn: input(association.role_arn),
            tags,
        },
        outputs: Outputs { association_id: association.association_id.unwrap_or_default() },
        status: Status::Ready,
    }
}
