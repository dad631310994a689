//! What the commands share, and what the end-to-end harness uses too, so that a test starts an
//! application by the very recipe by which `up` does. The commands themselves are in the binary, one
//! file each.

pub mod workspace;

pub mod applications;
pub mod peers;
pub mod programs;

pub mod edge_conf;
pub mod recipe;
pub mod running;

// What starts a chain is the topology's.
pub use topology::{application, follow, probe, process, progress, python, sys};

pub mod hop; // a program that was started
pub mod load; // requests, each accounted for
pub mod log;
pub mod scratch;
pub mod server; // one that reads gunicorn's flags
pub mod wire;
