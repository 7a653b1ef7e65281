//! OpenID Connect providers: the issuers whose tokens roles may trust.

use super::{already_exists, limit_exceeded, no_such_entity};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::query::{
    Answer, Call, MAX_TAGS, Operation, constraint, reads, required, tags, validation, write_tags, writes,
};
use crate::sandbox::world::rows::{Head, OidcProvider};

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateOpenIDConnectProvider", &["Url", "ClientIDList", "ThumbprintList", "Tags"], create),
    reads("GetOpenIDConnectProvider", &["OpenIDConnectProviderArn"], get),
    reads("ListOpenIDConnectProviders", &[], list),
    writes("AddClientIDToOpenIDConnectProvider", &["OpenIDConnectProviderArn", "ClientID"], add_client),
    writes("RemoveClientIDFromOpenIDConnectProvider", &["OpenIDConnectProviderArn", "ClientID"], remove_client),
    writes(
        "UpdateOpenIDConnectProviderThumbprint",
        &["OpenIDConnectProviderArn", "ThumbprintList"],
        update_thumbprints,
    ),
    writes("DeleteOpenIDConnectProvider", &["OpenIDConnectProviderArn"], delete),
];

/// "IAM and STS quotas": 100 providers in an account, 100 audiences and 5 thumbprints each.
const MAX_PROVIDERS: usize = 100;
const MAX_CLIENT_IDS: usize = 100;
const MAX_THUMBPRINTS: usize = 5;

/// The provider that a call names.
pub(super) fn find<'a>(call: &'a Call<'_>) -> Result<&'a OidcProvider, ApiError> {
    let arn = required(call.params, "OpenIDConnectProviderArn")?;
    let prefix = format!("arn:aws:iam::{}:oidc-provider/", call.account());
    if !arn.starts_with(&prefix) {
        return Err(ApiError::new("InvalidInput", format!("Invalid ARN: {arn}")));
    }
    call.region
        .oidc_providers
        .seen(arn, call.now)
        .ok_or_else(|| no_such_entity(format!("OpenIDConnect Provider not found for arn {arn}")))
}

fn check_thumbprints(thumbprints: &[&str]) -> Result<(), ApiError> {
    if thumbprints.len() > MAX_THUMBPRINTS {
        return Err(ApiError::new("InvalidInput", "Thumbprint list must contain fewer than 5 entries."));
    }
    match thumbprints.iter().find(|text| text.len() != 40) {
        Some(wrong) => Err(constraint(wrong, "thumbprintList", "have length equal to 40")),
        None => Ok(()),
    }
}

fn create(call: &mut Call<'_>) -> Answer {
    let address = required(call.params, "Url")?;
    if address.len() > 255 {
        return Err(constraint(address, "Url", "have length less than or equal to 255"));
    }
    let Some(url) = address.strip_prefix("https://").filter(|rest| !rest.is_empty() && !rest.contains(['?', '#', ':']))
    else {
        return Err(validation("Invalid Open ID Connect Provider URL"));
    };
    let url = url.trim_end_matches('/');
    let client_ids = call.params.texts("ClientIDList.member");
    if client_ids.len() > MAX_CLIENT_IDS {
        return Err(limit_exceeded(format!(
            "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MAX_CLIENT_IDS}"
        )));
    }
    let thumbprints = call.params.texts("ThumbprintList.member");
    check_thumbprints(&thumbprints)?;
    let tags = tags(call.params, "Tags")?;
    if tags.len() > MAX_TAGS {
        return Err(limit_exceeded(format!("Cannot exceed quota for TagsPerOpenIDConnectProvider: {MAX_TAGS}")));
    }
    let arn = format!("arn:aws:iam::{}:oidc-provider/{url}", call.account());
    if call.region.oidc_providers.get(&arn).is_some() {
        return Err(already_exists(format!("Provider with url {address} already exists.")));
    }
    if call.region.oidc_providers.len() >= MAX_PROVIDERS {
        return Err(limit_exceeded(format!(
            "Cannot exceed quota for OpenIdConnectProvidersPerAccount: {MAX_PROVIDERS}"
        )));
    }
    let owned = |texts: Vec<&str>| texts.into_iter().map(str::to_owned).collect();
    let provider = OidcProvider {
        url: url.to_owned(),
        client_ids: owned(client_ids),
        thumbprints: owned(thumbprints),
        head: Head { id: arn.clone(), ..call.mint.head("oidc", tags, call.now) },
    };
    let mut xml = Xml::default();
    xml.text("OpenIDConnectProviderArn", &arn);
    if !provider.head.tags.is_empty() {
        write_tags(&mut xml, &provider.head.tags);
    }
    call.region.oidc_providers.insert(provider);
    Ok(xml)
}

fn get(call: &mut Call<'_>) -> Answer {
    let provider = find(call)?;
    let mut xml = Xml::default();
    xml.text("Url", &provider.url)
        .members("ClientIDList", &provider.client_ids, Xml::value)
        .members("ThumbprintList", &provider.thumbprints, Xml::value)
        .text("CreateDate", provider.head.created_at.strftime("%Y-%m-%dT%H:%M:%SZ"));
    write_tags(&mut xml, &provider.head.tags);
    Ok(xml)
}

#[expect(clippy::unnecessary_wraps, reason = "the table of operations holds functions of one type")]
fn list(call: &mut Call<'_>) -> Answer {
    let seen = call.region.oidc_providers.iter().filter(|provider| provider.head.visible_at <= call.now);
    let mut xml = Xml::default();
    xml.members("OpenIDConnectProviderList", seen, |xml, provider| {
        xml.text("Arn", &provider.head.id);
    });
    Ok(xml)
}

fn add_client(call: &mut Call<'_>) -> Answer {
    let provider = find(call)?;
    let id = provider.head.id.clone();
    let client = required(call.params, "ClientID")?.to_owned();
    if provider.client_ids.len() >= MAX_CLIENT_IDS {
        return Err(limit_exceeded(format!(
            "Cannot exceed quota for ClientIdsPerOpenIdConnectProvider: {MAX_CLIENT_IDS}"
        )));
    }
    // One that is there already changes nothing.
    if !provider.client_ids.contains(&client) {
        call.region.oidc_providers.edit(&id, |provider| provider.client_ids.push(client));
    }
    Ok(Xml::default())
}

fn remove_client(call: &mut Call<'_>) -> Answer {
    let id = find(call)?.head.id.clone();
    let client = required(call.params, "ClientID")?;
    call.region.oidc_providers.edit(&id, |provider| provider.client_ids.retain(|known| known != client));
    Ok(Xml::default())
}

fn update_thumbprints(call: &mut Call<'_>) -> Answer {
    let id = find(call)?.head.id.clone();
    let thumbprints = call.params.texts("ThumbprintList.member");
    check_thumbprints(&thumbprints)?;
    let thumbprints = thumbprints.into_iter().map(str::to_owned).collect();
    call.region.oidc_providers.edit(&id, |provider| provider.thumbprints = thumbprints);
    Ok(Xml::default())
}

/// One that is not there is no error ("This operation is idempotent", `DeleteOpenIDConnectProvider`).
fn delete(call: &mut Call<'_>) -> Answer {
    let id = match find(call) {
        Ok(provider) => provider.head.id.clone(),
        Err(error) if error.code == "NoSuchEntity" => return Ok(Xml::default()),
        Err(error) => return Err(error),
    };
    call.region.oidc_providers.remove(&id);
    Ok(Xml::default())
}
