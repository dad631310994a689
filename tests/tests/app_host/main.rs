//! The app-host from outside: a real interpreter, a real socket, small WSGI applications.

#![expect(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod host; // starts one, and speaks FastCGI to it

mod boot;
mod close;
mod early_hints;
mod environ;
mod errors;
mod faults;
mod file_wrapper;
mod forks;
mod input;
mod interpreters;
mod launch;
mod memory;
mod nginx;
mod protocol;
mod program;
mod start_response;
mod stopping;
mod story;
mod streaming;
mod threads;
mod validate;
mod write;
