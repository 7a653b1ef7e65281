//! What the user sees: text made of the product's findings and events. It decides nothing and prints nothing
//! itself; its entry points return strings, which the command line writes to the right stream.

pub mod diagnostics;
