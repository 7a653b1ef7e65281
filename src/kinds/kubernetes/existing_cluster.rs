//! `kubernetes.existing_cluster`: any Kubernetes cluster, by a kubeconfig. Looked up, never written.
//!
//! A cluster that does not answer is an error with its reason and never "gone": what is inside it may be there.

use std::time::Duration;

use data_encoding::{BASE64, BASE64_MIME};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde::{Deserialize, Serialize};

use crate::model::diff::FieldRule;
use crate::model::{AttrPath, Document, Target, Value};
use crate::resource::{
    Api, Client, Cloud, ClusterAccess, ClusterAuth, Created, Deletion, ErrorClass, Expected, KindRules, Live,
    OutputClass, OutputRule, Ownership, Possession, ProviderError, RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

/// What is asked.
const OPERATION: &str = "kubernetes:/version";

/// A connection that is not there after this long will not be.
const CONNECT: Duration = Duration::from_secs(10);

/// `/version` is answered from memory.
const ANSWER: Duration = Duration::from_secs(20);

/// The kind `kubernetes.existing_cluster`.
#[derive(Debug, Clone, Copy)]
pub struct ExistingCluster;

/// What is declared of an existing cluster: where it is found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The path of the kubeconfig.
    pub kubeconfig: String,
    /// The context in it; its current one where none is declared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

/// What an existing cluster yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// The URL of its API server.
    pub endpoint: String,
    /// The certificates of its API server's authority, PEM in base64; empty where the system's are used.
    pub certificate_authority: String,
    /// Its minor version, for example `1.35`.
    pub version: String,
}

/// What a kubeconfig's cluster is reached with: the kubeconfig itself, which each read opens.
#[derive(Debug, Clone, Copy)]
pub struct Local;

impl Client for Local {
    fn connect(_: &Cloud, target: &Target) -> Result<Self, ProviderError> {
        match target {
            Target::Local => Ok(Self),
            Target::Aws { .. } | Target::Cluster { .. } => {
                Err(ProviderError::bug("kubernetes:connect", format!("`{target}` is not found by a kubeconfig")))
            }
        }
    }
}

impl KindRules for ExistingCluster {
    fn name(&self) -> &'static str {
        "kubernetes.existing_cluster"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const fn of(name: &'static str) -> OutputRule {
            OutputRule { name, class: OutputClass::Plain, changes_with: &["kubeconfig", "context"] }
        }
        const { &[of("endpoint"), of("certificate_authority"), of("version")] }
    }

    fn expected(&self) -> Expected {
        Expected { create: 1.0, update: 1.0, delete: 0.0 }
    }

    fn api(&self) -> Api {
        Api::Local
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(0, 5_000, 60)
    }

    fn possession(&self) -> Possession {
        Possession::Observed
    }

    fn cluster_access(&self, _: &Target, spec: &Document, outputs: &Document) -> Option<ClusterAccess> {
        let (spec, outputs) = (spec.value(), outputs.value());
        let text = |document: &Value, key: &str| Some(document.get(key)?.as_str()?.to_owned());
        Some(ClusterAccess {
            endpoint: text(&outputs, "endpoint")?,
            certificate_authority: text(&outputs, "certificate_authority")?,
            auth: ClusterAuth::Kubeconfig { file: text(&spec, "kubeconfig")?, context: text(&spec, "context") },
        })
    }

    fn known_id(&self, spec: &Value) -> Option<RemoteId> {
        if spec.has_unknown() {
            return None;
        }
        id_of(&serde_json::from_value(serde_json::to_value(spec).ok()?).ok()?).ok()
    }
}

impl ResourceKind for ExistingCluster {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Local;

    fn example() -> Spec {
        Spec { kubeconfig: "clusters/on-premises.yaml".to_owned(), context: Some("mesh".to_owned()) }
    }

    async fn read_many(&self, _: &Local, ids: &[RemoteId]) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        let look = async |id: &RemoteId| {
            let spec: Spec = serde_json::from_str(id.as_str()).map_err(|error| {
                ProviderError::bug(OPERATION, format!("`{id}` is not an existing cluster's id: {error}"))
            })?;
            let outputs = ask(&spec).await?;
            Ok(Some(Live { spec, outputs, status: Status::Ready }))
        };
        futures_util::future::try_join_all(ids.iter().map(look)).await
    }

    /// Makes nothing: the id is known, and the read tells what is there.
    async fn create(&self, _: &Local, spec: &Spec, _: &Ownership) -> Result<Created<Spec, Outputs>, ProviderError> {
        Ok(Created { id: id_of(spec)?, live: None })
    }

    async fn find(&self, _: &Local, spec: &Spec, _: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        id_of(spec).map(Some)
    }

    /// Changes nothing: what differs is for its owner to change.
    async fn update(&self, _: &Local, _: &RemoteId, _: &Spec, _: &Spec) -> Result<Updated, ProviderError> {
        Ok(Updated::Done)
    }

    /// Deletes nothing.
    async fn delete(&self, _: &Local, _: &RemoteId) -> Result<Deletion, ProviderError> {
        Ok(Deletion::Accepted)
    }
}

/// The id is the spec, as JSON: a read gets nothing but the id.
fn id_of(spec: &Spec) -> Result<RemoteId, ProviderError> {
    let text = serde_json::to_string(spec).map_err(|error| ProviderError::bug("encode", error.to_string()))?;
    Ok(RemoteId::new(text))
}

async fn ask(spec: &Spec) -> Result<Outputs, ProviderError> {
    let unusable = |error: &kube::config::KubeconfigError| ProviderError {
        at: Some(AttrPath::keys(&["kubeconfig"])),
        ..ProviderError::new(
            ErrorClass::Invalid,
            "kubernetes:kubeconfig",
            format!("`{}` cannot be used: {error}", spec.kubeconfig),
        )
    };
    let kubeconfig = Kubeconfig::read_from(&spec.kubeconfig).map_err(|error| unusable(&error))?;
    let options = KubeConfigOptions { context: spec.context.clone(), ..KubeConfigOptions::default() };
    let mut config =
        kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| unusable(&error))?;
    config.connect_timeout = Some(CONNECT);
    config.read_timeout = Some(ANSWER);
    let endpoint = config.cluster_url.to_string();
    let certificate_authority = config.root_cert.as_deref().map(authority).unwrap_or_default();
    let client = kube::Client::try_from(config).map_err(|error| refused(spec, &error))?;
    let version = client.apiserver_version().await.map_err(|error| refused(spec, &error))?;
    Ok(Outputs {
        endpoint: endpoint.trim_end_matches('/').to_owned(),
        certificate_authority,
        // Some providers write `35+`.
        version: format!("{}.{}", version.major, version.minor.trim_end_matches('+')),
    })
}

/// Certificates as a kubeconfig holds them.
fn authority(certificates: &[Vec<u8>]) -> String {
    if certificates.is_empty() {
        return String::new();
    }
    let mut pem = String::new();
    for der in certificates {
        let body = BASE64_MIME.encode(der).replace('\r', "");
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        pem.push_str(body.trim_end());
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    BASE64.encode(pem.as_bytes())
}

/// An answer that is none: with the cluster's name for it, and whether asking again may help.
fn refused(spec: &Spec, error: &kube::Error) -> ProviderError {
    let status = if let kube::Error::Api(status) = error { Some(status.code) } else { None };
    let class = match status {
        Some(401 | 403) => ErrorClass::Denied,
        Some(429) => ErrorClass::Throttled,
        None if matches!(error, kube::Error::Auth(_)) => ErrorClass::Denied,
        // A cluster that cannot be reached now may be reached in a moment.
        Some(_) | None => ErrorClass::Transient,
    };
    let context = spec.context.as_ref().map(|context| format!(" (context {context})")).unwrap_or_default();
    let mut why = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(next) = cause {
        let text = next.to_string();
        if !why.contains(&text) {
            why = format!("{why}: {text}");
        }
        cause = next.source();
    }
    let message = format!("the cluster of `{}`{context} does not answer: {why}", spec.kubeconfig);
    ProviderError::new(class, OPERATION, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_written_as_a_kubeconfig_holds_them() {
        let encoded = authority(&[vec![1; 60], vec![2]]);
        let pem = String::from_utf8(BASE64.decode(encoded.as_bytes()).unwrap()).unwrap();
        assert_eq!(pem.matches("-----BEGIN CERTIFICATE-----\n").count(), 2);
        assert!(pem.lines().all(|line| line.len() <= 76), "{pem}");
        assert!(pem.ends_with("\nAg==\n-----END CERTIFICATE-----\n"), "{pem}");
        assert_eq!(authority(&[]), "");
    }

    #[test]
    fn a_kubeconfig_that_is_not_there_is_named() {
        let spec = Spec { kubeconfig: "no/such/file".to_owned(), context: None };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let error = runtime.block_on(ask(&spec)).unwrap_err();
        assert_eq!(error.class, ErrorClass::Invalid);
        assert!(error.message.starts_with("`no/such/file` cannot be used: failed to read kubeconfig"), "{error}");
    }

    /// Asks a server on loopback that gives this answer to whatever it is asked.
    fn ask_one_that_answers(status: &'static str, body: &'static str) -> Result<Outputs, ProviderError> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let server = format!("http://{}", listener.local_addr().unwrap());
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("kubeconfig.json");
            let kubeconfig = serde_json::json!({
                "apiVersion": "v1", "kind": "Config", "current-context": "here",
                "clusters": [{"name": "here", "cluster": {"server": server}}],
                "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
                "users": [{"name": "me", "user": {"token": "t"}}],
            });
            let mut written = std::fs::File::create(&file).unwrap();
            std::io::Write::write_all(&mut written, kubeconfig.to_string().as_bytes()).unwrap();
            let spec = Spec { kubeconfig: file.to_string_lossy().into_owned(), context: None };
            let answers = async {
                let (mut connection, _) = listener.accept().await.unwrap();
                let mut request = vec![0; 4096];
                let read = connection.read(&mut request).await.unwrap();
                assert!(String::from_utf8_lossy(&request[..read]).starts_with("GET /version"), "another question");
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
                );
                connection.write_all(answer.as_bytes()).await.unwrap();
            };
            let (asked, ()) = tokio::join!(ask(&spec), answers);
            asked
        })
    }

    #[test]
    fn a_cluster_that_answers_tells_its_version() {
        let outputs = ask_one_that_answers(
            "200 OK",
            r#"{"major": "1", "minor": "35+", "gitVersion": "v1.35.2", "gitCommit": "", "gitTreeState": "",
                "buildDate": "", "goVersion": "", "compiler": "", "platform": ""}"#,
        )
        .unwrap();
        assert_eq!(outputs.version, "1.35");
        assert!(outputs.endpoint.starts_with("http://127.0.0.1:"), "{}", outputs.endpoint);
    }

    #[test]
    fn a_cluster_that_refuses_is_there_and_says_so() {
        let error = ask_one_that_answers(
            "401 Unauthorized",
            r#"{"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": "Unauthorized",
                "reason": "Unauthorized", "code": 401}"#,
        )
        .unwrap_err();
        assert_eq!(error.class, ErrorClass::Denied);
        assert!(error.message.contains("does not answer: ") && error.message.contains("Unauthorized"), "{error}");
    }
}
