//! The EC2 client of one region.

use aws_sdk_ec2::config::retry::RetryConfig;
use aws_sdk_ec2::config::{Builder, Region};

use crate::kinds::sdk::WholeAnswers;
use crate::model::Target;
use crate::resource::{Client, Cloud, ProviderError};

/// The EC2 API of one region, behind the caller's credentials, endpoint and connector.
#[derive(Debug, Clone)]
pub struct Ec2(aws_sdk_ec2::Client);

impl Ec2 {
    /// The SDK's client, for one request.
    pub(in crate::kinds) fn api(&self) -> &aws_sdk_ec2::Client {
        &self.0
    }

    /// Its region.
    pub(super) fn region(&self) -> Option<&str> {
        self.0.config().region().map(Region::as_ref)
    }

    /// The same in another region, for what has an end in each.
    pub(super) fn in_region(&self, region: &str) -> Self {
        let config = self.0.config().to_builder().region(Region::new(region.to_owned())).build();
        Self(aws_sdk_ec2::Client::from_conf(config))
    }
}

impl Client for Ec2 {
    fn connect(cloud: &Cloud, target: &Target) -> Result<Self, ProviderError> {
        match target {
            Target::Aws { region } => {
                let config = Builder::from(cloud.aws())
                    .region(Region::new(region.to_string()))
                    // The engine is the one place that retries: it looks before it repeats a create.
                    .retry_config(RetryConfig::disabled())
                    .interceptor(WholeAnswers)
                    .build();
                Ok(Self(aws_sdk_ec2::Client::from_conf(config)))
            }
            Target::Cluster { .. } | Target::Local => {
                Err(ProviderError::bug("ec2:connect", format!("`{target}` is not a region of AWS")))
            }
        }
    }
}
