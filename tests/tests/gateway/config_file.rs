//! gunicorn.conf.py: read by the application's interpreter, its hooks called where gunicorn calls them.

use nix::sys::signal::Signal;

use crate::stack::{Listens, Setup, fixtures};

fn with_config(flags: &[&str], config: &str) -> Setup {
    let fixtures = fixtures();
    let base = ["--pythonpath", fixtures.to_str().unwrap(), "app:application"];
    let setup = Setup::new(Listens::Tcp, &[flags, &base].concat());
    setup.write("gunicorn.conf.py", config);
    setup
}

#[test]
fn the_file_here_is_read_and_the_command_line_is_stronger() {
    let config =
        "import multiprocessing\nworkers = len([1, 2])\nproc_name = 'x'\nloglevel = 'debug'\n";
    let gateway = with_config(&[], config).launch();
    gateway.log.wait_for_nth("Worker ready", 2);
    assert_eq!(gateway.booted().len(), 2);
    let gateway = with_config(&["--workers", "1"], config).launch();
    gateway.log.wait_for("Worker ready");
    assert_eq!(gateway.booted().len(), 1);
}

#[track_caller]
fn check_refused(config: &str, last_line: &str) {
    let mut gateway = with_config(&[], config).launch();
    assert_eq!(gateway.exit_code(), Some(1), "{config}: {}", gateway.log.text());
    let last = gateway.log.last_line();
    assert!(last.ends_with(last_line), "{config}: {last}");
}

#[test]
fn what_is_wrong_with_a_file_is_named_with_its_line() {
    check_refused(
        "\nwrokers = 3\n",
        "gunicorn.conf.py:2: wrokers: no such setting; did you mean \"workers\"?",
    );
    check_refused(
        "workers = 'many'\n",
        "gunicorn.conf.py:1: workers: \"many\" is not a whole number",
    );
    check_refused(
        "workers = 3\nx = 1 / 0\n",
        "gunicorn.conf.py:2: ZeroDivisionError: division by zero",
    );
    check_refused("workers = = 3\n", "gunicorn.conf.py:1: SyntaxError: invalid syntax");
    check_refused("post_fork = 3\n", "gunicorn.conf.py:1: post_fork: it can not be called");
    let mut gateway = Setup::new(Listens::Tcp, &["-c", "nothing.py", "a:b"]).launch();
    assert_eq!(gateway.exit_code(), Some(1));
    assert!(gateway.log.last_line().ends_with("'nothing.py' doesn't exist"));
}

/// Every hook writes a line: its name, and what its objects say.
const HOOKS: &str = r#"
import os
workers = 2
loglevel = "debug"

def told(*words):
    with open(os.path.join(os.path.dirname(__file__), "told"), "a") as file:
        print(*words, file=file)

def on_starting(server): told("on_starting", server.pid == os.getppid(), server.cfg.workers)
def when_ready(server): told("when_ready", server.address == server.cfg.bind)
def nworkers_changed(server, new, old): told("nworkers_changed", new, old)
def pre_fork(server, worker):
    worker.mark = f"mark{worker.age}"
    told("pre_fork", worker.age)
def post_fork(server, worker):
    told("post_fork", worker.mark, worker.pid == os.getpid(), worker.ppid == server.pid)
def post_worker_init(worker): told("post_worker_init", callable(worker.wsgi))
def pre_request(worker, req):
    told("pre_request", req.method, req.path, req.query, dict(req.headers)["HOST"] != "")
def post_request(worker, req, environ, resp):
    told("post_request", req.path, environ["PATH_INFO"], resp.status, resp.status_code, resp.sent, worker.nr)
def worker_int(worker): told("worker_int")
def worker_exit(server, worker): told("worker_exit", worker.pid == os.getpid())
def child_exit(server, worker): told("child_exit", worker.mark, isinstance(worker.pid, int))
def on_reload(server): told("on_reload")
def on_exit(server): told("on_exit")
"#;

#[test]
fn hooks_are_called_where_gunicorn_calls_them() {
    let mut gateway = with_config(&[], HOOKS).launch();
    gateway.log.wait_for_nth("Worker ready", 2);
    let answer = gateway.get("/version?a=b");
    assert_eq!(answer.status, 200);
    gateway.stop();
    let told = std::fs::read_to_string(gateway.scratch().join("told")).unwrap();
    let lines: Vec<&str> = told.lines().collect();
    let sent = answer.body.len();
    for expected in [
        "on_starting True 2",
        "when_ready True",
        "nworkers_changed 2 None",
        "pre_fork 1",
        "pre_fork 2",
        "post_fork mark1 True True",
        "post_fork mark2 True True",
        "post_worker_init True",
        "pre_request GET /version a=b True",
        &format!("post_request /version /version 200 OK 200 {sent} 1"),
        "worker_exit True",
        "child_exit mark1 True",
        "child_exit mark2 True",
        "on_exit",
    ] {
        assert!(lines.contains(&expected), "{expected:?} in {told}");
    }
    let place = |name: &str| lines.iter().position(|line| line.starts_with(name)).unwrap();
    assert!(place("on_starting") < place("when_ready") && place("when_ready") < place("pre_fork"));
    assert_eq!(lines.last(), Some(&"on_exit"), "{told}");
    assert!(!told.contains("worker_int") && !told.contains("on_reload"), "{told}");
}

#[test]
fn a_hook_that_raises_is_in_the_log_and_nothing_else() {
    let config = "def when_ready(server):\n    1 / 0\n\ndef post_request(worker, req):\n    raise KeyError('mine')\n";
    let gateway = with_config(&[], config).launch();
    assert_eq!(gateway.get("/version").status, 200);
    gateway.log.wait_for("Exception in when_ready hook");
    gateway.log.wait_for("Exception in post_request hook");
    gateway.log.wait_for("KeyError: 'mine'");
    assert_eq!(gateway.get("/version").status, 200);
}

#[test]
fn a_reload_reads_the_file_anew() {
    let gateway = with_config(&["--log-level", "debug"], "workers = 1\n").launch();
    gateway.log.wait_for("Worker ready");
    gateway.write(
        "gunicorn.conf.py",
        "workers = 3\ndef on_reload(server):\n    server.log.info('told of it')\n",
    );
    gateway.signal(Signal::SIGHUP);
    gateway.log.wait_for("told of it");
    gateway.log.wait_for_nth("Worker ready", 4);
    gateway.log.wait_for("Worker exiting");
}

#[test]
fn a_file_that_is_broken_at_a_reload_changes_nothing_and_has_the_last_word() {
    let gateway = with_config(&["--log-level", "debug"], "workers = 1\n").launch();
    gateway.log.wait_for("Worker ready");
    let worker = gateway.worker();
    for (broken, reason) in [
        ("workers = = 3\n", "gunicorn.conf.py:1: SyntaxError: invalid syntax"),
        (
            "wrokers = 3\n",
            "gunicorn.conf.py:1: wrokers: no such setting; did you mean \"workers\"?",
        ),
    ] {
        gateway.write("gunicorn.conf.py", broken);
        gateway.signal(Signal::SIGHUP);
        let line = gateway.log.wait_for(reason);
        assert!(line.contains("Reload failed, the old workers serve on. Reason: "), "{line}");
        assert_eq!(gateway.log.last_line(), line);
        assert_eq!(gateway.worker(), worker);
    }
}

#[test]
fn preloaded_once_and_anew_at_a_reload() {
    let config = "preload_app = True\nworkers = 2\nloglevel = 'debug'\nwsgi_app = 'counted'\n";
    let application = "import os\nos.write(2, b'imported here\\n')\nVERSION = b'one'\n\
                       def application(environ, start_response):\n    start_response('200 OK', [])\n    return [VERSION]\n";
    let setup = Setup::new(Listens::Tcp, &[]);
    setup.write("gunicorn.conf.py", config);
    setup.write("counted.py", application);
    let gateway = setup.launch();
    gateway.log.wait_for_nth("Worker ready", 2);
    assert_eq!(gateway.log.count("imported here"), 1);
    assert_eq!(gateway.get("/").text(), "one");
    gateway.write("counted.py", &application.replace("one", "two"));
    gateway.signal(Signal::SIGHUP);
    gateway.log.wait_for_nth("Worker exiting", 2);
    assert_eq!(gateway.log.count("imported here"), 2);
    assert_eq!(gateway.get("/").text(), "two");
    gateway.write("counted.py", "import no_such_module\n");
    gateway.signal(Signal::SIGHUP);
    gateway.log.wait_for("Reload failed, the old workers serve on. Reason: ModuleNotFoundError");
    assert_eq!(gateway.get("/").text(), "two");
}

#[test]
fn a_nursery_that_is_killed_costs_nothing() {
    let gateway = with_config(&["--log-level", "debug"], "workers = 1\n").launch();
    gateway.log.wait_for("Worker ready");
    let worker = gateway.worker();
    gateway.kill_nursery();
    gateway.log.wait_for("the workers serve on, and another is started");
    assert_eq!(gateway.worker(), worker);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(worker), Signal::SIGKILL).unwrap();
    gateway.log.wait_for_nth("Worker ready", 2);
    assert_ne!(gateway.worker(), worker);
}
