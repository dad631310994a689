//! gunicorn's settings that are not ours: known, so that each can be refused by its name, with what
//! to use instead. Their defaults are taken, since files hold those too.
//!
//! Silence would be worse than refusal: a deployment that counts on one has to learn that it does not
//! get it.

use super::{Hook, List, Many, Nothing, Number, One, Optional, ROW, Row};

const NO_PASTE: &str = "PasteDeploy is not planned; name the callable";
const ONLY_HTTP: &str = "only HTTP is spoken; use proxy_pass instead of uwsgi_pass";
const ONLY_WSGI: &str = "only WSGI applications are run; use an ASGI server for others";
const NO_DIRTY: &str = "there are no dirty workers; use a task queue";

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "spew",
        flags: &["--spew"],
        takes: Nothing,
        refused: "use python -m trace, or a debugger",
        ..ROW
    },
    Row {
        name: "paste",
        flags: &["--paste", "--paster"],
        takes: One("FILE"),
        refused: NO_PASTE,
        ..ROW
    },
    Row {
        name: "raw_paste_global_conf",
        flags: &["--paste-global"],
        takes: Many("KEY=VALUE"),
        refused: NO_PASTE,
        ..ROW
    },
    Row { name: "default_proc_name", takes: One("NAME"), refused: "use proc_name", ..ROW },
    Row {
        name: "protocol",
        flags: &["--protocol"],
        takes: One("NAME"),
        default: "http",
        refused: ONLY_HTTP,
        ..ROW
    },
    Row {
        name: "uwsgi_allow_ips",
        flags: &["--uwsgi-allow-from"],
        takes: List("NETWORKS"),
        default: "127.0.0.1,::1",
        refused: ONLY_HTTP,
        ..ROW
    },
    Row {
        name: "http2_cleartext",
        flags: &["--http2-cleartext"],
        takes: Optional("MODE", "prior-knowledge"),
        default: "off",
        refused: "HTTP/2 is spoken over TLS only; see --http-protocols",
        ..ROW
    },
    Row {
        name: "ssl_context",
        takes: Hook(&[2]),
        unset: Some(|_| "<NewSSLContext.ssl_context()>".into()),
        refused: "an SSLContext of Python's means nothing here; use certfile, keyfile, ca_certs and cert_reqs, or end TLS in the web server",
        ..ROW
    },
    Row {
        name: "asgi_loop",
        flags: &["--asgi-loop"],
        takes: One("NAME"),
        default: "auto",
        refused: ONLY_WSGI,
        ..ROW
    },
    Row {
        name: "asgi_lifespan",
        flags: &["--asgi-lifespan"],
        takes: One("MODE"),
        default: "auto",
        refused: ONLY_WSGI,
        ..ROW
    },
    Row {
        name: "asgi_disconnect_grace_period",
        flags: &["--asgi-disconnect-grace-period"],
        takes: Number("SECONDS"),
        default: "3",
        refused: ONLY_WSGI,
        ..ROW
    },
    Row {
        name: "websocket_max_message_size",
        flags: &["--websocket-max-message-size"],
        takes: Number("BYTES"),
        default: "16777216",
        refused: ONLY_WSGI,
        ..ROW
    },
    Row {
        name: "root_path",
        flags: &["--root-path"],
        takes: One("PATH"),
        unset: Some(|_| "".into()),
        refused: "only WSGI applications are run; set SCRIPT_NAME",
        ..ROW
    },
    Row {
        name: "dirty_apps",
        flags: &["--dirty-app"],
        takes: Many("APP"),
        refused: NO_DIRTY,
        ..ROW
    },
    Row {
        name: "dirty_workers",
        flags: &["--dirty-workers"],
        takes: Number("N"),
        default: "0",
        refused: NO_DIRTY,
        ..ROW
    },
    Row {
        name: "dirty_timeout",
        flags: &["--dirty-timeout"],
        takes: Number("SECONDS"),
        default: "300",
        refused: NO_DIRTY,
        ..ROW
    },
    Row {
        name: "dirty_threads",
        flags: &["--dirty-threads"],
        takes: Number("N"),
        default: "1",
        refused: NO_DIRTY,
        ..ROW
    },
    Row {
        name: "dirty_graceful_timeout",
        flags: &["--dirty-graceful-timeout"],
        takes: Number("SECONDS"),
        default: "30",
        refused: NO_DIRTY,
        ..ROW
    },
    Row {
        name: "on_dirty_starting",
        takes: Hook(&[1]),
        unset: Some(|_| "<OnDirtyStarting.on_dirty_starting()>".into()),
        refused: NO_DIRTY,
        ..ROW
    },
    Row {
        name: "dirty_post_fork",
        takes: Hook(&[2]),
        unset: Some(|_| "<DirtyPostFork.dirty_post_fork()>".into()),
        refused: NO_DIRTY,
        ..ROW
    },
    Row {
        name: "dirty_worker_init",
        takes: Hook(&[1]),
        unset: Some(|_| "<DirtyWorkerInit.dirty_worker_init()>".into()),
        refused: NO_DIRTY,
        ..ROW
    },
    Row {
        name: "dirty_worker_exit",
        takes: Hook(&[2]),
        unset: Some(|_| "<DirtyWorkerExit.dirty_worker_exit()>".into()),
        refused: NO_DIRTY,
        ..ROW
    },
];
