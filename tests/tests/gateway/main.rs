//! The gateway from outside: the real program, the real app-host, a real interpreter.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test that called it")]

mod secure; // talks to it over TLS
mod stack; // starts it, talks to it, reads its log

mod boot;
mod failures;
mod reading;
mod serving;
mod signals;
mod sockets;
mod timing;
mod tls;
