//! The directive families, one file each, in the order a request meets them and then in the order
//! a response leaves them. Order is meaning: inside a phase, families run in the order listed.
//! A new family is its file and its two lines here.

pub mod main; // outside of http: processes, pid, user, events
pub mod without_effect; // what tunes a mechanism that is not here
pub mod error_log; // where the errors go
pub mod core; // what nearly every request asks for
pub mod client_body; // how a request's body is read and kept
pub mod server; // listen, server_name
pub mod ssl; // TLS: whose certificates, which ciphers
pub mod http2; // HTTP/2 and its limits
pub mod error_page; // what a status becomes
pub mod upstream; // several servers under one name
pub mod resolver; // who is asked for addresses
pub mod types; // which content type an ending means
pub mod open_file_cache; // how files are opened
pub mod map; // variables looked up by others
pub mod otel; // traces
pub mod proxy_protocol; // what a connection was said to be
pub mod realip; // for whom a trusted client speaks
pub mod rewrite; // rewrite, if, set, return, break
pub mod limits; // how often, and how many at once
pub mod limit_rate; // how fast an answer leaves
pub mod access; // allow, deny
pub mod auth_basic; // who knows a password
pub mod try_files; // the first name that exists
pub mod passing; // what the families share that forward
pub mod stub_status; // how many there are and were
pub mod proxy_ssl; // how the next hop is asked over TLS
pub mod proxy; // forwarding to the next hop
pub mod fastcgi; // the same, as FastCGI
pub mod uwsgi; // the same, as uWSGI's protocol
pub mod index; // which file stands for its folder
pub mod autoindex; // what is in a folder
pub mod static_files; // files
pub mod not_modified; // 304 and 412
pub mod headers; // add_header, expires
pub mod charset; // which letters the bytes mean
pub mod ssi; // commands inside of a page
pub mod gzip; // compresses
pub mod range; // parts of a body
pub mod server_timing; // the edge's share of the time
pub mod access_log; // a line for each request

use crate::load::Entry;

/// What nginx is built with only when it is asked for, and the edge has.
pub const WITH: &[&str] =
    &["http_realip_module", "http_ssl_module", "http_stub_status_module", "http_v2_module"];

/// What nginx is built with and the edge is not, as `-V` tells it: who asks by these names is told.
pub const WITHOUT: &[&str] = &[
    "http_browser_module",
    "http_empty_gif_module",
    "http_geo_module",
    "http_grpc_module",
    "http_memcached_module",
    "http_mirror_module",
    "http_referer_module",
    "http_scgi_module",
    "http_split_clients_module",
    "http_tunnel_module",
    "http_upstream_least_time_module",
    "http_upstream_sticky",
    "http_userid_module",
    "http-cache",
];

pub const MODULES: &[Entry] = &[
    // The server itself.
    Entry::of::<main::Main>(),
    Entry::of::<without_effect::WithoutEffect>(),
    Entry::of::<error_log::ErrorLog>(),
    Entry::of::<core::Core>(),
    Entry::of::<client_body::ClientBody>(),
    Entry::of::<server::VirtualServer>(),
    Entry::of::<ssl::Ssl>(),
    Entry::of::<http2::Http2>(),
    Entry::of::<error_page::ErrorPages>(),
    Entry::of::<upstream::Upstreams>(),
    Entry::of::<resolver::Resolvers>(),
    Entry::of::<types::Types>(),
    Entry::of::<open_file_cache::OpenFileCache>(),
    // Variables of the configuration's own.
    Entry::of::<map::Map>(),
    Entry::of::<proxy_protocol::ProxyProtocol>(),
    // Post read, and preaccess before the limits.
    Entry::of::<realip::RealIp>(),
    // Rewrite.
    Entry::of::<otel::Otel>(), // A trace begins before anything can answer.
    Entry::of::<rewrite::Rewrite>(),
    // Preaccess.
    Entry::of::<limits::LimitReq>(),
    Entry::of::<limits::LimitConn>(),
    Entry::of::<limit_rate::LimitRate>(),
    // Access.
    Entry::of::<access::Access>(),
    Entry::of::<auth_basic::AuthBasic>(),
    // Precontent.
    Entry::of::<try_files::TryFiles>(),
    // Content: a location's own handler, then the list.
    Entry::of::<stub_status::StubStatus>(),
    Entry::of::<proxy_ssl::ProxySsl>(),
    Entry::of::<proxy::Proxy>(),
    Entry::of::<fastcgi::FastCgi>(),
    Entry::of::<uwsgi::Uwsgi>(),
    Entry::of::<index::Index>(),
    Entry::of::<autoindex::Autoindex>(),
    Entry::of::<static_files::StaticFiles>(),
    // The response's way out, in this order.
    Entry::of::<not_modified::NotModified>(),
    Entry::of::<headers::Headers>(),
    Entry::of::<charset::Charset>(),
    Entry::of::<ssi::Ssi>(),
    Entry::of::<gzip::Gzip>(),
    Entry::of::<range::Range>(),
    Entry::of::<server_timing::ServerTiming>(), // Last: what the others took is in the figure.
    // Log.
    Entry::of::<access_log::AccessLog>(),
];
