//! The kinds of EKS that moto lacks, on ministack: add-ons, access entries, pod identities.

use crate::clusters::{self, Parts};
use crate::stand_ins::{Ministack, stand_in};
use crate::{Impatient, over_the_wire, run};

#[test]
fn guests_of_a_cluster_on_ministack() {
    let ministack = stand_in!(Ministack::start());
    let cloud = over_the_wire(&ministack.endpoint());
    run(async {
        clusters::walk(&cloud, &Impatient, Parts::Guests).await;
        clusters::taken(&cloud, &Impatient, Parts::Guests).await;
    });
}
