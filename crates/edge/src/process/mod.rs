//! Processes: a master that reads, opens and watches, a worker that answers.

mod drain; // how a thread learns that it should finish
mod worker; // the threads that answer

pub use drain::{Busy, Drain};
pub use worker::run;
