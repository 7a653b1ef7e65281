//! The load balancer behind a gateway's host name, and the health of its targets.

use aws_sdk_elasticloadbalancingv2::Client;
use aws_sdk_elasticloadbalancingv2::config::retry::RetryConfig;
use aws_sdk_elasticloadbalancingv2::config::{Builder, Region};
use aws_sdk_elasticloadbalancingv2::error::{DisplayErrorContext, ProvideErrorMetadata};
use aws_sdk_elasticloadbalancingv2::types::{IpAddressType, LoadBalancer, TargetHealthDescription};

use super::{Looker, REQUEST};
use crate::resource::{ErrorClass, ProviderError};
use crate::verify::facts::{Balancer, Seen, TargetHealth};

/// The port that other networks connect to.
const PORT: i32 = 15443;

impl Looker<'_> {
    /// The load balancer of a host name; `None` where there is no AWS to ask.
    pub(super) async fn balancer(self, host: &str) -> Option<Seen<Balancer>> {
        let region = self.declared.region.as_ref()?;
        // Names of other load balancers are not known there.
        if !host.contains(".elb.") {
            return None;
        }
        let config = Builder::from(self.cloud.aws())
            .region(Region::new(region.clone()))
            .retry_config(RetryConfig::disabled())
            .build();
        Some(self.within(REQUEST * 2, look(&Client::from_conf(config), host)).await)
    }
}

async fn look(client: &Client, host: &str) -> Result<Balancer, ProviderError> {
    let Some(found) = find(client, host).await? else { return Ok(Balancer::Unknown) };
    let arn = found.load_balancer_arn().unwrap_or_default();
    let listeners = client.describe_listeners().load_balancer_arn(arn).send().await;
    let listeners = listeners.map_err(|error| refused("elasticloadbalancing:DescribeListeners", &error))?;
    let ours = listeners.listeners().iter().find(|listener| listener.port() == Some(PORT));
    let group =
        ours.and_then(|listener| listener.default_actions().first()).and_then(|action| action.target_group_arn());
    let targets = match group {
        Some(group) => {
            let health = client.describe_target_health().target_group_arn(group).send().await;
            let health = health.map_err(|error| refused("elasticloadbalancing:DescribeTargetHealth", &error))?;
            Some(health.target_health_descriptions().iter().map(target).collect())
        }
        None => None,
    };
    let state = found.state().and_then(|state| state.code());
    Ok(Balancer::Known {
        kind: found.r#type().map_or_else(|| "unknown".to_owned(), |kind| kind.as_str().to_owned()),
        state: state.map_or_else(|| "unknown".to_owned(), |state| state.as_str().to_owned()),
        dual_stack: found.ip_address_type().is_some_and(|kind| *kind != IpAddressType::Ipv4),
        targets,
    })
}

/// The load balancer that has this name, on whichever page it is listed. Names are not told apart by case.
async fn find(client: &Client, host: &str) -> Result<Option<LoadBalancer>, ProviderError> {
    let mut marker = None;
    loop {
        let page = client.describe_load_balancers().set_marker(marker).send().await;
        let page = page.map_err(|error| refused("elasticloadbalancing:DescribeLoadBalancers", &error))?;
        let is_it = |one: &&LoadBalancer| one.dns_name().is_some_and(|name| name.eq_ignore_ascii_case(host));
        if let Some(found) = page.load_balancers().iter().find(is_it) {
            return Ok(Some(found.clone()));
        }
        marker = page.next_marker().filter(|marker| !marker.is_empty()).map(str::to_owned);
        if marker.is_none() {
            return Ok(None);
        }
    }
}

fn target(description: &TargetHealthDescription) -> TargetHealth {
    let target = description.target();
    let health = description.target_health();
    let id = target.and_then(|target| target.id()).unwrap_or("a target");
    let port = target.and_then(aws_sdk_elasticloadbalancingv2::types::TargetDescription::port).unwrap_or_default();
    let state = health.and_then(|health| health.state());
    TargetHealth {
        target: if id.contains(':') { format!("[{id}]:{port}") } else { format!("{id}:{port}") },
        state: state.map_or_else(|| "unknown".to_owned(), |state| state.as_str().to_owned()),
        why: health.and_then(|health| health.description()).map(str::to_owned),
    }
}

fn refused<E>(operation: &'static str, error: &E) -> ProviderError
where
    E: ProvideErrorMetadata + std::error::Error,
{
    let code = error.code().map(str::to_owned);
    let class = match code.as_deref() {
        Some("AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" | "ExpiredToken") => ErrorClass::Denied,
        Some("Throttling" | "ThrottlingException") => ErrorClass::Throttled,
        Some(_) | None => ErrorClass::Transient,
    };
    let message = error.message().map_or_else(|| DisplayErrorContext(error).to_string(), str::to_owned);
    ProviderError { code, ..ProviderError::new(class, operation, message) }
}
