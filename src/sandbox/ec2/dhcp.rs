//! DHCP options: only the default set, read-only.

use super::listing::{Listing, write_next};
use super::{Answer, Call, Operation, reads, refer, tagging};
use crate::sandbox::protocol::Xml;

pub(super) const OPERATIONS: &[Operation] =
    &[reads("DescribeDhcpOptions", &["DhcpOptionsId", "Filter", "MaxResults", "NextToken"], describe)];

const LISTING: Listing = Listing {
    ids: "DhcpOptionsId",
    reference: &refer::DHCP_OPTIONS,
    links: &["dhcp-options-id"],
    filters: &["dhcp-options-id", "key", "owner-id", "value"],
    page: (5, 1000),
    refuses_unknown: true,
};

fn describe(call: &mut Call<'_>) -> Answer {
    let selected = LISTING.select(call, &call.region.dhcp_options, |options, filter| match filter {
        "key" => options.configurations.keys().cloned().collect(),
        "value" => options.configurations.values().flatten().cloned().collect(),
        "owner-id" => vec![call.owner().to_owned()],
        _ => vec![options.head.id.clone()],
    })?;
    let mut xml = Xml::default();
    xml.list("dhcpOptionsSet", selected.rows, |xml, options| {
        xml.text("dhcpOptionsId", &options.head.id).text("ownerId", call.owner()).list(
            "dhcpConfigurationSet",
            &options.configurations,
            |xml, (key, values)| {
                xml.text("key", key).list("valueSet", values, |xml, value| {
                    xml.text("value", value);
                });
            },
        );
        tagging::write(xml, &options.head.tags);
    });
    write_next(&mut xml, selected.next);
    Ok(xml)
}
