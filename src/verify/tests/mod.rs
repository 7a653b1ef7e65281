//! The pure core on facts made by hand: what no simulated mesh comes to, and how reports are written.

mod facts;
mod reports;
