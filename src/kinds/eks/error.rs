//! What EKS's errors mean, beyond what all of AWS's have in common.
//!
//! Entry point: [`Reclass`], on the classified answer to every request. EKS has few codes and says the rest in words:
//! the texts here are those of its answers as issue trackers quote them, and of terraform's provider, which retries on
//! the same.

use crate::kinds::sdk::is_not_found;
use crate::resource::{ErrorClass, ProviderError};

/// An IAM role or policy that was just made and that EKS cannot see yet: the list of terraform's provider
/// (`internal/service/eks/cluster.go`, `addon.go`), and what CreateNodegroup says of the node role.
const ROLE_NOT_SEEN: [&str; 9] = [
    "does not exist",
    "Error in role params",
    "Role could not be assumed because the trusted entity is not correct",
    "The provided role doesn't have the Amazon EKS Managed Policies associated with it",
    "IAM role's policy must include",
    // What was changed a moment ago is not seen either.
    "Trust policy of role",
    "The role with name",
    "is not authorized to perform: sts:AssumeRole",
    "CREATE_FAILED",
];

/// The answer to a request to EKS, with its error in EKS's class.
pub(super) trait Reclass<T> {
    /// The same, with the class that EKS's words mean.
    fn reclass(self) -> Result<T, ProviderError>;

    /// `None` where EKS says that the object, or the cluster it is in, does not exist.
    fn unless_gone(self) -> Result<Option<T>, ProviderError>;
}

impl<T> Reclass<T> for Result<T, ProviderError> {
    fn reclass(self) -> Self {
        self.map_err(reclassed)
    }

    fn unless_gone(self) -> Result<Option<T>, ProviderError> {
        match self {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(reclassed(error)),
        }
    }
}

/// Whether EKS says that the name is taken: an object of that name exists.
pub(super) fn is_taken(error: &ProviderError) -> bool {
    let says = |words: &str| error.message.contains(words);
    error.has_code("ResourceInUseException")
        && (says("already exists") || says("already in use on this cluster") || says("Already exists"))
}

/// Whether EKS refuses an update because all is as it should be: the read before it was an old one.
pub(super) fn is_done_already(error: &ProviderError) -> bool {
    let says = |words: &str| error.message.contains(words);
    (error.has_code("InvalidParameterException") || error.has_code("InvalidRequestException"))
        && (says("already at the desired configuration")
            || says("No changes needed")
            || says("is already at version")
            || says("already the desired"))
}

/// An error with what it means here, and the way out, after EKS's own words.
pub(super) fn explained(error: ProviderError, way: &str) -> ProviderError {
    ProviderError { message: format!("{}: {way}", error.message.trim_end_matches('.')), ..error }
}

fn reclassed(error: ProviderError) -> ProviderError {
    let class = class(&error);
    let class = class.unwrap_or(error.class);
    error.with_class(class)
}

/// The class of EKS's own codes; `None` where the general one is right.
fn class(error: &ProviderError) -> Option<ErrorClass> {
    let says = |words: &str| error.message.contains(words);
    Some(match error.code.as_deref()? {
        // An object made a moment ago, or a cluster that is gone: a bounded time tells.
        "ResourcePropagationDelayException" => ErrorClass::NotYet,
        "ClientException" if is_not_found(error) => ErrorClass::NotYet,
        "ResourceInUseException" if is_taken(error) => ErrorClass::Conflict,
        // "Cluster has nodegroups attached": they are on their way out, or someone else's.
        "ResourceInUseException" if says("attached") => ErrorClass::InUse,
        // "Cannot EndpointAccessUpdate because cluster c currently has update u in progress", "Addon a cannot be
        // updated as it is currently in UPDATING state".
        "ResourceInUseException" => ErrorClass::Busy,
        // "Upgrade readiness issues detected": it does not mend by itself.
        "InvalidStateException" => ErrorClass::Conflict,
        "InvalidRequestException" if says("in progress") || says("not in ACTIVE") || says("not in Active") => {
            ErrorClass::Busy
        }
        "InvalidRequestException" if says("deletion protection") || says("deletionProtection") => ErrorClass::Conflict,
        "InvalidParameterException" | "InvalidRequestException" if ROLE_NOT_SEEN.iter().any(|words| says(words)) => {
            ErrorClass::NotYet
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: &str, message: &str) -> ProviderError {
        ProviderError {
            code: Some(code.to_owned()),
            ..ProviderError::new(ErrorClass::Invalid, "eks:X", message.to_owned())
        }
    }

    #[test]
    fn what_eks_says_has_the_class_that_the_engine_needs() {
        use ErrorClass as C;
        for (code, message, class) in [
            ("ClientException", "No cluster found for name: c1", C::NotYet),
            ("ClientException", "something else", C::Invalid),
            ("ResourceInUseException", "Cluster already exists with name: c1", C::Conflict),
            ("ResourceInUseException", "Addon already exists.", C::Conflict),
            ("ResourceInUseException", "NodeGroup already exists with name n and cluster name c1", C::Conflict),
            ("ResourceInUseException", "Association already exists: a-kyevsbqhrnchy79jw", C::Conflict),
            (
                "ResourceInUseException",
                "The specified access entry resource is already in use on this cluster.",
                C::Conflict,
            ),
            ("ResourceInUseException", "Cluster has nodegroups attached", C::InUse),
            (
                "ResourceInUseException",
                "Cannot AccessConfigUpdate because cluster c1 currently has update 0585fedb in progress",
                C::Busy,
            ),
            ("ResourceInUseException", "Addon vpc-cni cannot be updated as it is currently in CREATING state", C::Busy),
            ("InvalidRequestException", "Nodegroup cannot be updated as it is currently not in Active State", C::Busy),
            ("InvalidParameterException", "roleArn, arn:aws:iam::123456789012:role/r, does not exist", C::NotYet),
            (
                "InvalidParameterException",
                "Role could not be assumed because the trusted entity is not correct",
                C::NotYet,
            ),
            (
                "InvalidParameterException",
                "Trust policy of role arn:aws:iam::123456789012:role/r must allow pods.eks.amazonaws.com to perform \
                 sts:AssumeRole and sts:TagSession",
                C::NotYet,
            ),
            ("InvalidParameterException", "unsupported Kubernetes version", C::Invalid),
            ("UnsupportedAvailabilityZoneException", "…", C::Invalid),
        ] {
            let error = Err::<(), _>(said(code, message)).reclass().unwrap_err();
            assert_eq!(error.class, class, "{code}: {message}");
        }
    }

    #[test]
    fn what_does_not_exist_is_absent_however_eks_says_it() {
        for (code, message, absent) in [
            ("ResourceNotFoundException", "No addon: coredns found in cluster: c1", true),
            ("ClientException", "No cluster found for name: c1", true),
            ("ClientException", "nope", false),
            ("AccessDeniedException", "does not exist", false),
        ] {
            assert_eq!(Err::<(), _>(said(code, message)).unless_gone().is_ok(), absent, "{code}: {message}");
        }
    }

    #[test]
    fn an_update_that_is_there_already_is_no_failure() {
        let message = "Cluster is already at the desired configuration with endpointPrivateAccess: true , \
                       endpointPublicAccess: true, and Public Endpoint Restrictions: [0.0.0.0/0]";
        assert!(is_done_already(&said("InvalidParameterException", message)));
        assert!(!is_done_already(&said("InvalidParameterException", "unsupported Kubernetes version")));
    }
}
