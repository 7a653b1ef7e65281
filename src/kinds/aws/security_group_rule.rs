//! `aws.security_group_rule`: one rule of a security group.
//!
//! A rule that is there already, word for word, is taken over and not made twice: EC2 itself puts `::/0` into every
//! new group of a dual-stack VPC, and whether it was there first makes no difference to what is declared.

use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, ResourceType, SecurityGroupRuleDescription, UserIdGroupPair,
};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::kinds::sdk::{Absence, Answer, in_order, no_id, texts};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, AttrPath, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, Expected, FieldError, KindRules, Live, OutputRule, Ownership, ProviderError, RemoteId,
    ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Ec2;
use super::live::PAGE;
use super::tags::{self, Tags};

/// Every protocol, and with it every port.
pub const ALL: &str = "-1";

/// The longest description of a rule ("Security group rules" of the VPC user guide).
const LONGEST_DESCRIPTION: usize = 255;

/// The kind `aws.security_group_rule`.
#[derive(Debug, Clone, Copy)]
pub struct SecurityGroupRule;

/// What is declared of a rule. The other side is a range or a security group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The security group it is in.
    pub group_id: Input<String>,
    /// Which way the connections it allows are opened.
    pub direction: Direction,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a number, or [`ALL`].
    pub protocol: String,
    /// The first port, of TCP and UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_port: Option<u16>,
    /// The last port, of TCP and UDP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_port: Option<u16>,
    /// The other side as a range, IPv4 or IPv6.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<Input<String>>,
    /// The other side as the members of a security group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_group_id: Option<Input<String>>,
    /// What it is for.
    pub description: String,
    /// Its tags.
    pub tags: Tags,
}

/// Which way connections are opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// Towards the members of the group.
    Ingress,
    /// From the members of the group.
    Egress,
}

/// What a rule yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its id.
    pub rule_id: String,
}

impl KindRules for SecurityGroupRule {
    fn name(&self) -> &'static str {
        "aws.security_group_rule"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "group_id", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "direction", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "protocol", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "from_port", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "to_port", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "cidr", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "source_group_id", traits: &[FieldTrait::Immutable] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("rule_id")] }
    }

    fn expected(&self) -> Expected {
        Expected { create: 1.0, update: 1.0, delete: 1.0 }
    }

    fn api(&self) -> Api {
        Api::Ec2
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(500, 1_000, 300)
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let mut errors = tags::check(spec);
        let mut wrong = |field: &str, message: String| {
            let path = if field.is_empty() { AttrPath::root() } else { AttrPath::keys(&[field]) };
            errors.push(FieldError { path, message });
        };
        let set = |field: &str| spec.get(field).is_some_and(|value| *value != Value::Null);
        if set("cidr") == set("source_group_id") {
            wrong("", "a rule has exactly one of cidr, source_group_id".to_owned());
        }
        if let Some(cidr) = spec.get("cidr").and_then(Value::as_str) {
            match cidr.parse::<IpNet>() {
                Err(_) => wrong("cidr", format!("`{cidr}` is not a range")),
                Ok(net) if net.trunc() != net => {
                    wrong("cidr", format!("{net} is not a range's first address: write {}", net.trunc()));
                }
                Ok(_) => {}
            }
        }
        let protocol = spec.get("protocol").and_then(Value::as_str).unwrap_or_default();
        let has_ports = matches!(protocol, "tcp" | "udp");
        for port in ["from_port", "to_port"] {
            if has_ports && !set(port) {
                wrong(port, format!("a rule for {protocol} names its ports"));
            } else if !has_ports && set(port) {
                wrong(port, format!("a rule for protocol {protocol} has no ports"));
            }
        }
        let description = spec.get("description").and_then(Value::as_str).unwrap_or_default();
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || b" ._-:/()#,@[]+=&;{}!$*".contains(&byte);
        if description.len() > LONGEST_DESCRIPTION || !description.bytes().all(fits) {
            let message = format!(
                "a description has at most {LONGEST_DESCRIPTION} letters, digits, spaces and ._-:/()#,@[]+=&;{{}}!$*"
            );
            wrong("description", message);
        }
        errors
    }
}

impl ResourceKind for SecurityGroupRule {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Ec2;

    fn example() -> Spec {
        let cluster = Address::new("eks.cluster", &["cluster-1"]);
        Spec {
            group_id: Reference::to(&cluster, "cluster_security_group_id").into(),
            direction: Direction::Egress,
            protocol: ALL.to_owned(),
            from_port: None,
            to_port: None,
            cidr: Some("::/0".into()),
            source_group_id: None,
            description: "IPv6 egress of pods".to_owned(),
            tags: Tags::from([("meshplan:mesh".to_owned(), "mesh1".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Ec2,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        let rules = list(client, tags::ids_filter("security-group-rule-id", texts(ids))).await?;
        Ok(in_order(ids, rules.iter().filter_map(project)))
    }

    async fn create(
        &self,
        client: &Ec2,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let group = spec.group_id.known()?;
        let permission = permission(spec)?;
        let tagged = tags::at_create(ResourceType::SecurityGroupRule, &spec.tags, owner);
        let (operation, answer) = match spec.direction {
            Direction::Ingress => {
                let request = client.api().authorize_security_group_ingress().group_id(group);
                let answer = request.ip_permissions(permission).tag_specifications(tagged).send().await;
                let operation = "ec2:AuthorizeSecurityGroupIngress";
                (operation, answer.written(operation).map(|answer| answer.security_group_rules))
            }
            Direction::Egress => {
                let request = client.api().authorize_security_group_egress().group_id(group);
                let answer = request.ip_permissions(permission).tag_specifications(tagged).send().await;
                let operation = "ec2:AuthorizeSecurityGroupEgress";
                (operation, answer.written(operation).map(|answer| answer.security_group_rules))
            }
        };
        match answer {
            Ok(rules) => {
                let rules = rules.unwrap_or_default();
                let (id, live) = rules.first().and_then(project).ok_or_else(|| no_id(operation))?;
                Ok(Created { id: RemoteId::new(id), live: Some(live) })
            }
            Err(error) if error.has_code("InvalidPermission.Duplicate") => {
                let rules = list(client, tags::ids_filter("group-id", [group.clone()])).await?;
                let there = rules.iter().filter_map(project).find(|(_, live)| live.spec.allows_the_same(spec));
                let (id, live) = there.ok_or(error)?;
                Ok(Created { id: RemoteId::new(id), live: Some(live) })
            }
            Err(error) => Err(error),
        }
    }

    async fn find(&self, client: &Ec2, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let rules = list(client, tags::ids_filter("group-id", [spec.group_id.known()?.clone()])).await?;
        let ours = rules.into_iter().filter(|rule| tags::made_by(owner, rule.tags()));
        Ok(tags::first(ours.map(|rule| rule.security_group_rule_id)))
    }

    async fn update(&self, client: &Ec2, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        if from.description == to.description {
            return tags::update(client, id.as_str(), &from.tags, &to.tags).await.map(|_| Updated::Done);
        }
        let group = from.group_id.known()?;
        let description = SecurityGroupRuleDescription::builder()
            .security_group_rule_id(id.as_str())
            .description(&to.description)
            .build();
        match to.direction {
            Direction::Ingress => {
                let request = client.api().update_security_group_rule_descriptions_ingress().group_id(group);
                let answer = request.security_group_rule_descriptions(description).send().await;
                answer.written("ec2:UpdateSecurityGroupRuleDescriptionsIngress")?;
            }
            Direction::Egress => {
                let request = client.api().update_security_group_rule_descriptions_egress().group_id(group);
                let answer = request.security_group_rule_descriptions(description).send().await;
                answer.written("ec2:UpdateSecurityGroupRuleDescriptionsEgress")?;
            }
        }
        Ok(Updated::Done)
    }

    /// A rule is revoked by its group, which only the rule itself names.
    async fn delete(&self, client: &Ec2, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let rules = list(client, tags::ids_filter("security-group-rule-id", [id.as_str().to_owned()])).await?;
        let rule = rules.into_iter().find(|rule| rule.security_group_rule_id() == Some(id.as_str()));
        let Some((group, is_egress)) = rule.and_then(|rule| Some((rule.group_id?, rule.is_egress?))) else {
            return Ok(Deletion::Accepted);
        };
        if is_egress {
            let request = client.api().revoke_security_group_egress().group_id(group);
            let answer = request.security_group_rule_ids(id.as_str()).send().await;
            answer.written("ec2:RevokeSecurityGroupEgress").unless_absent()?;
        } else {
            let request = client.api().revoke_security_group_ingress().group_id(group);
            let answer = request.security_group_rule_ids(id.as_str()).send().await;
            answer.written("ec2:RevokeSecurityGroupIngress").unless_absent()?;
        }
        Ok(Deletion::Accepted)
    }
}

impl Spec {
    /// Whether two rules are one to EC2: a description does not tell them apart.
    fn allows_the_same(&self, other: &Self) -> bool {
        (self.direction, &self.protocol, self.from_port, self.to_port, &self.cidr, &self.source_group_id)
            == (other.direction, &other.protocol, other.from_port, other.to_port, &other.cidr, &other.source_group_id)
    }
}

fn permission(spec: &Spec) -> Result<IpPermission, ProviderError> {
    // EC2 takes no empty description.
    let description = (!spec.description.is_empty()).then(|| spec.description.clone());
    let permission = IpPermission::builder()
        .ip_protocol(&spec.protocol)
        .set_from_port(spec.from_port.map(i32::from))
        .set_to_port(spec.to_port.map(i32::from));
    let permission = match (&spec.cidr, &spec.source_group_id) {
        (Some(cidr), _) => {
            let cidr = cidr.known()?;
            if cidr.contains(':') {
                permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(cidr).set_description(description).build())
            } else {
                permission.ip_ranges(IpRange::builder().cidr_ip(cidr).set_description(description).build())
            }
        }
        (None, Some(group)) => {
            let pair = UserIdGroupPair::builder().group_id(group.known()?).set_description(description);
            permission.user_id_group_pairs(pair.build())
        }
        (None, None) => permission,
    };
    Ok(permission.build())
}

async fn list(
    client: &Ec2,
    filter: aws_sdk_ec2::types::Filter,
) -> Result<Vec<aws_sdk_ec2::types::SecurityGroupRule>, ProviderError> {
    let request = client.api().describe_security_group_rules().filters(filter).max_results(PAGE);
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        found.extend(page.read("ec2:DescribeSecurityGroupRules")?.security_group_rules.unwrap_or_default());
    }
    Ok(found)
}

fn project(rule: &aws_sdk_ec2::types::SecurityGroupRule) -> Option<(String, Live<Spec, Outputs>)> {
    let id = rule.security_group_rule_id()?.to_owned();
    // EC2 says -1 where there are no ports.
    let port = |port: Option<i32>| port.and_then(|port| u16::try_from(port).ok());
    let spec = Spec {
        group_id: rule.group_id().unwrap_or_default().into(),
        direction: if rule.is_egress() == Some(true) { Direction::Egress } else { Direction::Ingress },
        protocol: rule.ip_protocol().unwrap_or(ALL).to_owned(),
        from_port: port(rule.from_port()),
        to_port: port(rule.to_port()),
        cidr: rule.cidr_ipv4().or_else(|| rule.cidr_ipv6()).map(Input::from),
        source_group_id: rule.referenced_group_info().and_then(|group| group.group_id()).map(Input::from),
        description: rule.description().unwrap_or_default().to_owned(),
        tags: tags::project(rule.tags()),
    };
    Some((id.clone(), Live { spec, outputs: Outputs { rule_id: id }, status: Status::Ready }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(json: &str) -> Vec<String> {
        let errors = SecurityGroupRule.check(&serde_json::from_str(json).unwrap());
        errors.into_iter().map(|error| format!("{}: {}", error.path, error.message)).collect()
    }

    #[test]
    fn a_rule_that_ec2_would_refuse_is_found_before() {
        assert_eq!(messages(r#"{"protocol": "-1", "cidr": "::/0"}"#), Vec::<String>::new());
        assert_eq!(messages(r#"{"protocol": "tcp", "from_port": 1, "to_port": 2, "cidr": "10.0.0.1/8"}"#).len(), 1);
        assert_eq!(messages(r#"{"protocol": "tcp", "cidr": "10.0.0.0/8"}"#).len(), 2);
        assert_eq!(messages(r#"{"protocol": "-1", "from_port": 1, "source_group_id": "sg-1"}"#).len(), 1);
        assert_eq!(messages(r#"{"protocol": "-1", "source_group_id": "sg-1", "cidr": "::/0"}"#).len(), 1);
        assert_eq!(messages(r#"{"protocol": "-1", "cidr": "::/0", "description": "it's"}"#).len(), 1);
    }

    #[test]
    fn a_rule_without_ports_is_read_as_it_was_declared() {
        let rule = aws_sdk_ec2::types::SecurityGroupRule::builder()
            .security_group_rule_id("sgr-1")
            .group_id("sg-1")
            .is_egress(true)
            .ip_protocol("-1")
            .from_port(-1)
            .to_port(-1)
            .cidr_ipv6("::/0")
            .build();
        let (_, live) = project(&rule).unwrap();
        let declared = Spec { group_id: "sg-1".into(), ..SecurityGroupRule::example() };
        assert!(live.spec.allows_the_same(&declared));
        assert_eq!((live.spec.from_port, live.spec.description.as_str()), (None, ""));
        assert!(!live.spec.allows_the_same(&Spec { direction: Direction::Ingress, ..declared }));
    }
}
