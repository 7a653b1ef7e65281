//! How a VPC's IPv4 range is divided into subnets.
//!
//! Entry point: [`carve`], which the rules use to see whether a range is large enough and the compiler to lay the
//! subnets out. It is a pure function of the range and the number of zones, and adding a zone moves no subnet.

use ipnet::Ipv4Net;

/// The longest prefix that AWS takes for a subnet.
pub const SMALLEST_SUBNET: u8 = 28;

/// A private subnet takes a sixteenth of the range: a /20 of a /16.
const PRIVATE_BITS: u8 = 4;

/// A public subnet takes a 256th of the range: a /24 of a /16.
const PUBLIC_BITS: u8 = 8;

/// The sixteenth that the public subnets are cut from. The fourth, because three zones are the usual: with a /16
/// the subnets are then 10.1.0.0/20, 10.1.16.0/20, 10.1.32.0/20 and 10.1.48.0/24, 10.1.49.0/24, 10.1.50.0/24.
const PUBLIC_SIXTEENTH: usize = 3;

/// The subnets of a VPC, one of each sort per zone, in the order of the zones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carved {
    /// For nodes and pods.
    pub private: Vec<Ipv4Net>,
    /// For NAT gateways and internet-facing load balancers.
    pub public: Vec<Ipv4Net>,
}

/// The range is too small for that many zones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the range does not hold the subnets of {zones} availability zones, a /{needed_prefix} would")]
pub struct TooSmall {
    /// How many zones were asked for.
    pub zones: usize,
    /// The longest prefix that would do.
    pub needed_prefix: u8,
}

/// Divides a range for a number of zones.
///
/// # Errors
/// [`TooSmall`] when a subnet would be smaller than AWS takes, or there are more zones than sixteenths.
pub fn carve(range: Ipv4Net, zones: usize) -> Result<Carved, TooSmall> {
    let too_small = || TooSmall { zones, needed_prefix: needed_prefix(zones) };
    // 0, 1, 2, 4, 5, … : every sixteenth but the public one.
    let sixteenths = (0..16).filter(|n| *n != PUBLIC_SIXTEENTH);
    let private = subnets(range, PRIVATE_BITS).ok_or_else(too_small)?;
    let reserve = private.get(PUBLIC_SIXTEENTH).copied().ok_or_else(too_small)?;
    let public_prefix = (range.prefix_len() + PUBLIC_BITS).min(SMALLEST_SUBNET);
    let public: Vec<Ipv4Net> = reserve.subnets(public_prefix).map_err(|_| too_small())?.take(zones).collect();
    let private: Vec<Ipv4Net> = sixteenths.take(zones).filter_map(|n| private.get(n).copied()).collect();
    if private.len() < zones || public.len() < zones {
        return Err(too_small());
    }
    Ok(Carved { private, public })
}

fn subnets(range: Ipv4Net, bits: u8) -> Option<Vec<Ipv4Net>> {
    let prefix = range.prefix_len() + bits;
    if prefix > SMALLEST_SUBNET {
        return None;
    }
    range.trunc().subnets(prefix).ok().map(Iterator::collect)
}

/// The longest prefix whose range holds the subnets of so many zones: its fourth sixteenth must hold that many /28.
fn needed_prefix(zones: usize) -> u8 {
    let bits = u8::try_from(zones.max(1).next_power_of_two().trailing_zeros()).unwrap_or(PUBLIC_BITS);
    SMALLEST_SUBNET.saturating_sub(PRIVATE_BITS + bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(range: &str, zones: usize) -> Result<Carved, TooSmall> {
        carve(range.parse().unwrap(), zones)
    }

    #[test]
    fn a_16_is_carved_as_documented() {
        let carved = of("10.1.0.0/16", 4).unwrap();
        let texts = |nets: &[Ipv4Net]| nets.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(texts(&carved.private), ["10.1.0.0/20", "10.1.16.0/20", "10.1.32.0/20", "10.1.64.0/20"]);
        assert_eq!(texts(&carved.public), ["10.1.48.0/24", "10.1.49.0/24", "10.1.50.0/24", "10.1.51.0/24"]);
    }

    #[test]
    fn every_carving_is_disjoint_inside_and_grows_in_place() {
        for prefix in 16..=28 {
            let range: Ipv4Net = format!("10.0.0.0/{prefix}").parse().unwrap();
            for zones in 1..=15 {
                match carve(range, zones) {
                    Ok(carved) => {
                        let mut all: Vec<_> = carved.private.iter().chain(&carved.public).collect();
                        assert_eq!(all.len(), 2 * zones);
                        all.sort();
                        assert!(all.windows(2).all(|pair| pair[0].broadcast() < pair[1].network()));
                        assert!(all.iter().all(|net| range.contains(*net) && net.prefix_len() <= SMALLEST_SUBNET));
                        if let Ok(more) = carve(range, zones + 1) {
                            assert_eq!(more.private[..zones], carved.private);
                            assert_eq!(more.public[..zones], carved.public);
                        }
                    }
                    Err(error) => {
                        assert!(prefix > error.needed_prefix, "a /{prefix} should hold {zones}: {error}");
                        let larger = Ipv4Net::new(range.addr(), error.needed_prefix).unwrap();
                        assert!(carve(larger, zones).is_ok());
                    }
                }
            }
        }
    }
}
