//! gunicorn's "Worker Processes": how many answer, and for how long.

use super::{Address, Number, One, ROW, Row, Settings, Value, as_it_is, last, read, unless_zero};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "workers",
        flags: &["-w", "--workers"],
        takes: Number("N"),
        environment: Some(("WEB_CONCURRENCY", as_it_is)),
        default: "1",
        help: "Worker processes; with 0, requests wait until TTIN brings one",
        read: |to, values| read::number(last(values), 0).map(|value| to.workers = value),
        ..ROW
    },
    Row {
        name: "worker_class",
        flags: &["-k", "--worker-class"],
        takes: One("NAME"),
        default: "sync",
        help: "sync or gthread, which mean the same here: --threads decides",
        read: |to, values| read::worker_class(last(values)).map(|value| to.worker_class = value),
        ..ROW
    },
    Row {
        name: "threads",
        flags: &["--threads"],
        takes: Number("N"),
        default: "1",
        help: "Threads of each worker, each answering one request at a time",
        read: |to, values| {
            read::number(last(values), 0).map(|value: usize| to.threads = value.max(1))
        },
        ..ROW
    },
    Row {
        name: "max_requests",
        flags: &["--max-requests"],
        takes: Number("N"),
        default: "0",
        help: "Requests a worker answers before a new one takes its place; 0: never",
        read: |to, values| {
            read::number(last(values), 0).map(|value| to.max_requests = unless_zero(value))
        },
        ..ROW
    },
    Row {
        name: "max_requests_jitter",
        flags: &["--max-requests-jitter"],
        takes: Number("N"),
        default: "0",
        help: "At most so many requests more, drawn for each worker, so that not all are replaced at once",
        read: |to, values| {
            read::number(last(values), 0).map(|value| to.max_requests_jitter = value)
        },
        ..ROW
    },
    Row {
        name: "timeout",
        flags: &["-t", "--timeout"],
        takes: Number("SECONDS"),
        default: "30",
        help: "How long a request may take to its answer's first byte, and between two pieces of it; \
               beyond it gets 504, and its worker is replaced; 0: for ever",
        read: |to, values| read::seconds(last(values)).map(|value| to.timeout = unless_zero(value)),
        ..ROW
    },
    Row {
        name: "graceful_timeout",
        flags: &["--graceful-timeout"],
        takes: Number("SECONDS"),
        default: "30",
        help: "How long requests in hand may take to finish when a worker has to leave",
        read: |to, values| read::seconds(last(values)).map(|value| to.graceful_timeout = value),
        ..ROW
    },
    Row {
        name: "keepalive",
        flags: &["--keep-alive"],
        takes: Number("SECONDS"),
        default: "",
        unset: Some(idle),
        help: "How long a connection may be idle between requests [default: 2, and 75 on a unix socket]",
        read: |to, values| read::seconds(last(values)).map(|value| to.keep_alive = Some(value)),
        ..ROW
    },
    Row {
        name: "worker_connections",
        flags: &["--worker-connections"],
        takes: Number("N"),
        default: "1000",
        help: "Client connections for each gthread worker, beyond which none is accepted",
        read: |to, values| read::number(last(values), 1).map(|value| to.worker_connections = value),
        ..ROW
    },
    Row {
        name: "http_parser",
        flags: &["--http-parser"],
        takes: One("NAME"),
        default: "auto",
        idle: "there is one parser, whether auto, fast or python is asked for",
        read: |_, values| read::http_parser(last(values)),
        ..ROW
    },
];

/// gunicorn's two seconds, but for a web server that keeps its connections to us.
fn idle(settings: &Settings) -> Value {
    let local = |address: &Address| matches!(address, Address::Unix(_));
    if settings.bind.iter().all(local) { 75.into() } else { 2.into() }
}
