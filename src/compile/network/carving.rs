//! Which part of a network's ranges each subnet gets.
//!
//! The range is seen as sixteen blocks. Private subnets get blocks 0, 1, 2, 4, 5, …; the public subnets share block 3,
//! sixteen to a block. For a /16 and three zones that is the layout of AWS's own samples: private /20s at 0, 1, 2 and
//! public /24s at 48, 49, 50. A zone's subnets keep their ranges when zones are added or removed after it: moving a
//! subnet means replacing it and everything in it. Where a range is too small for that, subnets are /28, EC2's
//! smallest, and further public ones come from the end of the range.

use ipnet::Ipv4Net;

/// EC2's smallest subnet.
const SMALLEST: u8 = 28;

/// The block that the public subnets share.
const PUBLIC_BLOCK: usize = 3;

/// The IPv4 ranges of a network's subnets, in the order of its zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Carving {
    pub(super) private: Vec<Ipv4Net>,
    pub(super) public: Vec<Ipv4Net>,
}

/// Divides a range among so many zones; `None` if it has no room for them.
pub(super) fn carve(range: Ipv4Net, zones: usize) -> Option<Carving> {
    let private_length = (range.prefix_len() + 4).min(SMALLEST);
    let public_length = (range.prefix_len() + 8).min(SMALLEST);
    let n_blocks = 1_usize.checked_shl(u32::from(private_length.checked_sub(range.prefix_len())?))?;
    let block = |n: usize| range.subnets(private_length).ok()?.nth(n);

    let private: Vec<usize> = (0..n_blocks).filter(|n| *n != PUBLIC_BLOCK).take(zones).collect();
    // Block 3 first, then from the end.
    let shared = [PUBLIC_BLOCK].into_iter().filter(|n| *n < n_blocks);
    let rest = (0..n_blocks).rev().filter(|n| *n != PUBLIC_BLOCK);
    let blocks: Vec<usize> = shared.chain(rest).take_while(|n| !private.contains(n)).collect();
    let public =
        blocks.into_iter().filter_map(block).flat_map(|block| block.subnets(public_length).into_iter().flatten());

    let private: Vec<Ipv4Net> = private.into_iter().filter_map(block).collect();
    let public: Vec<Ipv4Net> = public.take(zones).collect();
    (private.len() == zones && public.len() == zones).then_some(Carving { private, public })
}

/// The index of a zone's public /64 in the network's /56.
///
/// For the first three zones as in AWS's samples with three: public 0 to 2, private 3 to 5. Later zones alternate, so
/// that no zone's ranges depend on how many zones there are.
pub(super) fn public_ipv6(zone: u32) -> u32 {
    if zone < 3 { zone } else { zone * 2 }
}

/// The index of a zone's private /64 in the network's /56.
pub(super) fn private_ipv6(zone: u32) -> u32 {
    if zone < 3 { zone + 3 } else { zone * 2 + 1 }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn texts(ranges: &[Ipv4Net]) -> Vec<String> {
        ranges.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_default_is_the_layout_of_the_samples() {
        let carving = carve("10.1.0.0/16".parse().unwrap(), 3).unwrap();
        assert_eq!(texts(&carving.private), ["10.1.0.0/20", "10.1.16.0/20", "10.1.32.0/20"]);
        assert_eq!(texts(&carving.public), ["10.1.48.0/24", "10.1.49.0/24", "10.1.50.0/24"]);
        assert_eq!((0..3).map(public_ipv6).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!((0..3).map(private_ipv6).collect::<Vec<_>>(), [3, 4, 5]);
    }

    #[test]
    fn small_ranges_are_used_up_and_then_refused() {
        let carving = carve("10.1.0.0/26".parse().unwrap(), 2).unwrap();
        assert_eq!(texts(&carving.private), ["10.1.0.0/28", "10.1.0.16/28"]);
        assert_eq!(texts(&carving.public), ["10.1.0.48/28", "10.1.0.32/28"]);
        assert_eq!(carve("10.1.0.0/26".parse().unwrap(), 3), None);
        assert!(carve("10.1.0.0/25".parse().unwrap(), 4).is_some());
        assert_eq!(carve("10.1.0.0/28".parse().unwrap(), 1), None);
    }

    #[test]
    fn ipv6_indexes_never_meet() {
        let all: Vec<u32> = (0..100).flat_map(|zone| [public_ipv6(zone), private_ipv6(zone)]).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(all.iter().all(|index| *index < 256));
    }

    proptest! {
        #[test]
        fn subnets_lie_inside_apart_and_still(address in any::<u32>(), prefix in 16_u8..=28, zones in 1_usize..=6) {
            let range = Ipv4Net::new(address.into(), prefix).unwrap().trunc();
            let Some(carving) = carve(range, zones) else {
                // From /24 up there is room for six zones.
                prop_assert!(prefix > 24);
                return Ok(());
            };
            let all: Vec<Ipv4Net> = carving.private.iter().chain(&carving.public).copied().collect();
            prop_assert_eq!(all.len(), zones * 2);
            for (n, subnet) in all.iter().enumerate() {
                prop_assert!(range.contains(subnet) && subnet.prefix_len() <= SMALLEST && subnet.trunc() == *subnet);
                for other in &all[..n] {
                    prop_assert!(!subnet.contains(other) && !other.contains(subnet), "{} and {}", subnet, other);
                }
            }
            if zones > 1 {
                let fewer = carve(range, zones - 1).unwrap();
                prop_assert_eq!(&carving.private[..zones - 1], fewer.private);
                prop_assert_eq!(&carving.public[..zones - 1], fewer.public);
            }
        }
    }
}
