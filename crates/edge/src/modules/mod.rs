//! The directive families, one file each, in the order a request meets them and then in the order
//! a response leaves them. Order is meaning: inside a phase, families run in the order listed.
//! A new family is its file and its two lines here.

pub mod access_log; // a line for each request
pub mod core; // what nearly every request asks for
pub mod error_log; // where the errors go
pub mod error_page; // what a status becomes
pub mod main; // outside of http: processes, pid, user, events
pub mod map; // variables looked up by others
pub mod otel; // traces, and each hop's share of the time
pub mod rewrite; // rewrite, if, set, return, break
pub mod server; // listen, server_name
pub mod server_timing; // the edge's share of the time

use crate::load::Entry;

/// What nginx is built with and the edge is not, as `-V` tells it: who asks by these names is told.
pub const WITHOUT: &[&str] = &[
    "http_access_module",
    "http_auth_basic_module",
    "http_autoindex_module",
    "http_browser_module",
    "http_charset_module",
    "http_empty_gif_module",
    "http_fastcgi_module",
    "http_geo_module",
    "http_grpc_module",
    "http_gzip_module",
    "http_limit_conn_module",
    "http_limit_req_module",
    "http_map_module",
    "http_memcached_module",
    "http_mirror_module",
    "http_proxy_module",
    "http_referer_module",
    "http_scgi_module",
    "http_split_clients_module",
    "http_ssi_module",
    "http_tunnel_module",
    "http_upstream_hash_module",
    "http_upstream_ip_hash_module",
    "http_upstream_keepalive_module",
    "http_upstream_least_conn_module",
    "http_upstream_least_time_module",
    "http_upstream_random_module",
    "http_upstream_sticky",
    "http_upstream_zone_module",
    "http_userid_module",
    "http_uwsgi_module",
    "http-cache",
];

pub const MODULES: &[Entry] = &[
    // The server itself.
    Entry::of::<main::Main>(),
    Entry::of::<error_log::ErrorLog>(),
    Entry::of::<core::Core>(),
    Entry::of::<server::VirtualServer>(),
    Entry::of::<error_page::ErrorPages>(),
    // Variables of the configuration's own.
    Entry::of::<map::Map>(),
    // Rewrite.
    Entry::of::<otel::Otel>(), // A trace begins before anything can answer.
    Entry::of::<rewrite::Rewrite>(),
    // Preaccess.
    // Access.
    // Precontent.
    // Content: a location's own handler, then the list.
    // The response's way out, in this order.
    Entry::of::<server_timing::ServerTiming>(), // Last: what the others took is in the figure.
    // Log.
    Entry::of::<access_log::AccessLog>(),
];
