//! The clients of Amazon EKS in one region, with those that explain what EKS does not.

use aws_sdk_ec2::config::Region;
use aws_sdk_ec2::config::retry::RetryConfig;

use crate::kinds::sdk::WholeAnswers;
use crate::model::Target;
use crate::resource::{Client, Cloud, ProviderError};

/// The EKS API of one region, behind the caller's credentials, endpoint and connector.
///
/// EKS says little of why nodes do not join: EC2 and IAM are asked for that, and for nothing else.
#[derive(Debug, Clone)]
pub struct Eks {
    eks: aws_sdk_eks::Client,
    ec2: aws_sdk_ec2::Client,
    iam: aws_sdk_iam::Client,
}

impl Eks {
    /// The SDK's client, for one request.
    pub(super) fn api(&self) -> &aws_sdk_eks::Client {
        &self.eks
    }

    /// EC2, for a diagnosis.
    pub(super) fn ec2(&self) -> &aws_sdk_ec2::Client {
        &self.ec2
    }

    /// IAM, for a diagnosis.
    pub(super) fn iam(&self) -> &aws_sdk_iam::Client {
        &self.iam
    }
}

impl Client for Eks {
    fn connect(cloud: &Cloud, target: &Target) -> Result<Self, ProviderError> {
        let Target::Aws { region } = target else {
            return Err(ProviderError::bug("eks:connect", format!("`{target}` is not a region of AWS")));
        };
        let region = Region::new(region.to_string());
        // The engine is the one place that retries: it looks before it repeats a create.
        let eks = aws_sdk_eks::config::Builder::from(cloud.aws())
            .region(region.clone())
            .retry_config(RetryConfig::disabled())
            .build();
        let ec2 = aws_sdk_ec2::config::Builder::from(cloud.aws())
            .region(region.clone())
            .retry_config(RetryConfig::disabled())
            .interceptor(WholeAnswers)
            .build();
        let iam = aws_sdk_iam::config::Builder::from(cloud.aws())
            .region(region)
            .retry_config(RetryConfig::disabled())
            .interceptor(WholeAnswers)
            .build();
        Ok(Self {
            eks: aws_sdk_eks::Client::from_conf(eks),
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            iam: aws_sdk_iam::Client::from_conf(iam),
        })
    }
}
