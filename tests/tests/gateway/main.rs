//! The gateway from outside: the real program, the real app-host, a real interpreter.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test that called it")]

mod secure; // talks to it over TLS
mod stack; // starts it, talks to it, reads its log
mod streams; // talks to it over HTTP/2
mod real_gunicorn; // the same for gunicorn, to be compared with

mod access_log;
mod boot;
mod command_line;
mod config_file;
mod control_socket;
mod daemon;
mod environ;
mod failures;
mod faults;
mod forwarding;
mod logconfig;
mod logging;
mod memory;
mod print_config;
mod proxy_protocol;
mod queue;
mod http2;
mod reading;
mod reexec;
mod reload_on_change;
mod serving;
mod signals;
mod sockets;
mod statsd;
mod strictness;
mod syslog;
mod systemd;
mod timeouts;
mod timing;
mod tls;
mod user;
mod winch;
