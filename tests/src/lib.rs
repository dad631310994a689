//! The harness of the suites that drive real processes: it starts any part of the chain on free ports
//! and in scratch folders, speaks to it over plain sockets, reads its logs, and leaves nothing behind.

pub mod apps;
pub mod binary;
pub mod chain;
pub mod visitor;

// The commands use these, too.
pub use xtask::{hop, load, log, scratch, wire};
