//! meshplan plans, applies and destroys an Istio mesh that spans several networks and several EKS clusters.

pub mod compile;
pub mod kinds;
pub mod model;
pub mod resource;
pub mod state;
