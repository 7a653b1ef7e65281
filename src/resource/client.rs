//! How a kind gets its provider's client: one per target, made once.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::model::{Clock, Target};

use super::error::ProviderError;
use super::keeper::Keeper;

/// A provider's client, made for one target. Cloning one is cheap.
pub trait Client: Clone + 'static {
    /// Makes the client for a target. Opens no connection.
    fn connect(cloud: &Cloud, target: &Target) -> Result<Self, ProviderError>;
}

/// The caller's credentials and endpoints, and the clients made of them.
pub struct Cloud {
    aws: aws_config::SdkConfig,
    keeper: Option<Rc<dyn Keeper>>,
    clock: Option<Arc<dyn Clock>>,
    clients: RefCell<BTreeMap<(TypeId, Target), Box<dyn Any>>>,
}

impl Cloud {
    /// A cloud behind an SDK configuration. Its retries must be off: the engine is the one place that retries.
    #[must_use]
    pub fn new(aws: aws_config::SdkConfig) -> Self {
        Self { aws, keeper: None, clock: None, clients: RefCell::default() }
    }

    /// The same with somebody who seals secrets and opens them, for kinds that make keys.
    #[must_use]
    pub fn with_keeper(self, keeper: Rc<dyn Keeper>) -> Self {
        Self { keeper: Some(keeper), ..self }
    }

    /// The same with the run's clock, for kinds whose objects are dated by us.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// Who seals secrets and opens them.
    pub fn keeper(&self) -> Result<&Rc<dyn Keeper>, ProviderError> {
        self.keeper.as_ref().ok_or_else(|| ProviderError::bug("vault", "this command was given no vault"))
    }

    /// The run's clock.
    pub fn clock(&self) -> Result<&Arc<dyn Clock>, ProviderError> {
        self.clock.as_ref().ok_or_else(|| ProviderError::bug("clock", "this command was given no clock"))
    }

    /// The SDK configuration, for [`Client::connect`].
    #[must_use]
    pub fn aws(&self) -> &aws_config::SdkConfig {
        &self.aws
    }

    /// The client of a target.
    pub fn client<C: Client>(&self, target: &Target) -> Result<C, ProviderError> {
        let key = (TypeId::of::<C>(), target.clone());
        if let Some(client) = self.clients.borrow().get(&key).and_then(|client| client.downcast_ref::<C>()) {
            return Ok(client.clone());
        }
        let client = C::connect(self, target)?;
        self.clients.borrow_mut().insert(key, Box::new(client.clone()));
        Ok(client)
    }
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The SDK configuration prints its credential provider; keep it out of logs altogether.
        f.debug_struct("Cloud").finish_non_exhaustive()
    }
}
