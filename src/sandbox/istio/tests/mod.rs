//! The meshes of the sandbox over objects made by hand.
