//! meshplan plans, applies and destroys an Istio mesh that spans several networks and several EKS clusters.

pub mod compile;
pub mod model;
pub mod plan;
pub mod resource;
pub mod state;
