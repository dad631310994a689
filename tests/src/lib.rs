//! The harness of the suites that drive real processes: it starts any part of the chain on free ports
//! and in scratch folders, speaks to it over plain sockets, reads its logs, and leaves nothing behind.

pub mod chain;
pub mod hop;

pub mod apps;
pub mod binary;
pub mod scratch;

pub mod visitor;

pub mod load;
pub mod log;
pub mod wire;
