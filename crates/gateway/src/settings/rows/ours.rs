//! What gunicorn has not.

use super::{Duration, Mode, Nothing, Number, One, ROW, Row, file, last, read, unless_zero};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "limit_request_body",
        flags: &["--limit-request-body"],
        takes: Number("BYTES"),
        default: "0",
        help: "Longest body of a request, beyond which it gets 413; 0: what the disk holds",
        read: |to, values| {
            read::number(last(values), 0).map(|value| to.limit_request_body = unless_zero(value))
        },
        ..ROW
    },
    Row {
        name: "queue",
        flags: &["--queue"],
        takes: Number("N"),
        default: "2048",
        help: "Requests that may wait for a worker; one more gets 503 at once",
        read: |to, values| read::number(last(values), 0).map(|value| to.queue = value),
        ..ROW
    },
    Row {
        name: "queue_timeout",
        flags: &["--queue-timeout"],
        takes: Number("SECONDS"),
        default: "30",
        help: "How long a request may wait for a worker before it gets 503",
        read: |to, values| {
            read::number(last(values), 1).map(|value| to.queue_timeout = Duration::from_secs(value))
        },
        ..ROW
    },
    Row {
        name: "python",
        flags: &["--python"],
        takes: One("PROGRAM"),
        default: "",
        help: "The interpreter [default: $VIRTUAL_ENV's, else python3 beside this program, else on PATH]",
        read: |to, values| {
            to.python = file(values);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "server_timing",
        flags: &["--server-timing"],
        takes: Nothing,
        default: "",
        help: "Tell the client in Server-Timing where the time went, and continue its traceparent",
        read: |to, _| {
            to.server_timing = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "max_worker_memory",
        flags: &["--max-worker-memory"],
        takes: One("BYTES"),
        default: "0",
        help: "Resident memory of a worker, beyond which a new one takes its place, one at a time, as in \
               512M; 0: never",
        read: |to, values| {
            read::bytes(last(values)).map(|value| to.max_worker_memory = unless_zero(value))
        },
        ..ROW
    },
    Row {
        name: "exit_on_boot_failure",
        flags: &["--exit-on-boot-failure"],
        takes: Nothing,
        default: "",
        help: "As gunicorn does, end with code 3 or 4 when the first workers can not boot, rather than \
               answer 503 and try again",
        read: |to, _| {
            to.exit_on_boot_failure = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "explain_config",
        flags: &["--explain-config"],
        takes: Nothing,
        default: "",
        help: "As --print-config, and behind each setting where it was decided",
        read: |to, _| {
            to.mode = Mode::Print;
            Ok(())
        },
        ..ROW
    },
];
