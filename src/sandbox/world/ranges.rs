//! Ranges of addresses: overlap, and the pools that Amazon's own addresses come from.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::Region;
use super::ids::{Mint, number_of};

/// Whether two blocks share an address.
pub(crate) fn overlap(one: Ipv4Net, other: Ipv4Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// The same for IPv6.
pub(crate) fn overlap6(one: Ipv6Net, other: Ipv6Net) -> bool {
    one.contains(&other) || other.contains(&one)
}

/// A free /56 for a VPC, from a /40 of 2600:1f00::/24 that is the region's own.
pub(crate) fn amazon_ipv6(region: &Region, mint: &mut Mint) -> Ipv6Net {
    let site = number_of(&[b"ipv6", region.name.as_bytes()]) & 0xffff;
    loop {
        mint.counter += 1;
        let draw = mint.number(&["ipv6", &region.name, &mint.counter.to_string()]) & 0xffff;
        let bits = (0x2600_1f00_u128 << 96) | (u128::from(site) << 88) | (u128::from(draw) << 72);
        let block = Ipv6Net::new_assert(Ipv6Addr::from_bits(bits), 56);
        if region.vpcs.linked(&block.to_string()).next().is_none() {
            return block;
        }
    }
}

/// A free public address, from one of Amazon's own /12s.
pub(crate) fn amazon_ipv4(region: &Region, mint: &mut Mint) -> Ipv4Addr {
    const POOLS: [[u8; 2]; 4] = [[3, 16], [18, 144], [35, 160], [52, 32]];
    let pool = POOLS[usize::try_from(number_of(&[b"ipv4", region.name.as_bytes()]) % 4).unwrap_or_default()];
    loop {
        mint.counter += 1;
        let [a, b, c, ..] = mint.number(&["ipv4", &region.name, &mint.counter.to_string()]).to_le_bytes();
        let address = Ipv4Addr::new(pool[0], pool[1] | (a & 0x0f), b, c);
        let text = address.to_string();
        if region.addresses.linked(&text).next().is_none() && region.interfaces.linked(&text).next().is_none() {
            return address;
        }
    }
}

/// An address of a subnet's IPv6 block; of 2^64 none is taken twice.
pub(crate) fn host_ipv6(block: Ipv6Net, seed: u64) -> Ipv6Addr {
    let host = !u128::from(block.netmask());
    Ipv6Addr::from_bits(u128::from(block.network()) | (u128::from(seed) & host))
}

/// A free address of a subnet; AWS keeps the first four and the last for itself.
pub(crate) fn private_ipv4(region: &Region, subnet_id: &str, block: Ipv4Net) -> Option<Ipv4Addr> {
    let used: std::collections::BTreeSet<Ipv4Addr> =
        region.interfaces.linked(subnet_id).map(|interface| interface.private_ip).collect();
    let first = block.network().to_bits().checked_add(4)?;
    let last = block.broadcast().to_bits().checked_sub(1)?;
    (first..=last).map(Ipv4Addr::from_bits).find(|address| !used.contains(address))
}

/// How many addresses of a subnet are free.
pub(crate) fn free_addresses(region: &Region, subnet_id: &str, block: Ipv4Net) -> usize {
    let size = 1_usize << (32 - u32::from(block.prefix_len()));
    size.saturating_sub(5).saturating_sub(region.interfaces.linked(subnet_id).count())
}
