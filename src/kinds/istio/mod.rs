//! What Istio needs beyond charts: the ways in which clusters are told of each other, and what has to be true before the
//! next thing is done.
//!
//! [`remote_secret`] is an object; [`injector`] and [`existing_cacerts`] are questions that are asked until the answer is
//! yes, and leave nothing but a record that it was.

pub mod existing_cacerts;
pub mod injector;
mod kubeconfig;
pub mod remote_secret;
