//! Helm and a cluster together: what the verbs of a release need.

use std::rc::Rc;

use crate::kinds::kubernetes::Kube;
use crate::model::Target;
use crate::resource::{Client, Cloud, ClusterAccess, Helm, ProviderError, ReleaseState, ReleaseStatus};

/// Helm, and the cluster that it acts on.
#[derive(Debug, Clone)]
pub struct Link {
    helm: Rc<dyn Helm>,
    kube: Kube,
    access: Rc<ClusterAccess>,
    forces_conflicts: bool,
}

impl Client for Link {
    fn connect(cloud: &Cloud, target: &Target) -> Result<Self, ProviderError> {
        let kube: Kube = cloud.client(target)?;
        let access = match target {
            Target::Cluster { cluster } => cloud.cluster(cluster),
            Target::Aws { .. } | Target::Local => None,
        };
        let access = access.ok_or_else(|| ProviderError::bug("helm:Connect", format!("`{target}` is no cluster")))?;
        let helm = Rc::clone(cloud.helm()?);
        Ok(Self { helm, kube, access: Rc::new(access), forces_conflicts: cloud.forces_conflicts() })
    }
}

impl Link {
    /// The release, unless there is none: one whose history alone was kept is none.
    pub(super) async fn state(&self, namespace: &str, name: &str) -> Result<Option<ReleaseState>, ProviderError> {
        let state = self.helm.read(&self.access, namespace, name).await?;
        Ok(state.filter(|state| state.status != ReleaseStatus::Uninstalled))
    }

    pub(super) fn access(&self) -> &ClusterAccess {
        &self.access
    }

    /// See [`Cloud::forces_conflicts`].
    pub(super) fn forces_conflicts(&self) -> bool {
        self.forces_conflicts
    }

    pub(super) fn helm(&self) -> &dyn Helm {
        &*self.helm
    }

    pub(super) fn kube(&self) -> &Kube {
        &self.kube
    }
}
