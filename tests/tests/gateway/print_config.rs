//! `--print-config`: to the letter what gunicorn 27 prints for the same flags, variables and file.

use crate::command_line::Case;

#[track_caller]
fn check_same(case: &Case<'_>) {
    let (ours, gunicorns) = case.run();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (ours_said, gunicorns_said) = (text(&ours.stdout), text(&gunicorns.stdout));
    for (line, gunicorns_line) in ours_said.lines().zip(gunicorns_said.lines()) {
        assert_eq!(line, gunicorns_line);
    }
    assert_eq!(ours_said.len(), gunicorns_said.len(), "{ours_said}\n{}", text(&ours.stderr));
    assert!(gunicorns_said.contains("workers "), "{}", text(&gunicorns.stderr));
    let codes = (ours.status.code(), gunicorns.status.code());
    assert_eq!(codes, (Some(0), Some(0)), "{}", text(&ours.stderr));
}

#[test]
fn nothing_said() {
    check_same(&Case { flags: &["--print-config", "app:application"], variables: &[], file: "" });
}

#[test]
fn flags_and_variables() {
    let flags = [
        "--print-config",
        "-b",
        "unix:/run/app.sock",
        "-b",
        "127.0.0.1:88",
        "-e",
        "A=b",
        "-e",
        "C=it's",
        "-u",
        "nobody",
        "-g",
        "nogroup",
        "-m",
        "007",
        "--chdir",
        "./../",
        "--statsd-host",
        "LOCALHOST:81",
        "--no-sendfile",
        "--proxy-protocol",
        "--forwarded-allow-ips=10.0.0.0/8,*",
        "--log-level",
        "debug",
        "--reload",
        "--pythonpath",
        "x,y",
        "--control-socket",
        "c.sock",
        "--control-socket-mode",
        "0640",
        "--keep-alive",
        "5",
        "--threads",
        "4",
        "--pid",
        " p.pid ",
        "--http-protocols",
        "h1",
        "--chdir",
        ".",
        "app:application",
    ];
    let variables = [("WEB_CONCURRENCY", "3"), ("GUNICORN_CMD_ARGS", "--timeout 40 --backlog=7")];
    check_same(&Case { flags: &flags, variables: &variables, file: "" });
}

#[test]
fn a_port_of_the_environment() {
    let variables = [("PORT", "8080"), ("FORWARDED_ALLOW_IPS", "10.0.0.1"), ("SENDFILE", "no")];
    check_same(&Case { flags: &["--print-config", "app"], variables: &variables, file: "" });
}

/// Much of what files of deployments hold, gunicorn's own example among it.
const FILE: &str = r#"
import multiprocessing
CORES = multiprocessing.cpu_count()
bind = ["127.0.0.1:8000", "unix:/run/app.sock"]
backlog = 2048
workers = 4
worker_class = "sync"
worker_connections = 1000
timeout = 30
keepalive = 2
spew = False
daemon = False
raw_env = ["DJANGO_SECRET_KEY=something", "SPAM=eggs"]
pidfile = None
umask = 0o22
user = None
group = None
tmp_upload_dir = None
errorlog = "-"
loglevel = "info"
accesslog = "-"
proc_name = "site"
check_config = True
secure_scheme_headers = {"X-B": "y", "X-A": "it's"}
logconfig_dict = {"version": 1, "root": {"level": "INFO"}, "own": ["x", 1, 2.5, None, True]}
wsgi_app = "app:application"

def when_ready(server):
    server.log.info("Server is ready. Spawning workers")

def post_fork(server, worker):
    server.log.info("Worker spawned (pid: %s)", worker.pid)
"#;

#[test]
fn a_configuration_file() {
    check_same(&Case { flags: &["--print-config"], variables: &[], file: FILE });
}

#[test]
fn what_gunicorn_has_not_is_printed_where_it_was_decided() {
    let flags = ["--print-config", "--queue", "7", "app"];
    let (ours, _) = Case { flags: &flags, variables: &[], file: "" }.run();
    let text = String::from_utf8(ours.stdout).unwrap();
    let own: Vec<&str> = text.lines().filter(|line| line.starts_with("queue")).collect();
    assert_eq!(own.len(), 1, "{text}");
    assert!(own[0].starts_with("queue ") && own[0].ends_with(" = 7"), "{}", own[0]);
}

#[test]
fn explained_settings_say_where_they_came_from() {
    let case = Case {
        flags: &["--explain-config", "-t", "9", "app"],
        variables: &[("WEB_CONCURRENCY", "3"), ("GUNICORN_CMD_ARGS", "--backlog 7")],
        file: "loglevel = 'debug'\nthreads = 2\n",
    };
    let (ours, _) = case.run();
    let text = String::from_utf8(ours.stdout).unwrap();
    for (name, end) in [
        ("timeout ", " = 9  # --timeout"),
        ("workers ", " = 3  # WEB_CONCURRENCY"),
        ("backlog ", " = 7  # GUNICORN_CMD_ARGS"),
        ("threads ", " = 2  # ./gunicorn.conf.py:2"),
        ("queue ", " = 2048"),
    ] {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        assert!(line.ends_with(end), "{line}");
    }
}
