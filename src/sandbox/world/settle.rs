//! What time alone does: a deleted NAT gateway gives back its address, a disassociated block drops from the lists, a
//! terminated instance takes its interfaces along.
//!
//! Entry point: [`Region::settle`], called before every operation, so that no background work is needed.

use jiff::Timestamp;

use super::Region;

impl Region {
    /// Brings everything up to `now`.
    pub(crate) fn settle(&mut self, now: Timestamp) {
        while let Some(id) = self.nat_gateways.next_due(now) {
            self.settle_nat(&id);
        }
        while let Some(id) = self.vpcs.next_due(now) {
            self.vpcs.edit(&id, |vpc| vpc.ipv6.retain(|block| !block.is_forgotten(now)));
        }
        while let Some(id) = self.subnets.next_due(now) {
            self.subnets.edit(&id, |subnet| subnet.ipv6.retain(|block| !block.is_forgotten(now)));
        }
        while let Some(id) = self.interfaces.next_due(now) {
            self.interfaces.remove(&id);
        }
        while let Some(id) = self.instances.next_due(now) {
            self.settle_instance(&id);
        }
        while let Some(id) = self.target_groups.next_due(now) {
            self.target_groups.edit(&id, |group| {
                group.targets.retain(|target| target.drained_at.is_none_or(|at| at > now));
            });
        }
        while let Some(id) = self.vpc_peerings.next_due(now) {
            self.vpc_peerings.remove(&id);
        }
        while let Some(id) = self.tokens.next_due(now) {
            self.tokens.remove(&id);
        }
    }

    /// The first time an instance is due its interfaces go with it, the second time it drops from the lists.
    fn settle_instance(&mut self, id: &str) {
        if self.instances.get(id).is_none_or(|instance| instance.released) {
            self.instances.remove(id);
            return;
        }
        // An interface that is about to be detached, and to stay, is no longer the instance's by then.
        let interfaces: Vec<String> = self.interfaces.linked(id).map(|interface| interface.head.id.clone()).collect();
        for interface in interfaces {
            self.interfaces.remove(&interface);
        }
        self.instances.edit(id, |instance| instance.released = true);
    }

    /// The first time a NAT gateway is due it gives back what it holds, the second time it drops from the lists.
    fn settle_nat(&mut self, id: &str) {
        let Some(nat) = self.nat_gateways.get(id).cloned() else { return };
        if nat.released {
            self.nat_gateways.remove(id);
            let tokens: Vec<String> = self.tokens.linked(id).map(|token| token.head.id.clone()).collect();
            for token in tokens {
                self.tokens.remove(&token);
            }
            return;
        }
        self.interfaces.remove(&nat.interface_id);
        if let Some(allocation) = &nat.allocation_id {
            self.addresses.edit(allocation, |address| {
                if address.association.as_ref().is_some_and(|a| a.interface_id == nat.interface_id) {
                    address.association = None;
                }
            });
        }
        self.nat_gateways.edit(id, |nat| nat.released = true);
    }
}
