//! Instance profiles: those that EKS makes for its node groups and takes away with them. Until then a role that is in
//! one cannot be deleted.
//!
//! They are not objects of their own here, but follow from the node groups there are. Nobody else can make one.

use super::{document, no_such_entity, role};
use crate::sandbox::protocol::Xml;
use crate::sandbox::query::{Answer, Call, Operation, Page, reads, required};
use crate::sandbox::world::World;
use crate::sandbox::world::ids::number_of;

pub(super) const OPERATIONS: &[Operation] = &[
    reads("GetInstanceProfile", &["InstanceProfileName"], get),
    reads("ListInstanceProfiles", &["PathPrefix", "Marker", "MaxItems"], list),
    reads("ListInstanceProfilesForRole", &["RoleName", "Marker", "MaxItems"], list_for_role),
];

/// An instance profile.
#[derive(Debug, Clone)]
pub(crate) struct InstanceProfile {
    pub(crate) name: String,
    /// The role in it.
    pub(crate) role_arn: String,
    made_at: jiff::Timestamp,
}

/// All of an account, in the order of their names.
pub(crate) fn profiles(world: &World) -> Vec<InstanceProfile> {
    let groups = world.regions().flat_map(|region| region.nodegroups.iter());
    let mut all: Vec<InstanceProfile> = groups
        .map(|group| InstanceProfile {
            name: format!("eks-{}", group.unique),
            role_arn: group.role_arn.clone(),
            made_at: group.head.created_at,
        })
        .collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    all
}

fn write(xml: &mut Xml, call: &Call<'_>, profile: &InstanceProfile) {
    let bytes = [number_of(&[b"profile", profile.name.as_bytes()]), number_of(&[profile.name.as_bytes()])];
    let bytes: Vec<u8> = bytes.into_iter().flat_map(u64::to_be_bytes).collect();
    let text = data_encoding::BASE32_NOPAD.encode(&bytes);
    xml.text("Path", "/")
        .text("InstanceProfileName", &profile.name)
        .text("InstanceProfileId", format!("AIPA{}", text.get(..17).unwrap_or_default()))
        .text("Arn", format!("arn:aws:iam::{}:instance-profile/{}", call.account(), profile.name))
        .text("CreateDate", profile.made_at.strftime("%Y-%m-%dT%H:%M:%SZ"))
        .members("Roles", call.region.roles.linked(&profile.role_arn), |xml, role| {
            xml.text("Path", &role.path)
                .text("RoleName", &role.head.id)
                .text("RoleId", &role.unique_id)
                .text("Arn", &role.arn)
                .text("CreateDate", role.head.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"))
                .text("AssumeRolePolicyDocument", document::encoded(&role.trust.value));
        });
}

fn get(call: &mut Call<'_>) -> Answer {
    let name = required(call.params, "InstanceProfileName")?;
    let Some(profile) = call.profiles.iter().find(|profile| profile.name == name) else {
        return Err(no_such_entity(format!("Instance Profile {name} cannot be found.")));
    };
    let mut xml = Xml::default();
    xml.group("InstanceProfile", |xml| write(xml, call, profile));
    Ok(xml)
}

fn answer(call: &Call<'_>, chosen: impl Fn(&InstanceProfile) -> bool) -> Answer {
    let page = Page::parse(call.params, "MaxItems", (100, 1000))?;
    let found = call.profiles.iter().filter(|profile| chosen(profile));
    let (rows, next) = page.cut(found, |profile| profile.name.as_str());
    let mut xml = Xml::default();
    xml.members("InstanceProfiles", rows, |xml, profile| write(xml, call, profile));
    Page::write(&mut xml, next);
    Ok(xml)
}

fn list(call: &mut Call<'_>) -> Answer {
    // All of them have the path `/`.
    let prefix = call.params.text("PathPrefix").unwrap_or("/");
    answer(call, |_| prefix == "/")
}

fn list_for_role(call: &mut Call<'_>) -> Answer {
    let arn = role::find(call)?.arn.clone();
    answer(call, |profile| profile.role_arn == arn)
}
