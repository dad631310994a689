//! Python's own logging configuration: what handlers get, beside what gunicorn's get, and what becomes
//! of the process that runs them.

use std::{fs, io::Write, path::Path};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use crate::{
    real_gunicorn::{BOTH, Program, start},
    stack::{Gateway, Listens, Place, fixtures, wait_for_text, wait_until, wait_until_gone},
};

/// Both loggers through `as_json.Formatter`; `gunicorn.error` to standard error.
const JSON: &str = r#"{
    "formatters": {"json": {"()": "as_json.Formatter"}},
    "handlers": {
        "out": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stdout"},
        "err": {"class": "logging.StreamHandler", "formatter": "json", "stream": "ext://sys.stderr"}
    },
    "root": {"level": "WARNING", "handlers": []},
    "loggers": {
        "gunicorn.error": {"level": "INFO", "handlers": ["err"], "propagate": false},
        "gunicorn.access": {"level": "INFO", "handlers": ["out"], "propagate": false}
    }
}"#;

/// The records in a log, sorted, without process ids and the server's name.
fn records(text: &str) -> Vec<Value> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("json "));
    let mut all: Vec<Value> = lines
        .map(|line| {
            let mut record: Value = serde_json::from_str(line).unwrap();
            let message = record["message"].as_str().unwrap();
            let message: String =
                message.chars().filter(|letter| !letter.is_ascii_digit()).collect();
            let end = if message.starts_with("Starting") { 8 } else { message.len() };
            record["message"] = message[..end].into();
            record
        })
        .collect();
    all.sort_by_key(Value::to_string);
    all
}

/// What both write, with their own ways of being told to. gunicorn's line about a failure of the
/// application is left out: it has neither environ nor length.
fn check(start: impl Fn(Program) -> Gateway) {
    let [ours, theirs] = BOTH.map(|program| {
        let mut server = start(program);
        let place = Place::Unix(server.scratch().join("app.sock"));
        for target in ["/say", "/a%20%22b?q=%C3%A9", "/nothing"] {
            let mut stream = wait_until("a connection", || place.connect().ok());
            let request = format!(
                "GET {target} HTTP/1.1\r\nHost: h\r\nUser-Agent: \"x\"\r\nConnection: close\r\n\r\n"
            );
            stream.write_all(request.as_bytes()).unwrap();
            stream.rest();
        }
        server.signal(Signal::SIGTERM);
        assert_eq!(server.exit_code(), Some(0), "{}", server.log.text());
        server.output.wait_for_end();
        [records(&server.output.text()), records(&server.log.text())]
    });
    assert_eq!(ours[0], theirs[0], "requests: ours, then gunicorn's");
    assert_eq!(ours[1], theirs[1], "errors: ours, then gunicorn's");
    assert_eq!(ours[0].len(), 3, "{ours:?}");
    assert_eq!(ours[0][0]["host"], "h");
    let last = |records: &[Value], text: &str| {
        records.iter().any(|record| record["message"].as_str().unwrap().starts_with(text))
    };
    assert!(last(&ours[1], "Shutting down: Master"), "{ours:?}");
    assert!(last(&ours[1], "an info of the application's"), "{ours:?}");
}

#[test]
fn a_json_file_configures_formatters_that_read_the_record() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.json");
    fs::write(&file, JSON).unwrap();
    let flags = ["--log-config-json", file.to_str().unwrap()];
    check(|program| start(program, "spoken:application", Listens::Unix, &flags, ""));
}

#[test]
fn a_dictionary_of_the_configuration_file_does_too() {
    // That is the only word of JSON's in it that is not Python's.
    let conf = format!("logconfig_dict = {}\n", JSON.replace("false", "False"));
    check(|program| start(program, "spoken:application", Listens::Unix, &[], &conf));
}

#[test]
fn a_dictionary_may_hold_classes_and_streams() {
    let fixtures = fixtures();
    let dictionary = JSON
        .replace("false", "False")
        .replace("\"as_json.Formatter\"", "as_json.Formatter")
        .replace("\"ext://sys.stdout\"", "sys.stdout");
    let conf = format!(
        "import sys\nsys.path.append({fixtures:?})\nimport as_json\nlogconfig_dict = {dictionary}\n"
    );
    check(|program| start(program, "spoken:application", Listens::Unix, &[], &conf));
    // What only the file itself has, no other process can find.
    let conf = format!(
        "import logging, sys\nclass Own(logging.Formatter): pass\nlogconfig_dict = {}\n",
        JSON.replace("false", "False").replace("\"as_json.Formatter\"", "Own")
    );
    let mut gateway = start(Program::Ours, "spoken:application", Listens::Unix, &[], &conf);
    assert_eq!(gateway.exit_code(), Some(1));
    let line = gateway.log.last_line();
    assert!(line.starts_with("Error: logconfig_dict holds <type>, which has no name"), "{line}");
}

fn ini(folder: &Path) -> String {
    format!(
        "[loggers]\nkeys=root,gunicorn.error,gunicorn.access\n[handlers]\nkeys=none,errors,requests\n\
         [formatters]\nkeys=plain\n[logger_root]\nlevel=WARNING\nhandlers=none\n\
         [logger_gunicorn.error]\nlevel=INFO\nhandlers=errors\npropagate=0\nqualname=gunicorn.error\n\
         [logger_gunicorn.access]\nlevel=INFO\nhandlers=requests\npropagate=0\n\
         qualname=gunicorn.access\n[handler_none]\nclass=NullHandler\nargs=()\n\
         [handler_errors]\nclass=FileHandler\nformatter=plain\nargs=('%(here)s/errors',)\n\
         [handler_requests]\nclass=FileHandler\nformatter=plain\nargs=('{}/requests',)\n\
         [formatter_plain]\nformat=%(levelname)s of %(name)s: %(message)s\n",
        folder.display()
    )
}

#[test]
fn an_ini_file_and_usr1() {
    for program in BOTH {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("log.ini");
        fs::write(&file, ini(folder.path())).unwrap();
        let flags = ["--log-config", file.to_str().unwrap()];
        let mut server = start(program, "spoken:application", Listens::Unix, &flags, "");
        let errors = folder.path().join("errors");
        wait_for_text(&errors, "INFO of gunicorn.error: Booting worker");
        let place = Place::Unix(server.scratch().join("app.sock"));
        let get = |target: &str| {
            let mut stream = place.connect().unwrap();
            let request = format!("GET {target} HTTP/1.0\r\n\r\n");
            stream.write_all(request.as_bytes()).unwrap();
            stream.rest();
        };
        get("/say");
        wait_for_text(&errors, "INFO of gunicorn.error: an info of the application's");
        let requests = folder.path().join("requests");
        wait_for_text(&requests, "INFO of gunicorn.access:  - - [");
        fs::rename(&requests, folder.path().join("old requests")).unwrap();
        server.signal(Signal::SIGUSR1);
        wait_until("the new file", || {
            get("/before");
            requests.exists().then_some(())
        });
        get("/after");
        wait_for_text(&requests, "GET /after HTTP/1.0");
        server.signal(Signal::SIGTERM);
        assert_eq!(server.exit_code(), Some(0));
        wait_for_text(&errors, "INFO of gunicorn.error: Shutting down: Master");
        assert_eq!(server.log.count("INFO of"), 0, "{}", server.log.text());
    }
}

#[test]
fn what_python_refuses_is_an_error_that_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let unreadable = folder.path().join("bad.json");
    fs::write(&unreadable, "{").unwrap();
    let unknown = folder.path().join("unknown.json");
    let text = r#"{"handlers": {"console": {"class": "no_such_module.Handler"}}}"#;
    fs::write(&unknown, text).unwrap();
    let missing = folder.path().join("missing");
    for (flag, file, reason) in [
        // gunicorn starts without a word, and without the logging that was asked for.
        ("--log-config-json", &missing, "missing' not found"),
        ("--log-config", &missing, "missing' not found"),
        ("--log-config-json", &unreadable, "is not JSON"),
        ("--log-config-json", &unknown, "No module named 'no_such_module'"),
        ("--log-config", &unreadable, "no section headers"),
    ] {
        let flags = [flag, file.to_str().unwrap()];
        let mut gateway = start(Program::Ours, "spoken:application", Listens::Tcp, &flags, "");
        assert_eq!(gateway.exit_code(), Some(1), "{}", gateway.log.text());
        let line = gateway.log.last_line();
        assert!(line.starts_with("Error: ") && line.contains(reason), "{line}");
    }
}

/// gunicorn ends here, with everything it served.
#[test]
fn a_configuration_that_is_broken_at_hup_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.ini");
    fs::write(&file, ini(folder.path())).unwrap();
    let flags = ["--log-config", file.to_str().unwrap()];
    let gateway = start(Program::Ours, "spoken:application", Listens::Unix, &flags, "");
    let errors = folder.path().join("errors");
    wait_for_text(&errors, "Booting worker");
    fs::write(&file, "[loggers]\n").unwrap();
    gateway.signal(Signal::SIGHUP);
    let text = wait_for_text(&errors, "Reload failed, the old workers serve on. Reason: ");
    assert_eq!(text.matches("Booting worker").count(), 1, "{text}");
    fs::write(&file, ini(folder.path()).replace(" of %(name)s", " anew of %(name)s")).unwrap();
    gateway.signal(Signal::SIGHUP);
    wait_for_text(&errors, "INFO anew of gunicorn.error: Worker exiting");
    // The logger process before it has ended.
    wait_until("one logger process", || (loggers(&gateway).len() == 1).then_some(()));
}

/// Process ids of those of its children that write its lines.
fn loggers(gateway: &Gateway) -> Vec<i32> {
    // Each thread has children of its own.
    let tasks = fs::read_dir(format!("/proc/{}/task", gateway.pid())).unwrap();
    let children: String = tasks
        .map(|task| fs::read_to_string(task.unwrap().path().join("children")).unwrap_or_default())
        .collect();
    let children = children.split_whitespace().map(|child| child.parse::<i32>().unwrap());
    let is_logger = |child: &i32| {
        let arguments = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
        arguments.ends_with(b"\0logger\0")
    };
    children.filter(is_logger).collect()
}

#[test]
fn there_is_a_process_for_it_only_where_it_is_asked_for() {
    let gateway = start(Program::Ours, "spoken:application", Listens::Tcp, &[], "");
    gateway.log.wait_for("Booting worker");
    assert_eq!(loggers(&gateway), [0; 0]);
}

#[test]
fn a_logger_that_is_killed_is_started_anew_and_no_line_of_the_error_log_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.ini");
    fs::write(&file, ini(folder.path())).unwrap();
    let flags = ["--log-config", file.to_str().unwrap()];
    let gateway = start(Program::Ours, "spoken:application", Listens::Unix, &flags, "");
    let errors = folder.path().join("errors");
    wait_for_text(&errors, "Booting worker");
    let [logger] = loggers(&gateway)[..] else { panic!("there is one") };
    kill(Pid::from_raw(logger), Signal::SIGKILL).unwrap();
    wait_until_gone(logger);
    gateway.signal(Signal::SIGTTIN);
    let text = wait_for_text(&errors, "is started anew");
    assert!(text.contains(&format!("WARNING of gunicorn.error: logger process (pid: {logger})")));
    wait_for_text(&errors, "Handling signal: ttin");
    wait_until("one logger process", || (loggers(&gateway).len() == 1).then_some(()));
}

#[test]
fn a_logger_does_not_outlive_a_gateway_that_is_killed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("log.ini");
    fs::write(&file, ini(folder.path())).unwrap();
    let flags = ["--log-config", file.to_str().unwrap()];
    let mut ours = start(Program::Ours, "spoken:application", Listens::Unix, &flags, "");
    wait_for_text(&folder.path().join("errors"), "Booting worker");
    let [logger] = loggers(&ours)[..] else { panic!("there is one") };
    ours.signal(Signal::SIGKILL);
    ours.wait();
    wait_until_gone(logger);
}
