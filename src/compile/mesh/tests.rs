//! The inside of clusters.
