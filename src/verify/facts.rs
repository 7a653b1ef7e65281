//! What was seen of a running mesh, as plain data: the input of [`check`](super::check()).
//!
//! Nothing here says what it means. A part that could not be looked at says why ([`Unseen`]), so that "is not there" and
//! "could not look" never mix. No key and no token is kept: of a token only its digest.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// What was seen, by cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// By cluster name.
    pub clusters: BTreeMap<String, Seen<ClusterFacts>>,
}

/// What was seen, or why it could not be looked at.
pub type Seen<T> = Result<T, Unseen>;

/// Why something could not be looked at.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Unseen {
    /// The error, with its way out.
    pub why: String,
    /// Whether it may pass by itself.
    pub passes: bool,
}

/// What was seen of one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ClusterFacts {
    /// Its control planes' pods.
    pub istiods: Vec<Istiod>,
    /// The network that its control plane's namespace is labelled with.
    pub network_label: Option<String>,
    /// What tells its control planes of other clusters.
    pub remote_secrets: Vec<RemoteSecret>,
    /// How others authenticate as its reader.
    pub reader: Reader,
    /// Who may connect to its API server, where EKS says it.
    pub api: Option<ApiEndpoint>,
    /// The Services that are gateways to its network, or look as if they should be.
    pub gateways: Vec<Gateway>,
    /// The pods of its gateways.
    pub gateway_pods: Vec<Pod>,
    /// Whether the gateways' proxies are told to listen for other networks: the Gateway objects that do.
    pub listeners: Vec<String>,
    /// Whether pods are given their proxies.
    pub injector: Injector,
    /// What it trusts.
    pub trust: Trust,
    /// What was seen of the sample applications; `None` where they are not declared.
    pub sample: Option<SampleFacts>,
}

/// One istiod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Istiod {
    /// Its pod.
    pub pod: Pod,
    /// Whether it resolves gateways' host names (`RESOLVE_HOSTNAME_GATEWAYS`).
    pub resolves_hostnames: bool,
    /// The clusters that it reads, as `/debug/clusterz` says.
    pub clusters: Seen<Vec<ReadCluster>>,
    /// The gateways that it knows, as `/debug/networkz` says.
    pub gateways: Seen<Vec<KnownGateway>>,
}

/// A cluster that an istiod reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadCluster {
    /// Its id.
    pub id: String,
    /// The Secret that told of it; empty for the istiod's own.
    pub secret: String,
    /// `synced`, `syncing`, `timeout` or `closed`.
    pub status: String,
}

/// A gateway that an istiod knows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KnownGateway {
    /// The network behind it.
    pub network: String,
    /// The cluster that it is in.
    pub cluster: String,
    /// Its address; `None` for a text that is none.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: u16,
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pod {
    /// Its name.
    pub name: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Whether it is ready.
    pub ready: bool,
    /// Why it is not, as far as it says.
    pub why: Option<String>,
    /// The images of its containers.
    pub images: Vec<String>,
    /// Whether it has a proxy.
    pub has_proxy: bool,
    /// Its `version` label.
    pub version: Option<String>,
    /// The network that it is labelled with.
    pub network: Option<String>,
}

/// One entry of a Secret that tells of another cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteSecret {
    /// The Secret's name.
    pub secret: String,
    /// Whether it carries the label by which istiod finds it.
    pub labelled: bool,
    /// The key, which is the cluster's id for istiod.
    pub key: String,
    /// What its kubeconfig says, or why istiod refuses it.
    pub kubeconfig: Result<RemoteAccess, String>,
}

/// What a usable kubeconfig of a remote secret says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteAccess {
    /// The API server's URL.
    pub server: String,
    /// The digest of its token.
    pub token: String,
}

/// How others authenticate as a cluster's reader.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reader {
    /// The digests of the tokens that are out for it; empty when there is none.
    pub tokens: Vec<String>,
    /// Whether it is bound to a role that may read.
    pub may_read: bool,
}

/// Who may connect to an API server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiEndpoint {
    /// Its URL.
    pub url: String,
    /// Whether it has IPv6 addresses.
    pub has_ipv6: bool,
    /// Whether it is reached from outside of its network.
    pub public: bool,
    /// Whether it is reached from inside of its network.
    pub private: bool,
    /// From where, if it is public.
    pub admits: Vec<ipnet::IpNet>,
}

/// A Service that is a gateway to a network, or looks as if it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gateway {
    /// Namespace and name.
    pub name: String,
    /// The network that it is labelled with.
    pub network: Option<String>,
    /// Its ports.
    pub ports: Vec<u16>,
    /// Its `spec.type`.
    pub kind: String,
    /// Its address: a host name or an IP address.
    pub address: Option<String>,
    /// What was said of it last, where it has no address.
    pub warnings: Vec<String>,
    /// The load balancer behind its address; `None` where that is not asked for.
    pub balancer: Option<Seen<Balancer>>,
}

/// A load balancer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balancer {
    /// The load balancing API of the region knows none of that name: an in-tree classic one, or none at all.
    Unknown,
    /// A network or application load balancer.
    Known {
        /// `network` or `application`.
        kind: String,
        /// `active`, `provisioning`, …
        state: String,
        /// Whether it has IPv6 addresses.
        dual_stack: bool,
        /// The targets of the port that other networks connect to; `None` where nothing listens on it.
        targets: Option<Vec<TargetHealth>>,
    },
}

/// How a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetHealth {
    /// Its address and port.
    pub target: String,
    /// `healthy`, `unhealthy`, `initial`, …
    pub state: String,
    /// Why, as far as it says.
    pub why: Option<String>,
}

/// Whether pods are given their proxies.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Injector {
    /// Whether the webhook is configured.
    pub configured: bool,
    /// Whether the API server is told whose certificate to trust there.
    pub has_ca: bool,
    /// What API servers said of calls that failed.
    pub failures: Vec<String>,
}

/// What a cluster trusts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// The certificates of `cacerts`; `None` when there is no such Secret.
    pub declared: Option<Result<Bundle, String>>,
    /// The roots that workloads are given (`istio-ca-root-cert`), by namespace: fingerprints.
    pub published: BTreeMap<String, Vec<String>>,
    /// Its trust domain, where the control plane says it.
    pub domain: Option<String>,
}

/// The certificates that a control plane signs with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    /// The SHA-256 fingerprints of its roots.
    pub roots: Vec<String>,
    /// Subject and serial of its roots, in the same order.
    pub root_names: Vec<String>,
    /// The fingerprint of the certificate that it signs with.
    pub signer: String,
    /// Subject and serial of the certificate that it signs with.
    pub signer_name: String,
}

/// What was seen of the sample applications in a cluster.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SampleFacts {
    /// Whether its Service is there, without which its name does not resolve.
    pub has_service: bool,
    /// The pods that answer.
    pub servers: Vec<Pod>,
    /// The pod that asks.
    pub client: Option<Pod>,
    /// Where the client's proxy is told to send requests.
    pub endpoints: Option<Seen<Vec<IpAddr>>>,
    /// What came back.
    pub replies: Option<Seen<Vec<Reply>>>,
}

/// What came of one request.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reply {
    /// A version of the sample answered.
    Hello {
        /// The version.
        version: String,
        /// The pod.
        instance: String,
    },
    /// Something else answered.
    Other {
        /// The HTTP status.
        status: u16,
        /// The first words of the body.
        said: String,
    },
    /// Nobody answered.
    Failed {
        /// curl's exit code.
        code: u8,
        /// curl's message.
        said: String,
    },
}
