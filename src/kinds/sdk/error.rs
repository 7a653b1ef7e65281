//! From the SDK's errors to ours: the one place where an AWS error gets its class.
//!
//! Entry point: [`Answer`], on the result of every request. The class follows from the provider's code where it
//! gave one, else from how far the request got; a kind that knows more re-classes the error afterwards.

use std::error::Error;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::operation::RequestId;

use crate::resource::{ErrorClass, ProviderError};

/// Whether a request changes anything: decides what a lost answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Effect {
    /// It only reads: repeating it is harmless.
    Reads,
    /// It changes something: its effect may be there although the answer is not.
    Writes,
}

impl Effect {
    /// The class of a failure that does not tell whether the request had its effect.
    fn unclear(self) -> ErrorClass {
        match self {
            Self::Reads => ErrorClass::Transient,
            Self::Writes => ErrorClass::Ambiguous,
        }
    }
}

/// The answer to one request, with its error classified.
pub(in crate::kinds) trait Answer<T> {
    /// The answer to a request that only reads. `operation` reads `ec2:DescribeVpcs`.
    fn read(self, operation: &'static str) -> Result<T, ProviderError>;

    /// The answer to a request that changes something.
    fn written(self, operation: &'static str) -> Result<T, ProviderError>;
}

impl<T, E> Answer<T> for Result<T, SdkError<E>>
where
    E: Error + ProvideErrorMetadata + 'static,
{
    fn read(self, operation: &'static str) -> Result<T, ProviderError> {
        self.map_err(|error| classify(operation, Effect::Reads, &error))
    }

    fn written(self, operation: &'static str) -> Result<T, ProviderError> {
        self.map_err(|error| classify(operation, Effect::Writes, &error))
    }
}

/// What is said of errors that name an object which does not exist.
pub(in crate::kinds) trait Absence<T> {
    /// `None` where the provider says that the object does not exist.
    fn unless_absent(self) -> Result<Option<T>, ProviderError>;
}

impl<T> Absence<T> for Result<T, ProviderError> {
    fn unless_absent(self) -> Result<Option<T>, ProviderError> {
        match self {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if is_not_found(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Whether the provider says that an object does not exist: `InvalidVpcID.NotFound`, `NatGatewayNotFound`,
/// `NoSuchEntity`, `ResourceNotFoundException`.
pub(in crate::kinds) fn is_not_found(error: &ProviderError) -> bool {
    let Some(code) = error.code.as_deref() else { return false };
    // EKS sometimes answers this for a cluster that is gone (terraform-provider-aws, eks/cluster.go).
    says_absent(code) || (code == "ClientException" && error.message.contains("No cluster found for name"))
}

/// Whether a code says that an object does not exist. IAM has a word of its own; EKS and CloudWatch Logs add
/// `Exception`.
fn says_absent(code: &str) -> bool {
    code == "NoSuchEntity" || code.ends_with("NotFound") || code.ends_with("NotFoundException")
}

/// An answer to a create without an id: the object may exist, so it has to be looked for.
pub(in crate::kinds) fn no_id(operation: &'static str) -> ProviderError {
    ProviderError::new(ErrorClass::Ambiguous, operation, "the answer holds no id")
}

fn classify<E>(operation: &'static str, effect: Effect, error: &SdkError<E>) -> ProviderError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    let response = error.raw_response();
    let status = response.map(|response| response.status().as_u16());
    // A body that is not an error document (a proxy's page, moto's HTML) has no code; an empty one counts as none.
    let code = error.code().filter(|code| !code.is_empty());
    let mut classified = match (code, status) {
        (Some(code), _) => ProviderError {
            code: Some(code.to_owned()),
            ..ProviderError::new(class_of_code(effect, code, status), operation, explain(code, error.message()))
        },
        (None, Some(status)) => ProviderError::new(
            class_of_status(effect, status, matches!(error, SdkError::ResponseError(_))),
            operation,
            format!("the answer (HTTP {status}) could not be read: {}", chain(error)),
        ),
        (None, None) => unanswered(operation, effect, error),
    };
    classified.request_id = error.request_id().map(str::to_owned);
    classified.retry_after = response
        .and_then(|response| response.headers().get("retry-after"))
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);
    classified
}

/// An error without any answer: it never left, or nothing came back.
fn unanswered<E>(operation: &'static str, effect: Effect, error: &SdkError<E>) -> ProviderError
where
    E: Error + ProvideErrorMetadata + 'static,
{
    if sources(error).any(<dyn Error + 'static>::is::<CredentialsError>) {
        return ProviderError::new(
            ErrorClass::Denied,
            operation,
            format!(
                "there are no usable AWS credentials: {}; sign in (for example `aws sso login`) or set AWS_PROFILE",
                chain(error)
            ),
        );
    }
    // The SDK's enum may grow; whatever it adds, nothing is known about the effect.
    let class = if matches!(error, SdkError::ConstructionFailure(_)) {
        ErrorClass::Bug
    } else if matches!(error, SdkError::DispatchFailure(_)) && never_sent(error) {
        ErrorClass::Transient
    } else {
        effect.unclear()
    };
    ProviderError::new(class, operation, chain(error))
}

/// Whether the connection was never made, so that the request cannot have had an effect.
fn never_sent(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(|source| {
        let refused = source.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(
                error.kind(),
                io::ErrorKind::ConnectionRefused
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::NetworkDown
                    | io::ErrorKind::AddrNotAvailable
            )
        });
        // The connector's own types for these are private: hyper's connect errors (which include names that do not
        // resolve) and the SDK's connect timeout are known by their texts.
        let text = source.to_string();
        refused || text.contains("client error (Connect)") || text.starts_with("HTTP connect timeout")
    })
}

/// The class of a provider's error code. The codes are EC2's ("Error codes for the Amazon EC2 API"), those common to
/// all of AWS, and IAM's, EKS's, Elastic Load Balancing's and CloudWatch Logs' as their API references list them.
fn class_of_code(effect: Effect, code: &str, status: Option<u16>) -> ErrorClass {
    match code {
        "RequestLimitExceeded"
        | "Throttling"
        | "ThrottlingException"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "BandwidthLimitExceeded"
        | "ConcurrentMutationLimitExceeded"
        | "EC2ThrottledException" => ErrorClass::Throttled,

        "UnauthorizedOperation"
        | "AuthFailure"
        | "AccessDenied"
        | "AccessDeniedException"
        | "UnrecognizedClientException"
        | "InvalidClientTokenId"
        | "InvalidAccessKeyId"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "IncompleteSignature"
        | "SignatureDoesNotMatch"
        | "OptInRequired"
        | "Blocked"
        | "PendingVerification"
        | "RequestExpired"
        | "ExpiredToken"
        | "ExpiredTokenException" => ErrorClass::Denied,

        "DependencyViolation"
        | "InvalidIPAddress.InUse"
        | "InvalidGroup.InUse"
        | "InvalidNetworkInterface.InUse"
        | "InvalidAddress.Locked"
        | "CannotDelete"
        | "DeleteConflict"
        | "ResourceInUse" => ErrorClass::InUse,

        // EKS: an earlier change of the object is under way. Where it means a name that is taken, the kind knows.
        "ResourceInUseException" => ErrorClass::Busy,

        // Two requests met at one object; neither has had an effect.
        "ConcurrentTagAccess"
        | "ConcurrentModification"
        | "ConcurrentModificationException"
        | "EntityTemporarilyUnmodifiable"
        | "OperationAbortedException"
        | "InsufficientAddressCapacity" => ErrorClass::Transient,

        // A step before this one is done but not seen everywhere yet (a gateway just attached, a block just
        // associated, a cluster's issuer).
        "IncorrectState" | "Gateway.NotAttached" | "OpenIdIdpCommunicationError" => ErrorClass::NotYet,

        "IdempotentParameterMismatch"
        | "InvalidSubnet.Conflict"
        | "InvalidVpc.Conflict"
        | "InvalidGroup.Duplicate"
        | "InvalidPermission.Duplicate"
        | "Resource.AlreadyAssociated"
        | "RouteAlreadyExists"
        | "EntityAlreadyExists"
        | "ResourceAlreadyExistsException"
        | "OperationNotPermitted" => ErrorClass::Conflict,

        "InsufficientFreeAddressesInSubnet" | "TagLimitExceeded" => ErrorClass::Quota,

        "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "ServiceFailure"
        | "ServerException"
        | "Unavailable"
        | "RequestTimeout"
        | "RequestTimeoutException" => effect.unclear(),

        code if says_absent(code) => ErrorClass::NotYet,
        code if code.ends_with("LimitExceeded") || code.ends_with("LimitExceededException") => ErrorClass::Quota,
        // Elastic Load Balancing: TooManyLoadBalancers, TooManyTargetGroups.
        code if code.starts_with("TooMany") => ErrorClass::Quota,
        _ if status.is_some_and(|status| status >= 500) => effect.unclear(),
        _ => ErrorClass::Invalid,
    }
}

/// The class of an answer that says no more than its HTTP status, because it has no code or because it was `cut` short.
fn class_of_status(effect: Effect, status: u16, cut: bool) -> ErrorClass {
    match status {
        408 => effect.unclear(),
        429 => ErrorClass::Throttled,
        // A refusal without effect, but which? EC2 answers 400 also to what passes (not visible yet, in use, gone).
        400..=499 if cut => ErrorClass::Transient,
        401 | 403 => ErrorClass::Denied,
        400..=499 => ErrorClass::Invalid,
        // A cut or garbled success, a redirect nobody follows, a server's own failure: the effect may be there.
        _ => effect.unclear(),
    }
}

/// The provider's message, with the way out where it is not in the message.
fn explain(code: &str, message: Option<&str>) -> String {
    let message = message.unwrap_or("no further message").trim().trim_end_matches('.');
    match code {
        "RequestExpired" | "ExpiredToken" | "ExpiredTokenException" => {
            format!("{message}; the credentials have expired: sign in again (for example `aws sso login`)")
        }
        "UnauthorizedOperation" => {
            // The blob behind this runs to two kilobytes, and says nothing to a reader.
            let readable = message.split("Encoded authorization failure message:").next().unwrap_or(message);
            readable.trim().trim_end_matches('.').to_owned()
        }
        _ => message.to_owned(),
    }
}

/// An error and what caused it.
fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The texts of an error and of what caused it, once each.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for source in sources(error) {
        let part = source.to_string();
        if !text.contains(&part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::error::{ConnectorError, ErrorMetadata};
    use aws_sdk_ec2::operation::create_vpc::CreateVpcError;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_types::body::SdkBody;

    use super::*;

    fn answered(status: u16, code: Option<&str>, message: &str, retry_after: Option<&str>) -> SdkError<CreateVpcError> {
        let mut response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from("<html>"));
        if let Some(seconds) = retry_after {
            response.headers_mut().insert("retry-after", seconds.to_owned());
        }
        let mut metadata = ErrorMetadata::builder().message(message);
        if let Some(code) = code {
            metadata = metadata.code(code);
        }
        SdkError::service_error(CreateVpcError::generic(metadata.build()), response)
    }

    fn classes(error: &SdkError<CreateVpcError>) -> (ErrorClass, ErrorClass) {
        (classify("ec2:CreateVpc", Effect::Writes, error).class, classify("ec2:X", Effect::Reads, error).class)
    }

    #[test]
    fn every_code_has_the_class_that_the_engine_needs() {
        let both = |class| (class, class);
        let unclear = (ErrorClass::Ambiguous, ErrorClass::Transient);
        for (status, code, expected) in [
            (503, "RequestLimitExceeded", both(ErrorClass::Throttled)),
            (400, "Throttling", both(ErrorClass::Throttled)),
            (400, "VpcLimitExceeded", both(ErrorClass::Quota)),
            (400, "AddressLimitExceeded", both(ErrorClass::Quota)),
            (400, "NatGatewayLimitExceeded", both(ErrorClass::Quota)),
            (400, "DependencyViolation", both(ErrorClass::InUse)),
            (400, "InvalidIPAddress.InUse", both(ErrorClass::InUse)),
            (400, "InvalidVpcID.NotFound", both(ErrorClass::NotYet)),
            (400, "NatGatewayNotFound", both(ErrorClass::NotYet)),
            (400, "Gateway.NotAttached", both(ErrorClass::NotYet)),
            (400, "InvalidVpcID.Malformed", both(ErrorClass::Invalid)),
            (400, "InvalidParameterValue", both(ErrorClass::Invalid)),
            (400, "InvalidSubnet.Conflict", both(ErrorClass::Conflict)),
            (400, "Resource.AlreadyAssociated", both(ErrorClass::Conflict)),
            (403, "UnauthorizedOperation", both(ErrorClass::Denied)),
            (401, "AuthFailure", both(ErrorClass::Denied)),
            (400, "RequestExpired", both(ErrorClass::Denied)),
            (404, "NoSuchEntity", both(ErrorClass::NotYet)),
            (409, "EntityAlreadyExists", both(ErrorClass::Conflict)),
            (409, "DeleteConflict", both(ErrorClass::InUse)),
            (409, "ConcurrentModification", both(ErrorClass::Transient)),
            (409, "LimitExceeded", both(ErrorClass::Quota)),
            (400, "MalformedPolicyDocument", both(ErrorClass::Invalid)),
            (500, "ServiceFailure", unclear),
            (404, "ResourceNotFoundException", both(ErrorClass::NotYet)),
            (400, "ResourceLimitExceededException", both(ErrorClass::Quota)),
            (409, "ResourceInUseException", both(ErrorClass::Busy)),
            (400, "InvalidParameterException", both(ErrorClass::Invalid)),
            (500, "ServerException", unclear),
            (503, "ServiceUnavailableException", unclear),
            (429, "TooManyRequestsException", both(ErrorClass::Throttled)),
            (400, "TooManyLoadBalancers", both(ErrorClass::Quota)),
            (400, "LoadBalancerNotFound", both(ErrorClass::NotYet)),
            (400, "ResourceInUse", both(ErrorClass::InUse)),
            (500, "InternalError", unclear),
            (503, "Unavailable", unclear),
            (500, "SomethingNew", unclear),
            (400, "SomethingNew", both(ErrorClass::Invalid)),
        ] {
            assert_eq!(classes(&answered(status, Some(code), "m", None)), expected, "{code}");
        }
    }

    #[test]
    fn each_service_says_in_its_own_words_that_a_thing_is_gone() {
        for (code, message, expected) in [
            ("InvalidVpcID.NotFound", "", true),
            ("NoSuchEntity", "", true),
            ("ResourceNotFoundException", "", true),
            ("ClientException", "No cluster found for name: c.", true),
            ("ClientException", "something else", false),
            ("ValidationError", "", false),
        ] {
            let error = classify("x:Y", Effect::Writes, &answered(400, Some(code), message, None));
            assert_eq!(is_not_found(&error), expected, "{code}: {message}");
        }
    }

    #[test]
    fn an_answer_without_a_code_is_classed_by_its_status() {
        let unclear = (ErrorClass::Ambiguous, ErrorClass::Transient);
        assert_eq!(classes(&answered(500, None, "", None)), unclear);
        assert_eq!(classes(&answered(502, Some(""), "", None)), unclear);
        assert_eq!(classes(&answered(404, None, "", None)), (ErrorClass::Invalid, ErrorClass::Invalid));
        assert_eq!(classes(&answered(429, None, "", None)), (ErrorClass::Throttled, ErrorClass::Throttled));
        let cut = SdkError::response_error(
            io::Error::new(io::ErrorKind::UnexpectedEof, "the body ended early"),
            HttpResponse::new(200.try_into().unwrap(), SdkBody::empty()),
        );
        assert_eq!(classes(&cut), unclear);
    }

    #[test]
    fn a_refusal_whose_reason_was_cut_off_is_asked_for_again() {
        let cut = SdkError::response_error(
            io::Error::new(io::ErrorKind::UnexpectedEof, "the body ended early"),
            HttpResponse::new(400.try_into().unwrap(), SdkBody::empty()),
        );
        assert_eq!(classes(&cut), (ErrorClass::Transient, ErrorClass::Transient));
    }

    #[test]
    fn only_a_connection_that_was_never_made_proves_that_nothing_happened() {
        let dispatch =
            |kind| SdkError::<CreateVpcError>::dispatch_failure(ConnectorError::io(io::Error::new(kind, "tcp").into()));
        assert_eq!(
            classes(&dispatch(io::ErrorKind::ConnectionRefused)),
            (ErrorClass::Transient, ErrorClass::Transient)
        );
        let unclear = (ErrorClass::Ambiguous, ErrorClass::Transient);
        assert_eq!(classes(&dispatch(io::ErrorKind::ConnectionReset)), unclear);
        assert_eq!(classes(&dispatch(io::ErrorKind::UnexpectedEof)), unclear);
        assert_eq!(classes(&SdkError::timeout_error("too slow")), unclear);
        assert_eq!(classes(&SdkError::construction_failure("no")), (ErrorClass::Bug, ErrorClass::Bug));
    }

    #[test]
    fn credentials_that_cannot_be_had_name_the_way_out() {
        let missing = CredentialsError::not_loaded("no profile");
        let error = SdkError::<CreateVpcError>::dispatch_failure(ConnectorError::other(missing.into(), None));
        let error = classify("ec2:DescribeVpcs", Effect::Reads, &error);
        assert_eq!(error.class, ErrorClass::Denied);
        assert!(error.message.contains("aws sso login"), "{error}");
        let expired = classify(
            "ec2:DescribeVpcs",
            Effect::Reads,
            &answered(400, Some("RequestExpired"), "Request has expired.", None),
        );
        assert_eq!(
            expired.to_string(),
            "ec2:DescribeVpcs: RequestExpired: Request has expired; the credentials have expired: sign in again \
             (for example `aws sso login`)"
        );
    }

    #[test]
    fn the_wait_that_is_asked_for_and_the_readable_part_of_a_message_are_kept() {
        let error = classify(
            "ec2:CreateVpc",
            Effect::Writes,
            &answered(503, Some("RequestLimitExceeded"), "Request limit exceeded.", Some("7")),
        );
        assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
        let error = classify(
            "ec2:CreateVpc",
            Effect::Writes,
            &answered(
                403,
                Some("UnauthorizedOperation"),
                "You are not authorized. Encoded authorization failure message: 8xYz",
                None,
            ),
        );
        assert_eq!(error.to_string(), "ec2:CreateVpc: UnauthorizedOperation: You are not authorized");
    }
}
