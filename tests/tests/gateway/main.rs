//! The gateway from outside: the real program, the real app-host, a real interpreter.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test that called it")]

mod secure; // talks to it over TLS
mod stack; // starts it, talks to it, reads its log
mod streams; // talks to it over HTTP/2
mod real_gunicorn; // the same for gunicorn, to be compared with

mod boot;
mod config_file;
mod environ;
mod failures;
mod faults;
mod memory;
mod queue;
mod http2;
mod reading;
mod serving;
mod signals;
mod sockets;
mod strictness;
mod timeouts;
mod timing;
mod tls;
