//! The edge from outside: a configuration, a process, requests over real sockets.
//!
//! One file per directive family, with the family's name. The same suite runs against nginx, which
//! tests the tests: `EDGE_BINARY=/usr/sbin/nginx cargo test -p e2e --test edge`.

mod peer; // an upstream that the test plays
mod server; // a scratch folder with a server in it

mod proxy;
mod proxy_buffering;
mod proxy_next_upstream;
mod smoke;
mod upstream;
mod websocket;
