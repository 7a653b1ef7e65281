//! The vocabulary that every other module speaks: addresses, documents with holes, differences, diagnostics,
//! events, secrets and time.
//!
//! Nothing here knows a provider, a file or a terminal. The module uses std, serde, and two small value
//! libraries (jiff for instants, sha2 for digests), and never another module of ours.

pub mod address;
pub mod clock;
pub mod diagnostic;
pub mod diff;
pub mod digest;
pub mod document;
pub mod event;
pub mod fuse;
pub mod graph;
pub mod path;
pub mod secret;
pub mod target;
pub mod value;

pub use address::{Address, AddressError};
pub use clock::Clock;
pub use diagnostic::{Code, Diagnostic, Location, Severity};
pub use digest::Digest;
pub use document::Document;
pub use path::{AttrPath, Segment};
pub use target::Target;
pub use value::{Input, Pick, Reference, Value};
