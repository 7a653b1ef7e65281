//! A way to clusters' API servers that is not the network: the sandbox's clusters are in this process.

use std::fmt;
use std::io;

use futures_util::future::LocalBoxFuture;

/// Reaches the API servers of clusters that no network leads to.
///
/// An `Err` is what a connection's end is: nobody knows whether the request had its effect. Whatever the server says,
/// refusals included, is an `Ok`.
pub trait ClusterRoute: fmt::Debug {
    /// Whether it leads to this endpoint, as `ClusterAccess` has it.
    fn leads_to(&self, endpoint: &str) -> bool;

    /// Sends one request, whose URI is a path and a query, and answers the whole response.
    fn send<'a>(
        &'a self,
        endpoint: &'a str,
        request: http::Request<Vec<u8>>,
    ) -> LocalBoxFuture<'a, io::Result<http::Response<Vec<u8>>>>;

    /// Runs a command in a container of a pod, as the API's `exec` does.
    fn exec<'a>(&'a self, endpoint: &'a str, exec: Exec) -> LocalBoxFuture<'a, io::Result<Executed>>;

    /// Makes one HTTP request of a pod as the pod itself would, as through the API's `portforward`.
    fn get_in_pod<'a>(
        &'a self,
        endpoint: &'a str,
        get: GetInPod,
    ) -> LocalBoxFuture<'a, io::Result<http::Response<Vec<u8>>>>;
}

/// A command for a container.
#[derive(Clone)]
pub struct Exec {
    /// The caller's `Authorization` header; `None` for nobody.
    pub authorization: Option<String>,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// Its container.
    pub container: String,
    /// Program and arguments.
    pub command: Vec<String>,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// What the API said at the end: a `Status` object, whose `details.causes` have the exit code of a command that failed.
    pub status: serde_json::Value,
}

/// A request to a pod's port.
#[derive(Clone)]
pub struct GetInPod {
    /// The caller's `Authorization` header; `None` for nobody.
    pub authorization: Option<String>,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod.
    pub pod: String,
    /// Its port.
    pub port: u16,
    /// Path and query.
    pub path: String,
}
