//! The edge from outside: a configuration, a process, requests over real sockets.
//!
//! One file per directive family, with the family's name. The same suite runs against nginx, which
//! tests the tests: `EDGE_BINARY=/usr/sbin/nginx cargo test -p e2e --test edge`.

mod peer; // an upstream that the test plays
mod server; // a scratch folder with a server in it

mod access;
mod access_log;
mod autoindex;
mod charset;
mod client_body;
mod command_line;
mod conf_errors;
mod error_log;
mod error_page;
mod gzip;
mod headers;
mod http;
mod if_;
mod index;
mod location;
mod map;
mod not_modified;
mod otel;
mod process;
mod proxy;
mod proxy_buffering;
mod proxy_next_upstream;
mod proxy_socket;
mod range;
mod reload;
mod resolver;
mod return_;
mod rewrite;
mod server_name;
mod smoke;
mod smuggling;
mod static_files;
mod try_files;
mod types;
mod upstream;
mod variables;
mod websocket;
mod workers;
