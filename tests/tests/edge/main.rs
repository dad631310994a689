//! The edge from outside: a configuration, a process, requests over real sockets.
//!
//! One file per directive family, with the family's name. The same suite runs against nginx, which
//! tests the tests: `EDGE_BINARY=/usr/sbin/nginx cargo test -p e2e --test edge`.

mod server; // a scratch folder with a server in it

mod access_log;
mod command_line;
mod error_log;
mod otel;
mod process;
mod reload;
mod smoke;
mod variables;
