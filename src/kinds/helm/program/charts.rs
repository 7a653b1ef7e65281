//! Where a chart is: each is fetched once in a run, however many clusters get it, so that all get the same.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::resource::{ErrorClass, ProviderError, ReleaseOrder};

use super::HelmProgram;

const PULL: &str = "helm:Pull";

/// A chart, its repository and its version, as they are declared.
type Name = (String, Option<String>, Option<String>);

/// The charts that were fetched.
#[derive(Debug, Default)]
pub(super) struct Charts(tokio::sync::Mutex<BTreeMap<Name, PathBuf>>);

/// A chart in words, for messages.
pub(super) fn source(order: &ReleaseOrder) -> String {
    let version = order.version.as_deref().map(|version| format!(" {version}")).unwrap_or_default();
    match &order.repository {
        Some(repository) => format!("{}{version} of {repository}", order.chart),
        None => format!("{}{version}", order.chart),
    }
}

impl HelmProgram {
    /// The directory or archive of an order's chart.
    pub(super) async fn chart(&self, order: &ReleaseOrder) -> Result<PathBuf, ProviderError> {
        if order.repository.is_none() && !order.chart.starts_with("oci://") {
            return local(order);
        }
        // One at a time: the second who wants a chart finds it there.
        let mut charts = self.charts.0.lock().await;
        let name = (order.chart.clone(), order.repository.clone(), order.version.clone());
        if let Some(known) = charts.get(&name) {
            return Ok(known.clone());
        }
        let fetched = match self.pull(order, order.version.as_deref()).await {
            // A registry's tags are what they are; that of a chart may begin with a `v` that its version is written without.
            Err(error) if order.chart.starts_with("oci://") && error.message.contains("not found") => {
                let prefixed = order.version.as_ref().map(|version| format!("v{version}"));
                match prefixed {
                    Some(prefixed) => self.pull(order, Some(&prefixed)).await.map_err(|_| error)?,
                    None => return Err(error),
                }
            }
            fetched => fetched?,
        };
        charts.insert(name, fetched.clone());
        Ok(fetched)
    }

    async fn pull(&self, order: &ReleaseOrder, version: Option<&str>) -> Result<PathBuf, ProviderError> {
        let failed = |error: std::io::Error| ProviderError::new(ErrorClass::Transient, PULL, error.to_string());
        let folder = self.folder()?.subfolder("chart").map_err(failed)?;
        let mut args: Vec<OsString> = vec!["pull".into(), order.chart.clone().into()];
        args.extend(["--destination".into(), folder.clone().into_os_string()]);
        if let Some(repository) = &order.repository {
            args.extend(["--repo".into(), repository.into()]);
        }
        if let Some(version) = version {
            args.extend(["--version".into(), version.into()]);
        }
        self.run(PULL, args, order).await?;
        let archive =
            fs::read_dir(&folder).map_err(failed)?.flatten().map(|entry| entry.path()).find(|path| path.is_file());
        archive.ok_or_else(|| {
            let message = format!("helm says that it has fetched {}, and there is no archive", source(order));
            ProviderError::new(ErrorClass::Invalid, PULL, message)
        })
    }
}

/// The chart of a directory or an archive. Helm takes whatever version is there; one that is declared must be that.
fn local(order: &ReleaseOrder) -> Result<PathBuf, ProviderError> {
    let invalid = |message: String| ProviderError::new(ErrorClass::Invalid, PULL, message);
    let path = Path::new(&order.chart);
    let path = fs::canonicalize(path).map_err(|error| {
        let way = "name a directory or an archive, an `oci://` reference, or a repository beside it";
        invalid(format!("there is no chart `{}`: {error}; {way}", order.chart))
    })?;
    let Some(wanted) = &order.version else { return Ok(path) };
    if let Some(there) = version_of(&path)
        && there.trim_start_matches('v') != wanted.trim_start_matches('v')
    {
        return Err(invalid(format!("the chart in `{}` is of version {there}, and {wanted} is declared", order.chart)));
    }
    Ok(path)
}

/// The version of a chart in a directory; `None` for an archive, which helm reads.
fn version_of(directory: &Path) -> Option<String> {
    #[derive(Deserialize)]
    struct Chart {
        version: String,
    }
    let text = fs::read_to_string(directory.join("Chart.yaml")).ok()?;
    serde_saphyr::from_str::<Chart>(&text).ok().map(|chart| chart.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(chart: &str, version: Option<&str>) -> ReleaseOrder {
        ReleaseOrder {
            name: "a".to_owned(),
            namespace: "b".to_owned(),
            chart: chart.to_owned(),
            repository: None,
            version: version.map(str::to_owned),
            values: serde_json::json!({}),
            description: String::new(),
            forces_conflicts: false,
            upgrades: false,
        }
    }

    #[test]
    fn a_local_chart_has_the_version_that_is_declared() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::File::create(folder.path().join("Chart.yaml")).unwrap();
        let chart = folder.path().to_str().unwrap();
        assert!(local(&order(chart, Some("1.0.0"))).is_ok(), "helm says what is wrong with it");
        std::fs::OpenOptions::new()
            .write(true)
            .open(folder.path().join("Chart.yaml"))
            .and_then(|mut file| std::io::Write::write_all(&mut file, b"name: a\nversion: v1.2.3\n"))
            .unwrap();
        assert!(local(&order(chart, None)).is_ok());
        assert!(local(&order(chart, Some("1.2.3"))).is_ok());
        let error = local(&order(chart, Some("1.2.4"))).unwrap_err();
        assert!(error.message.contains("is of version v1.2.3, and 1.2.4 is declared"), "{error}");
        let error = local(&order("./no-such-chart", None)).unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid);
        assert!(error.message.starts_with("there is no chart `./no-such-chart`: "), "{error}");
        assert_eq!(source(&order("x", Some("1.2.3"))), "x 1.2.3");
    }
}
