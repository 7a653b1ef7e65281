//! EKS's refusals, in its own words where they are known.

use crate::sandbox::protocol::ApiError;

/// A parameter's value is not acceptable.
pub(super) fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

/// The request as a whole is not acceptable, in the state that things are in.
pub(super) fn request(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidRequestException", message)
}

/// There is no such thing.
pub(super) fn not_found(message: impl Into<String>) -> ApiError {
    ApiError::new("ResourceNotFoundException", message).with_status(404)
}

/// Its name is taken, or something goes on with it.
pub(super) fn in_use(message: impl Into<String>) -> ApiError {
    ApiError::new("ResourceInUseException", message).with_status(409)
}

/// There is no such cluster.
pub(super) fn no_cluster(name: &str) -> ApiError {
    not_found(format!("No cluster found for name: {name}.")).with("clusterName", name)
}

/// Something goes on with a cluster, and nothing else may meanwhile.
pub(super) fn busy(what: &str, cluster: &str, underway: &str) -> ApiError {
    in_use(format!("Cannot {what} because cluster {cluster} currently has {underway} in progress"))
        .with("clusterName", cluster)
}
