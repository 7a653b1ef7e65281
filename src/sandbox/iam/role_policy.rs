//! What a role may do: inline policies, attached managed policies, the permissions boundary.

use super::{check_name, document, limit_exceeded, managed, no_such_entity, role};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::query::{Answer, Call, Operation, Page, reads, required, validation, writes};
use crate::sandbox::world::rows::iam::Propagating;

pub(super) const OPERATIONS: &[Operation] = &[
    writes("PutRolePolicy", &["RoleName", "PolicyName", "PolicyDocument"], put),
    reads("GetRolePolicy", &["RoleName", "PolicyName"], get),
    reads("ListRolePolicies", &["RoleName", "Marker", "MaxItems"], list),
    writes("DeleteRolePolicy", &["RoleName", "PolicyName"], delete),
    writes("AttachRolePolicy", &["RoleName", "PolicyArn"], attach),
    writes("DetachRolePolicy", &["RoleName", "PolicyArn"], detach),
    reads("ListAttachedRolePolicies", &["RoleName", "PathPrefix", "Marker", "MaxItems"], list_attached),
    writes("PutRolePermissionsBoundary", &["RoleName", "PermissionsBoundary"], put_boundary),
    writes("DeleteRolePermissionsBoundary", &["RoleName"], delete_boundary),
];

/// "IAM and STS quotas": 10 managed policies, 10,240 characters of inline policies, names of 128 characters.
const MAX_ATTACHED: usize = 10;
const MAX_INLINE: usize = 10_240;
const MAX_NAME: usize = 128;

fn policy_name<'a>(call: &Call<'a>) -> Result<&'a str, ApiError> {
    let name = required(call.params, "PolicyName")?;
    check_name(name, "PolicyName", MAX_NAME)?;
    Ok(name)
}

fn no_policy(name: &str) -> ApiError {
    no_such_entity(format!("The role policy with name {name} cannot be found."))
}

fn put(call: &mut Call<'_>) -> Answer {
    let name = policy_name(call)?;
    let role = role::find(call)?;
    let text = required(call.params, "PolicyDocument")?;
    document::check_permissions(text)?;
    let others =
        role.inline.iter().filter(|(other, _)| *other != name).map(|(_, policy)| document::size(&policy.value));
    if others.sum::<usize>() + document::size(text) > MAX_INLINE {
        return Err(limit_exceeded(format!(
            "Maximum policy size of {MAX_INLINE} bytes exceeded for role {}",
            role.head.id
        )));
    }
    let id = role.head.id.clone();
    let policy = Propagating {
        value: text.to_owned(),
        visible_to_services_at: role::propagated(call, &id, &format!("inline {name} {}", call.now)),
        before: role.inline.get(name).and_then(|policy| policy.seen_by_services(call.now).cloned()),
    };
    call.region.roles.edit(&id, |role| role.inline.insert(name.to_owned(), policy));
    Ok(Xml::default())
}

fn get(call: &mut Call<'_>) -> Answer {
    let name = policy_name(call)?;
    let role = role::find(call)?;
    let policy = role.inline.get(name).ok_or_else(|| no_policy(name))?;
    let mut xml = Xml::default();
    xml.text("RoleName", &role.head.id)
        .text("PolicyName", name)
        .text("PolicyDocument", document::encoded(&policy.value));
    Ok(xml)
}

fn list(call: &mut Call<'_>) -> Answer {
    let page = Page::parse(call.params, "MaxItems", (100, 1000))?;
    let (rows, next) = page.cut(role::find(call)?.inline.keys(), |name| name);
    let mut xml = Xml::default();
    xml.members("PolicyNames", rows, Xml::value);
    Page::write(&mut xml, next);
    Ok(xml)
}

fn delete(call: &mut Call<'_>) -> Answer {
    let name = policy_name(call)?;
    let role = role::find(call)?;
    if !role.inline.contains_key(name) {
        return Err(no_policy(name));
    }
    let id = role.head.id.clone();
    call.region.roles.edit(&id, |role| role.inline.remove(name));
    Ok(Xml::default())
}

fn policy_arn<'a>(call: &Call<'a>) -> Result<&'a str, ApiError> {
    let arn = required(call.params, "PolicyArn")?;
    check_arn(arn)?;
    Ok(arn)
}

fn check_arn(arn: &str) -> Result<(), ApiError> {
    if arn.starts_with("arn:") && arn.contains(":policy/") {
        return Ok(());
    }
    Err(validation(format!("ARN {arn} is not valid.")))
}

/// Refuses a permissions boundary that is no policy.
pub(super) fn check_boundary(arn: &str) -> Result<(), ApiError> {
    check_arn(arn)?;
    match managed::find(arn) {
        Some(_) => Ok(()),
        None => Err(no_such_entity(format!("Scope ARN: {arn} does not exist or is not attachable."))),
    }
}

fn attach(call: &mut Call<'_>) -> Answer {
    let arn = policy_arn(call)?;
    let role = role::find(call)?;
    if managed::find(arn).is_none() {
        return Err(no_such_entity(format!("Policy {arn} does not exist or is not attachable.")));
    }
    // One that is attached already is no error and changes nothing.
    if role.managed().any(|attached| attached == arn) {
        return Ok(Xml::default());
    }
    if role.managed().count() >= MAX_ATTACHED {
        return Err(limit_exceeded(format!("Cannot exceed quota for PoliciesPerRole: {MAX_ATTACHED}")));
    }
    set_attached(call, arn, true)
}

fn detach(call: &mut Call<'_>) -> Answer {
    let arn = policy_arn(call)?;
    let role = role::find(call)?;
    if !role.managed().any(|attached| attached == arn) {
        return Err(no_such_entity(format!("Policy {arn} was not found.")));
    }
    set_attached(call, arn, false)
}

fn set_attached(call: &mut Call<'_>, arn: &str, value: bool) -> Answer {
    let role = role::find(call)?;
    let id = role.head.id.clone();
    let before = role.attached.get(arn).and_then(|attached| attached.seen_by_services(call.now).copied());
    let visible_to_services_at = role::propagated(call, &id, &format!("attached {arn} {}", call.now));
    let now = call.now;
    call.region.roles.edit(&id, |role| {
        // What all services know to be detached need not be remembered.
        role.attached.retain(|_, attached| attached.value || attached.seen_by_services(now) == Some(&true));
        role.attached.insert(arn.to_owned(), Propagating { value, visible_to_services_at, before });
    });
    Ok(Xml::default())
}

fn list_attached(call: &mut Call<'_>) -> Answer {
    let page = Page::parse(call.params, "MaxItems", (100, 1000))?;
    let prefix = call.params.text("PathPrefix").unwrap_or("/");
    let policies =
        role::find(call)?.managed().filter_map(managed::find).filter(|policy| policy.path.starts_with(prefix));
    let mut policies: Vec<_> = policies.collect();
    policies.sort_by(|one, other| one.name.cmp(&other.name));
    let (rows, next) = page.cut(policies.into_iter(), |policy| &policy.name);
    let mut xml = Xml::default();
    xml.members("AttachedPolicies", rows, |xml, policy| {
        xml.text("PolicyName", &policy.name).text("PolicyArn", &policy.arn);
    });
    Page::write(&mut xml, next);
    Ok(xml)
}

fn put_boundary(call: &mut Call<'_>) -> Answer {
    let arn = required(call.params, "PermissionsBoundary")?.to_owned();
    let id = role::find(call)?.head.id.clone();
    check_boundary(&arn)?;
    call.region.roles.edit(&id, |role| role.boundary = Some(arn));
    Ok(Xml::default())
}

fn delete_boundary(call: &mut Call<'_>) -> Answer {
    let role = role::find(call)?;
    let id = role.head.id.clone();
    if role.boundary.is_none() {
        return Err(no_such_entity(format!("The role with name {id} does not have a permissions boundary.")));
    }
    call.region.roles.edit(&id, |role| role.boundary = None);
    Ok(Xml::default())
}
