//! Address ranges as EC2 takes them.

use ipnet::{Ipv4Net, Ipv6Net};

/// What EC2 would refuse about a VPC's or a subnet's IPv4 block.
pub(super) fn wrong_block(text: &str) -> Option<String> {
    match text.parse::<Ipv4Net>() {
        Err(_) => Some(format!("`{text}` is not an IPv4 block")),
        Ok(net) if !(16..=28).contains(&net.prefix_len()) => {
            Some(format!("{net} has a prefix of {}, and EC2 takes /16 to /28", net.prefix_len()))
        }
        Ok(net) if net.trunc() != net => Some(format!("{net} is not a block's first address: write {}", net.trunc())),
        Ok(_) => None,
    }
}

/// An IPv6 block as everything here writes it (RFC 5952): servers exist that write zeroes which say nothing, and what is
/// declared by such a text would never be found again.
pub(super) fn canonical_ipv6(text: &str) -> String {
    text.parse::<Ipv6Net>().map_or_else(|_| text.to_owned(), |net| net.to_string())
}
