//! The edge from outside: a configuration, a process, requests over real sockets.
//!
//! One file per directive family, with the family's name. The same suite runs against nginx, which
//! tests the tests: `EDGE_BINARY=/usr/sbin/nginx cargo test -p e2e --test edge`.

mod peer; // an upstream that the test plays
mod fastcgi_peer; // a FastCGI application that the test plays
mod server; // a scratch folder with a server in it
mod tls; // certificates, and a client that looks at them

mod access;
mod access_log;
mod auth_basic;
mod autoindex;
mod charset;
mod client_body;
mod command_line;
mod conf_errors;
mod error_log;
mod error_page;
mod fastcgi;
mod full_disk;
mod gzip;
mod header_buffers;
mod headers;
mod http;
mod http2;
mod idle;
mod if_;
mod index;
mod keepalive;
mod limit_conn;
mod limit_rate;
mod limit_req;
mod listen;
mod location;
mod map;
mod normalisation;
mod not_modified;
mod otel;
mod pitfalls;
mod process;
mod proxy;
mod proxy_buffering;
mod proxy_next_upstream;
mod proxy_protocol;
mod proxy_socket;
mod proxy_ssl;
mod range;
mod realip;
mod reload;
mod reload_under_load;
mod resolver;
mod return_;
mod rewrite;
mod server_name;
mod slow_clients;
mod smoke;
mod smuggling;
mod ssi;
mod ssl;
mod static_files;
mod stock;
mod stub_status;
mod try_files;
mod types;
mod upstream;
mod user;
mod uwsgi;
mod variables;
mod websocket;
mod without_effect;
mod workers;
