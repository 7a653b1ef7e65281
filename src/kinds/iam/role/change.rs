//! Which one thing of a role is changed next. Pure: entry point [`next`].

use crate::kinds::iam::tags::{Step, step};
use crate::model::Value;

use super::Spec;

/// One request's worth of an update.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Change<'a> {
    /// Replace the trust policy.
    Trust(&'a Value),
    /// Set the permissions boundary.
    Bound(&'a str),
    /// Attach a managed policy.
    Attach(&'a str),
    /// Write an inline policy.
    Put(&'a str, &'a Value),
    /// Set or take away tags.
    Tags(Step),
    /// Detach a managed policy.
    Detach(&'a str),
    /// Delete an inline policy.
    Drop(&'a str),
    /// Take the permissions boundary away.
    Unbound,
}

/// What to do next on the way from what is there to what is declared; `None` when nothing differs.
///
/// A boundary comes before what it bounds, and goes after it. What is given comes before what is taken, so that
/// a role in use that changes one policy for another is never without both.
pub(super) fn next<'a>(from: &'a Spec, to: &'a Spec) -> Option<Change<'a>> {
    if let Some(boundary) = &to.permissions_boundary
        && from.permissions_boundary.as_ref() != Some(boundary)
    {
        return Some(Change::Bound(boundary));
    }
    if from.trust != to.trust {
        return Some(Change::Trust(&to.trust));
    }
    if let Some(arn) = to.managed_policies.iter().find(|arn| !from.managed_policies.contains(arn)) {
        return Some(Change::Attach(arn));
    }
    if let Some((name, document)) =
        to.inline_policies.iter().find(|(name, document)| from.inline_policies.get(*name) != Some(*document))
    {
        return Some(Change::Put(name, document));
    }
    if let Some(step) = step(&from.tags, &to.tags) {
        return Some(Change::Tags(step));
    }
    if let Some(arn) = from.managed_policies.iter().find(|arn| !to.managed_policies.contains(arn)) {
        return Some(Change::Detach(arn));
    }
    if let Some(name) = from.inline_policies.keys().find(|name| !to.inline_policies.contains_key(*name)) {
        return Some(Change::Drop(name));
    }
    (from.permissions_boundary.is_some() && to.permissions_boundary.is_none()).then_some(Change::Unbound)
}
