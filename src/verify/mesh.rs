//! What has to be known of a mesh to tell whether it works: its clusters, and what each of them can reach.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;

use crate::model::Address;

/// A mesh as it was declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mesh {
    /// Its id.
    pub id: String,
    /// Its clusters by the name that Istio knows them by.
    pub clusters: BTreeMap<String, Cluster>,
    /// The sample applications; `None` when they are not installed, and then no traffic can be seen.
    pub sample: Option<Sample>,
}

/// A cluster as it was declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cluster {
    /// The resource that is the cluster: who is asked how it is reached.
    pub address: Address,
    /// The Istio network that it is in: `topology.istio.io/network`.
    pub network: String,
    /// The AWS region that it is in; `None` for a cluster that is not on AWS.
    pub region: Option<String>,
    /// Its name in EKS; `None` for a cluster that is not on EKS.
    pub eks: Option<String>,
    /// Which addresses its pods can connect to.
    pub reach: Reach,
    /// Its Istio release.
    pub istio: Version,
    /// Where its connections to other networks come from, as far as that is known.
    pub leaves_from: Vec<IpNet>,
}

/// The sample applications.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// How many requests each cluster sends at least.
    pub requests: u32,
    /// The port of the helloworld Service.
    pub port: u16,
}

/// A family of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv6() { Self::Ipv6 } else { Self::Ipv4 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
        })
    }
}

/// Which addresses the pods of a cluster can connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The family that the pods have.
    pub pods: Family,
    /// Whether they can also connect to the other one: egress that the CNI translates.
    pub other: bool,
    /// Whether names that have IPv4 addresses alone are given IPv6 ones by the network's resolver.
    pub dns64: bool,
}

impl Reach {
    /// Whether the pods can connect to an address.
    #[must_use]
    pub fn connects(self, family: Family) -> bool {
        self.pods == family || self.other
    }

    /// Whether istiod hands an address of this family to the pods' proxies, where it chooses by family (Istio 1.30 and
    /// newer). An agent reports the pod's addresses but for link-local ones: the IPv4 address that an IPv6 pod connects
    /// from is 169.254.172.0/22, and does not count; the IPv6 address that an IPv4 pod connects from is fd00::ac:0/118,
    /// and does.
    #[must_use]
    pub fn is_handed(self, family: Family) -> bool {
        self.pods == family || (self.pods == Family::Ipv4 && self.other)
    }
}

/// An Istio release.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// The `1` of `1.31.0`.
    pub major: u16,
    /// The `31` of `1.31.0`.
    pub minor: u16,
    /// The `0` of `1.31.0`.
    pub patch: u16,
}

impl Version {
    /// Whether istiod gives a proxy only the gateway addresses of families that it has: since 1.30.0
    /// (istio/istio#59767), together with the endpoint if none is left.
    #[must_use]
    pub fn filters_by_family(self) -> bool {
        (self.major, self.minor) >= (1, 30)
    }

    /// Whether a remote secret can change without wedging istiod (istio/istio#60612, mended in 1.30.3).
    #[must_use]
    pub fn follows_rotations(self) -> bool {
        self >= Self { major: 1, minor: 30, patch: 3 }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl Mesh {
    /// The ordered pairs of clusters: who reads, and whom. A mesh of one cluster is a pair with itself.
    #[must_use]
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        let names: Vec<&str> = self.clusters.keys().map(String::as_str).collect();
        if let [only] = names[..] {
            return vec![(only, only)];
        }
        let mut pairs = Vec::new();
        for reader in &names {
            pairs.extend(names.iter().filter(|peer| *peer != reader).map(|peer| (*reader, *peer)));
        }
        pairs
    }

    /// Whether traffic between two clusters goes through a gateway.
    #[must_use]
    pub fn crosses(&self, reader: &str, peer: &str) -> bool {
        let network = |name: &str| self.clusters.get(name).map(|cluster| cluster.network.as_str());
        network(reader) != network(peer)
    }
}
