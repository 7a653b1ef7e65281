//! What is left of a mesh in IAM: roles and OIDC providers.

use crate::kinds::iam::tags::pairs;
use crate::kinds::sdk::{Absence, Answer};
use crate::model::event::Leftover;
use crate::resource::ProviderError;

use super::{Finds, Look};

/// The most that one page of IAM's lists holds.
const PAGE: i32 = 1000;

/// How much of the mesh's id a role's name is taken to begin with. A list of roles has no tags, and an account may have
/// thousands: only those that might be the mesh's are asked for theirs. Names that were too long keep their beginning.
const BEGINNING: usize = 24;

/// Where things are that no region owns.
const GLOBAL: &str = "global";

/// All looks at the account.
pub(super) async fn look(look: &Look<'_>, finds: &mut Finds) {
    finds.take(GLOBAL, roles(look).await);
    finds.take(GLOBAL, providers(look).await);
}

fn left(look: &Look<'_>, what: &str, id: &str) -> Leftover {
    Leftover { region: GLOBAL.to_owned(), ..look.left(what, id, true, None) }
}

async fn roles(look: &Look<'_>) -> Result<Vec<Leftover>, ProviderError> {
    let beginning: String = look.mesh.chars().take(BEGINNING).collect();
    let mut pages = look.services.iam.list_roles().max_items(PAGE).into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        let roles = page.read("iam:ListRoles")?.roles;
        names.extend(roles.into_iter().map(|role| role.role_name).filter(|name| name.starts_with(&beginning)));
    }
    let mut found = Vec::new();
    for name in names {
        let answer = look.services.iam.get_role().role_name(&name).send().await;
        let answer = answer.read("iam:GetRole").unless_absent()?;
        if answer.and_then(|answer| answer.role).is_some_and(|role| look.is_ours(pairs(role.tags()))) {
            found.push(left(look, "IAM role", &name));
        }
    }
    Ok(found)
}

async fn providers(look: &Look<'_>) -> Result<Vec<Leftover>, ProviderError> {
    let answer = look.services.iam.list_open_id_connect_providers().send().await;
    let listed = answer.read("iam:ListOpenIDConnectProviders")?.open_id_connect_provider_list.unwrap_or_default();
    let mut found = Vec::new();
    for arn in listed.into_iter().filter_map(|entry| entry.arn) {
        let request = look.services.iam.get_open_id_connect_provider().open_id_connect_provider_arn(&arn);
        let answer = request.send().await.read("iam:GetOpenIDConnectProvider").unless_absent()?;
        if answer.is_some_and(|answer| look.is_ours(pairs(answer.tags()))) {
            found.push(left(look, "OIDC provider", &arn));
        }
    }
    Ok(found)
}
