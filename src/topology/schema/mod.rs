//! What may be written in a topology: one type per table, each key optional as long as something can be derived.
//!
//! Entry points: [`Document`], the whole file as written, and [`json_schema`] for editors. These types keep what
//! was written and nothing else; defaults and derived values are in [`super::resolved`], which is what the
//! compiler reads. The doc comments here are the descriptions in the JSON Schema.

mod cluster;
mod extras;
mod mesh;
mod network;
mod values;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::Deserialize;

pub use cluster::{
    Ami, Capacity, ClusterTable, ClusterVersionsTable, ExistingClusterTable, IpFamily, LogType, ManifestTable,
    NodeMode, NodesTable, ReleaseTable, Role, WorkloadIdentity,
};
pub use extras::{
    AcmPcaTable, AddonTable, CaFilesTable, CaSource, CaTable, ChartsTable, HelmTable, HelmTables, ImagesTable,
    IntermediateTable, KeyKind, MovedTable, Release, Values,
};
pub use mesh::{
    ApiAccessTable, EastWestTable, IngressTable, IpAddressType, MeshTable, PublicAccess, SampleTable, Scheme,
    VersionsTable,
};
pub use network::{ExistingNetworkTable, Nat, NetworkTable, PeeringTable, PeeringVia};
pub use values::{Azs, Cidr, DurationText, Ipv4Cidr, IstioVersion, KubernetesVersion, Region, Sources};

/// The version of the topology format that this program reads.
pub const SCHEMA_VERSION: u32 = 1;

/// A whole topology, as written.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "meshplan topology", extend("required" = ["schema", "mesh", "networks"]))]
pub struct Document {
    /// The version of this format: 1.
    #[schemars(extend("const" = 1))]
    pub schema: Option<u32>,
    /// The mesh's identity.
    pub mesh: Option<MeshTable>,
    /// The versions of Istio and Kubernetes.
    pub versions: Option<VersionsTable>,
    /// Tags put on every taggable resource.
    pub tags: Option<BTreeMap<String, String>>,
    /// The networks by name, a DNS label of at most 63 characters.
    pub networks: Option<BTreeMap<String, NetworkTable>>,
    /// What applies to every cluster that says nothing else.
    pub defaults: Option<DefaultsTable>,
    /// The clusters by name, a DNS label of at most 63 characters.
    pub clusters: Option<BTreeMap<String, ClusterTable>>,
    /// Private routes between networks, by name.
    pub peering: Option<BTreeMap<String, PeeringTable>>,
    /// Who reaches the API servers.
    pub api_access: Option<ApiAccessTable>,
    /// The gateways between networks.
    pub east_west: Option<EastWestTable>,
    /// The optional ingress gateways.
    pub ingress: Option<IngressTable>,
    /// Where trust comes from.
    pub ca: Option<CaTable>,
    /// The sample applications.
    pub sample: Option<SampleTable>,
    /// EKS add-ons, by name.
    pub addons: Option<BTreeMap<String, AddonTable>>,
    /// Where charts come from.
    pub charts: Option<ChartsTable>,
    /// Where images come from.
    pub images: Option<ImagesTable>,
    /// Values for the releases that meshplan makes.
    pub helm: Option<HelmTables>,
    /// Resources that have a new address.
    pub moved: Option<Vec<MovedTable>>,
}

/// What applies to every cluster that says nothing else.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DefaultsTable {
    /// The nodes of every cluster, overridden key by key in `[clusters.NAME.nodes]`.
    pub nodes: Option<NodesTable>,
}

/// The JSON Schema (draft 2020-12) of a topology, for editors and other tools.
#[must_use]
pub fn json_schema() -> serde_json::Value {
    // TOML has no null: an optional key is left out.
    let generator = SchemaSettings::draft2020_12()
        .with(|s| s.meta_schema = Some("https://json-schema.org/draft/2020-12/schema".into()))
        .into_generator();
    let mut schema = generator.into_root_schema_for::<Document>().to_value();
    drop_null(&mut schema);
    for table in ["networks", "clusters"] {
        if let Some(serde_json::Value::Object(table)) = schema.pointer_mut(&format!("/properties/{table}")) {
            table.insert(
                "propertyNames".to_owned(),
                serde_json::json!({"pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "maxLength": 63}),
            );
        }
    }
    let releases: Vec<&str> = Release::ALL.into_iter().map(Release::as_str).collect();
    for place in ["/properties/helm", "/$defs/ClusterTable/properties/helm"] {
        if let Some(serde_json::Value::Object(table)) = schema.pointer_mut(place) {
            table.insert("propertyNames".to_owned(), serde_json::json!({ "enum": releases }));
        }
    }
    schema
}

/// Removes the alternative `null` that an `Option` brings.
fn drop_null(schema: &mut serde_json::Value) {
    use serde_json::Value;
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|name| name != "null");
                if let [only] = types.as_slice() {
                    let only = only.clone();
                    object.insert("type".to_owned(), only);
                }
            }
            if let Some(Value::Array(alternatives)) = object.get_mut("anyOf") {
                alternatives.retain(|one| one.get("type").and_then(Value::as_str) != Some("null"));
                if let [Value::Object(only)] = alternatives.as_slice() {
                    let only = only.clone();
                    object.remove("anyOf");
                    for (key, value) in only {
                        object.entry(key).or_insert(value);
                    }
                }
            }
            object.values_mut().for_each(drop_null);
        }
        Value::Array(items) => items.iter_mut().for_each(drop_null),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
