//! Processes: a master that reads, opens and watches, a worker that answers.
//!
//! The master has one thread and no runtime, so that it can be copied at any time; it hands its open
//! sockets and logs to the one worker it starts, which has a thread per `worker_processes`. A new
//! configuration is a new worker: the old one is told to finish when the new one answers.

mod daemon; // into the background
mod drain; // how a thread learns that it should finish
mod guard; // a panic ends one request
mod identity; // who the worker is
mod master; // starts workers, and does what signals say
mod pidfile; // whom to send signals to
mod signals; // signals as messages
mod sys; // fork, and what else is not safe by itself
mod worker; // the threads that answer

pub use daemon::{Detached, Waiting, detach};
pub use drain::{Busy, Drain};
pub use guard::caught;
pub use identity::Identity;
pub use master::{Generation, Master};
pub use pidfile::tell;
pub use sys::set_environment;
pub use worker::alone;
