//! Faults, each a file of `faults/`: what is done to a deployment under load, and what its users are
//! expected to see of it, topology by topology. In reading order: the file, the load beside it, what is
//! done and undone, one run of it, what was expected of it, and how it is told.

mod scenario; // the file
mod load; // what users do, and what they see
mod inject; // what is done, and undone
mod suffer; // one fault, one topology
mod symptoms; // what was expected
pub(crate) mod page; // docs/faults.md

pub(crate) use inject::away;
pub use scenario::Scenario;
pub use suffer::{Outcome, Table};
