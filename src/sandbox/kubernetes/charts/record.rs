//! What Helm stores of a release: one Secret for each revision, so that Helm itself can read it.
//!
//! Entry point: [`Record`]. The payload is Helm's (`pkg/storage/driver/util.go`): JSON, compressed, in base64; and as every
//! value of a Secret in base64 once more.

use std::io::{Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

/// The type of the Secrets.
const TYPE: &str = "helm.sh/release.v1";

/// One revision of a release.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The release's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// The number of the revision.
    pub revision: u32,
    /// Where the operation ended, in Helm's words: `deployed`, `pending-install`.
    pub status: String,
    /// What is recorded with it.
    pub description: String,
    /// When the first revision was made, and this one: RFC 3339.
    pub times: (String, String),
    /// Name, version and version of what is installed.
    pub chart: (String, String, String),
    /// The values that were given.
    pub values: Value,
    /// The objects, as YAML documents.
    pub manifest: String,
}

/// Why a Secret is no record.
#[derive(Debug, thiserror::Error)]
pub enum Damaged {
    /// It is not in Helm's form.
    #[error("the Secret {0} does not hold a release in Helm's form")]
    Form(String),
    /// It cannot be written in it.
    #[error("the release cannot be written in Helm's form: {0}")]
    Unwritable(#[from] std::io::Error),
}

impl Record {
    /// The name of the Secret.
    #[must_use]
    pub fn secret_name(&self) -> String {
        format!("sh.helm.release.v1.{}.v{}", self.name, self.revision)
    }

    /// The Secret.
    ///
    /// # Errors
    /// Never, in practice: memory is written to.
    pub fn secret(&self) -> Result<Value, Damaged> {
        let (chart, version, app_version) = &self.chart;
        let release = json!({
            "name": self.name,
            "namespace": self.namespace,
            "version": self.revision,
            "info": {
                "first_deployed": self.times.0, "last_deployed": self.times.1, "deleted": "",
                "description": self.description, "status": self.status,
            },
            "chart": {
                "metadata": { "name": chart, "version": version, "appVersion": app_version, "apiVersion": "v2" },
                "lock": null, "templates": [], "values": {}, "schema": null, "files": [],
            },
            "config": self.values,
            "manifest": self.manifest,
        });
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(release.to_string().as_bytes())?;
        let packed = data_encoding::BASE64.encode(&encoder.finish()?);
        Ok(json!({
            "apiVersion": "v1",
            "kind": "Secret",
            "type": TYPE,
            "metadata": {
                "name": self.secret_name(),
                "namespace": self.namespace,
                "labels": {
                    "name": self.name, "owner": "helm", "status": self.status, "version": self.revision.to_string(),
                },
            },
            "data": { "release": data_encoding::BASE64.encode(packed.as_bytes()) },
        }))
    }

    /// Reads a Secret.
    ///
    /// # Errors
    /// When it is no record of Helm's.
    pub fn parse(secret: &Value) -> Result<Self, Damaged> {
        let name = secret["metadata"]["name"].as_str().unwrap_or_default();
        let damaged = || Damaged::Form(name.to_owned());
        let data = secret["data"]["release"].as_str().ok_or_else(damaged)?;
        let packed = data_encoding::BASE64.decode(data.as_bytes()).map_err(|_| damaged())?;
        let packed = data_encoding::BASE64.decode(&packed).map_err(|_| damaged())?;
        let mut text = String::new();
        GzDecoder::new(packed.as_slice()).read_to_string(&mut text).map_err(|_| damaged())?;
        let release: Value = serde_json::from_str(&text).map_err(|_| damaged())?;
        let text = |path: &str| release.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
        let revision = release["version"].as_u64().and_then(|number| u32::try_from(number).ok());
        Ok(Self {
            name: text("/name"),
            namespace: text("/namespace"),
            revision: revision.ok_or_else(damaged)?,
            status: text("/info/status"),
            description: text("/info/description"),
            times: (text("/info/first_deployed"), text("/info/last_deployed")),
            chart: (text("/chart/metadata/name"), text("/chart/metadata/version"), text("/chart/metadata/appVersion")),
            values: release["config"].clone(),
            manifest: text("/manifest"),
        })
    }

    /// The objects of the manifest.
    #[must_use]
    pub fn objects(&self) -> Vec<Value> {
        serde_saphyr::from_multiple::<Value>(&self.manifest)
            .map(|documents| documents.into_iter().filter(Value::is_object).collect())
            .unwrap_or_default()
    }
}
