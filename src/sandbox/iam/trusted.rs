//! Roles as other services see them: later than IAM does, and only if they are trusted.
//!
//! Entry points: [`role_for_service`], [`allows`].

use jiff::Timestamp;

use super::{document, managed};
use crate::sandbox::world::Region;
use crate::sandbox::world::rows::Role;

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

/// Whether the policies of a role, as other services see them, allow an action (`ec2:DescribeSubnets`) on some
/// resource. Conditions and the permissions boundary are not looked at.
pub(crate) fn allows(role: &Role, action: &str, now: Timestamp) -> bool {
    let mut documents: Vec<&str> = role.managed_seen_by_services(now).filter_map(managed::document).collect();
    documents.extend(role.inline.values().filter_map(|policy| policy.seen_by_services(now)).map(String::as_str));
    documents.iter().any(|text| document::has_effect(text, "Allow", action))
        && !documents.iter().any(|text| document::has_effect(text, "Deny", action))
}
