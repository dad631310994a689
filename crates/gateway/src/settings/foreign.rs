//! gunicorn's flags that are not ours: known, so that each can be refused by its name.
//!
//! Silence would be worse than refusal: a deployment that counts on `--preload` has to learn that it
//! does not get it.

/// The flag, and what to do without it.
pub(super) const FOREIGN: &[(&str, &str)] = &[
    ("--config", ""),
    ("--worker-connections", "connections cost no worker here, so there is nothing to bound"),
    ("--reload", ""),
    ("--reload-engine", ""),
    ("--reload-extra-file", ""),
    ("--spew", ""),
    ("--preload", ""),
    ("--no-sendfile", ""),
    ("--reuse-port", ""),
    ("--daemon", "start it from systemd, or with setsid"),
    ("--worker-tmp-dir", "no heartbeat files are written"),
    ("--user", "start it as that user"),
    ("--group", "start it with that group"),
    ("--initgroups", ""),
    ("--disable-redirect-access-to-syslog", ""),
    ("--capture-output", ""),
    ("--logger-class", ""),
    ("--log-config", ""),
    ("--log-config-json", ""),
    ("--log-syslog-to", ""),
    ("--log-syslog", ""),
    ("--log-syslog-prefix", ""),
    ("--log-syslog-facility", ""),
    ("--enable-stdio-inheritance", ""),
    ("--statsd-host", ""),
    ("--dogstatsd-tags", ""),
    ("--statsd-prefix", ""),
    ("--enable-backlog-metric", ""),
    ("--paste", "PasteDeploy is not planned; name the callable"),
    ("--paster", "PasteDeploy is not planned; name the callable"),
    ("--paste-global", "PasteDeploy is not planned; name the callable"),
    ("--proxy-protocol", ""),
    ("--proxy-allow-from", ""),
    ("--protocol", "only HTTP is spoken"),
    ("--uwsgi-allow-from", "only HTTP is spoken"),
    ("--keyfile", "let the web server in front end TLS"),
    ("--certfile", "let the web server in front end TLS"),
    ("--ssl-version", "let the web server in front end TLS"),
    ("--cert-reqs", "let the web server in front end TLS"),
    ("--ca-certs", "let the web server in front end TLS"),
    ("--suppress-ragged-eofs", "let the web server in front end TLS"),
    ("--do-handshake-on-connect", "let the web server in front end TLS"),
    ("--ciphers", "let the web server in front end TLS"),
    ("--http-protocols", ""),
    ("--http2-cleartext", ""),
    ("--http2-max-concurrent-streams", ""),
    ("--http2-initial-window-size", ""),
    ("--http2-max-frame-size", ""),
    ("--http2-max-header-list-size", ""),
    ("--permit-obsolete-folding", ""),
    ("--strip-header-spaces", ""),
    ("--permit-unconventional-http-method", ""),
    ("--permit-unconventional-http-version", ""),
    ("--casefold-http-method", ""),
    ("--forwarder-headers", ""),
    ("--header-map", "header names with underscores are dropped, as gunicorn does by default"),
    ("--asgi-loop", "only WSGI applications are run"),
    ("--asgi-lifespan", "only WSGI applications are run"),
    ("--asgi-disconnect-grace-period", "only WSGI applications are run"),
    ("--websocket-max-message-size", "only WSGI applications are run"),
    ("--http-parser", ""),
    ("--root-path", "only WSGI applications are run"),
    ("--dirty-app", ""),
    ("--dirty-workers", ""),
    ("--dirty-timeout", ""),
    ("--dirty-threads", ""),
    ("--dirty-graceful-timeout", ""),
    ("--control-socket", ""),
    ("--control-socket-mode", ""),
];

/// The short ones among them.
pub(super) const SHORT: &[(char, &str)] = &[
    ('c', "--config"),
    ('D', "--daemon"),
    ('u', "--user"),
    ('g', "--group"),
    ('R', "--enable-stdio-inheritance"),
];

/// Harmless where nothing of the kind exists: units carry it so that gunicorn opens no socket.
pub(super) const IGNORED: &[&str] = &["--no-control-socket"];

pub(super) fn refusal(flag: &str, typed: &str) -> String {
    let advice = FOREIGN.iter().find(|(name, _)| *name == flag).map_or("", |(_, advice)| advice);
    let refusal = format!("{typed} is gunicorn's; causeway-gateway does not have it yet");
    if advice.is_empty() { refusal } else { format!("{refusal}: {advice}") }
}
