//! Who asks, and what they may.
//!
//! Entry points: [`authenticate`], [`rules::check`], [`token`] for the tokens of service accounts. Callers of AWS prove who
//! they are by a presigned request to STS (`meshplan eks-token`), pods by tokens that the cluster signed.

pub(crate) mod caller;
pub(crate) mod roles;
pub(crate) mod rules;
pub(crate) mod token;

use jiff::Timestamp;

use super::objects::Objects;
use super::status::Refusal;
use crate::sandbox::world::ids::Mint;

/// Who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) uid: String,
    pub(crate) groups: Vec<String>,
    /// The access policies of EKS that are associated with the caller: their names, and the namespaces that they are for.
    pub(crate) policies: Vec<(String, Option<Vec<String>>)>,
}

impl User {
    fn anonymous() -> Self {
        let groups = vec!["system:unauthenticated".to_owned()];
        Self { name: "system:anonymous".to_owned(), groups, ..Self::default() }
    }
}

/// By which clock tokens expire: the cloud's, or that of clients in other processes, of which nothing is known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Tokens are made by the sandbox's own time.
    Virtual(Timestamp),
    /// Tokens are made by the time on the wall.
    Unknown,
}

/// Who a request is from.
///
/// # Errors
/// When it has a token that is not good.
pub(crate) fn authenticate(
    objects: &Objects<'_>,
    mint: &Mint,
    authorization: Option<&str>,
    clock: Clock,
) -> Result<User, Refusal> {
    let Some(header) = authorization else { return Ok(User::anonymous()) };
    let Some(bearer) = header.strip_prefix("Bearer ").map(str::trim) else { return Err(Refusal::unauthorized()) };
    let user = if bearer.starts_with(caller::PREFIX) {
        caller::user(objects, mint, bearer, clock)
    } else {
        token::user(objects, bearer, clock)
    };
    user.map(authenticated).ok_or_else(Refusal::unauthorized)
}

fn authenticated(mut user: User) -> User {
    user.groups.push("system:authenticated".to_owned());
    user
}
