//! Which add-ons there are, in which versions for which Kubernetes, and how they can be configured.
//!
//! Entry points: [`find`], [`check_configuration`]. A table of a few real versions each; AWS has more, and third parties'.

use serde_json::{Value, json};

use super::refusal::{invalid, not_found};
use super::{Answer, Call, Operation, reads};
use crate::sandbox::protocol::ApiError;

pub(super) const OPERATIONS: &[Operation] =
    &[reads("DescribeAddonVersions", versions), reads("DescribeAddonConfiguration", configuration)];

/// The add-on that gives pods their addresses.
pub(super) const VPC_CNI: &str = "vpc-cni";
/// The add-on that gives pods their roles.
pub(super) const POD_IDENTITY_AGENT: &str = "eks-pod-identity-agent";

/// An add-on.
pub(super) struct Entry {
    pub(super) name: &'static str,
    kind: &'static str,
    /// Versions, newest first; the Kubernetes versions that each is for, and those that it is the default of.
    releases: &'static [Release],
    /// What can be configured: member and JSON type.
    members: &'static [(&'static str, &'static str)],
    /// The service account whose pods need a role, and the policy that AWS recommends for it.
    identity: Option<(&'static str, &'static str)>,
}

/// A version of an add-on.
struct Release {
    version: &'static str,
    kubernetes: &'static [&'static str],
    default_for: &'static [&'static str],
}

const fn release(
    version: &'static str,
    kubernetes: &'static [&'static str],
    default_for: &'static [&'static str],
) -> Release {
    Release { version, kubernetes, default_for }
}

const ALL: &[&str] = &["1.32", "1.33", "1.34", "1.35", "1.36"];
const NONE: &[&str] = &[];

/// Sources: the add-on pages of the EKS user guide and the releases of the projects.
const ENTRIES: &[Entry] = &[
    Entry {
        name: "coredns",
        kind: "networking",
        releases: &[
            release("v1.13.2-eksbuild.1", &["1.34", "1.35", "1.36"], &["1.35", "1.36"]),
            release("v1.12.4-eksbuild.1", &["1.32", "1.33", "1.34", "1.35"], &["1.34"]),
            release("v1.12.1-eksbuild.2", &["1.32", "1.33", "1.34"], &["1.33"]),
            release("v1.11.4-eksbuild.2", &["1.32", "1.33"], &["1.32"]),
        ],
        members: &[
            ("affinity", "object"),
            ("autoScaling", "object"),
            ("computeType", "string"),
            ("corefile", "string"),
            ("nodeSelector", "object"),
            ("podAnnotations", "object"),
            ("podDisruptionBudget", "object"),
            ("podLabels", "object"),
            ("replicaCount", "integer"),
            ("resources", "object"),
            ("tolerations", "array"),
            ("topologySpreadConstraints", "array"),
        ],
        identity: None,
    },
    Entry {
        name: POD_IDENTITY_AGENT,
        kind: "security",
        releases: &[
            release("v1.3.10-eksbuild.2", ALL, &["1.35", "1.36"]),
            release("v1.3.9-eksbuild.3", ALL, &["1.33", "1.34"]),
            release("v1.3.4-eksbuild.1", ALL, &["1.32"]),
        ],
        members: &[
            ("affinity", "object"),
            ("agent", "object"),
            ("nodeSelector", "object"),
            ("podAnnotations", "object"),
            ("podLabels", "object"),
            ("resources", "object"),
            ("tolerations", "array"),
        ],
        identity: None,
    },
    Entry {
        name: "kube-proxy",
        kind: "networking",
        releases: &[
            release("v1.36.1-eksbuild.1", &["1.36"], &["1.36"]),
            release("v1.35.4-eksbuild.1", &["1.35", "1.36"], NONE),
            release("v1.35.3-eksbuild.2", &["1.35"], &["1.35"]),
            release("v1.34.6-eksbuild.1", &["1.34", "1.35"], NONE),
            release("v1.34.5-eksbuild.2", &["1.34"], &["1.34"]),
            release("v1.33.10-eksbuild.1", &["1.33", "1.34"], NONE),
            release("v1.33.8-eksbuild.3", &["1.33"], &["1.33"]),
            release("v1.32.13-eksbuild.1", &["1.32", "1.33"], &["1.32"]),
        ],
        members: &[
            ("ipvs", "object"),
            ("mode", "string"),
            ("podAnnotations", "object"),
            ("podLabels", "object"),
            ("resources", "object"),
        ],
        identity: None,
    },
    Entry {
        name: VPC_CNI,
        kind: "networking",
        releases: &[
            release("v1.23.1-eksbuild.1", ALL, NONE),
            release("v1.22.1-eksbuild.1", ALL, &["1.34", "1.35", "1.36"]),
            release("v1.21.1-eksbuild.3", &["1.32", "1.33", "1.34", "1.35"], &["1.32", "1.33"]),
        ],
        members: &[
            ("affinity", "object"),
            ("enableNetworkPolicy", "string"),
            ("enableWindowsIpam", "string"),
            ("enableWindowsPrefixDelegation", "string"),
            ("eniConfig", "object"),
            ("env", "object"),
            ("init", "object"),
            ("livenessProbeTimeoutSeconds", "integer"),
            ("nodeAgent", "object"),
            ("podAnnotations", "object"),
            ("podLabels", "object"),
            ("readinessProbeTimeoutSeconds", "integer"),
            ("resources", "object"),
            ("tolerations", "array"),
        ],
        identity: Some(("aws-node", "AmazonEKS_CNI_Policy")),
    },
];

/// The add-on with this name, if there is one for this Kubernetes version.
pub(super) fn find(name: &str, kubernetes: &str) -> Result<&'static Entry, ApiError> {
    let entry = ENTRIES.iter().find(|entry| entry.name == name);
    entry.filter(|entry| entry.default(kubernetes).is_some()).ok_or_else(|| {
        invalid(format!("Addon {name} specified is not supported in {kubernetes} kubernetes version"))
            .with("addonName", name)
    })
}

impl Entry {
    /// The version that a cluster gets when none is named.
    pub(super) fn default(&self, kubernetes: &str) -> Option<&'static str> {
        self.releases.iter().find(|one| one.default_for.contains(&kubernetes)).map(|one| one.version)
    }

    /// A version that was named, or the default.
    pub(super) fn choose(&self, asked: Option<&str>, kubernetes: &str) -> Result<&'static str, ApiError> {
        let chosen = match asked {
            None => self.default(kubernetes),
            Some(asked) => self
                .releases
                .iter()
                .find(|one| one.version == asked && one.kubernetes.contains(&kubernetes))
                .map(|one| one.version),
        };
        chosen.ok_or_else(|| {
            invalid("Addon version specified is not supported, please retry with a valid version")
                .with("addonName", self.name)
        })
    }

    /// Checks a configuration against the schema.
    pub(super) fn check_configuration(&self, text: &str) -> Result<(), ApiError> {
        let refused = |why: String| {
            let message = format!(
                "ConfigurationValue provided in request is not supported: Json schema validation failed with error: [{why}]"
            );
            Err(invalid(message).with("addonName", self.name))
        };
        let Ok(Value::Object(members)) = serde_json::from_str(text) else {
            return refused("$: must be an object".to_owned());
        };
        for (name, value) in &members {
            let Some((_, kind)) = self.members.iter().find(|(known, _)| known == name) else {
                return refused(format!(
                    "$.{name}: is not defined in the schema and the schema does not allow additional properties"
                ));
            };
            let fits = match *kind {
                "string" => value.is_string(),
                "integer" => value.is_i64(),
                "array" => value.is_array(),
                _ => value.is_object(),
            };
            if !fits {
                return refused(format!("$.{name}: {value} is not of the type {kind}"));
            }
        }
        // Environment variables are texts, which people forget about numbers and truth values.
        for (place, variables) in
            [("env", members.get("env")), ("init.env", members.get("init").and_then(|init| init.get("env")))]
        {
            for (name, value) in variables.and_then(Value::as_object).into_iter().flatten() {
                if !value.is_string() {
                    return refused(format!("$.{place}.{name}: {value} found, string expected"));
                }
            }
        }
        Ok(())
    }

    fn schema(&self) -> Value {
        let properties: serde_json::Map<String, Value> = self
            .members
            .iter()
            .map(|(name, kind)| {
                let mut property = json!({ "type": kind });
                if *name == "env" {
                    property["additionalProperties"] = json!({ "type": "string" });
                }
                ((*name).to_owned(), property)
            })
            .collect();
        json!({
            "$schema": "http://json-schema.org/draft-06/schema#",
            "title": self.name,
            "type": "object",
            "additionalProperties": false,
            "properties": properties,
        })
    }

    fn to_json(&self, kubernetes: Option<&str>) -> Value {
        let of = |one: &&Release| kubernetes.is_none_or(|kubernetes| one.kubernetes.contains(&kubernetes));
        let versions: Vec<Value> = self
            .releases
            .iter()
            .filter(of)
            .map(|one| {
                let listed = one.kubernetes.iter().filter(|minor| kubernetes.is_none_or(|only| **minor == only));
                let compatibilities: Vec<Value> = listed
                    .rev()
                    .map(|minor| {
                        json!({
                            "clusterVersion": minor,
                            "platformVersions": ["*"],
                            "defaultVersion": one.default_for.contains(minor),
                        })
                    })
                    .collect();
                json!({
                    "addonVersion": one.version,
                    "architecture": ["amd64", "arm64"],
                    "computeTypes": ["ec2", "hybrid"],
                    "compatibilities": compatibilities,
                    "requiresConfiguration": false,
                    "requiresIamPermissions": self.identity.is_some(),
                })
            })
            .collect();
        json!({
            "addonName": self.name,
            "type": self.kind,
            "publisher": "eks",
            "owner": "aws",
            "defaultNamespace": "kube-system",
            "addonVersions": versions,
        })
    }
}

fn versions(call: &mut Call<'_>) -> Answer {
    let input = call.input;
    let kubernetes = input.text("kubernetesVersion");
    let wanted = input.text("addonName");
    let any = |member: &str, value: &str| {
        let asked = input.texts(member);
        asked.is_empty() || asked.contains(&value)
    };
    let found = ENTRIES.iter().filter(|entry| {
        wanted.is_none_or(|wanted| wanted == entry.name)
            && kubernetes.is_none_or(|minor| entry.releases.iter().any(|one| one.kubernetes.contains(&minor)))
            && any("types", entry.kind)
            && any("publishers", "eks")
            && any("owners", "aws")
    });
    let (names, next) = call.page(found.map(|entry| entry.name.to_owned()))?;
    if let Some(wanted) = wanted.filter(|wanted| !ENTRIES.iter().any(|entry| entry.name == *wanted)) {
        return Err(not_found(format!("Addon {wanted} was not found")).with("addonName", wanted));
    }
    let addons: Vec<Value> = ENTRIES
        .iter()
        .filter(|entry| names.iter().any(|name| name == entry.name))
        .map(|entry| entry.to_json(kubernetes))
        .collect();
    Ok(json!({ "addons": addons, "nextToken": next }))
}

fn configuration(call: &mut Call<'_>) -> Answer {
    let (name, version) = (call.input.required("addonName")?, call.input.required("addonVersion")?);
    let known =
        ENTRIES.iter().find(|entry| entry.name == name && entry.releases.iter().any(|one| one.version == version));
    let Some(entry) = known else {
        return Err(not_found(format!("Addon {name} with version {version} was not found")).with("addonName", name));
    };
    let identities: Vec<Value> = entry
        .identity
        .iter()
        .map(|(account, policy)| {
            json!({ "serviceAccount": account, "recommendedManagedPolicies": [super::roles::managed(policy)] })
        })
        .collect();
    Ok(json!({
        "addonName": name,
        "addonVersion": version,
        "configurationSchema": entry.schema().to_string(),
        "podIdentityConfiguration": identities,
    }))
}
