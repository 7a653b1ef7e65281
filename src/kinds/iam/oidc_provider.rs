//! `iam.oidc_provider`: the OIDC provider of a cluster, by which its service accounts act as roles (IRSA).
//!
//! IAM fetches the certificate's thumbprint itself and does not need it for EKS's issuers, so it is no field.

use serde::{Deserialize, Serialize};

use crate::kinds::sdk::{Absence, Answer, no_id};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, AttrPath, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputRule, Ownership, ProviderError,
    RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Iam;
use super::tags::{self, Tags};
use super::taken::taken;

/// What every issuer's URL begins with, and what IAM leaves out in its answers.
const SCHEME: &str = "https://";

/// The kind `iam.oidc_provider`.
#[derive(Debug, Clone, Copy)]
pub struct OidcProvider;

/// What is declared of an OIDC provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The issuer: `https://…`. An account has one provider for each.
    pub url: Input<String>,
    /// Whom the tokens are made for: `sts.amazonaws.com`.
    pub client_ids: Vec<String>,
    /// Its tags.
    pub tags: Tags,
}

/// What an OIDC provider yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its ARN.
    pub arn: String,
}

impl KindRules for OidcProvider {
    fn name(&self) -> &'static str {
        "iam.oidc_provider"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "url", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "client_ids", traits: &[FieldTrait::Unordered] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("arn")] }
    }

    fn reads_each(&self) -> u32 {
        1
    }

    fn expected(&self) -> Expected {
        Expected { create: 2.0, update: 1.0, delete: 1.0 }
    }

    fn api(&self) -> Api {
        Api::Iam
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(500, 1_000, 120)
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let mut errors = tags::check(spec);
        if let Some(url) = spec.get("url").and_then(Value::as_str)
            && !url.starts_with(SCHEME)
        {
            let message = format!("`{url}` is no issuer: it begins with `{SCHEME}`");
            errors.push(FieldError { path: AttrPath::keys(&["url"]), message });
        }
        errors
    }
}

impl ResourceKind for OidcProvider {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Iam;

    fn example() -> Spec {
        Spec {
            url: Reference::to(&Address::new("eks.cluster", &["cluster-1"]), "oidc_issuer").into(),
            client_ids: vec!["sts.amazonaws.com".to_owned()],
            tags: Tags::from([("meshplan:mesh".to_owned(), "mesh1".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Iam,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        // There is one for each cluster at most: one after the other is soon enough.
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            found.push(read(client, id.as_str()).await?.map(|provider| provider.live));
        }
        Ok(found)
    }

    async fn create(
        &self,
        client: &Iam,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let url = spec.url.known()?;
        let answer = client
            .api()
            .create_open_id_connect_provider()
            .url(url)
            .set_client_id_list(Some(spec.client_ids.clone()))
            .set_tags(Some(tags::at_create(&spec.tags, owner)?))
            .send()
            .await
            .written("iam:CreateOpenIDConnectProvider");
        match answer {
            Ok(answer) => {
                let arn =
                    answer.open_id_connect_provider_arn.ok_or_else(|| no_id("iam:CreateOpenIDConnectProvider"))?;
                let outputs = Outputs { arn: arn.clone() };
                let live = Live { spec: spec.clone(), outputs, status: Status::Ready };
                Ok(Created { id: RemoteId::new(arn), live: Some(live) })
            }
            Err(error) if error.has_code("EntityAlreadyExists") => {
                let Some(there) = of_issuer(client, url).await? else {
                    // It exists, and a look does not see it yet: it may be what this create made.
                    return Err(error.with_class(ErrorClass::NotYet));
                };
                if tags::made_by(owner, &there.tags) {
                    return Ok(Created { id: RemoteId::new(there.arn()), live: Some(there.live) });
                }
                Err(taken(error, &format!("an OIDC provider for {url}"), there.arn(), owner, &there.tags))
            }
            Err(error) => Err(error),
        }
    }

    async fn find(&self, client: &Iam, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let there = of_issuer(client, spec.url.known()?).await?;
        Ok(there.filter(|there| tags::made_by(owner, &there.tags)).map(|there| RemoteId::new(there.arn())))
    }

    async fn update(&self, client: &Iam, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        let (api, arn) = (client.api(), id.as_str());
        if let Some(added) = to.client_ids.iter().find(|client_id| !from.client_ids.contains(client_id)) {
            let request =
                api.add_client_id_to_open_id_connect_provider().open_id_connect_provider_arn(arn).client_id(added);
            request.send().await.written("iam:AddClientIDToOpenIDConnectProvider")?;
            return Ok(Updated::Done);
        }
        if let Some(removed) = from.client_ids.iter().find(|client_id| !to.client_ids.contains(client_id)) {
            let request = api
                .remove_client_id_from_open_id_connect_provider()
                .open_id_connect_provider_arn(arn)
                .client_id(removed);
            request.send().await.written("iam:RemoveClientIDFromOpenIDConnectProvider").unless_absent()?;
            return Ok(Updated::Done);
        }
        match tags::step(&from.tags, &to.tags) {
            Some(tags::Step::Set(changed)) => {
                let request = api.tag_open_id_connect_provider().open_id_connect_provider_arn(arn);
                let request = request.set_tags(Some(tags::request(&changed)?));
                request.send().await.written("iam:TagOpenIDConnectProvider")?;
            }
            Some(tags::Step::Remove(keys)) => {
                let request = api.untag_open_id_connect_provider().open_id_connect_provider_arn(arn);
                request.set_tag_keys(Some(keys)).send().await.written("iam:UntagOpenIDConnectProvider")?;
            }
            None => {}
        }
        Ok(Updated::Done)
    }

    async fn delete(&self, client: &Iam, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let request = client.api().delete_open_id_connect_provider().open_id_connect_provider_arn(id.as_str());
        request.send().await.written("iam:DeleteOpenIDConnectProvider").unless_absent()?;
        Ok(Deletion::Accepted)
    }
}

/// What was read, with the tags that a projection leaves out.
struct Provider {
    live: Live<Spec, Outputs>,
    tags: Vec<aws_sdk_iam::types::Tag>,
}

impl Provider {
    fn arn(&self) -> &str {
        &self.live.outputs.arn
    }
}

async fn read(client: &Iam, arn: &str) -> Result<Option<Provider>, ProviderError> {
    let answer = client.api().get_open_id_connect_provider().open_id_connect_provider_arn(arn).send().await;
    let Some(answer) = answer.read("iam:GetOpenIDConnectProvider").unless_absent()? else { return Ok(None) };
    let url = answer.url().unwrap_or_default();
    let spec = Spec {
        url: Input::Known(format!("{SCHEME}{}", url.trim_start_matches(SCHEME))),
        client_ids: answer.client_id_list().to_vec(),
        tags: tags::project(answer.tags()),
    };
    let outputs = Outputs { arn: arn.to_owned() };
    let live = Live { spec, outputs, status: Status::Ready };
    Ok(Some(Provider { live, tags: answer.tags.unwrap_or_default() }))
}

/// The provider of an issuer. The list has no more than ARNs, and an ARN ends with its issuer.
async fn of_issuer(client: &Iam, url: &str) -> Result<Option<Provider>, ProviderError> {
    let answer = client.api().list_open_id_connect_providers().send().await.read("iam:ListOpenIDConnectProviders")?;
    let end = format!(":oidc-provider/{}", url.trim_start_matches(SCHEME));
    let listed = answer.open_id_connect_provider_list.unwrap_or_default();
    match listed.into_iter().filter_map(|entry| entry.arn).find(|arn| arn.ends_with(&end)) {
        Some(arn) => read(client, &arn).await,
        None => Ok(None),
    }
}
