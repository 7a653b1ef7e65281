//! Reads a role and what belongs to it, as it would have to be declared.

use std::collections::BTreeMap;

use crate::kinds::iam::client::Iam;
use crate::kinds::iam::policy;
use crate::kinds::iam::tags;
use crate::kinds::sdk::{Absence, Answer};
use crate::model::Value;
use crate::resource::{Live, ProviderError, Status};

use super::{Outputs, Spec};

/// The most that one page of a list holds.
const PAGE: i32 = 1000;

/// The role with its policies; `None` if there is none, or it went away between two requests.
pub(super) async fn read(client: &Iam, name: &str) -> Result<Option<Live<Spec, Outputs>>, ProviderError> {
    let Some(role) = role(client, name).await? else { return Ok(None) };
    let Some(managed_policies) = attached(client, name).await? else { return Ok(None) };
    let Some(names) = inline_names(client, name).await? else { return Ok(None) };
    let mut inline_policies = BTreeMap::new();
    for inline in names {
        let answer = client.api().get_role_policy().role_name(name).policy_name(&inline).send().await;
        // One that went away between the two requests is not there.
        if let Some(answer) = answer.read("iam:GetRolePolicy").unless_absent()? {
            let document = document("iam:GetRolePolicy", answer.policy_document())?;
            inline_policies.insert(inline, document);
        }
    }
    let spec = Spec {
        name: role.role_name().to_owned(),
        path: role.path().to_owned(),
        trust: document("iam:GetRole", role.assume_role_policy_document().unwrap_or_default())?,
        managed_policies,
        inline_policies,
        permissions_boundary: role
            .permissions_boundary()
            .and_then(|it| it.permissions_boundary_arn())
            .map(str::to_owned),
        tags: tags::project(role.tags()),
    };
    let outputs = Outputs { arn: role.arn().to_owned(), name: role.role_name().to_owned() };
    Ok(Some(Live { spec, outputs, status: Status::Ready }))
}

/// The role itself, with its tags.
pub(super) async fn role(client: &Iam, name: &str) -> Result<Option<aws_sdk_iam::types::Role>, ProviderError> {
    let answer = client.api().get_role().role_name(name).send().await.read("iam:GetRole").unless_absent()?;
    Ok(answer.and_then(|answer| answer.role))
}

/// The ARNs of the managed policies attached to it, sorted; `None` if there is no such role.
pub(super) async fn attached(client: &Iam, name: &str) -> Result<Option<Vec<String>>, ProviderError> {
    let request = client.api().list_attached_role_policies().role_name(name).max_items(PAGE);
    let mut pages = request.into_paginator().send();
    let mut arns = Vec::new();
    while let Some(page) = pages.next().await {
        let Some(page) = page.read("iam:ListAttachedRolePolicies").unless_absent()? else { return Ok(None) };
        arns.extend(page.attached_policies.unwrap_or_default().into_iter().filter_map(|policy| policy.policy_arn));
    }
    arns.sort_unstable();
    Ok(Some(arns))
}

/// The names of its inline policies; `None` if there is no such role.
pub(super) async fn inline_names(client: &Iam, name: &str) -> Result<Option<Vec<String>>, ProviderError> {
    let mut pages = client.api().list_role_policies().role_name(name).max_items(PAGE).into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        let Some(page) = page.read("iam:ListRolePolicies").unless_absent()? else { return Ok(None) };
        names.extend(page.policy_names);
    }
    Ok(Some(names))
}

fn document(operation: &'static str, text: &str) -> Result<Value, ProviderError> {
    policy::read(text)
        .map_err(|error| ProviderError::bug(operation, format!("the policy document cannot be read: {error}")))
}
