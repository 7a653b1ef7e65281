//! The kinds of Kubernetes itself, reached by a kubeconfig or through a cluster's own credentials.

pub mod existing_cluster;
