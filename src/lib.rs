//! meshplan plans, applies and destroys an Istio mesh that spans several networks and several EKS clusters.

pub mod apply;
pub mod cli;
pub mod compile;
pub mod kinds;
pub mod model;
pub mod plan;
pub mod refresh;
pub mod resource;
pub mod sandbox;
pub mod state;
pub mod topology;
pub mod ui;
