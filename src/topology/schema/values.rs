//! The semantic values of a topology: texts that are checked where they are read, so that a mistake in one is
//! reported at its path, and everything after can rely on them.
//!
//! Entry points: the types. A message's first line says what is wrong, each further line is a way out.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, SeqAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// Implements reading and the JSON Schema of a text type that has `FromStr<Err = String>`.
macro_rules! text_value {
    ($name:ident, $pattern:expr, $example:expr, $description:expr) => {
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Text;
                impl Visitor<'_> for Text {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str(concat!("a string such as \"", $example, "\""))
                    }

                    fn visit_str<E: de::Error>(self, text: &str) -> Result<$name, E> {
                        text.parse().map_err(E::custom)
                    }
                }
                deserializer.deserialize_str(Text)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string", "description": $description, "pattern": $pattern, "examples": [$example]
                })
            }
        }
    };
}

/// An IPv4 range as it was written: the address part may have bits after the prefix (a rule refuses that).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ipv4Cidr(pub Ipv4Net);

impl FromStr for Ipv4Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<IpNet>() {
            Ok(IpNet::V4(range)) => Ok(Self(range)),
            Ok(IpNet::V6(_)) => Err(format!(
                "`{text}` is an IPv6 range, an IPv4 one is needed here\nthe IPv6 range of a dual-stack network is given by Amazon: write `dual_stack = true`"
            )),
            Err(_) if text.parse::<std::net::Ipv4Addr>().is_ok() => {
                Err(format!("`{text}` is an address, not a range\nadd the prefix length, for example `{text}/16`"))
            }
            Err(_) => {
                Err(format!("`{text}` is not an IPv4 range\nwrite four numbers and a prefix length: `10.1.0.0/16`"))
            }
        }
    }
}

text_value!(Ipv4Cidr, r"^(\d{1,3}\.){3}\d{1,3}/\d{1,2}$", "10.1.0.0/16", "An IPv4 range in CIDR notation.");

/// A range of either family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr(pub IpNet);

impl FromStr for Cidr {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text.parse(), text.parse::<std::net::IpAddr>()) {
            (Ok(range), _) => Ok(Self(range)),
            (Err(_), Ok(address)) => {
                let bits = if address.is_ipv4() { 32 } else { 128 };
                Err(format!("`{text}` is an address, not a range\nfor that address alone write `{text}/{bits}`"))
            }
            (Err(_), Err(_)) => {
                Err(format!("`{text}` is not an address range\nwrite it as `203.0.113.0/24` or `2001:db8::/56`"))
            }
        }
    }
}

text_value!(Cidr, r"^[0-9A-Fa-f.:]+/\d{1,3}$", "203.0.113.0/24", "An IPv4 or IPv6 range in CIDR notation.");

/// An AWS region, for example `us-west-2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Region(String);

impl Region {
    /// The region's name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Region {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts: Vec<&str> = text.split('-').collect();
        let word = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase());
        match parts.as_slice() {
            [area, middle @ .., number]
                if area.len() == 2
                    && word(area)
                    && !middle.is_empty()
                    && middle.iter().all(word)
                    && (1..=2).contains(&number.len())
                    && number.bytes().all(|b| b.is_ascii_digit()) =>
            {
                Ok(Self(text.to_owned()))
            }
            [area, middle @ .., zone]
                if area.len() == 2
                    && !middle.is_empty()
                    && zone.len() == 2
                    && zone.ends_with(|c: char| c.is_ascii_lowercase())
                    && zone.starts_with(|c: char| c.is_ascii_digit()) =>
            {
                let region = text.get(..text.len() - 1).unwrap_or_default();
                Err(format!("`{text}` is an availability zone, not a region\nits region is `{region}`"))
            }
            _ => Err(format!("`{text}` is not a region's name\nAWS names them like `us-west-2` or `eu-central-1`")),
        }
    }
}

text_value!(Region, r"^[a-z]{2}(-[a-z]+)+-\d{1,2}$", "us-west-2", "An AWS region.");

/// An Istio release, for example `1.31.0`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IstioVersion {
    /// The `1` of `1.31.0`.
    pub major: u16,
    /// The `31` of `1.31.0`.
    pub minor: u16,
    /// The `0` of `1.31.0`.
    pub patch: u16,
}

impl IstioVersion {
    /// Whether istiod drops remote gateway addresses of a family that the reading proxy lacks: since 1.30.0
    /// (istio/istio#59767), together with the endpoint if none is left.
    #[must_use]
    pub fn filters_gateways_by_family(self) -> bool {
        (self.major, self.minor) >= (1, 30)
    }
}

fn numbers(text: &str) -> Option<Vec<u16>> {
    // `parse` alone would take "+1"; a version has digits only.
    let number = |part: &str| {
        (!part.is_empty() && part.bytes().all(|b| b.is_ascii_digit())).then(|| part.parse().ok()).flatten()
    };
    text.split('.').map(number).collect()
}

impl FromStr for IstioVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match numbers(text).as_deref() {
            Some(&[major, minor, patch]) => Ok(Self { major, minor, patch }),
            Some([_, _]) => Err(format!(
                "`{text}` is not a release of Istio: the patch is missing\nname the very release, for example `{text}.0`"
            )),
            _ => Err(format!("`{text}` is not a release of Istio\nwrite MAJOR.MINOR.PATCH, for example `1.31.0`")),
        }
    }
}

impl fmt::Display for IstioVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

text_value!(IstioVersion, r"^\d+\.\d+\.\d+$", "1.31.0", "An Istio release.");

/// A minor version of Kubernetes, for example `1.35`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KubernetesVersion {
    /// The `1` of `1.35`.
    pub major: u16,
    /// The `35` of `1.35`.
    pub minor: u16,
}

impl FromStr for KubernetesVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match numbers(text).as_deref() {
            Some(&[major, minor]) => Ok(Self { major, minor }),
            Some([major, minor, _]) => {
                Err(format!("`{text}` names a patch, and EKS chooses the patch itself\nwrite `{major}.{minor}`"))
            }
            _ => Err(format!("`{text}` is not a version of Kubernetes\nwrite MAJOR.MINOR, for example `1.35`")),
        }
    }
}

impl fmt::Display for KubernetesVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

text_value!(KubernetesVersion, r"^\d+\.\d+$", "1.35", "A minor version of Kubernetes that EKS offers.");

/// A duration such as `10y`, `90d` or `24h`. A year is 365 days: lifetimes of certificates need no calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct DurationText {
    seconds: u64,
}

impl DurationText {
    /// So many days.
    #[must_use]
    pub const fn days(days: u64) -> Self {
        Self { seconds: days * 86_400 }
    }

    /// The length in seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.seconds
    }
}

impl FromStr for DurationText {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail =
            || format!("`{text}` is not a duration\nwrite a number and a unit (y, d, h or m): `10y`, `90d`, `24h`");
        let unit = text.chars().next_back().ok_or_else(fail)?;
        let number = text.strip_suffix(unit).unwrap_or_default();
        let seconds: u64 = match unit {
            'y' => 365 * 86_400,
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            _ => return Err(fail()),
        };
        if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(fail());
        }
        // A thousand years bounds it: later dates do not fit a certificate's `GeneralizedTime` of four digits.
        match number.parse::<u64>().ok().and_then(|n| n.checked_mul(seconds)) {
            Some(0) => Err(format!("`{text}` is no time at all\nwrite a duration above zero")),
            Some(total) if total <= 1_000 * 365 * 86_400 => Ok(Self { seconds: total }),
            _ => Err(format!("`{text}` is too long\nthe longest duration is `1000y`")),
        }
    }
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, seconds) in [("y", 365 * 86_400), ("d", 86_400), ("h", 3_600)] {
            if self.seconds.is_multiple_of(seconds) {
                return write!(f, "{}{unit}", self.seconds / seconds);
            }
        }
        write!(f, "{}m", self.seconds / 60)
    }
}

text_value!(DurationText, r"^\d+[ydhm]$", "10y", "A duration: a number and y (365 days), d, h or m.");

/// The availability zones of a network: how many, or which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Azs {
    /// So many, chosen when the plan is made.
    Count(u8),
    /// These, by name (`us-west-2a`) or id (`usw2-az1`), in this order.
    Names(Vec<String>),
}

impl Azs {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            Self::Count(count) => usize::from(*count),
            Self::Names(names) => names.len(),
        }
    }
}

impl<'de> Deserialize<'de> for Azs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountOrNames;
        impl<'de> Visitor<'de> for CountOrNames {
            type Value = Azs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of availability zones or an array of their names")
            }

            fn visit_u64<E: de::Error>(self, count: u64) -> Result<Azs, E> {
                u8::try_from(count)
                    .map(Azs::Count)
                    .map_err(|_| E::invalid_value(Unexpected::Unsigned(count), &"a number of availability zones"))
            }

            fn visit_i64<E: de::Error>(self, count: i64) -> Result<Azs, E> {
                Err(E::invalid_value(Unexpected::Signed(count), &"a number of availability zones"))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Azs, A::Error> {
                let mut names = Vec::new();
                while let Some(name) = items.next_element()? {
                    names.push(name);
                }
                Ok(Azs::Names(names))
            }
        }
        deserializer.deserialize_any(CountOrNames)
    }
}

impl JsonSchema for Azs {
    fn schema_name() -> Cow<'static, str> {
        "Azs".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "How many availability zones, or which (names or ids).",
            "oneOf": [
                {"type": "integer", "minimum": 2, "maximum": 6},
                {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 6, "uniqueItems": true}
            ]
        })
    }
}

/// Who may open connections to a load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sources {
    /// The other networks of the mesh: their NAT gateways' addresses and IPv6 blocks.
    Peers,
    /// Anyone.
    Any,
    /// These ranges and nobody else.
    Cidrs(Vec<Cidr>),
}

impl<'de> Deserialize<'de> for Sources {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct WordOrRanges;
        impl<'de> Visitor<'de> for WordOrRanges {
            type Value = Sources;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("`\"peers\"`, `\"any\"` or an array of ranges")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<Sources, E> {
                match word {
                    "peers" => Ok(Sources::Peers),
                    "any" => Ok(Sources::Any),
                    _ if word.parse::<Cidr>().is_ok() => {
                        Err(E::custom(format_args!("a range alone must be in an array\nwrite `[\"{word}\"]`")))
                    }
                    _ => Err(E::unknown_variant(word, &["peers", "any"])),
                }
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Sources, A::Error> {
                let mut ranges = Vec::new();
                while let Some(range) = items.next_element()? {
                    ranges.push(range);
                }
                Ok(Sources::Cidrs(ranges))
            }
        }
        deserializer.deserialize_any(WordOrRanges)
    }
}

impl JsonSchema for Sources {
    fn schema_name() -> Cow<'static, str> {
        "Sources".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let range = generator.subschema_for::<Cidr>();
        json_schema!({
            "description": "Who may connect: the other networks of the mesh, anyone, or these ranges.",
            "oneOf": [{"enum": ["peers", "any"]}, {"type": "array", "items": range}]
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_an_end() {
        assert_eq!("10y".parse::<DurationText>().unwrap().seconds(), 315_360_000);
        for text in ["10y", "90d", "24h", "5m", "36h"] {
            let canonical = text.parse::<DurationText>().unwrap().to_string();
            assert_eq!(canonical, if text == "24h" { "1d" } else { text });
        }
        for text in ["", "y", "10", "1.5y", "-1d", "0d", "1001y", "99999999999999999999y", "10 y", "1é"] {
            assert!(text.parse::<DurationText>().is_err(), "{text}");
        }
    }

    #[test]
    fn regions_are_told_from_zones() {
        for text in ["us-west-2", "eu-central-1", "ap-southeast-3", "us-gov-west-1", "cn-north-1"] {
            assert_eq!(text.parse::<Region>().unwrap().as_str(), text);
        }
        let zone = "us-west-2a".parse::<Region>().unwrap_err();
        assert!(zone.contains("availability zone") && zone.ends_with("`us-west-2`"), "{zone}");
        for text in ["", "west", "us-west", "US-WEST-2", "us--2", "us-west-2-lax-1a", "é-é-1"] {
            assert!(text.parse::<Region>().is_err(), "{text}");
        }
    }

    #[test]
    fn versions_are_exact() {
        assert_eq!("1.31.0".parse::<IstioVersion>().unwrap().to_string(), "1.31.0");
        assert!("1.31".parse::<IstioVersion>().unwrap_err().contains("`1.31.0`"));
        assert!("1.35.2".parse::<KubernetesVersion>().unwrap_err().contains("write `1.35`"));
        for text in ["", "v1.31.0", "1.+3.0", "1.31.0-rc.0", "1.99999.0"] {
            assert!(text.parse::<IstioVersion>().is_err(), "{text}");
        }
    }
}
