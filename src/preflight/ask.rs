//! The questions to one region, side by side, each asked only if something depends on its answer.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use aws_config::{Region, SdkConfig};
use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::{AccountAttributeName, AvailabilityZoneState, Filter, LocationType};
use aws_sdk_eks::types::VersionStatus;

use super::demand::Demand;
use crate::model::Clock;
use crate::resource::Cloud;

/// How often a question is asked that is not answered properly: some eight seconds in all.
const TRIES: u32 = 6;

/// From the first try to the second; each later one waits twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// The account attribute that is the quota of Elastic IP addresses.
const ADDRESS_QUOTA: &str = "vpc-max-elastic-ips";

/// What a region answered. What nobody needed is empty.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) zones: Asked<Vec<Zone>>,
    /// Instance types, and the ids of the zones that have them.
    pub(super) offerings: Asked<BTreeSet<(String, String)>>,
    pub(super) versions: Asked<Vec<Version>>,
    /// The names of all clusters.
    pub(super) clusters: Asked<BTreeSet<String>>,
    /// How many Elastic IP addresses there may be; `None` where the account does not say.
    pub(super) address_quota: Asked<Option<usize>>,
    pub(super) addresses: Asked<usize>,
    pub(super) vpcs: Asked<usize>,
}

/// An answer, or why there is none.
#[derive(Debug)]
pub(super) struct Asked<T>(pub(super) Result<T, Refusal>);

impl<T: Default> Default for Asked<T> {
    fn default() -> Self {
        Self(Ok(T::default()))
    }
}

/// Why a question has no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// For example `ec2:DescribeVpcs`.
    pub(super) operation: &'static str,
    /// What was answered instead.
    pub(super) message: String,
}

/// An availability zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Zone {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) is_available: bool,
}

/// A version of Kubernetes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) support: Support,
}

/// How EKS supports a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Support {
    Standard,
    Extended,
    None,
}

/// Asks a region.
pub(super) async fn ask(cloud: &Cloud, clock: &dyn Clock, demand: &Demand) -> Answers {
    let asking = Asking::new(cloud.aws(), clock, &demand.region);
    let has_groups = !demand.groups.is_empty();
    let (zones, offerings, versions, clusters, address_quota, addresses, vpcs) = tokio::join!(
        only_if(has_groups || !demand.zones.is_empty(), asking.zones()),
        only_if(has_groups, asking.offerings(demand)),
        only_if(!demand.clusters.is_empty(), asking.versions()),
        only_if(demand.clusters.iter().any(|cluster| cluster.is_new), asking.clusters()),
        only_if(demand.addresses.coming > 0, asking.address_quota()),
        only_if(demand.addresses.coming > 0, asking.addresses()),
        only_if(demand.vpcs.coming > 0, asking.vpcs()),
    );
    Answers { zones, offerings, versions, clusters, address_quota, addresses, vpcs }
}

async fn only_if<T: Default>(wanted: bool, question: impl Future<Output = Result<T, Refusal>>) -> Asked<T> {
    if wanted { Asked(question.await) } else { Asked::default() }
}

struct Asking<'a> {
    ec2: aws_sdk_ec2::Client,
    eks: aws_sdk_eks::Client,
    clock: &'a dyn Clock,
}

impl<'a> Asking<'a> {
    fn new(config: &SdkConfig, clock: &'a dyn Clock, region: &str) -> Self {
        let region = Region::new(region.to_owned());
        let ec2 = aws_sdk_ec2::config::Builder::from(config).region(region.clone()).build();
        let eks = aws_sdk_eks::config::Builder::from(config).region(region).build();
        Self { ec2: aws_sdk_ec2::Client::from_conf(ec2), eks: aws_sdk_eks::Client::from_conf(eks), clock }
    }

    async fn zones(&self) -> Result<Vec<Zone>, Refusal> {
        let answer = self
            .repeat("ec2:DescribeAvailabilityZones", async || self.ec2.describe_availability_zones().send().await)
            .await?;
        let zones = answer.availability_zones.unwrap_or_default().into_iter().map(|zone| Zone {
            is_available: zone.state() == Some(&AvailabilityZoneState::Available),
            name: zone.zone_name.unwrap_or_default(),
            id: zone.zone_id.unwrap_or_default(),
        });
        Ok(zones.collect())
    }

    async fn offerings(&self, demand: &Demand) -> Result<BTreeSet<(String, String)>, Refusal> {
        let wanted: BTreeSet<String> = demand.groups.iter().flat_map(|group| group.instance_types.clone()).collect();
        let filter = Filter::builder().name("instance-type").set_values(Some(wanted.into_iter().collect())).build();
        let offerings = self
            .repeat("ec2:DescribeInstanceTypeOfferings", async || {
                let request = self.ec2.describe_instance_type_offerings().filters(filter.clone());
                let pages = request.location_type(LocationType::AvailabilityZoneId).into_paginator().items().send();
                pages.try_collect().await
            })
            .await?;
        let pair = |offering: aws_sdk_ec2::types::InstanceTypeOffering| {
            Some((offering.instance_type?.as_str().to_owned(), offering.location?))
        };
        Ok(offerings.into_iter().filter_map(pair).collect())
    }

    async fn versions(&self) -> Result<Vec<Version>, Refusal> {
        let versions = self
            .repeat("eks:DescribeClusterVersions", async || {
                let request = self.eks.describe_cluster_versions().include_all(true);
                request.into_paginator().items().send().try_collect().await
            })
            .await?;
        let version = |version: aws_sdk_eks::types::ClusterVersionInformation| {
            let support = match version.version_status() {
                Some(VersionStatus::ExtendedSupport) => Support::Extended,
                Some(VersionStatus::Unsupported) => Support::None,
                // A word that this version does not know is no reason to refuse.
                Some(_) | None => Support::Standard,
            };
            Some(Version { name: version.cluster_version?, support })
        };
        Ok(versions.into_iter().filter_map(version).collect())
    }

    async fn clusters(&self) -> Result<BTreeSet<String>, Refusal> {
        let names = self
            .repeat("eks:ListClusters", async || {
                self.eks.list_clusters().into_paginator().items().send().try_collect().await
            })
            .await?;
        Ok(names.into_iter().collect())
    }

    async fn address_quota(&self) -> Result<Option<usize>, Refusal> {
        let name = AccountAttributeName::from(ADDRESS_QUOTA);
        let answer = self
            .repeat("ec2:DescribeAccountAttributes", async || {
                self.ec2.describe_account_attributes().attribute_names(name.clone()).send().await
            })
            .await?;
        let attributes = answer.account_attributes.unwrap_or_default();
        let quota = attributes.iter().find(|attribute| attribute.attribute_name() == Some(ADDRESS_QUOTA));
        let value = quota.and_then(|attribute| attribute.attribute_values().first()?.attribute_value());
        Ok(value.and_then(|value| value.parse().ok()))
    }

    async fn addresses(&self) -> Result<usize, Refusal> {
        let answer = self.repeat("ec2:DescribeAddresses", async || self.ec2.describe_addresses().send().await).await?;
        Ok(answer.addresses().len())
    }

    async fn vpcs(&self) -> Result<usize, Refusal> {
        let vpcs = self
            .repeat("ec2:DescribeVpcs", async || {
                self.ec2.describe_vpcs().into_paginator().items().send().try_collect().await
            })
            .await?;
        Ok(vpcs.len())
    }

    /// Asks until there is an answer or no hope of one.
    async fn repeat<T, E>(
        &self,
        operation: &'static str,
        question: impl AsyncFn() -> Result<T, SdkError<E>>,
    ) -> Result<T, Refusal>
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let mut delay = FIRST_DELAY;
        let mut attempt = 1;
        loop {
            match question().await {
                Ok(answer) => return Ok(answer),
                Err(error) if attempt < TRIES && is_passing(&error) => self.clock.sleep(delay).await,
                Err(error) => return Err(Refusal { operation, message: said(&error) }),
            }
            attempt += 1;
            delay *= 2;
        }
    }
}

/// Whether asking again may help.
fn is_passing<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        SdkError::DispatchFailure(failure) => failure.is_io() || failure.is_timeout(),
        SdkError::ServiceError(refused) => {
            let status = refused.raw().status().as_u16();
            let code = refused.err().code().unwrap_or_default();
            status >= 500 || status == 429 || code.contains("Throttl") || code == "RequestLimitExceeded"
        }
        // `SdkError` is non-exhaustive; what was never sent is wrong here and not there.
        SdkError::ConstructionFailure(_) | _ => false,
    }
}

/// The service's own words, or the innermost cause.
fn said<E: ProvideErrorMetadata + Error + 'static>(error: &SdkError<E>) -> String {
    if let SdkError::ServiceError(refused) = error {
        let code = refused.err().code().unwrap_or("an error without a code");
        let message = refused.err().message().unwrap_or_default();
        return format!("{code}: {}", message.trim_end_matches('.'));
    }
    let mut cause: Option<&(dyn Error + 'static)> = error.source();
    let mut last = error.to_string();
    while let Some(next) = cause {
        last = next.to_string();
        cause = next.source();
    }
    last.trim_end_matches('.').to_owned()
}
