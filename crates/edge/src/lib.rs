//! The edge: nginx's job. Reads nginx.conf, answers or forwards.
//!
//! A master opens sockets and logs and watches a worker; the worker has one thread per
//! `worker_processes`, each with a runtime of its own. A connection stays on one thread. A request
//! becomes an [`exchange::Exchange`], goes through the phases of [`engine`], which run what the
//! families of [`modules`] have installed in its location, and leaves as a [`response::Response`].
//! Reading order:

pub mod command_line; // the flags
pub mod startup; // what is said before the server runs
pub mod conf; // text to a tree of nodes with places
pub mod load; // nodes to settled blocks: set, inherit, install, link
pub mod vars; // $names: numbered when the file is read, resolved when first asked for
pub mod regex; // patterns, by nginx's engine
pub mod process; // master, worker, signals
pub mod listen; // sockets, and whose thread a connection goes to
pub mod connection; // one client, from accept to close
pub mod headers; // fields, in order
pub mod uri; // a target to a path
pub mod tls; // what is agreed on before anything can be read
pub mod body; // the request's body
pub mod exchange; // one request being answered
pub mod engine; // the phases, in order: READ THIS FIRST
pub mod modules; // the directive families
pub mod zone; // what all workers know together
pub mod response; // what is sent back
pub mod upstream; // servers behind this one
pub mod resolver; // names to addresses, while requests come
pub mod story; // what is remembered of a request, for logs and traces
pub mod log; // log files
pub mod clock; // the time as text
pub mod allocator; // where memory comes from

/// Where things are unless the command line or the file says otherwise: where Debian has them.
pub mod defaults {
    pub const PREFIX: &str = "/usr/share/nginx/";
    pub const CONF_PATH: &str = "/etc/nginx/nginx.conf";
    pub const ERROR_LOG: &str = "stderr";
    pub const ACCESS_LOG: &str = "/var/log/nginx/access.log";
    pub const CLIENT_BODY_TEMP_PATH: &str = "client_body_temp";
    pub const PID_PATH: &str = "/run/nginx.pid";
    pub const USER: &str = "nobody";
}

/// What the `Server` field says with `server_tokens on`: the nginx whose behaviour this is.
pub const SERVER_TOKEN: &str = "nginx/1.31.5";
/// With `server_tokens build`: who behaves so.
pub const SERVER_BUILD: &str = concat!("nginx/1.31.5 (Causeway ", env!("CARGO_PKG_VERSION"), ")");
/// And with `server_tokens off`.
pub const SERVER_NAME: &str = "nginx";
