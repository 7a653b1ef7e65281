//! The IAM client: one service for the whole account, whatever the region.

use aws_sdk_iam::config::retry::RetryConfig;
use aws_sdk_iam::config::{Builder, Region};

use crate::kinds::sdk::WholeAnswers;
use crate::model::Target;
use crate::resource::{Client, Cloud, ProviderError};

/// The IAM API, behind the caller's credentials, endpoint and connector. The region decides no more than the
/// partition: the SDK finds the one endpoint of each.
#[derive(Debug, Clone)]
pub struct Iam(aws_sdk_iam::Client);

impl Iam {
    /// The SDK's client, for one request.
    pub(in crate::kinds) fn api(&self) -> &aws_sdk_iam::Client {
        &self.0
    }
}

impl Client for Iam {
    fn connect(cloud: &Cloud, target: &Target) -> Result<Self, ProviderError> {
        match target {
            Target::Aws { region } => {
                let config = Builder::from(cloud.aws())
                    .region(Region::new(region.to_string()))
                    // The engine is the one place that retries: it looks before it repeats a create.
                    .retry_config(RetryConfig::disabled())
                    .interceptor(WholeAnswers)
                    .build();
                Ok(Self(aws_sdk_iam::Client::from_conf(config)))
            }
            Target::Cluster { .. } | Target::Local => {
                Err(ProviderError::bug("iam:connect", format!("`{target}` is not a region of AWS")))
            }
        }
    }
}
