//! `eks.addon`: an add-on that EKS installs and keeps in a cluster.
//!
//! `default` and `latest` are resolved when the add-on is made and when the cluster's version changes, never in
//! between: what was chosen is kept in tags of the add-on (`choice`), so that neither a plan nor a refresh moves it.

mod choice;

use aws_sdk_eks::types::{AddonPodIdentityAssociations, AddonStatus, ResolveConflicts};
use serde::{Deserialize, Serialize};

use super::client::Eks;
use super::error::{Reclass, explained, is_taken};
use super::tags::{self, Tags};
use super::update::{accepted, deleted};
use super::{describe, inner_id, many, parts, parts_of};
use crate::kinds::sdk::{Answer, no_id};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, AttrPath, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputClass, OutputRule, Ownership,
    ProviderError, RemoteId, ResourceKind, Status, UpdateId, Updated, WaitPolicy,
};
use choice::Choice;

/// The kind `eks.addon`.
#[derive(Debug, Clone, Copy)]
pub struct Addon;

/// What is declared of an add-on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The cluster's name.
    pub cluster: Input<String>,
    /// Its name, for example `vpc-cni`.
    pub name: String,
    /// Its version: `default`, `latest`, or one in full, for example `v1.20.4-eksbuild.2`.
    pub version: String,
    /// The cluster's Kubernetes version, which `default` and `latest` are resolved for.
    pub kubernetes_version: String,
    /// Its configuration; an empty object for none.
    pub configuration: Value,
    /// The role that its pods act with by Pod Identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod_identity: Option<PodIdentity>,
    /// The role that its pods act with by the cluster's OIDC provider (IRSA): EKS annotates the add-on's service account
    /// with it. Where neither this nor `pod_identity` is declared, the pods act with their nodes' role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_role_arn: Option<Input<String>>,
    /// Its tags.
    pub tags: Tags,
}

/// Which pods of an add-on act with which role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PodIdentity {
    /// The service account of the pods, in the add-on's namespace.
    pub service_account: String,
    /// The role.
    pub role_arn: Input<String>,
}

/// What an add-on yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its ARN.
    pub arn: String,
    /// The version that is installed.
    pub version: String,
}

impl KindRules for Addon {
    fn name(&self) -> &'static str {
        "eks.addon"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "cluster", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "name", traits: &[FieldTrait::Immutable] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const {
            &[
                OutputRule::plain("arn"),
                OutputRule {
                    name: "version",
                    class: OutputClass::Plain,
                    changes_with: &["version", "kubernetes_version"],
                },
            ]
        }
    }

    // 10 to 90 s to make, about 35 s in a public log (DOMAIN 1.5).
    fn expected(&self) -> Expected {
        Expected { create: 35.0, update: 45.0, delete: 15.0 }
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

    // 20 min are terraform's.
    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(5_000, 2_000, 1_200)
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let mut errors = tags::check(spec);
        if spec.get("configuration").is_some_and(|value| value.as_object().is_none()) {
            let message = "an add-on's configuration is an object".to_owned();
            errors.push(FieldError { path: AttrPath::keys(&["configuration"]), message });
        }
        if spec.get("pod_identity").is_some() && spec.get("service_account_role_arn").is_some() {
            let message = "pods get a role by Pod Identity or by an OIDC provider, not by both".to_owned();
            errors.push(FieldError { path: AttrPath::keys(&["service_account_role_arn"]), message });
        }
        errors
    }
}

impl ResourceKind for Addon {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Eks;

    fn example() -> Spec {
        let cluster = Address::new("eks.cluster", &["cluster-1"]);
        let role = Address::new("iam.role", &["cluster-1", "vpc-cni"]);
        let on = |value: &str| Value::Object([("ENABLE_V6_EGRESS".to_owned(), value.into())].into());
        let init = Value::Object([("env".to_owned(), on("true"))].into());
        Spec {
            cluster: Reference::to(&cluster, "name").into(),
            name: "vpc-cni".to_owned(),
            version: "default".to_owned(),
            kubernetes_version: "1.35".to_owned(),
            configuration: Value::Object([("env".to_owned(), on("true")), ("init".to_owned(), init)].into()),
            pod_identity: Some(PodIdentity {
                service_account: "aws-node".to_owned(),
                role_arn: Reference::to(&role, "arn").into(),
            }),
            service_account_role_arn: None,
            tags: Tags::from([("meshplan:mesh".to_owned(), "mesh1".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Eks,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        many(ids, async |id: &RemoteId| {
            let Some((cluster, name)) = parts(id) else { return Ok(None) };
            let Some(addon) = describe::addon(client, cluster, name).await? else { return Ok(None) };
            live(client, &addon).await.map(Some)
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
        let choice = choice::choose(client, &spec.name, &spec.version, &spec.kubernetes_version).await?;
        let mut tags = spec.tags.clone();
        tags.extend(choice.tags());
        let answer = client
            .api()
            .create_addon()
            .client_request_token(&owner.token)
            .cluster_name(cluster)
            .addon_name(&spec.name)
            .addon_version(&choice.resolved)
            .resolve_conflicts(ResolveConflicts::Overwrite)
            .set_configuration_values(configured(&spec.configuration)?)
            .set_pod_identity_associations(identities(spec)?)
            .set_service_account_role_arn(service_account_role(spec)?)
            .set_tags(Some(tags::at_create(&tags, owner).collect()))
            .send()
            .await
            .written("eks:CreateAddon")
            .reclass();
        let id = inner_id(cluster, &spec.name);
        match answer {
            // The answer does not say which role an association has: a read does.
            Ok(answer) => answer.addon.map(|_| Created { id, live: None }).ok_or_else(|| no_id("eks:CreateAddon")),
            Err(error) if is_taken(&error) => match self.find(client, spec, owner).await? {
                Some(id) => Ok(Created { id, live: None }),
                None => Err(not_ours(client, cluster, &spec.name, error).await),
            },
            Err(error) => Err(at_field(error, spec)),
        }
    }

    async fn find(&self, client: &Eks, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let cluster = spec.cluster.known()?;
        let addon = describe::addon(client, cluster, &spec.name).await?;
        let ours = addon.is_some_and(|addon| {
            tags::made_by(owner, &tags::sorted(addon.tags())) && addon.status() != Some(&AddonStatus::Deleting)
        });
        Ok(ours.then(|| inner_id(cluster, &spec.name)))
    }

    /// The choice is written down before it is carried out: whoever comes after a crash carries out the same.
    async fn update(&self, client: &Eks, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        let (cluster, name) = parts_of("eks:UpdateAddon", id)?;
        let Some(addon) = describe::addon(client, cluster, name).await? else {
            return Err(ProviderError::new(
                ErrorClass::NotYet,
                "eks:DescribeAddon",
                format!("there is no add-on {id}"),
            ));
        };
        let there = tags::sorted(addon.tags());
        let choice = match Choice::of(&there) {
            Some(choice) if choice.fits(&to.version, &to.kubernetes_version) => choice,
            Some(_) | None => choice::choose(client, name, &to.version, &to.kubernetes_version).await?,
        };
        let arn = addon.addon_arn();
        let mut wanted = to.tags.clone();
        wanted.extend(choice.tags());
        let missing = tags::changed(&there, &wanted);
        if !missing.is_empty() {
            tags::set(client, arn.unwrap_or_default(), missing).await?;
            return Ok(Updated::Done);
        }
        let identity_differs = from.pod_identity != to.pod_identity;
        if addon.addon_version() == Some(choice.resolved.as_str())
            && from.configuration == to.configuration
            && from.service_account_role_arn == to.service_account_role_arn
            && !identity_differs
        {
            return tags::update(client, arn, "eks:DescribeAddon", &from.tags, &to.tags).await;
        }
        let answer = client
            .api()
            .update_addon()
            .cluster_name(cluster)
            .addon_name(name)
            .addon_version(&choice.resolved)
            .resolve_conflicts(ResolveConflicts::Overwrite)
            // Without any EKS would keep what there is.
            .configuration_values(configured(&to.configuration)?.unwrap_or_else(|| "{}".to_owned()))
            .set_pod_identity_associations(
                identity_differs.then(|| identities(to).map(Option::unwrap_or_default)).transpose()?,
            )
            // Whatever the update is about: an add-on whose update names none has the nodes' role from then on. One that
            // had a role is told so by an empty text, as terraform's provider does: servers exist that keep it otherwise.
            .set_service_account_role_arn(
                service_account_role(to)?.or_else(|| from.service_account_role_arn.is_some().then(String::new)),
            )
            .send()
            .await
            .written("eks:UpdateAddon")
            .reclass();
        accepted(answer.map(|answer| answer.update)).map_err(|error| at_field(error, to))
    }

    async fn follow(&self, client: &Eks, id: &RemoteId, update: &UpdateId) -> Result<Status, ProviderError> {
        let (cluster, name) = parts_of("eks:DescribeUpdate", id)?;
        let request = client.api().describe_update().name(cluster).addon_name(name).update_id(update.as_str());
        super::update::follow(request).await
    }

    async fn delete(&self, client: &Eks, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let (cluster, name) = parts_of("eks:DeleteAddon", id)?;
        let answer = client.api().delete_addon().cluster_name(cluster).addon_name(name).send().await;
        deleted(answer.written("eks:DeleteAddon").unless_gone(), is_going(client, cluster, name)).await
    }
}

async fn is_going(client: &Eks, cluster: &str, name: &str) -> bool {
    let addon = describe::addon(client, cluster, name).await;
    matches!(addon, Ok(Some(addon)) if addon.status() == Some(&AddonStatus::Deleting))
}

async fn not_ours(client: &Eks, cluster: &str, name: &str, error: ProviderError) -> ProviderError {
    if is_going(client, cluster, name).await {
        return error.with_class(ErrorClass::InUse);
    }
    explained(error, "it is not of this mesh: remove it, or take it over with `meshplan state adopt`")
}

async fn live(client: &Eks, addon: &aws_sdk_eks::types::Addon) -> Result<Live<Spec, Outputs>, ProviderError> {
    let cluster = addon.cluster_name().unwrap_or_default();
    let installed = addon.addon_version().unwrap_or_default();
    let mut tags = tags::sorted(addon.tags());
    let choice = Choice::of(&tags);
    Choice::strip(&mut tags);
    let spec = Spec {
        cluster: cluster.into(),
        name: addon.addon_name().unwrap_or_default().to_owned(),
        version: choice.as_ref().map_or(installed, |choice| choice.declared(installed)).to_owned(),
        kubernetes_version: choice.map(|choice| choice.kubernetes).unwrap_or_default(),
        configuration: configuration(addon.configuration_values()),
        pod_identity: identity(client, cluster, addon).await?,
        service_account_role_arn: addon.service_account_role_arn().filter(|arn| !arn.is_empty()).map(Input::from),
        tags: tags::project(&tags),
    };
    let outputs = Outputs { arn: addon.addon_arn().unwrap_or_default().to_owned(), version: installed.to_owned() };
    Ok(Live { spec, outputs, status: status(addon) })
}

/// The role of its pods. One that somebody has just removed counts as none.
async fn identity(
    client: &Eks,
    cluster: &str,
    addon: &aws_sdk_eks::types::Addon,
) -> Result<Option<PodIdentity>, ProviderError> {
    let Some(id) = describe::associations_of(addon).first().copied() else { return Ok(None) };
    let association = describe::association(client, cluster, id).await?;
    Ok(association.map(|association| PodIdentity {
        service_account: association.service_account.unwrap_or_default(),
        role_arn: association.role_arn.unwrap_or_default().as_str().into(),
    }))
}

fn identities(spec: &Spec) -> Result<Option<Vec<AddonPodIdentityAssociations>>, ProviderError> {
    let Some(identity) = &spec.pod_identity else { return Ok(None) };
    let association = AddonPodIdentityAssociations::builder()
        .service_account(&identity.service_account)
        .role_arn(identity.role_arn.known()?)
        .build()
        .map_err(|error| ProviderError::bug("eks:CreateAddon", error.to_string()))?;
    Ok(Some(vec![association]))
}

fn service_account_role(spec: &Spec) -> Result<Option<String>, ProviderError> {
    Ok(spec.service_account_role_arn.as_ref().map(Input::known).transpose()?.cloned())
}

/// The configuration as EKS takes it; `None` for an empty one.
fn configured(configuration: &Value) -> Result<Option<String>, ProviderError> {
    if matches!(configuration, Value::Object(fields) if fields.is_empty()) {
        return Ok(None);
    }
    let text = serde_json::to_string(configuration);
    text.map(Some).map_err(|error| ProviderError::bug("eks:CreateAddon", error.to_string()))
}

/// The configuration as EKS answers it: JSON is ours; anything else (YAML is allowed) is what somebody else wrote.
fn configuration(text: Option<&str>) -> Value {
    match text.map(str::trim) {
        None | Some("") => Value::Object([].into()),
        Some(text) => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    }
}

fn status(addon: &aws_sdk_eks::types::Addon) -> Status {
    let said = || {
        let said = describe::addon_issues(addon);
        if said.is_empty() { "EKS gives no reason".to_owned() } else { said.join("; ") }
    };
    match addon.status().map(AddonStatus::as_str) {
        // A failed update leaves what was there before: it can be tried again.
        None | Some("ACTIVE" | "UPDATE_FAILED") => Status::Ready,
        Some(state @ ("CREATE_FAILED" | "DELETE_FAILED")) => Status::Failed(format!("state is {state}: {}", said())),
        Some("DELETING") => Status::Deleting,
        // Its pods do not run yet: coredns has none to run on before there are nodes.
        Some("DEGRADED") => Status::Degraded(format!("state is DEGRADED: {}", said())),
        Some(state) => Status::Pending(format!("state is {state}")),
    }
}

/// Points an error at the field that is to blame.
fn at_field(error: ProviderError, spec: &Spec) -> ProviderError {
    let says = |words: &str| error.message.contains(words);
    let field = match error.code.as_deref() {
        Some("InvalidParameterException") if says("onfiguration") => "configuration",
        Some("InvalidParameterException") if says("ersion") => "version",
        Some("InvalidParameterException") if says("role") || says("Role") => {
            if spec.pod_identity.is_some() {
                "pod_identity"
            } else {
                "service_account_role_arn"
            }
        }
        Some(_) | None => return error,
    };
    ProviderError { at: Some(AttrPath::keys(&[field])), ..error }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::{AddonHealth, AddonIssue, AddonIssueCode};

    use super::*;

    #[test]
    fn a_states_meaning() {
        let of = |state: AddonStatus| {
            let issue = AddonIssue::builder()
                .code(AddonIssueCode::InsufficientNumberOfReplicas)
                .message("The add-on is unhealthy because it doesn't have the desired number of replicas.");
            let health = AddonHealth::builder().issues(issue.build()).build();
            status(&aws_sdk_eks::types::Addon::builder().status(state).health(health).build())
        };
        assert_eq!(of(AddonStatus::Active), Status::Ready);
        assert_eq!(of(AddonStatus::UpdateFailed), Status::Ready);
        assert_eq!(of(AddonStatus::Creating), Status::Pending("state is CREATING".to_owned()));
        assert_eq!(of(AddonStatus::Deleting), Status::Deleting);
        let words = "InsufficientNumberOfReplicas: The add-on is unhealthy because it doesn't have the desired number of \
                     replicas: its pods do not run: look for nodes that are missing or full (kubectl -n kube-system get \
                     pods)";
        assert_eq!(of(AddonStatus::Degraded), Status::Degraded(format!("state is DEGRADED: {words}")));
        assert_eq!(of(AddonStatus::CreateFailed), Status::Failed(format!("state is CREATE_FAILED: {words}")));
    }

    #[test]
    fn a_configuration_is_compared_as_what_it_means() {
        let value: Value = serde_json::from_str(r#"{"env": {"A": "1"}, "init": {}}"#).unwrap();
        assert_eq!(configuration(Some(" {\"init\": {},\n\"env\": {\"A\": \"1\"}}")), value);
        assert_eq!(configuration(configured(&value).unwrap().as_deref()), value);
        assert_eq!(configured(&configuration(None)).unwrap(), None);
        assert_eq!(configuration(Some("{}")), configuration(Some("")));
        assert_eq!(configuration(Some("env:\n  A: 1")), "env:\n  A: 1".into());
    }
}
