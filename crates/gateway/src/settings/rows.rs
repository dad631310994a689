//! One row per setting. Everything that is said about a setting, anywhere, is said from its row.

use std::{path::PathBuf, time::Duration};

use super::{Settings, address::address, readers as read};

pub(super) struct Row {
    /// gunicorn's name of it in a configuration file.
    pub name: &'static str,
    /// As typed, the short one first.
    pub flags: &'static [&'static str],
    pub takes: Takes,
    /// The variable that speaks where no flag does, and what its value means as a flag's.
    pub environment: Option<(&'static str, AsFlag)>,
    /// As it would be typed. Empty: unset.
    pub default: &'static str,
    pub help: &'static str,
    /// Gets every value that was given; never called for an unset setting.
    pub read: fn(&mut Settings, &[String]) -> Result<(), String>,
}

type AsFlag = fn(&str) -> String;

/// The name is what `--help` calls the value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    One(&'static str),
    /// Repeatable; a stronger source replaces all of them.
    Many(&'static str),
    Nothing,
}

fn last(values: &[String]) -> &str {
    values.last().map_or("", String::as_str)
}

fn as_it_is(value: &str) -> String {
    value.to_owned()
}

/// gunicorn's zero for "never", "none", "off".
fn unless_zero<N: PartialEq + Default>(value: N) -> Option<N> {
    (value != N::default()).then_some(value)
}

use Takes::{Many, Nothing, One};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "bind",
        flags: &["-b", "--bind"],
        takes: Many("ADDRESS"),
        environment: Some(("PORT", |port| format!("0.0.0.0:{port}"))),
        default: "127.0.0.1:8000",
        help: "Where to listen: HOST:PORT, :PORT, unix:PATH or fd://N; repeatable",
        read: |to, values| {
            to.bind = values.iter().map(|text| address(text)).collect::<Result<_, _>>()?;
            Ok(())
        },
    },
    Row {
        name: "backlog",
        flags: &["--backlog"],
        takes: One("N"),
        environment: None,
        default: "2048",
        help: "Connections the kernel holds until they are accepted",
        read: |to, values| read::number(last(values), 1).map(|value| to.backlog = value),
    },
    Row {
        name: "workers",
        flags: &["-w", "--workers"],
        takes: One("N"),
        environment: Some(("WEB_CONCURRENCY", as_it_is)),
        default: "1",
        help: "Worker processes; with 0, requests wait until TTIN brings one",
        read: |to, values| read::number(last(values), 0).map(|value| to.workers = value),
    },
    Row {
        name: "worker_class",
        flags: &["-k", "--worker-class"],
        takes: One("NAME"),
        environment: None,
        default: "sync",
        help: "sync or gthread; both run --threads threads",
        read: |_, values| read::worker_class(last(values)),
    },
    Row {
        name: "threads",
        flags: &["--threads"],
        takes: One("N"),
        environment: None,
        default: "1",
        help: "Threads of each worker, each answering one request at a time",
        read: |to, values| read::number(last(values), 1).map(|value| to.threads = value),
    },
    Row {
        name: "max_requests",
        flags: &["--max-requests"],
        takes: One("N"),
        environment: None,
        default: "0",
        help: "Requests a worker answers before a new one takes its place; 0: never",
        read: |to, values| {
            read::number(last(values), 0).map(|value| to.max_requests = unless_zero(value))
        },
    },
    Row {
        name: "max_requests_jitter",
        flags: &["--max-requests-jitter"],
        takes: One("N"),
        environment: None,
        default: "0",
        help: "At most so many requests more, drawn for each worker, so that not all are replaced at once",
        read: |to, values| {
            read::number(last(values), 0).map(|value| to.max_requests_jitter = value)
        },
    },
    Row {
        name: "timeout",
        flags: &["-t", "--timeout"],
        takes: One("SECONDS"),
        environment: None,
        default: "30",
        help: "How long a worker may be silent over a request before it is killed; 0: for ever",
        read: |to, values| read::seconds(last(values)).map(|value| to.timeout = unless_zero(value)),
    },
    Row {
        name: "graceful_timeout",
        flags: &["--graceful-timeout"],
        takes: One("SECONDS"),
        environment: None,
        default: "30",
        help: "How long requests in hand may take to finish when a worker has to leave",
        read: |to, values| read::seconds(last(values)).map(|value| to.graceful_timeout = value),
    },
    Row {
        name: "keepalive",
        flags: &["--keep-alive"],
        takes: One("SECONDS"),
        environment: None,
        default: "",
        help: "How long a connection may be idle between requests [default: 2, 75 on a unix socket]",
        read: |to, values| read::seconds(last(values)).map(|value| to.keep_alive = Some(value)),
    },
    Row {
        name: "limit_request_line",
        flags: &["--limit-request-line"],
        takes: One("BYTES"),
        environment: None,
        default: "4094",
        help: "Longest request line; 0: the most there is, 8190",
        read: |to, values| {
            let limit = read::number(last(values), 0)?;
            to.limit_request_line = unless_zero(limit);
            Ok(())
        },
    },
    Row {
        name: "limit_request_fields",
        flags: &["--limit-request-fields"],
        takes: One("N"),
        environment: None,
        default: "100",
        help: "Most header fields of a request; never over 32768",
        read: |to, values| {
            let limit: usize = read::number(last(values), 0)?;
            to.limit_request_fields = unless_zero(limit).unwrap_or(32768).min(32768);
            Ok(())
        },
    },
    Row {
        name: "limit_request_field_size",
        flags: &["--limit-request-field_size"],
        takes: One("BYTES"),
        environment: None,
        default: "8190",
        help: "Longest header field of a request; 0: 8190",
        read: |to, values| {
            let limit: usize = read::number(last(values), 0)?;
            to.limit_request_field_size = unless_zero(limit).unwrap_or(8190);
            Ok(())
        },
    },
    Row {
        name: "limit_request_body",
        flags: &["--limit-request-body"],
        takes: One("BYTES"),
        environment: None,
        default: "0",
        help: "Longest body of a request, beyond which it gets 413; 0: what the disk holds",
        read: |to, values| {
            read::number(last(values), 0).map(|value| to.limit_request_body = unless_zero(value))
        },
    },
    Row {
        name: "queue",
        flags: &["--queue"],
        takes: One("N"),
        environment: None,
        default: "2048",
        help: "Requests that may wait for a worker; one more gets 503 at once",
        read: |to, values| read::number(last(values), 0).map(|value| to.queue = value),
    },
    Row {
        name: "queue_timeout",
        flags: &["--queue-timeout"],
        takes: One("SECONDS"),
        environment: None,
        default: "30",
        help: "How long a request may wait for a worker before it gets 503",
        read: |to, values| {
            read::number(last(values), 1).map(|value| to.queue_timeout = Duration::from_secs(value))
        },
    },
    Row {
        name: "chdir",
        flags: &["--chdir"],
        takes: One("FOLDER"),
        environment: None,
        default: "",
        help: "Where the application is loaded from [default: here]",
        read: |to, values| {
            let folder = PathBuf::from(last(values));
            if !folder.is_dir() {
                return Err(format!("can't chdir to \"{}\"", folder.display()));
            }
            to.chdir = Some(folder);
            Ok(())
        },
    },
    Row {
        name: "pythonpath",
        flags: &["--pythonpath"],
        takes: One("FOLDERS"),
        environment: None,
        default: "",
        help: "Folders to import from, with commas between them",
        read: |to, values| {
            let folders = last(values).split(',').filter(|folder| !folder.is_empty());
            to.pythonpath = folders.map(PathBuf::from).collect();
            Ok(())
        },
    },
    Row {
        name: "raw_env",
        flags: &["-e", "--env"],
        takes: Many("KEY=VALUE"),
        environment: None,
        default: "",
        help: "An environment variable for the application; repeatable",
        read: |to, values| {
            to.env = values.iter().map(|text| read::variable(text)).collect::<Result<_, _>>()?;
            Ok(())
        },
    },
    Row {
        name: "python",
        flags: &["--python"],
        takes: One("PROGRAM"),
        environment: None,
        default: "",
        help: "The interpreter [default: $VIRTUAL_ENV's, else python3 beside this program, else on PATH]",
        read: |to, values| {
            to.python = Some(PathBuf::from(last(values)));
            Ok(())
        },
    },
    Row {
        name: "pidfile",
        flags: &["-p", "--pid"],
        takes: One("FILE"),
        environment: None,
        default: "",
        help: "A file for the process id, removed at exit",
        read: |to, values| {
            to.pid = Some(PathBuf::from(last(values)));
            Ok(())
        },
    },
    Row {
        name: "umask",
        flags: &["-m", "--umask"],
        takes: One("MASK"),
        environment: None,
        default: "0",
        help: "Permissions a unix socket is made without; 0: everyone may connect",
        read: |to, values| read::mask(last(values)).map(|value| to.umask = value),
    },
    Row {
        name: "forwarded_allow_ips",
        flags: &["--forwarded-allow-ips"],
        takes: One("NETWORKS"),
        environment: Some(("FORWARDED_ALLOW_IPS", as_it_is)),
        default: "127.0.0.1,::1",
        help: "Peers whose X-Forwarded-Proto is believed, with commas between them; *: all",
        read: |to, values| read::trusted(last(values)).map(|value| to.forwarded_allow_ips = value),
    },
    Row {
        name: "accesslog",
        flags: &["--access-logfile"],
        takes: One("FILE"),
        environment: None,
        default: "",
        help: "Where a line for each request goes; -: standard output [default: nowhere]",
        read: |to, values| {
            to.access_logfile = Some(read::destination(last(values)));
            Ok(())
        },
    },
    Row {
        name: "access_log_format",
        flags: &["--access-logformat"],
        takes: One("FORMAT"),
        environment: None,
        default: r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#,
        help: "That line, in gunicorn's %(atoms)s",
        read: |to, values| {
            crate::access_log::Format::read(last(values))?;
            last(values).clone_into(&mut to.access_logformat);
            Ok(())
        },
    },
    Row {
        name: "errorlog",
        flags: &["--error-logfile", "--log-file"],
        takes: One("FILE"),
        environment: None,
        default: "-",
        help: "Where everything else is logged; -: standard error",
        read: |to, values| {
            to.error_logfile = read::destination(last(values));
            Ok(())
        },
    },
    Row {
        name: "loglevel",
        flags: &["--log-level"],
        takes: One("LEVEL"),
        environment: None,
        default: "info",
        help: "debug, info, warning, error or critical",
        read: |to, values| read::level(last(values)).map(|value| to.log_level = value),
    },
    Row {
        name: "proc_name",
        flags: &["-n", "--name"],
        takes: One("NAME"),
        environment: None,
        default: "",
        help: "What ps -o comm shows of this process; the kernel keeps 15 bytes",
        read: |to, values| {
            to.name = Some(last(values).to_owned());
            Ok(())
        },
    },
    Row {
        name: "server_timing",
        flags: &["--server-timing"],
        takes: Nothing,
        environment: None,
        default: "",
        help: "Tell the client in Server-Timing where the time went, and continue its traceparent",
        read: |to, _| {
            to.server_timing = true;
            Ok(())
        },
    },
];
