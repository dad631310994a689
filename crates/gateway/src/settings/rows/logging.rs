//! gunicorn's "Logging": what is said, and where.

use super::{Json, Nothing, One, ROW, Row, file, in_python, last, read, text};

pub(super) const ROWS: &[Row] = &[
    Row {
        name: "accesslog",
        flags: &["--access-logfile"],
        takes: One("FILE"),
        default: "",
        help: "Where a line for each request goes; -: standard output [default: nowhere]",
        read: |to, values| {
            to.access_logfile = Some(read::destination(last(values)));
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "access_log_format",
        flags: &["--access-logformat"],
        takes: One("FORMAT"),
        default: r#"%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s""#,
        help: "That line, in gunicorn's %(atoms)s",
        read: |to, values| {
            crate::log::Format::read(last(values))?;
            last(values).clone_into(&mut to.access_logformat);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "errorlog",
        flags: &["--error-logfile", "--log-file"],
        takes: One("FILE"),
        default: "-",
        help: "Where everything else is logged; -: standard error; also --log-file",
        read: |to, values| {
            to.error_logfile = read::destination(last(values));
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "loglevel",
        flags: &["--log-level"],
        takes: One("LEVEL"),
        default: "info",
        help: "debug, info, warning, error or critical",
        read: |to, values| read::level(last(values)).map(|value| to.log_level = value),
        ..ROW
    },
    Row {
        name: "capture_output",
        flags: &["--capture-output"],
        takes: Nothing,
        default: "",
        help: "What workers print goes to the error log",
        read: |to, _| {
            to.capture_output = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "logger_class",
        flags: &["--logger-class"],
        takes: One("CLASS"),
        default: "gunicorn.glogging.Logger",
        idle: "gunicorn's own is what is there; no others, since logconfig_dict takes handlers of any kind",
        read: |_, values| read::logger_class(last(values)),
        ..ROW
    },
    Row {
        name: "enable_stdio_inheritance",
        flags: &["-R", "--enable-stdio-inheritance"],
        takes: Nothing,
        default: "",
        idle: "output goes on as it is, unless --daemon is given, and then it is refused",
        read: |to, _| {
            to.enable_stdio_inheritance = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "logconfig",
        flags: &["--log-config"],
        takes: One("FILE"),
        default: "",
        help: "An INI file for Python's logging.config.fileConfig",
        read: |to, values| {
            to.logconfig = file(values);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "logconfig_dict",
        flags: &[],
        takes: Json,
        default: "",
        help: "A dictionary for Python's logging.config.dictConfig",
        read: |to, values| read::json(last(values)).map(|value| to.logconfig_dict = value),
        ..ROW
    },
    Row {
        name: "logconfig_json",
        flags: &["--log-config-json"],
        takes: One("FILE"),
        default: "",
        help: "The same, from a JSON file",
        read: |to, values| {
            to.logconfig_json = file(values);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "syslog",
        flags: &["--log-syslog"],
        takes: Nothing,
        default: "",
        help: "Log to syslog too",
        read: |to, _| {
            to.syslog = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "syslog_addr",
        flags: &["--log-syslog-to"],
        takes: One("ADDRESS"),
        default: "udp://localhost:514",
        help: "Where that is: udp://HOST:PORT, tcp://HOST:PORT or unix://PATH#dgram",
        read: |to, values| {
            crate::log::check_syslog_address(last(values))?;
            last(values).clone_into(&mut to.syslog_addr);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "syslog_prefix",
        flags: &["--log-syslog-prefix"],
        takes: One("NAME"),
        default: "",
        help: "The name lines have there, after gunicorn",
        read: |to, values| {
            to.syslog_prefix = text(values);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "syslog_facility",
        flags: &["--log-syslog-facility"],
        takes: One("FACILITY"),
        default: "user",
        help: "The facility they have there",
        read: |to, values| {
            crate::log::check_syslog_facility(last(values))?;
            last(values).clone_into(&mut to.syslog_facility);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "disable_redirect_access_to_syslog",
        flags: &["--disable-redirect-access-to-syslog"],
        takes: Nothing,
        default: "",
        help: "Keep access lines out of syslog",
        read: |to, _| {
            to.disable_redirect_access_to_syslog = true;
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "statsd_host",
        flags: &["--statsd-host"],
        takes: One("ADDRESS"),
        default: "",
        typed: in_python::statsd,
        help: "A statsd to send metrics to: HOST:PORT or unix://PATH",
        read: |to, values| {
            crate::log::check_statsd_address(last(values))?;
            to.statsd_host = text(values);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "statsd_prefix",
        flags: &["--statsd-prefix"],
        takes: One("TEXT"),
        default: "",
        unset: Some(|_| "".into()),
        help: "What the names of metrics begin with",
        read: |to, values| {
            last(values).clone_into(&mut to.statsd_prefix);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "dogstatsd_tags",
        flags: &["--dogstatsd-tags"],
        takes: One("TAGS"),
        default: "",
        unset: Some(|_| "".into()),
        help: "Tags of metrics, as Datadog has them, with commas between them",
        read: |to, values| {
            last(values).clone_into(&mut to.dogstatsd_tags);
            Ok(())
        },
        ..ROW
    },
    Row {
        name: "enable_backlog_metric",
        flags: &["--enable-backlog-metric"],
        takes: Nothing,
        default: "",
        help: "Send how many connections wait to be accepted",
        read: |to, _| {
            to.enable_backlog_metric = true;
            Ok(())
        },
        ..ROW
    },
];
