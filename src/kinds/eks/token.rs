//! The token that an EKS cluster takes: a request to AWS STS, signed and not sent.
//!
//! The cluster's authenticator sends it, and STS tells it who the caller is. The signature names the cluster, so that a
//! token for one is none for another. Entry points: [`presign`], pure, and [`token`], with a cloud's credentials. Nothing
//! here keeps a token: a long run asks again before [`Token::expires`].

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use data_encoding::BASE64URL_NOPAD;
use jiff::{SignedDuration, Timestamp};

use crate::model::secret::Secret;
use crate::resource::{Cloud, ErrorClass, ProviderError};

/// How long the signed request may be sent: what aws-iam-authenticator and the aws command ask for.
const SIGNED_FOR: Duration = Duration::from_secs(60);

/// How long the cluster takes the token: its authenticator allows 15 minutes from the signature, and clients renew it a
/// minute before (aws-iam-authenticator, `pkg/token`).
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(14);

/// The header that names the cluster.
const CLUSTER: &str = "x-k8s-aws-id";

/// What goes before the encoded request.
const PREFIX: &str = "k8s-aws-v1.";

/// A bearer token for one cluster.
#[derive(Debug, Clone)]
pub struct Token {
    /// The token.
    pub token: Secret<String>,
    /// When to ask for another.
    pub expires: Timestamp,
}

/// The token of a cluster for a cloud's caller.
pub async fn token(cloud: &Cloud, region: &str, cluster: &str, now: Timestamp) -> Result<Token, ProviderError> {
    let missing = |why: String| {
        let way = "sign in (for example `aws sso login`) or set AWS_PROFILE";
        ProviderError::new(ErrorClass::Denied, OPERATION, format!("there are no usable AWS credentials: {why}; {way}"))
    };
    let provider = cloud.aws().credentials_provider().ok_or_else(|| missing("none are configured".to_owned()))?;
    let credentials = provider.provide_credentials().await.map_err(|error| {
        let cause = std::error::Error::source(&error).map_or_else(|| error.to_string(), ToString::to_string);
        missing(cause)
    })?;
    presign(&credentials, region, cluster, now)
}

const OPERATION: &str = "sts:GetCallerIdentity";

/// Signs the token of a cluster. Pure: no request, no clock.
pub fn presign(credentials: &Credentials, region: &str, cluster: &str, now: Timestamp) -> Result<Token, ProviderError> {
    let wrong = |error: &dyn std::error::Error| ProviderError::bug(OPERATION, format!("cannot be signed: {error}"));
    let url = format!("https://sts.{region}.{}/?Action=GetCallerIdentity&Version=2011-06-15", domain(region));
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(SIGNED_FOR);
    let identity = credentials.clone().into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now.into())
        .settings(settings)
        .build()
        .map_err(|error| wrong(&error))?
        .into();
    let headers = std::iter::once((CLUSTER, cluster));
    let signable =
        SignableRequest::new("GET", url.as_str(), headers, SignableBody::Bytes(&[])).map_err(|error| wrong(&error))?;
    let (instructions, _) = sign(signable, &parameters).map_err(|error| wrong(&error))?.into_parts();
    let mut request = http::Request::builder().uri(&url).body(()).map_err(|error| wrong(&error))?;
    instructions.apply_to_request_http1x(&mut request);
    let signed = request.uri().to_string();
    let token = Secret::new(format!("{PREFIX}{}", BASE64URL_NOPAD.encode(signed.as_bytes())));
    Ok(Token { token, expires: now.checked_add(GOOD_FOR).unwrap_or(Timestamp::MAX) })
}

/// The domain of a region's endpoints ("Partitions" in the SDK's endpoint rules).
fn domain(region: &str) -> &'static str {
    match region.split('-').next() {
        Some("cn") => "amazonaws.com.cn",
        Some("eusc") => "amazonaws.eu",
        Some(_) | None => "amazonaws.com",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed(region: &str, session: Option<&str>) -> (String, Token) {
        let credentials = Credentials::new("AKIDEXAMPLE", "secret", session.map(str::to_owned), None, "a test");
        let now: Timestamp = "2026-01-02T03:04:05Z".parse().unwrap();
        let token = presign(&credentials, region, "cluster-1", now).unwrap();
        let encoded = token.token.expose().strip_prefix(PREFIX).unwrap().to_owned();
        (String::from_utf8(BASE64URL_NOPAD.decode(encoded.as_bytes()).unwrap()).unwrap(), token)
    }

    #[test]
    fn a_token_is_a_signed_request_that_names_its_cluster() {
        let (url, token) = signed("us-west-2", None);
        assert_eq!(token.expires.to_string(), "2026-01-02T03:18:05Z");
        let (base, query) = url.split_once('?').unwrap();
        assert_eq!(base, "https://sts.us-west-2.amazonaws.com/");
        for part in [
            "Action=GetCallerIdentity",
            "Version=2011-06-15",
            "X-Amz-Algorithm=AWS4-HMAC-SHA256",
            "X-Amz-Credential=AKIDEXAMPLE%2F20260102%2Fus-west-2%2Fsts%2Faws4_request",
            "X-Amz-Date=20260102T030405Z",
            "X-Amz-Expires=60",
            "X-Amz-SignedHeaders=host%3Bx-k8s-aws-id",
        ] {
            assert!(query.split('&').any(|has| has == part), "{part} is not in {url}");
        }
        let signature = |url: &str| url.split("X-Amz-Signature=").nth(1).unwrap()[..64].to_owned();
        assert_eq!(signature(&url), signature(&signed("us-west-2", None).0), "it is the same for the same moment");
        assert!(!format!("{token:?}").contains(PREFIX), "it is not printed");
    }

    #[test]
    fn sessions_and_other_partitions() {
        let (url, _) = signed("cn-north-1", Some("session/token"));
        assert!(url.starts_with("https://sts.cn-north-1.amazonaws.com.cn/?"), "{url}");
        assert!(url.contains("X-Amz-Security-Token=session%2Ftoken"), "{url}");
    }
}
