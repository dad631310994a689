//! Log files: opened once however often they are named, reopened on USR1, shared by all threads.
//! What a line looks like is the business of the families that write them.

mod escape; // values into lines
mod files; // every log, by its path
mod cache; // logs whose names are made for each line
mod syslog; // lines as datagrams
mod level; // how bad it is

pub use cache::{CacheRules, LogCache};
pub use escape::Escape;
pub use files::{Buffering, Files, LogFile};
pub use level::Level;
pub use syslog::Syslog;
