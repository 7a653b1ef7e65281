//! Releases as helm stores them: a Secret for each revision, whose payload is JSON, compressed, in base64 twice.
//!
//! The format is the same in helm 3 and 4, and part of what either promises: each reads the other's.

use std::collections::BTreeMap;
use std::io::Read;

use data_encoding::BASE64;
use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value as Json, json};

use super::mask;
use crate::kinds::helm::marker;
use crate::resource::{ReleaseState, ReleaseStatus};

/// A payload is at most 1 MiB as it is stored; unpacked it must not fill the memory.
const LARGEST: u64 = 256 * 1024 * 1024;

/// A revision, as far as the labels of its Secret tell.
#[derive(Debug)]
pub(super) struct Revision<'a> {
    pub(super) number: u32,
    pub(super) status: &'a str,
    secret: &'a Json,
}

/// The revisions in a list of Secrets, the newest last.
pub(super) fn revisions(secrets: &[Json]) -> Vec<Revision<'_>> {
    let label = |secret: &'_ Json, name: &str| {
        secret.pointer(&format!("/metadata/labels/{name}")).and_then(Json::as_str).map(str::to_owned)
    };
    let mut revisions: Vec<Revision<'_>> = secrets
        .iter()
        .filter(|secret| secret["type"] == "helm.sh/release.v1")
        .filter_map(|secret| {
            let number = label(secret, "version")?.parse().ok()?;
            let status = secret.pointer("/metadata/labels/status")?.as_str()?;
            Some(Revision { number, status, secret })
        })
        .collect();
    revisions.sort_by_key(|revision| revision.number);
    revisions
}

/// What is read of a payload.
#[derive(Debug, Deserialize)]
struct Payload {
    info: Info,
    chart: Chart,
    #[serde(default)]
    config: Option<Json>,
    #[serde(default)]
    manifest: String,
}

#[derive(Debug, Deserialize)]
struct Info {
    #[serde(default)]
    last_deployed: Option<String>,
    #[serde(default)]
    description: String,
    #[serde(default)]
    status: String,
}

#[derive(Debug, Deserialize)]
struct Chart {
    metadata: Metadata,
}

#[derive(Debug, Deserialize)]
struct Metadata {
    name: String,
    #[serde(default)]
    version: String,
}

/// A release, and when its last operation began.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) state: ReleaseState,
    pub(super) at: Option<Timestamp>,
}

impl Revision<'_> {
    /// The release that this revision is the last of. `deployed` is the last revision that was deployed.
    pub(super) fn open(&self, deployed: Option<u32>) -> Result<Stored, String> {
        let payload = payload(self.secret)?;
        let labels = self.secret.pointer("/metadata/labels").and_then(Json::as_object).into_iter().flatten();
        let labels: BTreeMap<String, String> =
            labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
        let values = payload.config.filter(|config| !config.is_null()).unwrap_or_else(|| json!({}));
        // What went wrong is part of it, and may quote a value.
        let said = mask::masked(&payload.info.description, &values);
        let description = match marker::of_labels(&labels).map(|marker| marker.text()) {
            Some(marker) if said.is_empty() || said == marker => marker,
            Some(marker) => format!("{marker}\n{said}"),
            None => said,
        };
        let at = payload.info.last_deployed.and_then(|at| at.parse().ok());
        let state = ReleaseState {
            status: status(&payload.info.status),
            revision: self.number,
            deployed,
            chart: payload.chart.metadata.name,
            version: payload.chart.metadata.version,
            values,
            manifest: payload.manifest,
            description,
        };
        Ok(Stored { state, at })
    }
}

fn payload(secret: &Json) -> Result<Payload, String> {
    let name = secret.pointer("/metadata/name").and_then(Json::as_str).unwrap_or_default();
    let broken = |why: &dyn std::fmt::Display| format!("the Secret {name} holds no release: {why}");
    let data = secret.pointer("/data/release").and_then(Json::as_str).ok_or_else(|| broken(&"it has no payload"))?;
    let outer = BASE64.decode(data.as_bytes()).map_err(|error| broken(&error))?;
    let packed = BASE64.decode(&outer).map_err(|error| broken(&error))?;
    let mut text = Vec::new();
    if packed.starts_with(&[0x1f, 0x8b, 0x08]) {
        GzDecoder::new(packed.as_slice()).take(LARGEST).read_to_end(&mut text).map_err(|error| broken(&error))?;
    } else {
        text = packed;
    }
    // What is wrong with it is said without showing it: it holds what Secrets of the release hold.
    serde_json::from_slice(&text)
        .map_err(|error| broken(&format_args!("line {}, {:?}", error.line(), error.classify())))
}

fn status(word: &str) -> ReleaseStatus {
    match word {
        "deployed" => ReleaseStatus::Deployed,
        "failed" => ReleaseStatus::Failed,
        "pending-install" => ReleaseStatus::PendingInstall,
        "pending-upgrade" => ReleaseStatus::PendingUpgrade,
        "pending-rollback" => ReleaseStatus::PendingRollback,
        "uninstalling" => ReleaseStatus::Uninstalling,
        "uninstalled" => ReleaseStatus::Uninstalled,
        _ => ReleaseStatus::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;

    fn secret(revision: u32, status: &str, labels: &[(&str, &str)], payload: &[u8]) -> Json {
        let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
        packed.write_all(payload).unwrap();
        let release = BASE64.encode(BASE64.encode(&packed.finish().unwrap()).as_bytes());
        let mut all = json!({ "owner": "helm", "name": "demo", "version": revision.to_string(), "status": status });
        for (key, value) in labels {
            all[*key] = json!(value);
        }
        json!({ "type": "helm.sh/release.v1", "metadata": { "name": format!("sh.helm.release.v1.demo.v{revision}"), "labels": all },
            "data": { "release": release } })
    }

    fn release(status: &str, description: &str) -> Vec<u8> {
        json!({ "name": "demo", "version": 2, "namespace": "n",
            "info": { "status": status, "description": description, "last_deployed": "2026-11-23T23:07:53.045676184Z", "deleted": "" },
            "chart": { "metadata": { "name": "demo", "version": "0.1.0" }, "templates": [] }, "config": { "color": "red" },
            "manifest": "---\n" })
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_release_is_its_newest_revision() {
        let labels =
            [("meshplan/mesh", "mesh1"), ("meshplan/address", "helm.release_c_n_demo"), ("meshplan/create", "tok")];
        let secrets = [
            secret(10, "pending-upgrade", &labels, &release("pending-upgrade", "Preparing upgrade")),
            secret(9, "deployed", &labels, &release("deployed", "meshplan mesh1/helm.release/c/n/demo tok")),
            json!({ "type": "Opaque", "metadata": { "labels": { "version": "99", "status": "deployed" } } }),
        ];
        let revisions = revisions(&secrets);
        assert_eq!(revisions.iter().map(|revision| revision.number).collect::<Vec<_>>(), [9, 10]);
        let newest = revisions[1].open(Some(9)).unwrap();
        assert_eq!(newest.state.status, ReleaseStatus::PendingUpgrade);
        assert_eq!((newest.state.revision, newest.state.deployed), (10, Some(9)));
        assert_eq!(newest.state.description, "meshplan mesh1/helm.release/c/n/demo tok\nPreparing upgrade");
        assert_eq!(newest.state.values, json!({ "color": "red" }));
        assert_eq!(newest.at, Some("2026-11-23T23:07:53.045676184Z".parse().unwrap()));
        assert_eq!(revisions[0].open(None).unwrap().state.description, "meshplan mesh1/helm.release/c/n/demo tok");
    }

    #[test]
    fn what_went_wrong_is_told_without_secrets() {
        let failed = String::from_utf8(release("failed", "hunter2-hunter2 is no label")).unwrap();
        let failed = failed.replace("\"color\":\"red\"", "\"password\":\"hunter2-hunter2\"");
        let secret = secret(1, "failed", &[], failed.as_bytes());
        let state = revisions(&[secret])[0].open(None).unwrap().state;
        assert_eq!(state.description, "(sensitive) is no label");
    }

    #[test]
    fn somebody_elses_description_stays_what_it_is() {
        let secret = secret(1, "deployed", &[], &release("deployed", "Install complete"));
        assert_eq!(revisions(&[secret])[0].open(None).unwrap().state.description, "Install complete");
    }

    #[test]
    fn a_broken_payload_is_an_error_that_shows_nothing_of_it() {
        let broken = secret(1, "deployed", &[], b"{\"password\": hunter2}");
        let error = revisions(std::slice::from_ref(&broken))[0].open(None).unwrap_err();
        assert!(error.starts_with("the Secret sh.helm.release.v1.demo.v1 holds no release: "), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let mut empty = broken;
        empty["data"] = json!({});
        assert!(revisions(&[empty])[0].open(None).is_err());
    }
}
