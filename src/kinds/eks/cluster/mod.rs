//! `eks.cluster`: a control plane, with managed nodes beside it or in Auto Mode.
//!
//! EKS takes one update of a cluster at a time, and one type of change an update (`update`); what it answers is read
//! in `project`, and what it is asked is written in `request`.

mod project;
mod request;
mod update;

use aws_sdk_eks::types::{AccessConfigResponse, AuthenticationMode, ClusterStatus};
use serde::{Deserialize, Serialize};

use super::client::Eks;
pub use super::describe::IpFamily;
use super::error::{Reclass, explained, is_taken};
use super::tags::{self, Tags};
use super::update::deleted;
use super::version;
use super::{describe, is_name, many};
use crate::kinds::sdk::{Answer, no_id};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, AttrPath, Document, Input, Reference, Target, Value};
use crate::resource::{
    Api, ClusterAccess, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputRule, Ownership,
    ProviderError, RemoteId, ResourceKind, Status, UpdateId, Updated, WaitPolicy,
};

/// The kind `eks.cluster`.
#[derive(Debug, Clone, Copy)]
pub struct ControlPlane;

/// What is declared of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own in EKS")]
pub struct Spec {
    /// Its name, unique in the account and region.
    pub name: String,
    /// The role that EKS acts with.
    pub role_arn: Input<String>,
    /// Its Kubernetes version, for example `1.35`.
    pub version: String,
    /// The subnets of its network interfaces, in two zones or more.
    pub subnet_ids: Vec<Input<String>>,
    /// Further security groups of those interfaces, besides the one that EKS makes. What somebody else adds to none stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_group_ids: Vec<Input<String>>,
    /// Whether its API server is reached from outside the VPC.
    pub endpoint_public_access: bool,
    /// Whether its API server is reached from inside the VPC.
    pub endpoint_private_access: bool,
    /// The ranges that reach its public endpoint; empty without one.
    pub public_access_cidrs: Vec<Input<String>>,
    /// The family of its pods and services.
    pub ip_family: IpFamily,
    /// The range of its services; EKS chooses one when it is not declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_ipv4_cidr: Option<String>,
    /// How callers are mapped to users: `API`, `API_AND_CONFIG_MAP` or `CONFIG_MAP`.
    pub authentication_mode: String,
    /// What happens at the end of its version's standard support: `STANDARD` (it is upgraded) or `EXTENDED` (it costs).
    pub support_type: String,
    /// Auto Mode; not declared with managed nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auto_mode: Option<AutoMode>,
    /// The logs that its control plane writes: of [`LOG_TYPES`]. Where none are declared, what somebody else turns on stays.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub logging: Vec<String>,
    /// Whether EKS refuses to delete it.
    pub deletion_protection: bool,
    /// Whether whoever makes it administers it.
    pub bootstrap_creator_admin: bool,
    /// Its tags.
    pub tags: Tags,
}

/// The logs that a control plane can write ("types" of a `LogSetup`).
pub const LOG_TYPES: [&str; 5] = ["api", "audit", "authenticator", "controllerManager", "scheduler"];

/// Why a cluster does not change between managed nodes and Auto Mode: EKS can switch it over in one request, and what
/// runs in it cannot follow in one run. Auto Mode's load balancing does not take over what the AWS Load Balancer
/// Controller made ("Migrate from EKS managed node groups to EKS Auto Mode"), nor the other way round, and nodes of
/// one sort have to be there before those of the other are drained.
const MODE_IN_PLACE: &str = "a cluster does not change between managed nodes and Auto Mode in place, because neither \
                             takes over the other's load balancers, and pods would be without nodes in between; declare \
                             a cluster of another name beside it and remove this one when everything has moved, or \
                             switch it over by hand and declare it then";

/// EKS Auto Mode: nodes, storage and load balancers are EKS's business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AutoMode {
    /// The built-in pools of nodes: `general-purpose`, `system`.
    pub node_pools: Vec<String>,
    /// The role of the nodes.
    pub node_role_arn: Input<String>,
}

/// What a cluster yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The URL of its API server.
    pub endpoint: String,
    /// The certificate of its API server's authority, PEM in base64.
    pub certificate_authority: String,
    /// The security group that EKS made for its control plane and nodes.
    pub cluster_security_group_id: String,
    /// The URL of its OIDC issuer.
    pub oidc_issuer: String,
    /// The range of its services.
    pub service_cidr: String,
}

impl KindRules for ControlPlane {
    fn name(&self) -> &'static str {
        "eks.cluster"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "name", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "role_arn", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "subnet_ids", traits: &[FieldTrait::Unordered] },
            FieldRule { path: "security_group_ids", traits: &[FieldTrait::Unordered] },
            FieldRule { path: "logging", traits: &[FieldTrait::Unordered] },
            FieldRule { path: "public_access_cidrs", traits: &[FieldTrait::Unordered] },
            FieldRule { path: "ip_family", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "service_ipv4_cidr", traits: &[FieldTrait::Immutable, FieldTrait::Computed] },
            FieldRule { path: "auto_mode.node_pools", traits: &[FieldTrait::Unordered] },
            FieldRule { path: "auto_mode.node_role_arn", traits: &[FieldTrait::ImmutableOnceSet] },
            // EKS does not say it again after the create (aws/containers-roadmap#185).
            FieldRule { path: "bootstrap_creator_admin", traits: &[FieldTrait::AtCreate] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const {
            &[
                OutputRule::plain("name"),
                OutputRule::plain("arn"),
                OutputRule::plain("endpoint"),
                OutputRule::plain("certificate_authority"),
                OutputRule::plain("cluster_security_group_id"),
                OutputRule::plain("oidc_issuer"),
                OutputRule::plain("service_cidr"),
            ]
        }
    }

    // The median of ten public logs of creates (8m23 to 11m23), the middle of deletes (1m09 to 3m48), and of updates of
    // the configuration (2 to 10 min): DOMAIN 1.5.
    fn expected(&self) -> Expected {
        Expected { create: 617.0, update: 300.0, delete: 150.0 }
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

    fn cluster_access(&self, target: &Target, _: &Document, outputs: &Document) -> Option<ClusterAccess> {
        super::access(target, outputs)
    }

    // The first look is for those that fail early: no create was ever seen to end before 8 min. After that a look every
    // three seconds costs at most half a percent of a create, and a request a second for three clusters. The ceiling is
    // that of terraform's provider for updates; creates get 30 min there, and fail by themselves.
    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(300_000, 3_000, 3_600)
    }

    fn protected(&self) -> bool {
        true
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let mut errors = tags::check(spec);
        let mut wrong = |field: &str, message: String| {
            errors.push(FieldError { path: AttrPath::keys(&[field]), message });
        };
        let text = |field: &str| spec.get(field).and_then(Value::as_str);
        let is_true = |field: &str| spec.get(field) == Some(&Value::Bool(true));
        if let Some(name) = text("name").filter(|name| !is_name(name)) {
            let rule = "a cluster's name has 1 to 100 letters, digits, `-` and `_`, and begins with a letter or digit";
            wrong("name", format!("`{name}`: {rule}"));
        }
        if let Some(version) = text("version").filter(|version| version.parse::<version::Minor>().is_err()) {
            wrong("version", format!("`{version}` is not a minor version of Kubernetes, for example `1.35`"));
        }
        if let Some(Value::Array(subnets)) = spec.get("subnet_ids")
            && subnets.len() < 2
        {
            wrong("subnet_ids", "EKS needs subnets in two availability zones".to_owned());
        }
        if let Some(Value::Array(cidrs)) = spec.get("public_access_cidrs")
            && spec.get("endpoint_public_access").is_some()
            && cidrs.is_empty() == is_true("endpoint_public_access")
        {
            wrong("public_access_cidrs", "a public endpoint has ranges that reach it, any other has none".to_owned());
        }
        if text("ip_family") == Some("ipv6") && text("service_ipv4_cidr").is_some() {
            wrong("service_ipv4_cidr", "EKS chooses the service range of an IPv6 cluster".to_owned());
        }
        if let Some(Value::Array(logs)) = spec.get("logging")
            && let Some(unknown) = logs.iter().filter_map(Value::as_str).find(|log| !LOG_TYPES.contains(log))
        {
            wrong("logging", format!("`{unknown}`: a control plane writes {}", LOG_TYPES.join(", ")));
        }
        for (field, known) in [
            ("authentication_mode", &["API", "API_AND_CONFIG_MAP", "CONFIG_MAP"][..]),
            ("support_type", &["STANDARD", "EXTENDED"][..]),
        ] {
            if let Some(value) = text(field).filter(|value| !known.contains(value)) {
                wrong(field, format!("`{value}`: it is one of {}", known.join(", ")));
            }
        }
        errors
    }

    fn refuses(&self, there: &Value, declared: &Value) -> Vec<FieldError> {
        let auto = |spec: &Value| spec.get("auto_mode").is_some_and(|auto| *auto != Value::Null);
        if auto(there) != auto(declared) {
            let message = MODE_IN_PLACE.to_owned();
            return vec![FieldError { path: AttrPath::keys(&["auto_mode"]), message }];
        }
        let version = |spec: &Value| spec.get("version").and_then(Value::as_str).map(str::to_owned);
        let (Some(there), Some(declared)) = (version(there), version(declared)) else { return Vec::new() };
        let message = version::refusal(&there, &declared);
        message.into_iter().map(|message| FieldError { path: AttrPath::keys(&["version"]), message }).collect()
    }
}

impl ResourceKind for ControlPlane {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Eks;

    fn example() -> Spec {
        let role = Address::new("iam.role", &["cluster-1", "control-plane"]);
        let subnet = |zone: &str| {
            let subnet = Address::new("aws.subnet", &["network1", zone]);
            Reference::to(&subnet, "subnet_id").into()
        };
        let peer = Address::new("aws.eip", &["network2", "nat"]);
        Spec {
            name: "cluster-1".to_owned(),
            role_arn: Reference::to(&role, "arn").into(),
            version: "1.35".to_owned(),
            subnet_ids: vec![subnet("private-a"), subnet("private-b")],
            security_group_ids: Vec::new(),
            endpoint_public_access: true,
            endpoint_private_access: true,
            public_access_cidrs: vec!["203.0.113.0/24".into(), Reference::to(&peer, "public_cidr").into()],
            ip_family: IpFamily::Ipv4,
            service_ipv4_cidr: Some("172.20.0.0/16".to_owned()),
            authentication_mode: "API".to_owned(),
            support_type: "STANDARD".to_owned(),
            auto_mode: None,
            logging: vec!["api".to_owned(), "audit".to_owned()],
            deletion_protection: false,
            bootstrap_creator_admin: true,
            tags: Tags::from([("meshplan:mesh".to_owned(), "mesh1".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Eks,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        many(ids, async |id: &RemoteId| {
            Ok(describe::cluster(client, id.as_str()).await?.map(|cluster| project::live(&cluster)))
        })
        .await
    }

    async fn create(
        &self,
        client: &Eks,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let answer = client
            .api()
            .create_cluster()
            .client_request_token(&owner.token)
            .name(&spec.name)
            .role_arn(spec.role_arn.known()?)
            .version(&spec.version)
            .resources_vpc_config(request::vpc_config(spec)?)
            .kubernetes_network_config(request::network_config(spec))
            .access_config(request::access_config(spec))
            .upgrade_policy(request::upgrade_policy(spec))
            // Add-ons are kinds of their own. Auto Mode has them built in, and refuses the others.
            .bootstrap_self_managed_addons(false)
            .set_compute_config(request::compute_config(spec)?)
            .set_storage_config(spec.auto_mode.is_some().then(|| request::storage_config(true)))
            .set_logging((!spec.logging.is_empty()).then(|| request::logging(spec)))
            .deletion_protection(spec.deletion_protection)
            .set_tags(Some(tags::at_create(&spec.tags, owner).collect()))
            .send()
            .await
            .written("eks:CreateCluster")
            .reclass();
        let cluster = match answer {
            Ok(answer) => answer.cluster.ok_or_else(|| no_id("eks:CreateCluster"))?,
            Err(error) if is_taken(&error) => return taken(client, spec, owner, error).await,
            Err(error) => return Err(at_field(error)),
        };
        let live = cluster.name().is_some().then(|| project::live(&cluster));
        Ok(Created { id: RemoteId::new(&spec.name), live })
    }

    async fn find(&self, client: &Eks, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let cluster = describe::cluster(client, &spec.name).await?;
        // One that failed is ours to clean up; one that is going away is nobody's.
        let ours = cluster.is_some_and(|cluster| {
            tags::made_by(owner, &tags::sorted(cluster.tags())) && cluster.status() != Some(&ClusterStatus::Deleting)
        });
        Ok(ours.then(|| RemoteId::new(&spec.name)))
    }

    async fn update(&self, client: &Eks, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        update::step(client, id.as_str(), from, to).await
    }

    async fn follow(&self, client: &Eks, id: &RemoteId, update: &UpdateId) -> Result<Status, ProviderError> {
        let request = client.api().describe_update().name(id.as_str()).update_id(update.as_str());
        super::update::follow(request).await
    }

    async fn delete(&self, client: &Eks, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let answer = client.api().delete_cluster().name(id.as_str()).send().await.written("eks:DeleteCluster");
        match deleted(answer.unless_gone(), is_going(client, id.as_str())).await {
            Err(error) if error.class == ErrorClass::Conflict => Err(explained(
                error,
                &format!("turn it off first: aws eks update-cluster-config --name {id} --no-deletion-protection"),
            )),
            answer => answer,
        }
    }
}

async fn is_going(client: &Eks, name: &str) -> bool {
    let cluster = describe::cluster(client, name).await;
    matches!(cluster, Ok(Some(cluster)) if cluster.status() == Some(&ClusterStatus::Deleting))
}

/// What a create means whose name is taken: by an earlier try of the same create, by one that is going away, or by
/// somebody else's.
async fn taken(
    client: &Eks,
    spec: &Spec,
    owner: &Ownership,
    error: ProviderError,
) -> Result<Created<Spec, Outputs>, ProviderError> {
    let Some(cluster) = describe::cluster(client, &spec.name).await? else {
        return Err(error.with_class(ErrorClass::NotYet));
    };
    if cluster.status() == Some(&ClusterStatus::Deleting) {
        return Err(error.with_class(ErrorClass::InUse));
    }
    if tags::made_by(owner, &tags::sorted(cluster.tags())) {
        return Ok(Created { id: RemoteId::new(&spec.name), live: Some(project::live(&cluster)) });
    }
    let way = format!(
        "it is not of this mesh; give yours another name, or use that one with `existing = {{ name = \"{}\" }}`",
        spec.name
    );
    Err(ProviderError { at: Some(AttrPath::keys(&["name"])), ..explained(error, &way) })
}

/// Points an error of a create at the field that is to blame.
fn at_field(error: ProviderError) -> ProviderError {
    let says = |words: &str| error.message.contains(words);
    let field = match error.code.as_deref() {
        Some("UnsupportedAvailabilityZoneException") => "subnet_ids",
        Some("InvalidParameterException") if says("Kubernetes version") => "version",
        Some("InvalidParameterException") if says("security group") || says("securityGroup") => "security_group_ids",
        Some("InvalidParameterException") if says("ubnet") => "subnet_ids",
        Some("InvalidParameterException") if says("role") || says("Role") => "role_arn",
        Some("InvalidParameterException") if says("serviceIpv4Cidr") => "service_ipv4_cidr",
        Some("InvalidParameterException") if says("ublicAccessCidrs") => "public_access_cidrs",
        Some(_) | None => return error,
    };
    ProviderError { at: Some(AttrPath::keys(&[field])), ..error }
}

/// How callers are mapped to users, as EKS answers it.
fn authentication_mode(config: Option<&AccessConfigResponse>) -> String {
    // Clusters from before access entries have no configuration of access.
    let mode = config.and_then(|config| config.authentication_mode());
    mode.map_or("CONFIG_MAP", AuthenticationMode::as_str).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Document;

    fn value(edit: impl FnOnce(&mut Spec)) -> Value {
        let mut spec = ControlPlane::example();
        edit(&mut spec);
        Document::of(&spec).unwrap().value()
    }

    fn findings(edit: impl FnOnce(&mut Spec)) -> Vec<String> {
        let found = ControlPlane.check(&value(edit));
        found.into_iter().map(|error| format!("{}: {}", error.path, error.message)).collect()
    }

    #[test]
    fn what_eks_would_refuse_is_found_before() {
        assert_eq!(findings(|_| {}), Vec::<String>::new());
        assert_eq!(
            findings(|spec| {
                "-c".clone_into(&mut spec.name);
                "1".clone_into(&mut spec.version);
                spec.subnet_ids.pop();
                spec.endpoint_public_access = false;
                spec.ip_family = IpFamily::Ipv6;
                "api".clone_into(&mut spec.authentication_mode);
            }),
            [
                "name: `-c`: a cluster's name has 1 to 100 letters, digits, `-` and `_`, and begins with a letter or \
                 digit",
                "version: `1` is not a minor version of Kubernetes, for example `1.35`",
                "subnet_ids: EKS needs subnets in two availability zones",
                "public_access_cidrs: a public endpoint has ranges that reach it, any other has none",
                "service_ipv4_cidr: EKS chooses the service range of an IPv6 cluster",
                "authentication_mode: `api`: it is one of API, API_AND_CONFIG_MAP, CONFIG_MAP",
            ]
        );
    }

    #[test]
    fn nodes_do_not_change_hands_in_place() {
        let auto = value(|spec| {
            spec.auto_mode = Some(AutoMode { node_pools: vec!["system".to_owned()], node_role_arn: "arn".into() });
        });
        for (there, declared) in [(&auto, &value(|_| {})), (&value(|_| {}), &auto)] {
            let refused = ControlPlane.refuses(there, declared);
            assert_eq!(refused.len(), 1);
            assert_eq!(refused[0].path.to_string(), "auto_mode");
            assert!(refused[0].message.contains("cluster of another name"), "{}", refused[0].message);
        }
        assert_eq!(ControlPlane.refuses(&auto, &auto), []);
    }

    #[test]
    fn two_versions_at_once_are_refused_with_the_way() {
        let there = value(|spec| "1.33".clone_into(&mut spec.version));
        let refused = ControlPlane.refuses(&there, &value(|_| {}));
        assert_eq!(refused.len(), 1);
        assert_eq!(refused[0].path.to_string(), "version");
        assert!(refused[0].message.ends_with("1.33 → 1.34 → 1.35; apply with 1.34 first"), "{}", refused[0].message);
        assert_eq!(ControlPlane.refuses(&value(|spec| "1.34".clone_into(&mut spec.version)), &value(|_| {})), []);
    }
}
