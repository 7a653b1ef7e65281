//! The kinds of Amazon EC2's networks.

pub mod client;
mod describe;
pub mod egress_only_internet_gateway;
pub mod eip;
pub mod existing_network;
pub mod internet_gateway;
mod live;
pub mod nat_gateway;
mod range;
pub mod route;
pub mod route_table;
pub mod security_group_rule;
pub mod subnet;
pub mod tags;
pub mod vpc;
pub mod vpc_peering_connection;

pub use client::Ec2;
