//! Deletes interfaces that nobody uses any more: those of the cluster's network plug-in, and of its control plane.

use aws_sdk_ec2::types::{AttachmentStatus, NetworkInterface};

use crate::kinds::sdk::listing::{filter, interfaces, security_groups};
use crate::kinds::sdk::{Absence, Answer, Services};
use crate::resource::{Deletion, ErrorClass, ProviderError};

use super::belongs::Cluster;
use super::groups::described;

/// Between the nodes and the cluster: what the plug-in left. Interfaces in use are left alone: nodes that EKS itself
/// runs go with the cluster, and what they leave is for the sweep after it.
pub(super) async fn sweep(services: &Services, cluster: &Cluster) -> Result<Deletion, ProviderError> {
    let own = of_cluster(services, cluster).await?;
    if let Some(done) = delete_one(services, &own).await? {
        return Ok(done);
    }
    let detaching = |interface: &&NetworkInterface| {
        let status = interface.attachment().and_then(|attachment| attachment.status());
        status == Some(&AttachmentStatus::Detaching)
    };
    Ok(match own.iter().find(detaching) {
        Some(interface) => Deletion::Later(format!("{} is being detached", described(interface))),
        None => Deletion::Accepted,
    })
}

/// After the cluster: whatever is left of it, also of the control plane. Nothing of it should be in use any more.
pub(super) async fn sweep_all(services: &Services, cluster: &Cluster) -> Result<Deletion, ProviderError> {
    let own = of_cluster(services, cluster).await?;
    if let Some(done) = delete_one(services, &own).await? {
        return Ok(done);
    }
    Ok(match own.first() {
        Some(interface) => Deletion::Later(format!("{} is still in use", described(interface))),
        None => Deletion::Accepted,
    })
}

async fn of_cluster(services: &Services, cluster: &Cluster) -> Result<Vec<NetworkInterface>, ProviderError> {
    let mut found = interfaces(services, vec![filter("vpc-id", &cluster.vpc)]).await?;
    if found.is_empty() {
        return Ok(found);
    }
    let groups = security_groups(services, &cluster.vpc).await?;
    found.retain(|interface| cluster.plugged(interface, &groups) || cluster.reaches_by(interface));
    Ok(found)
}

/// Deletes one that is available, if there is one. EC2 refuses to delete one that came into use in between.
async fn delete_one(services: &Services, own: &[NetworkInterface]) -> Result<Option<Deletion>, ProviderError> {
    let available = own.iter().find(|interface| {
        interface.attachment().is_none() && interface.status().is_some_and(|status| status.as_str() == "available")
    });
    let Some(id) = available.and_then(|interface| interface.network_interface_id()) else { return Ok(None) };
    let answer = services.ec2.delete_network_interface().network_interface_id(id).send().await;
    match answer.written("ec2:DeleteNetworkInterface").unless_absent() {
        Ok(_) => Ok(Some(Deletion::Again)),
        Err(error) if is_in_use(&error) => Ok(Some(Deletion::Later(format!("{id} came into use again")))),
        Err(error) => Err(error),
    }
}

/// EC2 says it either way: `InvalidNetworkInterface.InUse`, or `InvalidParameterValue` with the words.
fn is_in_use(error: &ProviderError) -> bool {
    error.class == ErrorClass::InUse || (error.has_code("InvalidParameterValue") && error.message.contains("in use"))
}
