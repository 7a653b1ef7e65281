//! The clients of all services in one region, for whatever looks across them: teardowns and the audit.

use aws_sdk_ec2::config::Region;
use aws_sdk_ec2::config::retry::RetryConfig;

use super::WholeAnswers;
use crate::model::Target;
use crate::resource::{Client, Cloud, ProviderError};

/// Every service's API of one region, behind the caller's credentials, endpoint and connector.
#[derive(Debug, Clone)]
pub struct Services {
    /// Networks and what is in them.
    pub(in crate::kinds) ec2: aws_sdk_ec2::Client,
    /// Load balancers, but the classic ones.
    pub(in crate::kinds) elb: aws_sdk_elasticloadbalancingv2::Client,
    /// Log groups.
    pub(in crate::kinds) logs: aws_sdk_cloudwatchlogs::Client,
    /// Clusters.
    pub(in crate::kinds) eks: aws_sdk_eks::Client,
    /// Roles, of the whole account.
    pub(in crate::kinds) iam: aws_sdk_iam::Client,
}

impl Client for Services {
    fn connect(cloud: &Cloud, target: &Target) -> Result<Self, ProviderError> {
        let Target::Aws { region } = target else {
            return Err(ProviderError::bug("aws:connect", format!("`{target}` is not a region of AWS")));
        };
        let region = Region::new(region.to_string());
        // The engine is the one place that retries. Only answers in XML can be cut short without anybody noticing.
        macro_rules! configured {
            ($sdk:ident) => {
                $sdk::config::Builder::from(cloud.aws()).region(region.clone()).retry_config(RetryConfig::disabled())
            };
        }
        Ok(Self {
            ec2: aws_sdk_ec2::Client::from_conf(configured!(aws_sdk_ec2).interceptor(WholeAnswers).build()),
            elb: aws_sdk_elasticloadbalancingv2::Client::from_conf(
                configured!(aws_sdk_elasticloadbalancingv2).interceptor(WholeAnswers).build(),
            ),
            logs: aws_sdk_cloudwatchlogs::Client::from_conf(configured!(aws_sdk_cloudwatchlogs).build()),
            eks: aws_sdk_eks::Client::from_conf(configured!(aws_sdk_eks).build()),
            iam: aws_sdk_iam::Client::from_conf(configured!(aws_sdk_iam).interceptor(WholeAnswers).build()),
        })
    }
}
