//! Roles: made, looked at, changed, deleted.

use super::{PROPAGATION_MS, already_exists, check_name, document, limit_exceeded, no_such_entity};
use crate::sandbox::protocol::{ApiError, Node, Xml};
use crate::sandbox::query::{
    Answer, Call, MAX_TAGS, Operation, Page, constraint, reads, required, tags, validation, write_tags, writes,
};
use crate::sandbox::world::rows::iam::Propagating;
use crate::sandbox::world::rows::{Head, Role};

pub(super) const OPERATIONS: &[Operation] = &[
    writes(
        "CreateRole",
        &[
            "RoleName",
            "AssumeRolePolicyDocument",
            "Path",
            "Description",
            "MaxSessionDuration",
            "PermissionsBoundary",
            "Tags",
        ],
        create,
    ),
    reads("GetRole", &["RoleName"], get),
    reads("ListRoles", &["PathPrefix", "Marker", "MaxItems"], list),
    writes("UpdateRole", &["RoleName", "Description", "MaxSessionDuration"], update),
    writes("UpdateRoleDescription", &["RoleName", "Description"], update_description),
    writes("UpdateAssumeRolePolicy", &["RoleName", "PolicyDocument"], update_trust),
    writes("DeleteRole", &["RoleName"], delete),
];

/// "IAM and STS quotas".
const MAX_NAME: usize = 64;
const MAX_PATH: usize = 512;
const MAX_DESCRIPTION: usize = 1000;

/// The role that a call names.
pub(super) fn find<'a>(call: &'a Call<'_>) -> Result<&'a Role, ApiError> {
    let name = required(call.params, "RoleName")?;
    check_name(name, "RoleName", MAX_NAME)?;
    named(call, name).ok_or_else(|| no_such_entity(format!("The role with name {name} cannot be found.")))
}

/// A role by its name, whatever the case of its letters, once a caller can see it.
fn named<'a>(call: &'a Call<'_>, name: &str) -> Option<&'a Role> {
    let key = format!("name/{}", name.to_ascii_lowercase());
    call.region.roles.linked(&key).find(|role| role.head.visible_at <= call.now)
}

/// When other services have what a call changes about a role.
pub(super) fn propagated(call: &Call<'_>, name: &str, what: &str) -> jiff::Timestamp {
    call.mint.after(call.now, name, what, PROPAGATION_MS.0, PROPAGATION_MS.1)
}

fn check_path(path: &str) -> Result<(), ApiError> {
    let shape = path.starts_with('/') && path.ends_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic());
    if path.len() > MAX_PATH {
        return Err(constraint(path, "Path", &format!("have length less than or equal to {MAX_PATH}")));
    }
    if shape {
        return Ok(());
    }
    Err(validation(
        "The specified value for path is invalid. It must begin and end with / and contain only alphanumeric characters and/or / characters.",
    ))
}

/// How long sessions may last, in seconds.
fn session_duration(params: &Node) -> Result<Option<i64>, ApiError> {
    let Some(text) = params.text("MaxSessionDuration") else { return Ok(None) };
    match text.parse() {
        Ok(seconds) if seconds > 43_200 => {
            Err(constraint(text, "MaxSessionDuration", "have value less than or equal to 43200"))
        }
        Ok(seconds) if seconds >= 3600 => Ok(Some(seconds)),
        _ => Err(constraint(text, "MaxSessionDuration", "have value greater than or equal to 3600")),
    }
}

fn description(params: &Node) -> Result<Option<String>, ApiError> {
    match params.text("Description") {
        Some(text) if text.chars().count() > MAX_DESCRIPTION => {
            Err(constraint(text, "Description", &format!("have length less than or equal to {MAX_DESCRIPTION}")))
        }
        other => Ok(other.map(str::to_owned)),
    }
}

fn check_trust(call: &Call<'_>, text: &str) -> Result<(), ApiError> {
    document::check_trust(text, call.account(), |arn| {
        call.region.roles.linked(arn).any(|role| role.head.visible_at <= call.now)
    })
}

fn create(call: &mut Call<'_>) -> Answer {
    let name = required(call.params, "RoleName")?;
    check_name(name, "RoleName", MAX_NAME)?;
    let trust = required(call.params, "AssumeRolePolicyDocument")?;
    let path = call.params.text("Path").unwrap_or("/");
    check_path(path)?;
    let (description, duration) = (description(call.params)?, session_duration(call.params)?);
    let boundary = call.params.text("PermissionsBoundary");
    if let Some(arn) = boundary {
        super::role_policy::check_boundary(arn)?;
    }
    let tags = tags(call.params, "Tags")?;
    if tags.len() > MAX_TAGS {
        return Err(limit_exceeded(format!("Cannot exceed quota for TagsPerRole: {MAX_TAGS}")));
    }
    check_trust(call, trust)?;
    if call.region.roles.linked(&format!("name/{}", name.to_ascii_lowercase())).next().is_some() {
        return Err(already_exists(format!("Role with name {name} already exists.")));
    }
    if call.region.roles.len() >= call.quotas.roles {
        return Err(limit_exceeded(format!("Cannot exceed quota for RolesPerAccount: {}", call.quotas.roles)));
    }
    let head = call.mint.head("role", tags, call.now);
    let unique_id = unique_id(call, &head.id);
    let role = Role {
        unique_id,
        path: path.to_owned(),
        arn: format!("arn:aws:iam::{}:role{path}{name}", call.account()),
        description,
        max_session_duration: duration.unwrap_or(3600),
        boundary: boundary.map(str::to_owned),
        trust: Propagating {
            value: trust.to_owned(),
            // Drawn for the object and not for its name, so that a role made anew is seen at another time.
            visible_to_services_at: propagated(call, &head.id, "seen"),
            before: None,
        },
        attached: std::collections::BTreeMap::new(),
        inline: std::collections::BTreeMap::new(),
        head: Head { id: name.to_owned(), ..head },
    };
    let mut xml = Xml::default();
    xml.group("Role", |xml| write(xml, &role, Detail::Created));
    call.region.roles.insert(role);
    Ok(xml)
}

/// The id that IAM gives to a role: `AROA` and 17 characters of base 32.
fn unique_id(call: &Call<'_>, id: &str) -> String {
    let bytes: Vec<u8> =
        ["one", "two"].iter().flat_map(|part| call.mint.number(&[id, "unique", part]).to_be_bytes()).collect();
    let text = data_encoding::BASE32_NOPAD.encode(&bytes);
    format!("AROA{}", &text[..17])
}

/// How much of a role an answer shows.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// All that is known when it is made.
    Created,
    /// All.
    Whole,
    /// Without tags, boundary and last use: as lists show it.
    Listed,
}

/// IAM writes whole seconds.
fn when(at: jiff::Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%dT%H:%M:%SZ")
}

fn write(xml: &mut Xml, role: &Role, detail: Detail) {
    xml.text("Path", &role.path)
        .text("RoleName", &role.head.id)
        .text("RoleId", &role.unique_id)
        .text("Arn", &role.arn)
        .text("CreateDate", when(role.head.created_at))
        .text("AssumeRolePolicyDocument", document::encoded(&role.trust.value))
        .optional("Description", role.description.as_ref())
        .text("MaxSessionDuration", role.max_session_duration);
    if detail == Detail::Listed {
        return;
    }
    if let Some(arn) = &role.boundary {
        xml.group("PermissionsBoundary", |xml| {
            xml.text("PermissionsBoundaryType", "Policy").text("PermissionsBoundaryArn", arn);
        });
    }
    if !role.head.tags.is_empty() {
        write_tags(xml, &role.head.tags);
    }
    if detail == Detail::Whole {
        xml.group("RoleLastUsed", |_| {});
    }
}

fn get(call: &mut Call<'_>) -> Answer {
    let role = find(call)?;
    let mut xml = Xml::default();
    xml.group("Role", |xml| write(xml, role, Detail::Whole));
    Ok(xml)
}

fn list(call: &mut Call<'_>) -> Answer {
    let page = Page::parse(call.params, "MaxItems", (100, 1000))?;
    let prefix = call.params.text("PathPrefix").unwrap_or("/");
    if !prefix.starts_with('/') {
        return Err(validation("The specified value for pathPrefix is invalid. It must begin with the / character"));
    }
    let seen = call.region.roles.iter().filter(|role| role.head.visible_at <= call.now);
    let (rows, next) = page.cut(seen.filter(|role| role.path.starts_with(prefix)), |role| &role.head.id);
    let mut xml = Xml::default();
    xml.members("Roles", rows, |xml, role| write(xml, role, Detail::Listed));
    Page::write(&mut xml, next);
    Ok(xml)
}

fn update(call: &mut Call<'_>) -> Answer {
    let id = find(call)?.head.id.clone();
    let (description, duration) = (description(call.params)?, session_duration(call.params)?);
    let cleared = call.params.at("Description").is_some();
    call.region.roles.edit(&id, |role| {
        role.max_session_duration = duration.unwrap_or(role.max_session_duration);
        if cleared {
            role.description = description;
        }
    });
    Ok(Xml::default())
}

fn update_description(call: &mut Call<'_>) -> Answer {
    let id = find(call)?.head.id.clone();
    let description = description(call.params)?;
    call.region.roles.edit(&id, |role| role.description = description);
    let mut xml = Xml::default();
    if let Some(role) = call.region.roles.get(&id) {
        xml.group("Role", |xml| write(xml, role, Detail::Whole));
    }
    Ok(xml)
}

fn update_trust(call: &mut Call<'_>) -> Answer {
    let role = find(call)?;
    let id = role.head.id.clone();
    let before = role.trust.seen_by_services(call.now).cloned();
    let text = required(call.params, "PolicyDocument")?.to_owned();
    check_trust(call, &text)?;
    let visible_to_services_at = propagated(call, &id, &format!("trust {}", call.now));
    let trust = Propagating { value: text, visible_to_services_at, before };
    call.region.roles.edit(&id, |role| role.trust = trust);
    Ok(Xml::default())
}

fn delete(call: &mut Call<'_>) -> Answer {
    let role = find(call)?;
    let id = role.head.id.clone();
    let conflict = |message: &str| ApiError::new("DeleteConflict", message).with_status(409);
    if role.managed().next().is_some() {
        return Err(conflict("Cannot delete entity, must detach all policies first."));
    }
    if !role.inline.is_empty() {
        return Err(conflict("Cannot delete entity, must delete policies first."));
    }
    call.region.roles.remove(&id);
    Ok(Xml::default())
}
