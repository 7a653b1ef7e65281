//! `[ca]`, `[addons]`, `[charts]`, `[images]`, `[helm]` and `[[moved]]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::DurationText;

/// Free-form values, as Helm and add-ons take them.
pub type Values = serde_json::Map<String, serde_json::Value>;

/// Where the mesh's trust comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CaTable {
    /// Who makes the certificates. Default: `generated`.
    pub source: Option<CaSource>,
    /// The kind of key. Default: `ecdsa-p256`.
    pub key: Option<KeyKind>,
    /// The root's lifetime. Default: `10y`.
    pub root_ttl: Option<DurationText>,
    /// The lifetime of a cluster's intermediate; it is renewed at two thirds. Default: `2y`.
    pub intermediate_ttl: Option<DurationText>,
    /// A certificate given in `[ca.files]` must live at least this long yet. Default: `90d`.
    pub min_validity: Option<DurationText>,
    /// Whether workloads accept several roots, which a rotation without downtime needs. Default: `true`.
    pub multi_root: Option<bool>,
    /// The age or ssh public keys that the root's private key is encrypted to. Default: an identity made at
    /// first use.
    pub recipients: Option<Vec<String>>,
    /// For `source = "files"`.
    pub files: Option<CaFilesTable>,
    /// For `source = "acm-pca"`.
    pub acm_pca: Option<AcmPcaTable>,
}

/// Who makes the certificates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CaSource {
    /// meshplan: a root, and an intermediate per cluster.
    #[default]
    Generated,
    /// You: a root with its key, or ready intermediates.
    Files,
    /// AWS Private CA signs the intermediates; the root never leaves AWS.
    AcmPca,
    /// Somebody else puts `cacerts` into the clusters; it is checked and not owned.
    External,
}

impl CaSource {
    /// The word in a topology.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Generated => "generated",
            Self::Files => "files",
            Self::AcmPca => "acm-pca",
            Self::External => "external",
        }
    }
}

/// The kind of a private key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum KeyKind {
    /// ECDSA on P-256.
    #[default]
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// RSA with 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA with 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

/// Certificates from files (PEM), relative to the topology.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["root"]))]
pub struct CaFilesTable {
    /// The path of the root certificate.
    pub root: Option<String>,
    /// The path of the root's private key; with it, intermediates are made.
    pub key: Option<String>,
    /// Ready intermediates, by cluster; instead of `key`.
    pub intermediates: Option<BTreeMap<String, IntermediateTable>>,
}

/// A ready intermediate of one cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["cert", "key", "chain"]))]
pub struct IntermediateTable {
    /// The path of the intermediate's certificate.
    pub cert: Option<String>,
    /// The path of its private key.
    pub key: Option<String>,
    /// The path of its chain up to the root.
    pub chain: Option<String>,
}

/// An authority of AWS Private CA.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["arn"]))]
pub struct AcmPcaTable {
    /// The authority's ARN.
    #[schemars(regex(pattern = r"^arn:aws[a-z-]*:acm-pca:[a-z0-9-]+:\d{12}:certificate-authority/.+$"))]
    pub arn: Option<String>,
}

/// An EKS add-on of every cluster with managed nodes.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AddonTable {
    /// A version, `default` (EKS's choice for the Kubernetes version) or `latest`. Default: `default`.
    pub version: Option<String>,
    /// The add-on's configuration values, merged with meshplan's own.
    pub configuration: Option<Values>,
}

/// Where charts come from: a repository's URL, `oci://…` or a local directory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChartsTable {
    /// Istio's charts. Default: `https://istio-release.storage.googleapis.com/charts`.
    pub istio: Option<String>,
    /// The AWS Load Balancer Controller's chart. Default: `https://aws.github.io/eks-charts`.
    pub load_balancer_controller: Option<String>,
}

/// Where images come from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ImagesTable {
    /// The registry and path of Istio's images. Default: the chart's own.
    pub hub: Option<String>,
}

/// Values for the releases that meshplan makes, by release. They are merged last.
pub type HelmTables = BTreeMap<Release, HelmTable>;

/// A Helm release that meshplan makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Release {
    /// Istio's custom resources and their validation.
    IstioBase,
    /// Istio's control plane.
    Istiod,
    /// The gateway between networks.
    IstioEastwestgateway,
    /// The gateway for traffic from outside.
    IstioIngressgateway,
    /// The gateway's configuration.
    CrossNetworkGateway,
    /// The sample applications.
    Sample,
    /// The AWS Load Balancer Controller.
    AwsLoadBalancerController,
}

impl Release {
    /// Every release.
    pub const ALL: [Self; 7] = [
        Self::IstioBase,
        Self::Istiod,
        Self::IstioEastwestgateway,
        Self::IstioIngressgateway,
        Self::CrossNetworkGateway,
        Self::Sample,
        Self::AwsLoadBalancerController,
    ];

    /// The release's name in Helm and in a topology.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IstioBase => "istio-base",
            Self::Istiod => "istiod",
            Self::IstioEastwestgateway => "istio-eastwestgateway",
            Self::IstioIngressgateway => "istio-ingressgateway",
            Self::CrossNetworkGateway => "cross-network-gateway",
            Self::Sample => "sample",
            Self::AwsLoadBalancerController => "aws-load-balancer-controller",
        }
    }
}

/// Values of one release.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HelmTable {
    /// The values. Keys that meshplan owns are refused.
    pub values: Option<Values>,
}

/// A resource that has another address than it had: what was at `from` is now declared at `to`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("required" = ["from", "to"]))]
pub struct MovedTable {
    /// The address in state, for example `aws.vpc/old`.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.:-]+(/[A-Za-z0-9_.:-]+)+$"))]
    pub from: Option<String>,
    /// The address in this topology.
    #[schemars(regex(pattern = r"^[A-Za-z0-9_.:-]+(/[A-Za-z0-9_.:-]+)+$"))]
    pub to: Option<String>,
}
