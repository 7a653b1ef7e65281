//! How a kind gets its provider's client: one per target, made once.

use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::model::{Address, Clock, Target};

use super::error::ProviderError;
use super::helm::Helm;
use super::keeper::Keeper;
use super::route::ClusterRoute;

/// A provider's client, made for one target. Cloning one is cheap.
pub trait Client: Clone + 'static {
    /// Makes the client for a target. Opens no connection.
    fn connect(cloud: &Cloud, target: &Target) -> Result<Self, ProviderError>;
}

/// How a Kubernetes cluster is reached: what the resource that is the cluster says of it once it is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClusterAccess {
    /// The API server's URL, for example `https://0123456789ABCDEF.gr7.us-west-2.eks.amazonaws.com`.
    pub endpoint: String,
    /// The certificates that the API server's is signed by: PEM text in base64, as EKS and kubeconfig files hold it.
    pub certificate_authority: String,
    /// How the caller proves who it is.
    pub auth: ClusterAuth,
}

/// How the caller proves to a cluster who it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClusterAuth {
    /// By a token made of its AWS credentials.
    Eks {
        /// The cluster's name, which the token is made out to.
        cluster: String,
        /// The region that the cluster is in.
        region: String,
    },
    /// By what a kubeconfig file says; endpoint and certificates are then that file's too.
    Kubeconfig {
        /// The file.
        file: String,
        /// Which of its contexts; its current one when absent.
        context: Option<String>,
    },
}

/// What is known of a cluster.
#[derive(Debug, Clone)]
struct OfferedCluster {
    access: ClusterAccess,
    is_new: bool,
}

/// The caller's credentials and endpoints, the clusters that are there, and the clients made of them.
pub struct Cloud {
    aws: aws_config::SdkConfig,
    keeper: Option<Rc<dyn Keeper>>,
    clock: Option<Arc<dyn Clock>>,
    route: Option<Rc<dyn ClusterRoute>>,
    helm: Option<Rc<dyn Helm>>,
    clients: RefCell<BTreeMap<(TypeId, Target), Box<dyn Any>>>,
    clusters: RefCell<BTreeMap<Address, OfferedCluster>>,
    forces_conflicts: bool,
}

impl Cloud {
    /// A cloud behind an SDK configuration. Its retries must be off: the engine is the one place that retries.
    #[must_use]
    pub fn new(aws: aws_config::SdkConfig) -> Self {
        Self {
            aws,
            keeper: None,
            clock: None,
            route: None,
            helm: None,
            clients: RefCell::default(),
            clusters: RefCell::default(),
            forces_conflicts: false,
        }
    }

    /// The same with somebody who seals secrets and opens them, for kinds that make keys.
    #[must_use]
    pub fn with_keeper(self, keeper: Rc<dyn Keeper>) -> Self {
        Self { keeper: Some(keeper), ..self }
    }

    /// The same with the run's clock, for kinds whose objects are dated by us.
    #[must_use]
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock: Some(clock), ..self }
    }

    /// The same with another way to clusters than the network.
    #[must_use]
    pub fn with_route(self, route: Rc<dyn ClusterRoute>) -> Self {
        Self { route: Some(route), ..self }
    }

    /// The same with somebody who runs Helm.
    #[must_use]
    pub fn with_helm(self, helm: Rc<dyn Helm>) -> Self {
        Self { helm: Some(helm), ..self }
    }

    /// The way to a cluster that is not the network, if there is one.
    #[must_use]
    pub fn route(&self, endpoint: &str) -> Option<&Rc<dyn ClusterRoute>> {
        self.route.as_ref().filter(|route| route.leads_to(endpoint))
    }

    /// Who runs Helm.
    pub fn helm(&self) -> Result<&Rc<dyn Helm>, ProviderError> {
        self.helm.as_ref().ok_or_else(|| ProviderError::bug("helm", "this command was given nobody who runs Helm"))
    }

    /// Who seals secrets and opens them.
    pub fn keeper(&self) -> Result<&Rc<dyn Keeper>, ProviderError> {
        self.keeper.as_ref().ok_or_else(|| ProviderError::bug("vault", "this command was given no vault"))
    }

    /// The run's clock.
    pub fn clock(&self) -> Result<&Arc<dyn Clock>, ProviderError> {
        self.clock.as_ref().ok_or_else(|| ProviderError::bug("clock", "this command was given no clock"))
    }

    /// The same, taking over the fields of Kubernetes objects that are declared and that others manage, where a request
    /// would be refused otherwise: `--force-conflicts`. It holds for a run, not for a resource: once a field is taken
    /// over, nobody else manages it, so there is nothing to remember.
    #[must_use]
    pub fn forcing_conflicts(self) -> Self {
        Self { forces_conflicts: true, ..self }
    }

    /// Whether fields that others manage are taken over: see [`Self::forcing_conflicts`].
    #[must_use]
    pub fn forces_conflicts(&self) -> bool {
        self.forces_conflicts
    }

    /// A cluster is there, and this is how it is reached. Clients that were made for another access are dropped.
    pub fn offer_cluster(&self, address: Address, access: ClusterAccess) {
        self.learn_cluster(address, OfferedCluster { access, is_new: false });
    }

    /// The same for a cluster that this run has made: for a while it may not know its callers yet, so a refusal of who
    /// they are may pass ([`ErrorClass::NotYet`](super::ErrorClass::NotYet)).
    pub fn offer_new_cluster(&self, address: Address, access: ClusterAccess) {
        self.learn_cluster(address, OfferedCluster { access, is_new: true });
    }

    fn learn_cluster(&self, address: Address, offered: OfferedCluster) {
        let mut clusters = self.clusters.borrow_mut();
        let is_known = clusters
            .get(&address)
            .is_some_and(|known| known.access == offered.access && known.is_new == offered.is_new);
        if !is_known {
            let target = Target::Cluster { cluster: address.clone() };
            self.clients.borrow_mut().retain(|(_, of), _| *of != target);
            clusters.insert(address, offered);
        }
    }

    /// How a cluster is reached; `None` while nothing says that it is there.
    #[must_use]
    pub fn cluster(&self, address: &Address) -> Option<ClusterAccess> {
        self.clusters.borrow().get(address).map(|known| known.access.clone())
    }

    /// Whether this run has made the cluster: see [`Self::offer_new_cluster`].
    #[must_use]
    pub fn is_new_cluster(&self, address: &Address) -> bool {
        self.clusters.borrow().get(address).is_some_and(|known| known.is_new)
    }

    /// The SDK configuration, for [`Client::connect`].
    #[must_use]
    pub fn aws(&self) -> &aws_config::SdkConfig {
        &self.aws
    }

    /// The client of a target.
    pub fn client<C: Client>(&self, target: &Target) -> Result<C, ProviderError> {
        let key = (TypeId::of::<C>(), target.clone());
        if let Some(client) = self.clients.borrow().get(&key).and_then(|client| client.downcast_ref::<C>()) {
            return Ok(client.clone());
        }
        let client = C::connect(self, target)?;
        self.clients.borrow_mut().insert(key, Box::new(client.clone()));
        Ok(client)
    }
}

impl fmt::Debug for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The SDK configuration prints its credential provider; keep it out of logs altogether.
        f.debug_struct("Cloud").finish_non_exhaustive()
    }
}
