//! Roles as other services see them: later than IAM does, and only if they are trusted.
//!
//! Entry points: [`role_for_service`], [`role_for_service_account`], [`allows`].

use jiff::Timestamp;

use super::{document, managed};
use crate::sandbox::world::Region;
use crate::sandbox::world::rows::Role;

/// Whom the tokens that EKS projects into pods are for.
const AUDIENCE: &str = "sts.amazonaws.com";

/// Why a service cannot use a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// There is none, or none yet that the service could see.
    Absent,
    /// Its trust policy does not name the service, or did not a moment ago.
    Untrusted,
}

/// The role with this ARN, as a service (`eks.amazonaws.com`) sees it when it wants to assume it. `global` is what
/// belongs to no region.
///
/// # Errors
/// When the service does not see it, or is not trusted by it.
pub(crate) fn role_for_service<'a>(
    global: &'a Region,
    arn: &str,
    service: &str,
    now: Timestamp,
) -> Result<&'a Role, Unseen> {
    let role = global.roles.linked(arn).next().ok_or(Unseen::Absent)?;
    let trust = role.trust.seen_by_services(now).ok_or(Unseen::Absent)?;
    if document::trusts_service(trust, service) { Ok(role) } else { Err(Unseen::Untrusted) }
}

/// The role with this ARN, as the pods of a service account (`system:serviceaccount:NAMESPACE:NAME`) get it with a
/// token of their cluster's issuer (a URL).
///
/// # Errors
/// When there is none to be seen, or neither it nor an OIDC provider of this account trusts such a token.
pub(crate) fn role_for_service_account<'a>(
    global: &'a Region,
    arn: &str,
    issuer: &str,
    subject: &str,
    now: Timestamp,
) -> Result<&'a Role, Unseen> {
    // IAM knows issuers without their scheme.
    let issuer = issuer.trim_start_matches("https://");
    let role = global.roles.linked(arn).next().ok_or(Unseen::Absent)?;
    let trust = role.trust.seen_by_services(now).ok_or(Unseen::Absent)?;
    let provider = global
        .oidc_providers
        .iter()
        .find(|provider| provider.url == issuer && provider.client_ids.iter().any(|id| id == AUDIENCE))
        .ok_or(Unseen::Untrusted)?;
    let identity = document::WebIdentity { provider: &provider.head.id, issuer, subject, audience: AUDIENCE };
    if document::trusts_web_identity(trust, &identity) { Ok(role) } else { Err(Unseen::Untrusted) }
}

/// Whether the policies of a role, as other services see them, allow an action (`ec2:DescribeSubnets`) on some
/// resource. Conditions and the permissions boundary are not looked at.
pub(crate) fn allows(role: &Role, action: &str, now: Timestamp) -> bool {
    let mut documents: Vec<&str> = role.managed_seen_by_services(now).filter_map(managed::document).collect();
    documents.extend(role.inline.values().filter_map(|policy| policy.seen_by_services(now)).map(String::as_str));
    documents.iter().any(|text| document::has_effect(text, "Allow", action))
        && !documents.iter().any(|text| document::has_effect(text, "Deny", action))
}
