//! The Kubernetes versions that EKS offers, and `DescribeClusterVersions`.
//!
//! Which versions there are is a table, as of November 2026; how each is supported follows from the simulated date.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::refusal::invalid;
use super::{Answer, Call, Operation, reads};
use crate::sandbox::protocol::ApiError;
use crate::sandbox::protocol::json::epoch;

pub(super) const OPERATIONS: &[Operation] = &[reads("DescribeClusterVersions", describe)];

/// A version.
pub(super) struct Version {
    /// `1.35`
    pub(super) name: &'static str,
    /// Its patch release.
    patch: u8,
    release: Timestamp,
    standard_until: Timestamp,
    extended_until: Timestamp,
}

/// Midnight of a day, in seconds since 1970.
const fn day(seconds: i64) -> Timestamp {
    Timestamp::constant(seconds, 0)
}

/// Source: the release calendar in the EKS user guide; a version has 14 months of standard support and 12 more of
/// extended support.
pub(super) const VERSIONS: &[Version] = &[
    // 2025-01-23, 2026-03-23, 2027-03-23
    version("1.32", 13, 1_737_590_400, 1_774_224_000, 1_805_760_000),
    // 2025-05-29, 2026-07-29, 2027-07-29
    version("1.33", 10, 1_748_476_800, 1_785_283_200, 1_816_819_200),
    // 2025-10-02, 2026-12-02, 2027-12-02
    version("1.34", 6, 1_759_363_200, 1_796_169_600, 1_827_705_600),
    // 2026-01-27, 2027-03-27, 2028-03-27
    version("1.35", 4, 1_769_472_000, 1_806_105_600, 1_837_728_000),
    // 2026-05-28, 2027-07-28, 2028-07-28
    version("1.36", 1, 1_779_926_400, 1_816_732_800, 1_848_355_200),
];

/// What a cluster gets that names none.
pub(super) const DEFAULT: &str = "1.35";

const fn version(name: &'static str, patch: u8, release: i64, standard: i64, extended: i64) -> Version {
    Version { name, patch, release: day(release), standard_until: day(standard), extended_until: day(extended) }
}

/// The version with this name, if EKS offers it.
pub(super) fn offered(name: &str) -> Result<&'static Version, ApiError> {
    VERSIONS
        .iter()
        .find(|version| version.name == name)
        .ok_or_else(|| invalid(format!("unsupported Kubernetes version: {name}")))
}

/// The number after the dot.
pub(super) fn minor(name: &str) -> Option<u16> {
    name.strip_prefix("1.")?.parse().ok()
}

impl Version {
    /// How it is supported; what is newer than the simulated date is offered all the same.
    fn status(&self, now: Timestamp) -> &'static str {
        if now < self.standard_until {
            "STANDARD_SUPPORT"
        } else if now < self.extended_until {
            "EXTENDED_SUPPORT"
        } else {
            "UNSUPPORTED"
        }
    }

    /// `1.35.4-20261106`: Kubernetes and the day that an image was made.
    pub(super) fn release(&self) -> String {
        format!("{}.{}-20261106", self.name, self.patch)
    }

    fn to_json(&self, now: Timestamp) -> Value {
        let status = self.status(now);
        json!({
            "clusterVersion": self.name,
            "clusterType": "eks",
            "defaultPlatformVersion": "eks.9",
            "defaultVersion": self.name == DEFAULT,
            "releaseDate": epoch(self.release),
            "endOfStandardSupportDate": epoch(self.standard_until),
            "endOfExtendedSupportDate": epoch(self.extended_until),
            "status": status.to_ascii_lowercase().replace("_support", "-support"),
            "versionStatus": status,
            "kubernetesPatchVersion": format!("{}.{}", self.name, self.patch),
        })
    }
}

fn describe(call: &mut Call<'_>) -> Answer {
    let wanted = call.input.texts("clusterVersions");
    let status = call
        .input
        .text("versionStatus")
        .map(str::to_owned)
        .or_else(|| call.input.text("status").map(|status| status.to_ascii_uppercase().replace('-', "_")));
    let default_only = call.input.boolean("defaultOnly")? == Some(true);
    let all = call.input.boolean("includeAll")? == Some(true);
    for name in &wanted {
        offered(name)?;
    }
    let found = VERSIONS.iter().filter(|version| {
        let supported = version.status(call.now);
        (wanted.is_empty() || wanted.contains(&version.name))
            && status.as_deref().is_none_or(|status| status == supported)
            && (!default_only || version.name == DEFAULT)
            && (all || supported != "UNSUPPORTED")
    });
    let (names, next) = call.page(found.map(|version| version.name.to_owned()))?;
    let mut versions: Vec<Value> = VERSIONS
        .iter()
        .filter(|version| names.iter().any(|name| name == version.name))
        .map(|version| version.to_json(call.now))
        .collect();
    // The newest comes first.
    versions.reverse();
    Ok(json!({ "clusterVersions": versions, "nextToken": next }))
}
