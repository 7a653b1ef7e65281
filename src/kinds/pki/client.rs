//! What the kinds of certificate authorities work with: a clock, and somebody who seals.

use std::fs;
use std::rc::Rc;
use std::sync::Arc;

use jiff::Timestamp;

use crate::model::{Clock, Target};
use crate::resource::{Client, Cloud, Keeper, ProviderError};

/// The run's clock and its keeper of secrets.
#[derive(Clone)]
pub struct Pki {
    clock: Arc<dyn Clock>,
    keeper: Rc<dyn Keeper>,
}

impl Pki {
    /// The current instant.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Who seals what is made.
    pub(super) fn keeper(&self) -> &dyn Keeper {
        &*self.keeper
    }

    /// A given file, or what is wrong with it.
    pub(super) fn read(path: &str) -> Result<String, String> {
        fs::read_to_string(path).map_err(|error| format!("`{path}` cannot be read: {error}"))
    }
}

impl Client for Pki {
    fn connect(cloud: &Cloud, target: &Target) -> Result<Self, ProviderError> {
        match target {
            Target::Local => Ok(Self { clock: Arc::clone(cloud.clock()?), keeper: Rc::clone(cloud.keeper()?) }),
            Target::Aws { .. } | Target::Cluster { .. } => {
                Err(ProviderError::bug("pki:connect", format!("a certificate authority does not live in `{target}`")))
            }
        }
    }
}
