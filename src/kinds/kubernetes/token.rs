//! The tokens by which a caller of AWS proves to an EKS cluster who it is: a presigned STS request, as text.
//!
//! Entry points: [`eks_token`] makes one, [`Tokens`] keeps one and makes the next before it expires.

use std::cell::RefCell;
use std::fmt;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use data_encoding::BASE64URL_NOPAD;
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;

use crate::model::secret::Secret;
use crate::resource::{ErrorClass, ProviderError};

const OPERATION: &str = "kubernetes:Token";

/// How long the signature may be used: what EKS asks for (it refuses longer ones).
const SIGNED_FOR: Duration = Duration::from_mins(1);

/// How long EKS honours a token: its authenticator counts 15 minutes from the signature's time, less one for clocks
/// that differ.
const VALID_FOR: Duration = Duration::from_mins(14);

/// A token is replaced this long before it expires, so that none expires on its way.
const SPARE: Duration = Duration::from_mins(2);

/// A token for one cluster.
#[derive(Debug, Clone)]
pub struct EksToken {
    /// The text that goes behind `Bearer`.
    pub text: Secret<String>,
    /// Until when it is honoured.
    pub expires: Timestamp,
}

/// Makes the token with which the caller of `aws` calls a cluster.
///
/// Nothing is sent: a token is a signature. Whoever holds it is the caller, to that cluster, for a quarter of an hour.
pub async fn eks_token(aws: &aws_config::SdkConfig, region: &str, cluster: &str) -> Result<EksToken, ProviderError> {
    let provider = aws
        .credentials_provider()
        .ok_or_else(|| ProviderError::new(ErrorClass::Denied, OPERATION, "there are no AWS credentials"))?;
    let credentials = provider.provide_credentials().await.map_err(|error| {
        ProviderError::new(ErrorClass::Denied, OPERATION, format!("there are no AWS credentials: {error}"))
    })?;
    let now = aws.time_source().and_then(|source| Timestamp::try_from(source.now()).ok());
    let now = now.ok_or_else(|| ProviderError::bug(OPERATION, "the configuration has no clock"))?;
    signed(credentials, region, cluster, now)
}

fn signed(credentials: Credentials, region: &str, cluster: &str, now: Timestamp) -> Result<EksToken, ProviderError> {
    let bug = |error: &dyn fmt::Display| ProviderError::bug(OPERATION, error.to_string());
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(SIGNED_FOR);
    settings.signature_location = SignatureLocation::QueryParams;
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name("sts")
        .time(now.into())
        .settings(settings)
        .build()
        .map_err(|error| bug(&error))?
        .into();
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let url = format!("https://sts.{region}.{domain}/?Action=GetCallerIdentity&Version=2011-06-15");
    // The cluster's name is part of what is signed, so that no other cluster can use the token.
    let headers = [("x-k8s-aws-id", cluster)];
    let signable = SignableRequest::new("GET", &url, headers.into_iter(), SignableBody::Bytes(b""))
        .map_err(|error| bug(&error))?;
    let (instructions, _) = sign(signable, &params).map_err(|error| bug(&error))?.into_parts();
    let mut request = http::Request::get(&url).body(()).map_err(|error| bug(&error))?;
    instructions.apply_to_request_http1x(&mut request);

    let text = format!("k8s-aws-v1.{}", BASE64URL_NOPAD.encode(request.uri().to_string().as_bytes()));
    let expires = now.checked_add(VALID_FOR).map_err(|error| bug(&error))?;
    Ok(EksToken { text: Secret::new(text), expires })
}

/// Makes a token, and says what time it is.
type Maker = Box<dyn Fn() -> LocalBoxFuture<'static, Result<EksToken, ProviderError>>>;

/// One cluster's tokens.
pub(super) struct Tokens {
    make: Maker,
    now: Box<dyn Fn() -> Timestamp>,
    current: RefCell<Option<EksToken>>,
}

impl Tokens {
    pub(super) fn new(make: Maker, now: Box<dyn Fn() -> Timestamp>) -> Self {
        Self { make, now, current: RefCell::default() }
    }

    /// The tokens of the caller of `aws`.
    pub(super) fn of_eks(aws: &aws_config::SdkConfig, region: String, cluster: String) -> Self {
        let (clock, aws) = (aws.time_source(), aws.clone());
        let make = move || -> LocalBoxFuture<'static, Result<EksToken, ProviderError>> {
            let (aws, region, cluster) = (aws.clone(), region.clone(), cluster.clone());
            Box::pin(async move { eks_token(&aws, &region, &cluster).await })
        };
        let now = move || {
            let now = clock.as_ref().and_then(|clock| Timestamp::try_from(clock.now()).ok());
            now.unwrap_or(Timestamp::MAX) // without a clock nothing is fresh
        };
        Self::new(Box::new(make), Box::new(now))
    }

    /// A token that is good for a while.
    pub(super) async fn current(&self) -> Result<Secret<String>, ProviderError> {
        let fresh_until = (self.now)().checked_add(SPARE).unwrap_or(Timestamp::MAX);
        if let Some(token) = self.current.borrow().as_ref()
            && fresh_until < token.expires
        {
            return Ok(token.text.clone());
        }
        let token = (self.make)().await?;
        let text = token.text.clone();
        self.current.replace(Some(token));
        Ok(text)
    }

    /// The cluster refused the token: the next request gets another.
    pub(super) fn forget(&self) {
        self.current.replace(None);
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::rc::Rc;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_token_is_made_again_before_it_expires() {
        let (made, clock) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
        let at = |seconds: i64| Timestamp::from_second(seconds).unwrap();
        let tokens = {
            let (made, clock, now) = (Rc::clone(&made), Rc::clone(&clock), Rc::clone(&clock));
            let make = move || -> LocalBoxFuture<'static, Result<EksToken, ProviderError>> {
                made.set(made.get() + 1);
                let token =
                    EksToken { text: Secret::new(format!("token {}", made.get())), expires: at(clock.get() + 840) };
                Box::pin(std::future::ready(Ok(token)))
            };
            Tokens::new(Box::new(make), Box::new(move || at(now.get())))
        };
        let current = || tokens.current().now_or_never().unwrap().unwrap().expose().clone();
        assert_eq!((current(), current()), ("token 1".to_owned(), "token 1".to_owned()));
        clock.set(719);
        assert_eq!(current(), "token 1");
        clock.set(720);
        assert_eq!(current(), "token 2", "two minutes before the first expires");
        tokens.forget();
        assert_eq!(current(), "token 3", "a token that was refused is not used again");
    }

    #[test]
    fn a_token_is_a_presigned_request_made_out_to_its_cluster() {
        let credentials = Credentials::new("AKIDEXAMPLE", "a secret key", None, None, "a test");
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        let token = signed(credentials.clone(), "us-west-2", "cluster-1", now).unwrap();
        assert_eq!(token.expires, Timestamp::from_second(1_700_000_840).unwrap());
        let encoded = token.text.expose().strip_prefix("k8s-aws-v1.").unwrap();
        let url = String::from_utf8(BASE64URL_NOPAD.decode(encoded.as_bytes()).unwrap()).unwrap();
        assert!(url.starts_with("https://sts.us-west-2.amazonaws.com/?Action=GetCallerIdentity&"), "{url}");
        for part in ["X-Amz-Expires=60", "X-Amz-SignedHeaders=host%3Bx-k8s-aws-id", "X-Amz-Signature="] {
            assert!(url.contains(part), "{part} in {url}");
        }
        assert!(!url.contains("a secret key") && !format!("{token:?}").contains("k8s-aws-v1"), "{url}");
        let other = signed(credentials, "us-west-2", "cluster-2", now).unwrap();
        assert_ne!(other.text.expose(), token.text.expose());
    }
}
