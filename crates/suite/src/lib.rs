//! Behaviour suites: what an application's deployment must do, said in hurl files, and checked
//! against any base URL.
//!
//! A suite is loaded whole before the first request, and what is not supported is refused there by
//! name, file and line: a check that is skipped silently proves nothing. It knows nothing of
//! topologies, nor of the applications whose suites ship with it. README.md is for those who write
//! suites; this is the order to read it in.

#![forbid(unsafe_code)]

mod suite; // files found, parsed, refused
mod refuse; // what hurl has and this has not
mod source; // a file's name and lines, for messages
mod target; // where a suite is run, and with what
pub mod wire; // HTTP/1 as it was on the socket
mod run; // an entry: request made, sent, checked
mod check; // queries, filters, predicates
mod outcome; // what came of it
pub mod report; // for people and for machines

pub use outcome::{EntryOutcome, Failure, FileOutcome, Outcome, Verdict};
pub use suite::{Suite, SuiteError};
pub use target::{Target, TargetError, Turn};
