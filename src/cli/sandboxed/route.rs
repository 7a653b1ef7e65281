//! The way to the API servers of simulated clusters, which are in this process.
//!
//! Entry point: [`SandboxRoute`].

use std::io;

use futures_util::future::LocalBoxFuture;

use crate::resource::{ClusterRoute, Exec, Executed, GetInPod};
use crate::sandbox::{Clusters, Pod, Sandbox};

/// The way into a sandbox's clusters.
#[derive(Debug)]
pub(crate) struct SandboxRoute(Clusters);

impl SandboxRoute {
    /// The way into the clusters of this sandbox.
    pub(crate) fn of(sandbox: &Sandbox) -> Self {
        Self(sandbox.kubernetes())
    }
}

impl ClusterRoute for SandboxRoute {
    fn leads_to(&self, endpoint: &str) -> bool {
        self.0.leads_to(endpoint)
    }

    fn send<'a>(
        &'a self,
        endpoint: &'a str,
        request: http::Request<Vec<u8>>,
    ) -> LocalBoxFuture<'a, io::Result<http::Response<Vec<u8>>>> {
        Box::pin(self.0.send(endpoint, request))
    }

    fn exec<'a>(&'a self, endpoint: &'a str, exec: Exec) -> LocalBoxFuture<'a, io::Result<Executed>> {
        Box::pin(async move {
            let pod = Pod { authorization: exec.authorization.as_deref(), namespace: &exec.namespace, name: &exec.pod };
            let done = self.0.exec(endpoint, pod, &exec.container, &exec.command).await?;
            Ok(Executed { stdout: done.stdout, stderr: done.stderr, status: done.status })
        })
    }

    fn get_in_pod<'a>(
        &'a self,
        endpoint: &'a str,
        get: GetInPod,
    ) -> LocalBoxFuture<'a, io::Result<http::Response<Vec<u8>>>> {
        Box::pin(async move {
            let pod = Pod { authorization: get.authorization.as_deref(), namespace: &get.namespace, name: &get.pod };
            self.0.get_in_pod(endpoint, pod, get.port, &get.path).await
        })
    }
}
