//! gunicorn's settings that are not ours: known, so that each can be refused by its name, with what
//! to use instead.
//!
//! Silence would be worse than refusal: a deployment that counts on one has to learn that it does not
//! get it.

const WSGI_ONLY: &str = "only WSGI applications are run; use an ASGI server for others";
const NO_DIRTY: &str = "there are no dirty workers; use a task queue";

/// The name in a configuration file, the flag, and what to do without it. The empty text: there is
/// no such flag.
pub(super) const FOREIGN: &[(&str, &str, &str)] = &[
    ("spew", "--spew", "use python -m trace, or a debugger"),
    ("paste", "--paste", "PasteDeploy is not planned; name the callable"),
    ("paste", "--paster", "PasteDeploy is not planned; name the callable"),
    ("raw_paste_global_conf", "--paste-global", "PasteDeploy is not planned; name the callable"),
    (
        "enable_stdio_inheritance",
        "--enable-stdio-inheritance",
        "do not use --daemon where output is wanted",
    ),
    ("protocol", "--protocol", "only HTTP is spoken; use proxy_pass instead of uwsgi_pass"),
    (
        "uwsgi_allow_ips",
        "--uwsgi-allow-from",
        "only HTTP is spoken; use proxy_pass instead of uwsgi_pass",
    ),
    (
        "http2_cleartext",
        "--http2-cleartext",
        "HTTP/2 is spoken over TLS only; see --http-protocols",
    ),
    (
        "ssl_context",
        "",
        "an SSLContext of Python's means nothing here; use certfile, keyfile, ca_certs and cert_reqs, or end TLS in the web server",
    ),
    (
        "logger_class",
        "--logger-class",
        "use logconfig_dict, which handlers of any kind can be put into",
    ),
    ("asgi_loop", "--asgi-loop", WSGI_ONLY),
    ("asgi_lifespan", "--asgi-lifespan", WSGI_ONLY),
    ("asgi_disconnect_grace_period", "--asgi-disconnect-grace-period", WSGI_ONLY),
    ("websocket_max_message_size", "--websocket-max-message-size", WSGI_ONLY),
    ("root_path", "--root-path", "only WSGI applications are run; set SCRIPT_NAME"),
    ("dirty_apps", "--dirty-app", NO_DIRTY),
    ("dirty_workers", "--dirty-workers", NO_DIRTY),
    ("dirty_timeout", "--dirty-timeout", NO_DIRTY),
    ("dirty_threads", "--dirty-threads", NO_DIRTY),
    ("dirty_graceful_timeout", "--dirty-graceful-timeout", NO_DIRTY),
    ("on_dirty_starting", "", NO_DIRTY),
    ("dirty_post_fork", "", NO_DIRTY),
    ("dirty_worker_init", "", NO_DIRTY),
    ("dirty_worker_exit", "", NO_DIRTY),
];

/// The short ones among them.
pub(super) const SHORT: &[(char, &str)] = &[('R', "--enable-stdio-inheritance")];

pub(super) fn refusal(flag: &str, typed: &str) -> String {
    let advice =
        FOREIGN.iter().find(|(_, name, _)| *name == flag).map_or("", |(.., advice)| advice);
    format!("{typed} is gunicorn's; causeway-gateway does not have it: {advice}")
}

pub(super) fn refused_in_file(name: &str) -> Option<String> {
    let (.., advice) = FOREIGN.iter().find(|(setting, ..)| *setting == name)?;
    Some(format!("gunicorn has this, causeway-gateway does not: {advice}"))
}
