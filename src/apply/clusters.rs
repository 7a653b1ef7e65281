//! Clusters that the run can reach: those that earlier runs left, and those that its own steps make or take in.

use crate::model::event::StepKind;
use crate::model::{Address, Document};

use super::engine::Engine;

impl Engine<'_> {
    /// The clusters that earlier runs left, for plans that were made before this process.
    pub(super) fn offer_recorded_clusters(&self) {
        for (address, record) in &self.state().records {
            let Some(kind) = self.registry.kind(address.kind()) else { continue };
            if self.cloud.cluster(address).is_none()
                && let Some(access) = kind.cluster_access(&record.target, &record.spec, &record.outputs)
            {
                self.cloud.offer_cluster(address.clone(), access);
            }
        }
    }

    /// A cluster that a step made or took in can be reached from now on.
    pub(super) fn offer_cluster(&self, address: &Address, step: StepKind, outputs: Option<&Document>) {
        let Some(kind) = self.registry.kind(address.kind()) else { return };
        let (Some(record), Some(outputs)) = (self.state().records.get(address), outputs) else { return };
        let Some(access) = kind.cluster_access(&record.target, &record.spec, outputs) else { return };
        match step {
            StepKind::Create => self.cloud.offer_new_cluster(address.clone(), access),
            StepKind::Update | StepKind::Wait | StepKind::Adopt => self.cloud.offer_cluster(address.clone(), access),
            StepKind::Delete | StepKind::Forget => {}
        }
    }
}
