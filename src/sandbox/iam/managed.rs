//! The policies that AWS manages, as far as clusters use them.
//!
//! Entry points: [`find`], [`document`]. Names, versions, dates and documents are those that AWS publishes ("AWS
//! managed policy reference"); of each there is only the default version.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

use super::{document as text, no_such_entity};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::query::{Answer, Call, Operation, Page, reads, required, validation};

pub(super) const OPERATIONS: &[Operation] = &[
    reads("GetPolicy", &["PolicyArn"], get),
    reads("GetPolicyVersion", &["PolicyArn", "VersionId"], get_version),
    reads("ListPolicies", &["Scope", "OnlyAttached", "PathPrefix", "PolicyUsageFilter", "Marker", "MaxItems"], list),
];

/// A managed policy.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) arn: String,
    version: String,
    created: String,
    updated: String,
    document: String,
}

/// The same in the file.
#[derive(Debug, Deserialize)]
struct Published {
    name: String,
    path: String,
    version: String,
    created: String,
    updated: String,
    document: Value,
}

static POLICIES: LazyLock<BTreeMap<String, Policy>> = LazyLock::new(|| {
    let published: Vec<Published> = serde_json::from_str(include_str!("managed.json")).unwrap_or_default();
    published
        .into_iter()
        .map(|Published { name, path, version, created, updated, document }| {
            let arn = format!("arn:aws:iam::aws:policy{path}{name}");
            (arn.clone(), Policy { name, path, arn, version, created, updated, document: document.to_string() })
        })
        .collect()
});

/// The managed policy with this ARN.
pub(super) fn find(arn: &str) -> Option<&'static Policy> {
    POLICIES.get(arn)
}

/// What it says.
pub(super) fn document(arn: &str) -> Option<&'static str> {
    find(arn).map(|policy| policy.document.as_str())
}

/// The policy that a call names.
fn named(call: &Call<'_>) -> Result<&'static Policy, ApiError> {
    let arn = required(call.params, "PolicyArn")?;
    if !arn.starts_with("arn:") {
        return Err(validation(format!("ARN {arn} is not valid.")));
    }
    find(arn).ok_or_else(|| no_such_entity(format!("Policy {arn} was not found.")))
}

/// How many roles have it, and how many as a boundary.
fn uses(call: &Call<'_>, arn: &str) -> (usize, usize) {
    let roles = || call.region.roles.iter();
    let attached = roles().filter(|role| role.managed().any(|attached| attached == arn)).count();
    (attached, roles().filter(|role| role.boundary.as_deref() == Some(arn)).count())
}

/// The id that IAM gives to a policy: `ANPA` and 17 characters of base 32.
fn unique_id(policy: &Policy) -> String {
    let digest = crate::model::Digest::of(&policy.arn);
    let text = data_encoding::BASE32_NOPAD.encode(digest.as_bytes());
    format!("ANPA{}", text.get(..17).unwrap_or_default())
}

fn write(xml: &mut Xml, call: &Call<'_>, policy: &Policy) {
    let (attached, bounding) = uses(call, &policy.arn);
    xml.text("PolicyName", &policy.name)
        .text("PolicyId", unique_id(policy))
        .text("Arn", &policy.arn)
        .text("Path", &policy.path)
        .text("DefaultVersionId", &policy.version)
        .text("AttachmentCount", attached)
        .text("PermissionsBoundaryUsageCount", bounding)
        .text("IsAttachable", true)
        .text("CreateDate", &policy.created)
        .text("UpdateDate", &policy.updated);
}

fn get(call: &mut Call<'_>) -> Answer {
    let policy = named(call)?;
    let mut xml = Xml::default();
    xml.group("Policy", |xml| {
        write(xml, call, policy);
        xml.members("Tags", std::iter::empty::<()>(), |_, ()| {});
    });
    Ok(xml)
}

fn get_version(call: &mut Call<'_>) -> Answer {
    let policy = named(call)?;
    let version = required(call.params, "VersionId")?;
    if version != policy.version {
        return Err(no_such_entity(format!(
            "Policy {} version {version} does not exist or is not attachable.",
            policy.arn
        )));
    }
    let mut xml = Xml::default();
    xml.group("PolicyVersion", |xml| {
        xml.text("Document", text::encoded(&policy.document))
            .text("VersionId", version)
            .text("IsDefaultVersion", true)
            .text("CreateDate", &policy.updated);
    });
    Ok(xml)
}

fn list(call: &mut Call<'_>) -> Answer {
    let page = Page::parse(call.params, "MaxItems", (100, 1000))?;
    let scope = call.params.text("Scope").unwrap_or("All");
    let attached = call.params.boolean("OnlyAttached")? == Some(true);
    let prefix = call.params.text("PathPrefix").unwrap_or("/");
    let usage = call.params.text("PolicyUsageFilter");
    // There are no policies of the account's own.
    let found = POLICIES.values().filter(|policy| {
        let (attachments, boundaries) = uses(call, &policy.arn);
        let used = match usage {
            Some("PermissionsPolicy") => attachments > 0,
            Some("PermissionsBoundary") => boundaries > 0,
            _ => !attached || attachments > 0,
        };
        scope != "Local" && used && policy.path.starts_with(prefix)
    });
    let (rows, next) = page.cut(found, |policy| &policy.arn);
    let mut xml = Xml::default();
    xml.members("Policies", rows, |xml, policy| write(xml, call, policy));
    Page::write(&mut xml, next);
    Ok(xml)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_policies_are_read_and_are_policies() {
        assert!(POLICIES.len() > 20, "{}", POLICIES.len());
        for policy in POLICIES.values() {
            text::check_permissions(&policy.document).unwrap_or_else(|error| panic!("{}: {error:?}", policy.name));
        }
        let cni = document("arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy").unwrap();
        assert!(text::has_effect(cni, "Allow", "ec2:AssignPrivateIpAddresses"));
        assert!(!text::has_effect(cni, "Allow", "ec2:AssignIpv6Addresses"), "IPv6 needs a policy of one's own");
        assert!(find("arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy").is_some());
    }
}
