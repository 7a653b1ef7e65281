//! The client of one cluster.
//!
//! It sends one request and answers what came back, with the error's class; it repeats nothing. It also remembers which
//! kinds the cluster serves, which every path is made of.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, USER_AGENT};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Config, client::ClientBuilder};
use serde_json::{Value as Json, json};

use crate::model::{Clock, Target};
use crate::resource::{Client, Cloud, ClusterAccess, ClusterAuth, ClusterRoute, ErrorClass, ProviderError};

use super::call::Call;
use super::discovery::Served;
use super::error::{NO_SUCH_KIND, NOT_FOUND, Refusal, classify, cut, unanswered, unusable};
use super::token::Tokens;

const CONNECT: &str = "kubernetes:Connect";

/// How long a connection may take to be made; an endpoint that a firewall hides never answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an answer may be silent. API servers give up on a request after 60 s.
const READ_TIMEOUT: Duration = Duration::from_secs(65);

/// The Kubernetes API of one cluster. Cloning it is cheap.
#[derive(Clone)]
pub struct Kube(Rc<Connection>);

struct Connection {
    wire: Wire,
    endpoint: String,
    /// For EKS; other clusters' clients bring their identity along.
    tokens: Option<Tokens>,
    manners: Manners,
    /// The kinds of each group and version that were looked up.
    served: RefCell<BTreeMap<String, Rc<[Served]>>>,
    versions: RefCell<BTreeMap<String, Vec<String>>>,
}

/// What leads to the API server.
pub(super) enum Wire {
    Network(kube::Client),
    Route(Rc<dyn ClusterRoute>),
}

/// What holds for a cluster in this run.
#[derive(Debug, Clone, Copy, Default)]
struct Manners {
    /// It may not know its callers yet: see [`Cloud::offer_new_cluster`].
    is_new: bool,
    /// See [`Cloud::forcing_conflicts`].
    forces_conflicts: bool,
}

impl Kube {
    /// A client for a cluster. It makes no connection, but runs a kubeconfig's program that makes credentials.
    pub fn open(access: &ClusterAccess, aws: &aws_config::SdkConfig) -> Result<Self, ProviderError> {
        Self::open_with(access, aws, None, None, Manners::default())
    }

    fn open_with(
        access: &ClusterAccess,
        aws: &aws_config::SdkConfig,
        route: Option<Rc<dyn ClusterRoute>>,
        clock: Option<Arc<dyn Clock>>,
        manners: Manners,
    ) -> Result<Self, ProviderError> {
        let invalid = |message: String| ProviderError::new(ErrorClass::Invalid, CONNECT, message);
        let (kubeconfig, context, tokens) = match &access.auth {
            ClusterAuth::Eks { cluster, region } => {
                let tokens = Tokens::of_eks(aws, region.clone(), cluster.clone(), clock);
                (anonymous(access).map_err(|error| ProviderError::bug(CONNECT, error.to_string()))?, None, Some(tokens))
            }
            ClusterAuth::Kubeconfig { file, context } => {
                let read = Kubeconfig::read_from(file)
                    .map_err(|error| invalid(format!("the kubeconfig file {file} cannot be used: {error}")))?;
                (read, context.clone(), None)
            }
        };
        let options = KubeConfigOptions { context, cluster: None, user: None };
        let mut config = Config::from_custom_kubeconfig(kubeconfig, &options)
            .now_or_never() // all that it needs is in memory
            .ok_or_else(|| ProviderError::bug(CONNECT, "reading a kubeconfig takes time"))?
            .map_err(|error| invalid(format!("the cluster's access cannot be used: {error}")))?;
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        config.read_timeout = Some(READ_TIMEOUT);
        config.reset_reader_on_write = true;
        // The engine is the one place that retries: it looks before it repeats a create.
        config.default_retry = false;
        let endpoint = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let wire = match route {
            Some(route) => Wire::Route(route),
            None => Wire::Network(
                ClientBuilder::try_from(config)
                    .map_err(|error| {
                        let message = format!("cannot make a client for {endpoint}: {error}");
                        ProviderError::new(ErrorClass::Denied, CONNECT, message)
                    })?
                    .build(),
            ),
        };
        let (served, versions) = (RefCell::default(), RefCell::default());
        Ok(Self(Rc::new(Connection { wire, endpoint, tokens, manners, served, versions })))
    }

    /// What leads to the API server, for what is more than one request and its answer.
    pub(super) fn wire(&self) -> &Wire {
        &self.0.wire
    }

    /// The API server's URL.
    pub(super) fn endpoint(&self) -> &str {
        &self.0.endpoint
    }

    /// The `Authorization` header of a request; `None` where the client brings its identity along.
    pub(super) async fn authorization(&self) -> Result<Option<String>, ProviderError> {
        let Some(tokens) = &self.0.tokens else { return Ok(None) };
        Ok(Some(format!("Bearer {}", tokens.current().await?.expose())))
    }

    /// Reads an object or a list; `None` when there is none, or no such kind.
    pub async fn look(&self, path: &str) -> Result<Option<Json>, ProviderError> {
        match self.call(Call::get("kubernetes:Get", path)).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.has_code(NOT_FOUND) || error.has_code(NO_SUCH_KIND) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether fields that others manage are taken over: see [`Cloud::forcing_conflicts`].
    pub(super) fn forces_conflicts(&self) -> bool {
        self.0.manners.forces_conflicts
    }

    /// What was learned of the versions of the groups that the cluster serves, the preferred one first.
    pub(super) fn versions(&self) -> &RefCell<BTreeMap<String, Vec<String>>> {
        &self.0.versions
    }

    /// What was learned of the kinds that the cluster serves.
    pub(super) fn served(&self) -> &RefCell<BTreeMap<String, Rc<[Served]>>> {
        &self.0.served
    }

    /// Makes one request and answers the JSON that came back.
    pub(in crate::kinds) async fn call(&self, call: Call) -> Result<Json, ProviderError> {
        let (_, answer) = self.call_with_status(call).await?;
        Ok(answer)
    }

    /// The same, with the status: an apply answers 201 for what it made and 200 for what was there.
    pub(in crate::kinds) async fn call_with_status(&self, call: Call) -> Result<(u16, Json), ProviderError> {
        let answer = self.exchange(&call).await?;
        let status = answer.status().as_u16();
        let header = |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let (retry_after, audit_id) = (header(RETRY_AFTER.as_str()), header("audit-id"));
        let body = answer.into_body();
        if (200..300).contains(&status) {
            return serde_json::from_slice(&body).map(|json| (status, json)).map_err(|error| unusable(&call, &error));
        }
        if let (401, Some(tokens)) = (status, &self.0.tokens) {
            tokens.forget();
        }
        let retry_after = retry_after.and_then(|seconds| seconds.parse().ok()).map(Duration::from_secs);
        let refusal = Refusal { status, retry_after, audit_id, body: &body, is_new_cluster: self.0.manners.is_new };
        Err(classify(&call, &refusal))
    }

    /// Sends one request and takes in the whole answer.
    async fn exchange(&self, call: &Call) -> Result<http::Response<Vec<u8>>, ProviderError> {
        let request = self.request(call).await?;
        match &self.0.wire {
            Wire::Network(client) => {
                let lost = |error: &kube::Error| unanswered(call, error, &self.0.endpoint);
                let answer = client.send(request.map(Body::from)).await.map_err(|error| lost(&error))?;
                let (head, body) = answer.into_parts();
                let body = body.collect_bytes().await.map_err(|error| lost(&error))?;
                Ok(http::Response::from_parts(head, body.to_vec()))
            }
            Wire::Route(route) => {
                let answer = route.send(&self.0.endpoint, request).await;
                answer.map_err(|error| cut(call, &error, &self.0.endpoint))
            }
        }
    }

    pub(super) async fn request(&self, call: &Call) -> Result<http::Request<Vec<u8>>, ProviderError> {
        let bug = |error: http::Error| ProviderError::bug(call.operation, error.to_string());
        let mut request = http::Request::builder()
            .method(&call.method)
            .uri(&call.path)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("meshplan/", env!("CARGO_PKG_VERSION")));
        if let Some(tokens) = &self.0.tokens {
            let token = tokens.current().await?;
            let mut value = HeaderValue::from_str(&format!("Bearer {}", token.expose()))
                .map_err(|error| ProviderError::bug(call.operation, error.to_string()))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        match &call.body {
            None => request.body(Vec::new()).map_err(bug),
            Some((content_type, body)) => request.header(CONTENT_TYPE, *content_type).body(body.clone()).map_err(bug),
        }
    }
}

impl Client for Kube {
    fn connect(cloud: &Cloud, target: &Target) -> Result<Self, ProviderError> {
        let Target::Cluster { cluster } = target else {
            return Err(ProviderError::bug(CONNECT, format!("`{target}` is not a cluster")));
        };
        let access = cloud.cluster(cluster).ok_or_else(|| {
            ProviderError::new(ErrorClass::NotYet, CONNECT, format!("{cluster} is not there yet: apply it first"))
        })?;
        let manners = Manners { is_new: cloud.is_new_cluster(cluster), forces_conflicts: cloud.forces_conflicts() };
        let route = cloud.route(&access.endpoint).cloned();
        Self::open_with(&access, cloud.aws(), route, cloud.clock().ok().cloned(), manners)
    }
}

impl fmt::Debug for Kube {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kube").field("endpoint", &self.0.endpoint).finish_non_exhaustive()
    }
}

/// A kubeconfig that says where the cluster is, and nothing of who is calling.
fn anonymous(access: &ClusterAccess) -> Result<Kubeconfig, serde_json::Error> {
    serde_json::from_value(json!({
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "cluster",
        "contexts": [{ "name": "cluster", "context": { "cluster": "cluster", "user": "caller" } }],
        "clusters": [{ "name": "cluster", "cluster": {
            "server": access.endpoint, "certificate-authority-data": access.certificate_authority
        } }],
        "users": [{ "name": "caller", "user": {} }],
    }))
}
