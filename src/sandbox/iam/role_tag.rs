//! Tags of roles and of OpenID Connect providers.

use super::{limit_exceeded, oidc_provider, role};
use crate::sandbox::protocol::Xml;
use crate::sandbox::query::{Answer, Call, MAX_TAGS, Operation, Page, constraint, reads, tags, writes};
use crate::sandbox::world::rows::Tags;

pub(super) const OPERATIONS: &[Operation] = &[
    writes("TagRole", &["RoleName", "Tags"], tag_role),
    writes("UntagRole", &["RoleName", "TagKeys"], untag_role),
    reads("ListRoleTags", &["RoleName", "Marker", "MaxItems"], list_role),
    writes("TagOpenIDConnectProvider", &["OpenIDConnectProviderArn", "Tags"], tag_provider),
    writes("UntagOpenIDConnectProvider", &["OpenIDConnectProviderArn", "TagKeys"], untag_provider),
    reads("ListOpenIDConnectProviderTags", &["OpenIDConnectProviderArn", "Marker", "MaxItems"], list_provider),
];

/// The tags of an object after those of the call were added.
fn added(call: &Call<'_>, before: &Tags, quota: &str) -> Result<Tags, crate::sandbox::protocol::ApiError> {
    let given = tags(call.params, "Tags")?;
    if given.is_empty() {
        return Err(constraint("[]", "tags", "have length greater than or equal to 1"));
    }
    let mut all = before.clone();
    all.extend(given);
    if all.len() > MAX_TAGS {
        return Err(limit_exceeded(format!("Cannot exceed quota for {quota}: {MAX_TAGS}")));
    }
    Ok(all)
}

/// The same after those of the call were removed.
fn removed(call: &Call<'_>, before: &Tags) -> Tags {
    let keys = call.params.texts("TagKeys.member");
    before
        .iter()
        .filter(|(key, _)| !keys.contains(&key.as_str()))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn list(call: &Call<'_>, tags: &Tags) -> Answer {
    let page = Page::parse(call.params, "MaxItems", (100, 1000))?;
    let (rows, next) = page.cut(tags.iter(), |(key, _)| key);
    let mut xml = Xml::default();
    xml.members("Tags", rows, |xml, (key, value)| {
        xml.text("Key", key).text("Value", value);
    });
    Page::write(&mut xml, next);
    Ok(xml)
}

fn tag_role(call: &mut Call<'_>) -> Answer {
    let role = role::find(call)?;
    let (id, tags) = (role.head.id.clone(), added(call, &role.head.tags, "TagsPerRole")?);
    call.region.roles.edit(&id, |role| role.head.tags = tags);
    Ok(Xml::default())
}

fn untag_role(call: &mut Call<'_>) -> Answer {
    let role = role::find(call)?;
    let (id, tags) = (role.head.id.clone(), removed(call, &role.head.tags));
    call.region.roles.edit(&id, |role| role.head.tags = tags);
    Ok(Xml::default())
}

fn list_role(call: &mut Call<'_>) -> Answer {
    list(call, &role::find(call)?.head.tags)
}

fn tag_provider(call: &mut Call<'_>) -> Answer {
    let provider = oidc_provider::find(call)?;
    let (id, tags) = (provider.head.id.clone(), added(call, &provider.head.tags, "TagsPerOpenIDConnectProvider")?);
    call.region.oidc_providers.edit(&id, |provider| provider.head.tags = tags);
    Ok(Xml::default())
}

fn untag_provider(call: &mut Call<'_>) -> Answer {
    let provider = oidc_provider::find(call)?;
    let (id, tags) = (provider.head.id.clone(), removed(call, &provider.head.tags));
    call.region.oidc_providers.edit(&id, |provider| provider.head.tags = tags);
    Ok(Xml::default())
}

fn list_provider(call: &mut Call<'_>) -> Answer {
    list(call, &oidc_provider::find(call)?.head.tags)
}
