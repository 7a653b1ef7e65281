//! Which version an add-on has: `default` and `latest` are chosen once, and the choice is kept in two tags.
//!
//! `meshplan:version` holds what was declared, and what that meant (`default v1.20.4-eksbuild.2`); a version in full
//! means itself. `meshplan:kubernetes` holds the cluster's version at the time. Entry points: [`choose`], [`Choice::of`].

use aws_sdk_eks::types::AddonVersionInfo;

use crate::kinds::eks::client::Eks;
use crate::kinds::eks::error::Reclass;
use crate::kinds::eks::tags::Tags;
use crate::kinds::sdk::Answer;
use crate::model::AttrPath;
use crate::resource::{ErrorClass, ProviderError};

/// The tag that holds what was declared, and what that meant.
const VERSION: &str = "meshplan:version";

/// The tag that holds the cluster's version at the time.
const KUBERNETES: &str = "meshplan:kubernetes";

/// A choice of version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Choice {
    /// What was declared: `default`, `latest` or a version.
    declared: String,
    /// The version that this meant.
    pub(super) resolved: String,
    /// The cluster's version at the time.
    pub(super) kubernetes: String,
}

impl Choice {
    /// The choice that an add-on's tags hold.
    pub(super) fn of(tags: &Tags) -> Option<Self> {
        let version = tags.get(VERSION)?;
        let (declared, resolved) = version.split_once(' ').unwrap_or((version, version));
        Some(Self {
            declared: declared.to_owned(),
            resolved: resolved.to_owned(),
            kubernetes: tags.get(KUBERNETES)?.clone(),
        })
    }

    /// The tags that hold it.
    pub(super) fn tags(&self) -> [(String, String); 2] {
        let version = if is_keyword(&self.declared) {
            format!("{} {}", self.declared, self.resolved)
        } else {
            self.declared.clone()
        };
        [(VERSION.to_owned(), version), (KUBERNETES.to_owned(), self.kubernetes.clone())]
    }

    /// Takes the choice out of an add-on's tags.
    pub(super) fn strip(tags: &mut Tags) {
        tags.remove(VERSION);
        tags.remove(KUBERNETES);
    }

    /// Whether it is the answer to this declaration, so that nothing is to be chosen anew.
    pub(super) fn fits(&self, declared: &str, kubernetes: &str) -> bool {
        self.declared == declared && self.kubernetes == kubernetes
    }

    /// What has to be declared to get the installed version: the keyword as long as it is what the keyword meant.
    /// An add-on that somebody else updated shows its version.
    pub(super) fn declared<'a>(&'a self, installed: &'a str) -> &'a str {
        if is_keyword(&self.declared) && self.resolved == installed { &self.declared } else { installed }
    }
}

fn is_keyword(version: &str) -> bool {
    matches!(version, "default" | "latest")
}

/// Chooses the version for a declaration. Asks EKS where a keyword is declared.
pub(super) async fn choose(
    client: &Eks,
    addon: &str,
    declared: &str,
    kubernetes: &str,
) -> Result<Choice, ProviderError> {
    let resolved =
        if is_keyword(declared) { resolve(client, addon, declared, kubernetes).await? } else { declared.to_owned() };
    Ok(Choice { declared: declared.to_owned(), resolved, kubernetes: kubernetes.to_owned() })
}

async fn resolve(client: &Eks, addon: &str, keyword: &str, kubernetes: &str) -> Result<String, ProviderError> {
    const OPERATION: &str = "eks:DescribeAddonVersions";
    let request = client.api().describe_addon_versions().addon_name(addon).kubernetes_version(kubernetes);
    let mut pages = request.into_paginator().send();
    let mut versions = Vec::new();
    while let Some(page) = pages.next().await {
        for addon in page.read(OPERATION).reclass()?.addons.unwrap_or_default() {
            versions.extend(addon.addon_versions.unwrap_or_default());
        }
    }
    pick(&versions, keyword, kubernetes).ok_or_else(|| ProviderError {
        at: Some(AttrPath::keys(&["version"])),
        ..ProviderError::new(
            ErrorClass::Invalid,
            OPERATION,
            format!(
                "EKS names no {keyword} version of the add-on {addon} for Kubernetes {kubernetes}: declare a version in \
                 full"
            ),
        )
    })
}

fn pick(versions: &[AddonVersionInfo], keyword: &str, kubernetes: &str) -> Option<String> {
    let fits = |info: &&AddonVersionInfo| {
        info.compatibilities().iter().any(|compatibility| {
            let is_for = compatibility.cluster_version().is_none_or(|version| version == kubernetes);
            is_for && (keyword == "latest" || compatibility.default_version())
        })
    };
    let fitting = versions.iter().filter(fits).filter_map(|info| info.addon_version());
    fitting.max_by_key(|version| numbers(version)).map(str::to_owned)
}

/// The numbers in a version, by which versions are ordered: `v1.20.4-eksbuild.2` is 1, 20, 4, 2.
fn numbers(version: &str) -> Vec<u64> {
    version.split(|c: char| !c.is_ascii_digit()).filter_map(|part| part.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::Compatibility;

    use super::*;

    fn info(version: &str, kubernetes: &str, default: bool) -> AddonVersionInfo {
        let compatibility = Compatibility::builder().cluster_version(kubernetes).default_version(default).build();
        AddonVersionInfo::builder().addon_version(version).compatibilities(compatibility).build()
    }

    #[test]
    fn keywords_are_resolved_for_the_clusters_version() {
        let versions = [
            info("v1.9.1-eksbuild.3", "1.35", false),
            info("v1.20.4-eksbuild.10", "1.35", false),
            info("v1.20.4-eksbuild.2", "1.35", true),
            info("v1.21.0-eksbuild.1", "1.36", true),
        ];
        assert_eq!(pick(&versions, "default", "1.35").as_deref(), Some("v1.20.4-eksbuild.2"));
        assert_eq!(pick(&versions, "latest", "1.35").as_deref(), Some("v1.20.4-eksbuild.10"));
        assert_eq!(pick(&versions, "default", "1.36").as_deref(), Some("v1.21.0-eksbuild.1"));
        assert_eq!(pick(&versions, "latest", "1.30"), None);
    }

    #[test]
    fn a_choice_survives_its_tags_and_shows_what_others_did() {
        let choice = |declared: &str, resolved: &str| Choice {
            declared: declared.to_owned(),
            resolved: resolved.to_owned(),
            kubernetes: "1.35".to_owned(),
        };
        for choice in [choice("default", "v1-eksbuild.1"), choice("v1-eksbuild.1", "v1-eksbuild.1")] {
            let mut tags = Tags::from(choice.tags());
            assert_eq!(Choice::of(&tags), Some(choice));
            tags.insert("owner".to_owned(), "me".to_owned());
            Choice::strip(&mut tags);
            assert_eq!(tags.keys().collect::<Vec<_>>(), ["owner"]);
        }
        let chosen = choice("default", "v1-eksbuild.1");
        assert_eq!(chosen.declared("v1-eksbuild.1"), "default");
        assert_eq!(chosen.declared("v2-eksbuild.1"), "v2-eksbuild.1");
        assert!(chosen.fits("default", "1.35") && !chosen.fits("default", "1.36") && !chosen.fits("latest", "1.35"));
        assert_eq!(choice("v1-eksbuild.1", "v1-eksbuild.1").declared("v2-eksbuild.1"), "v2-eksbuild.1");
        assert_eq!(Choice::of(&Tags::new()), None);
    }
}
