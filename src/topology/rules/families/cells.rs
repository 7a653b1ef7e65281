//! The cells of the IP-family matrix.

use crate::topology::schema::{IpAddressType, IpFamily};

/// A cluster as the one that connects: what its pods and its istiod can open connections to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// IPv4 pods.
    Ipv4,
    /// IPv4 pods with IPv6 egress by the VPC CNI.
    Ipv4WithV6Egress,
    /// IPv6 pods.
    Ipv6 {
        /// With IPv4 egress by the VPC CNI, its default; not in Auto Mode.
        v4_egress: bool,
        /// In a network whose resolver synthesises IPv6 addresses, routed to a NAT gateway.
        dns64: bool,
    },
}

impl Reader {
    /// In prose.
    #[must_use]
    pub fn describe(self) -> &'static str {
        match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv4WithV6Egress => "IPv4 with IPv6 egress",
            Self::Ipv6 { .. } => "IPv6",
        }
    }
}

/// The addresses of an API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Endpoint {
    /// A records only: the endpoint of an IPv4 cluster.
    Ipv4,
    /// A and AAAA records: the endpoint of an IPv6 cluster made since October 2024.
    Dual,
}

impl Endpoint {
    /// The endpoint that EKS gives a cluster of that family.
    #[must_use]
    pub fn of(family: IpFamily) -> Self {
        match family {
            IpFamily::Ipv4 => Self::Ipv4,
            IpFamily::Ipv6 => Self::Dual,
        }
    }
}

/// Whether a connection works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does.
    Works,
    /// It does, for a reason that is not plain.
    WorksBecause(&'static str),
    /// It does not.
    Fails {
        /// Why.
        reason: &'static str,
        /// What to do.
        help: &'static str,
    },
}

/// Whether the reader's istiod reaches the target's API server.
#[must_use]
pub fn api(reader: Reader, target: Endpoint) -> Verdict {
    match (reader, target) {
        (Reader::Ipv4 | Reader::Ipv4WithV6Egress, _) | (Reader::Ipv6 { .. }, Endpoint::Dual) => Verdict::Works,
        (Reader::Ipv6 { v4_egress: true, .. }, Endpoint::Ipv4) => {
            Verdict::WorksBecause("the node translates to IPv4, by way of 169.254.172.0/22")
        }
        (Reader::Ipv6 { v4_egress: false, dns64: true }, Endpoint::Ipv4) => {
            Verdict::WorksBecause("DNS64 gives the endpoint an IPv6 address, which the NAT gateway translates")
        }
        (Reader::Ipv6 { v4_egress: false, dns64: false }, Endpoint::Ipv4) => Verdict::Fails {
            reason: "the API server of an IPv4 cluster has no IPv6 address, and these pods have no IPv4 egress",
            help: "set `dns64 = true` on the network of the IPv6 cluster, or use managed nodes",
        },
    }
}

/// Whether the reader's proxies reach the target's gateway. `filters` is whether the reader's istiod drops gateway
/// addresses of a family that the proxy lacks, as it does since Istio 1.30.
#[must_use]
pub fn data(reader: Reader, filters: bool, gateway: IpAddressType) -> Verdict {
    match (reader, gateway) {
        (Reader::Ipv4, IpAddressType::Ipv4)
        | (Reader::Ipv4WithV6Egress, IpAddressType::Ipv4 | IpAddressType::Dualstack)
        | (Reader::Ipv6 { .. }, IpAddressType::Dualstack) => Verdict::Works,
        (Reader::Ipv4, IpAddressType::Dualstack) if filters => {
            Verdict::WorksBecause("istiod drops the gateway's IPv6 addresses for proxies without IPv6")
        }
        (Reader::Ipv4, IpAddressType::Dualstack) => Verdict::Fails {
            reason: "Istio before 1.30 hands every proxy the gateway's IPv6 addresses too, and half of the connections fail",
            help: "use Istio 1.30 or later, or set `v6_egress = true` on a dual-stack network with managed nodes",
        },
        (Reader::Ipv6 { dns64: true, .. }, IpAddressType::Ipv4) => {
            Verdict::WorksBecause("DNS64 gives the gateway an IPv6 address, which the NAT gateway translates")
        }
        (Reader::Ipv6 { v4_egress: true, dns64: false }, IpAddressType::Ipv4) if !filters => {
            Verdict::WorksBecause("the node translates to IPv4, and istiod before 1.30 does not look at families")
        }
        (Reader::Ipv6 { v4_egress: true, dns64: false }, IpAddressType::Ipv4) => Verdict::Fails {
            reason: "since Istio 1.30, istiod drops endpoints behind a gateway without an IPv6 address for proxies whose pods are IPv6 only, without a log line (their IPv4 egress is a link-local address, which does not count)",
            help: "make the gateway dualstack: remove this line, or write `dual_stack = true` and `ip_address_type = \"dualstack\"`",
        },
        (Reader::Ipv6 { v4_egress: false, dns64: false }, IpAddressType::Ipv4) => Verdict::Fails {
            reason: "the gateway has no IPv6 address, and these pods have no IPv4 egress",
            help: "make the gateway dualstack: remove this line, or write `dual_stack = true` and `ip_address_type = \"dualstack\"`",
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every cell: the reader, then whether it reaches an IPv4 and a dual API endpoint, then IPv4 and dualstack
    /// gateways with an Istio that does not filter, then the same with one that does.
    #[test]
    fn every_cell_of_the_matrix() {
        let v6 = |v4_egress, dns64| Reader::Ipv6 { v4_egress, dns64 };
        let table = [
            (Reader::Ipv4, "++ +- ++"),
            (Reader::Ipv4WithV6Egress, "++ ++ ++"),
            (v6(true, false), "++ ++ -+"),
            (v6(true, true), "++ ++ ++"),
            (v6(false, false), "-+ -+ -+"),
            (v6(false, true), "++ ++ ++"),
        ];
        for (reader, expected) in table {
            let sign = |verdict| if matches!(verdict, Verdict::Fails { .. }) { '-' } else { '+' };
            let mut cells = String::new();
            cells.push(sign(api(reader, Endpoint::Ipv4)));
            cells.push(sign(api(reader, Endpoint::Dual)));
            for filters in [false, true] {
                cells.push(' ');
                cells.push(sign(data(reader, filters, IpAddressType::Ipv4)));
                cells.push(sign(data(reader, filters, IpAddressType::Dualstack)));
            }
            assert_eq!(cells, expected, "{reader:?}");
        }
    }

    #[test]
    fn what_works_unexpectedly_says_why() {
        let filtered = data(Reader::Ipv4, true, IpAddressType::Dualstack);
        assert_eq!(
            filtered,
            Verdict::WorksBecause("istiod drops the gateway's IPv6 addresses for proxies without IPv6")
        );
        let translated = api(Reader::Ipv6 { v4_egress: true, dns64: false }, Endpoint::Ipv4);
        assert_eq!(translated, Verdict::WorksBecause("the node translates to IPv4, by way of 169.254.172.0/22"));
    }
}
