//! Attributes of load balancers: deletion protection, cross-zone balancing and the like.

use super::load_balancer;
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::query::{Answer, Call, Operation, reads, required, validation, writes};
use crate::sandbox::world::rows::LoadBalancer;
use crate::sandbox::world::rows::elb::LOAD_BALANCER_ATTRIBUTES;

pub(super) const OPERATIONS: &[Operation] = &[
    reads("DescribeLoadBalancerAttributes", &["LoadBalancerArn"], describe),
    writes("ModifyLoadBalancerAttributes", &["LoadBalancerArn", "Attributes"], modify),
];

fn write(xml: &mut Xml, balancer: &LoadBalancer) {
    xml.members("Attributes", LOAD_BALANCER_ATTRIBUTES, |xml, (key, _)| {
        xml.text("Key", key).text("Value", balancer.attribute(key).unwrap_or_default());
    });
}

fn describe(call: &mut Call<'_>) -> Answer {
    let mut xml = Xml::default();
    write(&mut xml, load_balancer::find(call.region, required(call.params, "LoadBalancerArn")?)?);
    Ok(xml)
}

fn modify(call: &mut Call<'_>) -> Answer {
    let mut balancer = load_balancer::find(call.region, required(call.params, "LoadBalancerArn")?)?.clone();
    for attribute in call.params.list("Attributes.member") {
        let (key, value) = (required(attribute, "Key")?, attribute.text("Value").unwrap_or_default());
        let known = LOAD_BALANCER_ATTRIBUTES.iter().find(|(known, _)| *known == key);
        let Some((_, default)) = known else {
            return Err(ApiError::new(
                "InvalidConfigurationRequest",
                format!("Load balancer attribute key '{key}' is not recognized"),
            ));
        };
        if matches!(*default, "true" | "false") && !matches!(value, "true" | "false") {
            return Err(validation(format!("The value of '{key}' must be true or false")));
        }
        balancer.attributes.insert(key.to_owned(), value.to_owned());
    }
    let mut xml = Xml::default();
    write(&mut xml, &balancer);
    call.region.load_balancers.insert(balancer);
    Ok(xml)
}
