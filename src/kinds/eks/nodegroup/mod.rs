//! `eks.nodegroup`: nodes that EKS starts, updates and drains.
//!
//! A group's name in EKS ends in the first characters of the token of its create, so that a successor can be made
//! beside it. Why nodes do not join is looked for in `diagnose`.

mod diagnose;
mod federation;
mod grants;
mod way_out;

use aws_sdk_eks::types::{
    AmiTypes, CapacityTypes, Issue as ApiIssue, NodegroupHealth, NodegroupIssueCode, NodegroupScalingConfig,
    NodegroupStatus, UpdateLabelsPayload,
};
use serde::{Deserialize, Serialize};

use super::client::Eks;
use super::error::{Reclass, is_taken};
use super::health::{Issue, sentences};
use super::tags::{self, Tags};
use super::update::{accepted, deleted};
use super::version::Minor;
use super::{inner_id, is_name, known, many, parts, parts_of};
use crate::kinds::sdk::{Answer, no_id};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, AttrPath, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, Expected, FieldError, KindRules, Live, OutputRule, Ownership, ProviderError, RemoteId,
    ReplaceOrder, ResourceKind, Status, UpdateId, Updated, WaitPolicy,
};

/// The kind `eks.nodegroup`.
#[derive(Debug, Clone, Copy)]
pub struct Nodegroup;

/// What is declared of a node group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The cluster's name.
    pub cluster: Input<String>,
    /// Its name, to which EKS's gets a suffix.
    pub name: String,
    /// The role of its nodes.
    pub role_arn: Input<String>,
    /// The subnets of its nodes.
    pub subnet_ids: Vec<Input<String>>,
    /// The instance types, the preferred first.
    pub instance_types: Vec<String>,
    /// The machine image: `AL2023_x86_64_STANDARD`, `BOTTLEROCKET_x86_64`.
    pub ami_type: String,
    /// How nodes are paid for: `ON_DEMAND` or `SPOT`.
    pub capacity_type: String,
    /// The size of a node's root volume in GiB.
    pub disk_gib: u32,
    /// The smallest number of nodes.
    pub min: u32,
    /// The largest number of nodes.
    pub max: u32,
    /// The number to start with: later it is whatever scaling makes of it.
    pub desired: u32,
    /// The Kubernetes version of its nodes, for example `1.35`.
    pub version: String,
    /// The labels of its nodes in Kubernetes.
    pub labels: Tags,
    /// Its tags.
    pub tags: Tags,
}

/// What a node group yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its name in EKS.
    pub name: String,
}

impl KindRules for Nodegroup {
    fn name(&self) -> &'static str {
        "eks.nodegroup"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "cluster", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "name", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "role_arn", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "subnet_ids", traits: &[FieldTrait::Immutable, FieldTrait::Unordered] },
            FieldRule { path: "instance_types", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "ami_type", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "capacity_type", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "disk_gib", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "desired", traits: &[FieldTrait::AtCreate] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("name")] }
    }

    // Creates of 1m48 to 3m41 and a delete of 4m12 in public logs (DOMAIN 1.5). An update of the version replaces every
    // node; one of the numbers or labels takes seconds.
    fn expected(&self) -> Expected {
        Expected { create: 165.0, update: 300.0, delete: 252.0 }
    }

    fn api(&self) -> Api {
        Api::Eks
    }

    fn reads_each(&self) -> u32 {
        1
    }

    // No create was ever seen to end before 108 s. Nodes that have not joined after twice as long as the slowest ever
    // took are asked for why: EKS itself gives up after half an hour. The ceiling is for drains and updates of the
    // version, where a PodDisruptionBudget may hold each node for 15 minutes; terraform's provider gives them an hour.
    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(90_000, 2_000, 3_600).suspecting_after(360)
    }

    fn replace_order(&self) -> ReplaceOrder {
        ReplaceOrder::CreateFirst
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let mut errors = tags::check(spec);
        let mut wrong = |field: &str, message: String| {
            errors.push(FieldError { path: AttrPath::keys(&[field]), message });
        };
        let text = |field: &str| spec.get(field).and_then(Value::as_str);
        let number = |field: &str| match spec.get(field) {
            Some(Value::Number(number)) => number.as_u64(),
            Some(_) | None => None,
        };
        if let Some(name) = text("name")
            && (name.len() > LONGEST_NAME || !is_name(name))
        {
            wrong(
                "name",
                format!("`{name}`: a node group's name has 1 to {LONGEST_NAME} letters, digits, `-` and `_`"),
            );
        }
        if let Some(version) = text("version").filter(|version| version.parse::<Minor>().is_err()) {
            wrong("version", format!("`{version}` is not a minor version of Kubernetes, for example `1.35`"));
        }
        if let (Some(min), Some(max), Some(desired)) = (number("min"), number("max"), number("desired")) {
            if max == 0 || min > max {
                wrong("max", format!("from {min} to {max} nodes there is no number of nodes"));
            } else if !(min..=max).contains(&desired) {
                wrong("desired", format!("{desired} nodes are not between {min} and {max}"));
            }
        }
        for (field, known) in [("instance_types", 1..=20), ("subnet_ids", 1..=usize::MAX)] {
            if let Some(Value::Array(items)) = spec.get(field)
                && !known.contains(&items.len())
            {
                wrong(field, format!("{} are too few or too many", items.len()));
            }
        }
        errors
    }

    fn refuses(&self, there: &Value, declared: &Value) -> Vec<FieldError> {
        let version = |spec: &Value| spec.get("version").and_then(Value::as_str)?.parse::<Minor>().ok();
        let (Some(there), Some(declared)) = (version(there), version(declared)) else { return Vec::new() };
        if there <= declared {
            return Vec::new();
        }
        let message = format!(
            "nodes never go back in place: they run {there}, and {declared} is declared; --replace makes them anew"
        );
        vec![FieldError { path: AttrPath::keys(&["version"]), message }]
    }
}

/// A node group's name has up to 63 characters in EKS, of which seven are the suffix.
const LONGEST_NAME: usize = 56;

/// How many characters of a create's token a name ends in.
const SUFFIX: usize = 6;

impl ResourceKind for Nodegroup {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Eks;

    fn example() -> Spec {
        let subnet = |zone: &str| {
            let subnet = Address::new("aws.subnet", &["network1", zone]);
            Reference::to(&subnet, "subnet_id").into()
        };
        Spec {
            cluster: Reference::to(&Address::new("eks.cluster", &["cluster-1"]), "name").into(),
            name: "nodes".to_owned(),
            role_arn: Reference::to(&Address::new("iam.role", &["cluster-1", "node"]), "arn").into(),
            subnet_ids: vec![subnet("private-a"), subnet("private-b")],
            instance_types: vec!["m6i.large".to_owned()],
            ami_type: "AL2023_x86_64_STANDARD".to_owned(),
            capacity_type: "ON_DEMAND".to_owned(),
            disk_gib: 20,
            min: 2,
            max: 5,
            desired: 2,
            version: "1.35".to_owned(),
            labels: Tags::from([("mesh".to_owned(), "mesh1".to_owned())]),
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
            Ok(describe(client, cluster, name).await?.map(|group| live(&group)))
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
        let name = name_in_eks(spec, owner);
        let id = inner_id(cluster, &name);
        let answer = client
            .api()
            .create_nodegroup()
            .client_request_token(&owner.token)
            .cluster_name(cluster)
            .nodegroup_name(&name)
            .node_role(spec.role_arn.known()?)
            .set_subnets(Some(known(&spec.subnet_ids)?))
            .set_instance_types(Some(spec.instance_types.clone()))
            .ami_type(AmiTypes::from(spec.ami_type.as_str()))
            .capacity_type(CapacityTypes::from(spec.capacity_type.as_str()))
            .disk_size(size(spec.disk_gib))
            .scaling_config(scaling(spec, spec.desired))
            .version(&spec.version)
            .set_labels(Some(spec.labels.clone().into_iter().collect()))
            .set_tags(Some(tags::at_create(&spec.tags, owner).collect()))
            .send()
            .await
            .written("eks:CreateNodegroup")
            .reclass();
        match answer {
            Ok(answer) => {
                let group = answer.nodegroup.ok_or_else(|| no_id("eks:CreateNodegroup"))?;
                Ok(Created { id, live: Some(live(&group)) })
            }
            // The name holds the token: whoever has it is this create's.
            Err(error) if is_taken(&error) => match self.find(client, spec, owner).await? {
                Some(id) => Ok(Created { id, live: None }),
                None => Err(error),
            },
            Err(error) => Err(at_field(error)),
        }
    }

    async fn find(&self, client: &Eks, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let cluster = spec.cluster.known()?;
        let name = name_in_eks(spec, owner);
        let group = describe(client, cluster, &name).await?;
        let ours = group.is_some_and(|group| {
            tags::made_by(owner, &tags::sorted(group.tags())) && group.status() != Some(&NodegroupStatus::Deleting)
        });
        Ok(ours.then(|| inner_id(cluster, &name)))
    }

    async fn update(&self, client: &Eks, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        let (cluster, name) = parts_of("eks:UpdateNodegroupConfig", id)?;
        let answer = if from.labels != to.labels || (from.min, from.max) != (to.min, to.max) {
            let request = client.api().update_nodegroup_config().cluster_name(cluster).nodegroup_name(name);
            let request = request.set_labels(labels(&from.labels, &to.labels));
            // The number of nodes there is now is kept where it may be: EKS refuses bounds that leave it out.
            let request = request.scaling_config(scaling(to, from.desired.max(to.min).min(to.max)));
            request.send().await.written("eks:UpdateNodegroupConfig").reclass().map(|answer| answer.update)
        } else if from.version != to.version {
            let request = client.api().update_nodegroup_version().cluster_name(cluster).nodegroup_name(name);
            let answer = request.version(&to.version).send().await;
            answer.written("eks:UpdateNodegroupVersion").reclass().map(|answer| answer.update)
        } else {
            return retag(client, id, from, to).await;
        };
        accepted(answer).map_err(at_field)
    }

    async fn follow(&self, client: &Eks, id: &RemoteId, update: &UpdateId) -> Result<Status, ProviderError> {
        let (cluster, name) = parts_of("eks:DescribeUpdate", id)?;
        let request = client.api().describe_update().name(cluster).nodegroup_name(name).update_id(update.as_str());
        super::update::follow(request).await
    }

    async fn diagnose(&self, client: &Eks, id: &RemoteId) -> Result<Vec<String>, ProviderError> {
        let (cluster, name) = parts_of("eks:DescribeNodegroup", id)?;
        match describe(client, cluster, name).await? {
            Some(group) => Ok(diagnose::diagnose(client, cluster, &group).await),
            None => Ok(Vec::new()),
        }
    }

    async fn delete(&self, client: &Eks, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let (cluster, name) = parts_of("eks:DeleteNodegroup", id)?;
        let answer = client.api().delete_nodegroup().cluster_name(cluster).nodegroup_name(name).send().await;
        deleted(answer.written("eks:DeleteNodegroup").unless_gone(), is_going(client, cluster, name)).await
    }
}

/// A node group by its name in EKS; `None` if there is none, or no such cluster.
async fn describe(
    client: &Eks,
    cluster: &str,
    name: &str,
) -> Result<Option<aws_sdk_eks::types::Nodegroup>, ProviderError> {
    let request = client.api().describe_nodegroup().cluster_name(cluster).nodegroup_name(name);
    let answer = request.send().await.read("eks:DescribeNodegroup").unless_gone()?;
    Ok(answer.and_then(|answer| answer.nodegroup))
}

async fn is_going(client: &Eks, cluster: &str, name: &str) -> bool {
    let group = describe(client, cluster, name).await;
    matches!(group, Ok(Some(group)) if group.status() == Some(&NodegroupStatus::Deleting))
}

async fn retag(client: &Eks, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
    let (cluster, name) = parts_of("eks:TagResource", id)?;
    let group = describe(client, cluster, name).await?;
    let arn = group.as_ref().and_then(|group| group.nodegroup_arn());
    tags::update(client, arn, "eks:DescribeNodegroup", &from.tags, &to.tags).await
}

fn name_in_eks(spec: &Spec, owner: &Ownership) -> String {
    format!("{}-{}", spec.name, suffix(&owner.token))
}

/// The characters of a create's token that a name ends in.
fn suffix(token: &str) -> String {
    token.chars().take(SUFFIX).collect::<String>().to_ascii_lowercase()
}

/// EKS counts in signed numbers.
fn size(count: u32) -> i32 {
    i32::try_from(count).unwrap_or(i32::MAX)
}

fn scaling(spec: &Spec, desired: u32) -> NodegroupScalingConfig {
    NodegroupScalingConfig::builder()
        .min_size(size(spec.min))
        .max_size(size(spec.max))
        .desired_size(size(desired))
        .build()
}

fn labels(from: &Tags, to: &Tags) -> Option<UpdateLabelsPayload> {
    let changed = tags::changed(from, to);
    let removed: Vec<String> = from.keys().filter(|key| !to.contains_key(*key)).cloned().collect();
    if changed.is_empty() && removed.is_empty() {
        return None;
    }
    let payload = UpdateLabelsPayload::builder()
        .set_add_or_update_labels((!changed.is_empty()).then(|| changed.into_iter().collect()))
        .set_remove_labels((!removed.is_empty()).then_some(removed));
    Some(payload.build())
}

fn live(group: &aws_sdk_eks::types::Nodegroup) -> Live<Spec, Outputs> {
    let there = tags::sorted(group.tags());
    let name = group.nodegroup_name().unwrap_or_default();
    let suffix = tags::token(&there).map(|token| format!("-{}", suffix(token)));
    let declared = suffix.and_then(|suffix| name.strip_suffix(suffix.as_str())).unwrap_or(name);
    let count = |count: Option<i32>| count.and_then(|count| u32::try_from(count).ok()).unwrap_or_default();
    let scaling = group.scaling_config();
    let spec = Spec {
        cluster: group.cluster_name().unwrap_or_default().into(),
        name: declared.to_owned(),
        role_arn: group.node_role().unwrap_or_default().into(),
        subnet_ids: group.subnets().iter().map(|subnet| Input::Known(subnet.clone())).collect(),
        instance_types: group.instance_types().to_vec(),
        ami_type: group.ami_type().map_or_else(String::new, |ami| ami.as_str().to_owned()),
        // What EKS takes where nothing is said.
        capacity_type: group.capacity_type().map_or("ON_DEMAND", CapacityTypes::as_str).to_owned(),
        disk_gib: count(group.disk_size()),
        min: count(scaling.and_then(NodegroupScalingConfig::min_size)),
        max: count(scaling.and_then(NodegroupScalingConfig::max_size)),
        desired: count(scaling.and_then(NodegroupScalingConfig::desired_size)),
        version: group.version().unwrap_or_default().to_owned(),
        labels: tags::sorted(group.labels()),
        tags: tags::project(&there),
    };
    Live { spec, outputs: Outputs { name: name.to_owned() }, status: status(group) }
}

fn status(group: &aws_sdk_eks::types::Nodegroup) -> Status {
    match group.status().map(NodegroupStatus::as_str) {
        // A degraded group has nodes, and takes changes: that is how it is mended.
        None | Some("ACTIVE" | "DEGRADED") => Status::Ready,
        Some(state @ ("CREATE_FAILED" | "DELETE_FAILED")) => {
            let said = issues(group);
            let why = if said.is_empty() { "EKS gives no reason".to_owned() } else { said.join("; ") };
            Status::Failed(format!("state is {state}: {why}"))
        }
        Some("DELETING") => Status::Deleting,
        Some(state) => Status::Pending(format!("state is {state}")),
    }
}

/// What EKS says about a node group's health.
fn issues(group: &aws_sdk_eks::types::Nodegroup) -> Vec<String> {
    fn issue(issue: &ApiIssue) -> Issue<'_> {
        Issue {
            code: issue.code().map(NodegroupIssueCode::as_str),
            message: issue.message(),
            resources: issue.resource_ids(),
        }
    }
    sentences(group.health().map(NodegroupHealth::issues).unwrap_or_default().iter().map(issue))
}

/// Points an error at the field that is to blame.
fn at_field(error: ProviderError) -> ProviderError {
    let says = |words: &str| error.message.contains(words);
    let field = match error.code.as_deref() {
        Some("InvalidParameterException") if says("instance type") || says("instanceType") => "instance_types",
        Some("InvalidParameterException") if says("ubnet") => "subnet_ids",
        Some("InvalidParameterException") if says("ole") && says("arn:") => "role_arn",
        Some("InvalidParameterException") if says("ersion") => "version",
        Some("InvalidParameterException") if says("abel") => "labels",
        Some("InvalidParameterException") if says("ami") || says("AMI") => "ami_type",
        Some(_) | None => return error,
    };
    ProviderError { at: Some(AttrPath::keys(&[field])), ..error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Document;

    fn owner() -> Ownership {
        let address = Address::new("eks.nodegroup", &["cluster-1", "nodes"]);
        Ownership { mesh: "m".to_owned(), address, token: "ABCDEFGHIJ".to_owned() }
    }

    #[test]
    fn the_suffix_of_a_name_is_not_declared() {
        let spec = Nodegroup::example();
        let name = name_in_eks(&spec, &owner());
        assert_eq!(name, "nodes-abcdef");
        let group = |tags: Vec<(String, String)>| {
            let group = aws_sdk_eks::types::Nodegroup::builder().nodegroup_name(&name);
            live(&group.set_tags(Some(tags.into_iter().collect())).build())
        };
        let made = group(tags::at_create(&Tags::new(), &owner()).collect());
        assert_eq!((made.spec.name.as_str(), made.outputs.name.as_str()), ("nodes", "nodes-abcdef"));
        assert_eq!(made.spec.tags, Tags::new());
        assert_eq!(group(Vec::new()).spec.name, "nodes-abcdef", "somebody else's has no suffix of ours");
    }

    #[test]
    fn numbers_that_contradict_each_other_are_found_before() {
        let findings = |edit: &dyn Fn(&mut Spec)| -> Vec<String> {
            let mut spec = Nodegroup::example();
            edit(&mut spec);
            let found = Nodegroup.check(&Document::of(&spec).unwrap().value());
            found.into_iter().map(|error| format!("{}: {}", error.path, error.message)).collect()
        };
        assert_eq!(findings(&|spec| spec.desired = 6), ["desired: 6 nodes are not between 2 and 5"]);
        assert_eq!(findings(&|spec| spec.max = 1), ["max: from 2 to 1 nodes there is no number of nodes"]);
        assert_eq!(findings(&|spec| spec.instance_types.clear()), ["instance_types: 0 are too few or too many"]);
    }

    #[test]
    fn labels_are_set_and_removed_in_one_request() {
        let tags = |pairs: &[(&str, &str)]| -> Tags {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let payload = labels(&tags(&[("a", "1"), ("b", "1")]), &tags(&[("a", "2")])).unwrap();
        assert_eq!(tags::sorted(payload.add_or_update_labels()), tags(&[("a", "2")]));
        assert_eq!(payload.remove_labels(), ["b"]);
        assert_eq!(labels(&tags(&[("a", "1")]), &tags(&[("a", "1")])), None);
    }

    #[test]
    fn nodes_never_go_back_and_may_skip_versions() {
        let value = |version: &str| {
            Document::of(&Spec { version: version.to_owned(), ..Nodegroup::example() }).unwrap().value()
        };
        assert_eq!(Nodegroup.refuses(&value("1.33"), &value("1.35")), []);
        let refused = Nodegroup.refuses(&value("1.35"), &value("1.34"));
        assert!(refused[0].message.starts_with("nodes never go back in place"), "{refused:?}");
    }

    #[test]
    fn a_group_that_failed_says_why_and_what_to_do() {
        let issue = ApiIssue::builder()
            .code(NodegroupIssueCode::NodeCreationFailure)
            .message("Instances failed to join the kubernetes cluster")
            .resource_ids("i-1");
        let health = NodegroupHealth::builder().issues(issue.build()).build();
        let group = aws_sdk_eks::types::Nodegroup::builder().status(NodegroupStatus::CreateFailed).health(health);
        assert_eq!(
            status(&group.build()),
            Status::Failed(
                "state is CREATE_FAILED: NodeCreationFailure (i-1): Instances failed to join the kubernetes cluster: \
                 nodes start and do not join: check the node role's policies, the vpc-cni add-on's role, and the \
                 subnets' way out"
                    .to_owned()
            )
        );
    }
}
