//! What is said of a name that is taken: whose the object is, and the way out.

use aws_sdk_iam::types::Tag;

use crate::resource::{ErrorClass, Ownership, ProviderError};

use super::tags::pairs;

/// The refusal to make what exists and was not made by this create. `what` is for example ``role `a` ``.
pub(super) fn taken(refusal: ProviderError, what: &str, id: &str, owner: &Ownership, tags: &[Tag]) -> ProviderError {
    let tag = |wanted: &str| pairs(tags).find(|(key, _)| *key == wanted).map(|(_, value)| value);
    let whose = match (tag("meshplan:mesh"), tag("meshplan:address")) {
        (Some(mesh), Some(address)) if mesh == owner.mesh => format!("this mesh made it as {address}"),
        (Some(mesh), _) => format!("it belongs to mesh `{mesh}`"),
        (None, _) => "it is not meshplan's".to_owned(),
    };
    ProviderError {
        message: format!(
            "{what} exists already, and {whose}; delete it, or take it over with `meshplan state adopt {} {id}`",
            owner.address
        ),
        ..refusal.with_class(ErrorClass::Conflict)
    }
}
