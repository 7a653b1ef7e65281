//! The tokens by which a caller of AWS proves to an EKS cluster who it is: kept, and made anew before they expire.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use aws_credential_types::provider::ProvideCredentials;
use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;

use crate::kinds::eks::token::{Token, presign};
use crate::model::Clock;
use crate::model::secret::Secret;
use crate::resource::{ErrorClass, ProviderError};

const OPERATION: &str = "kubernetes:Token";

/// A token is replaced this long before it expires, so that none expires on its way.
const SPARE: Duration = Duration::from_mins(2);

/// What the time is for those who have no clock at all: no token is fresh then.
const UNKNOWN: Timestamp = Timestamp::MAX;

async fn make(
    aws: &aws_config::SdkConfig,
    region: &str,
    cluster: &str,
    now: Timestamp,
) -> Result<Token, ProviderError> {
    let denied = |why: &dyn fmt::Display| {
        ProviderError::new(ErrorClass::Denied, OPERATION, format!("there are no usable AWS credentials: {why}"))
    };
    let provider = aws.credentials_provider().ok_or_else(|| denied(&"none are configured"))?;
    let credentials = provider.provide_credentials().await.map_err(|error| denied(&error))?;
    if now == UNKNOWN {
        return Err(ProviderError::bug(OPERATION, "the AWS configuration has no clock"));
    }
    presign(&credentials, region, cluster, now)
}

/// Makes a token, given what time it is.
type Maker = Box<dyn Fn(Timestamp) -> LocalBoxFuture<'static, Result<Token, ProviderError>>>;

/// One cluster's tokens.
pub(super) struct Tokens {
    make: Maker,
    now: Box<dyn Fn() -> Timestamp>,
    current: RefCell<Option<Token>>,
}

impl Tokens {
    pub(super) fn new(make: Maker, now: Box<dyn Fn() -> Timestamp>) -> Self {
        Self { make, now, current: RefCell::default() }
    }

    /// The tokens of the caller of `aws`, by the run's clock; by that of the AWS configuration where a run has none.
    pub(super) fn of_eks(
        aws: &aws_config::SdkConfig,
        region: String,
        cluster: String,
        run: Option<Arc<dyn Clock>>,
    ) -> Self {
        let (clock, aws) = (aws.time_source(), aws.clone());
        let maker = move |now| -> LocalBoxFuture<'static, Result<Token, ProviderError>> {
            let (aws, region, cluster) = (aws.clone(), region.clone(), cluster.clone());
            Box::pin(async move { make(&aws, &region, &cluster, now).await })
        };
        let now = move || {
            if let Some(run) = &run {
                return run.now();
            }
            let now = clock.as_ref().and_then(|clock| Timestamp::try_from(clock.now()).ok());
            now.unwrap_or(UNKNOWN)
        };
        Self::new(Box::new(maker), Box::new(now))
    }

    /// A token that is good for a while.
    pub(super) async fn current(&self) -> Result<Secret<String>, ProviderError> {
        let now = (self.now)();
        let fresh_until = now.checked_add(SPARE).unwrap_or(Timestamp::MAX);
        if let Some(token) = self.current.borrow().as_ref()
            && fresh_until < token.expires
        {
            return Ok(token.token.clone());
        }
        let token = (self.make)(now).await?;
        let text = token.token.clone();
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
            let make = move |_| -> LocalBoxFuture<'static, Result<Token, ProviderError>> {
                made.set(made.get() + 1);
                let token =
                    Token { token: Secret::new(format!("token {}", made.get())), expires: at(clock.get() + 840) };
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
}
