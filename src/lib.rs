//! meshplan plans, applies and destroys an Istio mesh that spans several networks and several EKS clusters.

pub mod model;
pub mod topology;
pub mod ui;
