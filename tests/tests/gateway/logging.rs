//! The error log: who writes there, what the application says, what is printed, and where it goes.

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

use nix::sys::signal::Signal;

use crate::{
    real_gunicorn::{Program, both_started, start},
    stack::{Gateway, Listens, Place, Setup, binary, fixtures, wait_for_text, wait_until},
};

/// On a unix socket, so that it can be found without its log.
fn get(server: &Gateway, target: &str) {
    let place = Place::Unix(server.scratch().join("app.sock"));
    let mut stream = wait_until("a connection", || place.connect().ok());
    let request = format!("GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream.rest();
}

const SAID: &[&str] = &[
    "an info of the application's",
    "printed",
    "printed as an error",
    "written to wsgi.errors",
    "echoed by a child",
    "echoed as an error",
];

/// Which of `SAID` are lines of this text, with or without what gunicorn puts before a message.
fn said(text: &str) -> Vec<&'static str> {
    let is_said = |said: &&&str| {
        text.lines().any(|line| line == **said || line.ends_with(&format!("[INFO] {said}")))
    };
    SAID.iter().filter(is_said).copied().collect()
}

/// What of `/say` goes to the error log, to standard output and to standard error; then what of it
/// goes there once the file was moved away.
fn check(flags: &[&str], in_file: &[&str], on_output: &[&str], on_error: &[&str]) {
    let flags = [&["--error-logfile", "error.log"], flags].concat();
    let both = both_started("spoken:application", Listens::Unix, &flags, "");
    for (server, name) in both.iter().zip(["ours", "gunicorn"]) {
        get(server, "/say");
        get(server, "/boom");
        let text = wait_for_text(&server.scratch().join("error.log"), "RuntimeError: boom");
        assert_eq!(said(&text), in_file, "{name}: {text}");
        // Written before the answer, and read by a thread of this test.
        wait_until(&format!("{on_output:?} on standard output of {name}"), || {
            (said(&server.output.text()) == on_output).then_some(())
        });
        wait_until(&format!("{on_error:?} on standard error of {name}"), || {
            (said(&server.log.text()) == on_error).then_some(())
        });
        assert!(text.contains("] [ERROR] Error handling request GET /boom\nTraceback"), "{text}");
        assert!(!text.contains("a debug of the application's"), "{text}");
        fs::rename(server.scratch().join("error.log"), server.scratch().join("old.log")).unwrap();
        server.signal(Signal::SIGUSR1);
        // The worker hears of it by a signal of its own, so that one request may be too early.
        wait_until("everything in the new file", || {
            get(server, "/say");
            let new = fs::read_to_string(server.scratch().join("error.log")).unwrap_or_default();
            (said(&new) == in_file).then_some(())
        });
    }
}

#[test]
fn what_is_printed_is_captured_as_gunicorn_does() {
    check(&["--capture-output"], SAID, &[], &[]);
}

#[test]
fn without_capture_only_what_is_logged_is_in_the_log() {
    let (output, error) =
        (["printed", "echoed by a child"], ["printed as an error", "echoed as an error"]);
    check(&[], &["an info of the application's", "written to wsgi.errors"], &output, &error);
}

#[test]
fn with_the_log_on_standard_error_capture_changes_nothing() {
    let both = both_started("spoken:application", Listens::Unix, &["--capture-output"], "");
    for server in &both {
        server.log.wait_for("Booting worker");
        get(server, "/say");
        server.output.wait_for("echoed by a child");
        assert_eq!(said(&server.output.text()), ["printed", "echoed by a child"]);
        let rest = server.log.wait_for("echoed as an error");
        assert_eq!(rest, "echoed as an error");
        assert_eq!(said(&server.log.text()).len(), 4, "{}", server.log.text());
    }
}

/// gunicorn's worker keeps what it prints in a buffer, and a worker that is killed takes it along.
#[test]
fn nothing_printed_is_lost_with_a_worker() {
    let [ours, theirs] = both_started("spoken:application", Listens::Unix, &["--timeout", "5"], "");
    for server in [&ours, &theirs] {
        server.log.wait_for("Booting worker");
        get(server, "/exit");
        // Somebody else answers now: the one before has ended.
        get(server, "/");
    }
    ours.output.wait_for("printed before the end");
    assert_eq!(theirs.output.count("printed before the end"), 0, "gunicorn has learnt it");
}

/// Django's `LOGGING` does so unless it is told not to; gunicorn loses every traceback from then on.
#[test]
fn a_traceback_is_not_lost_to_an_application_that_disables_loggers() {
    let [ours, theirs] = both_started("spoken:application", Listens::Unix, &[], "");
    for server in [&ours, &theirs] {
        server.log.wait_for("Booting worker");
        get(server, "/disable");
        get(server, "/boom");
    }
    ours.log.wait_for("[ERROR] Error handling request GET /boom");
    ours.log.wait_for("RuntimeError: boom");
    assert_eq!(theirs.log.count("RuntimeError: boom"), 0, "gunicorn has learnt it");
}

#[test]
fn a_level_decides_for_the_application_too() {
    let both = both_started("spoken:application", Listens::Unix, &["--log-level", "debug"], "");
    for server in &both {
        server.log.wait_for("Booting worker");
        get(server, "/say?x");
        server.log.wait_for("[DEBUG] a debug of the application's");
        // gunicorn's own hook before each request.
        server.log.wait_for("[DEBUG] GET /say");
        server.log.wait_for("[DEBUG] Current configuration:");
    }
    let both = both_started("spoken:application", Listens::Unix, &["--log-level", "error"], "");
    for mut server in both {
        get(&server, "/");
        server.stop();
        assert_eq!(server.log.text(), "");
    }
}

#[test]
fn a_log_that_can_not_be_written_is_an_error() {
    for (flag, path) in
        [("--error-logfile", "/nowhere/e.log"), ("--access-logfile", "/nowhere/a.log")]
    {
        let mut gateway = Setup::new(Listens::Tcp, &[flag, path, "app:application"]).launch();
        assert_eq!(gateway.exit_code(), Some(1));
        let line = gateway.log.last_line();
        assert!(
            line.starts_with(&format!("Error: '{path}' isn't writable [No such file")),
            "{line}"
        );
    }
}

#[test]
fn a_check_writes_no_log() {
    let flags = ["--check-config", "--error-logfile", "/nowhere/e.log", "--capture-output"];
    let mut gateway = start(Program::Ours, "spoken:application", Listens::Tcp, &flags, "");
    assert_eq!(gateway.exit_code(), Some(0), "{}", gateway.log.text());
}

#[test]
fn hup_brings_another_level_and_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let conf = folder.path().join("conf.py");
    let error_log = folder.path().join("error.log");
    fs::write(&conf, "loglevel = 'info'\n").unwrap();
    let fixtures = fixtures();
    let flags = ["--chdir", fixtures.to_str().unwrap(), "spoken:application"];
    let flags = [&flags[..], &["-c", conf.to_str().unwrap()]].concat();
    let gateway = Setup::new(Listens::Tcp, &flags).launch();
    gateway.get("/say");
    gateway.log.wait_for("[INFO] an info of the application's");
    assert_eq!(gateway.log.count("[DEBUG]"), 0);
    fs::write(&conf, format!("loglevel = 'debug'\nerrorlog = {error_log:?}\n")).unwrap();
    gateway.signal(Signal::SIGHUP);
    wait_for_text(&error_log, "Worker exiting");
    gateway.get("/say");
    wait_for_text(&error_log, "[DEBUG] a debug of the application's");
    // One that can not be written: everything stays as it was, and the log says so.
    fs::write(&conf, "errorlog = '/nowhere/e.log'\nloglevel = 'debug'\n").unwrap();
    gateway.signal(Signal::SIGHUP);
    let text = wait_for_text(&error_log, "Reload failed");
    assert!(text.lines().last().unwrap().contains("'/nowhere/e.log' isn't writable"), "{text}");
    assert_eq!(gateway.get("/").status, 200);
}

/// Whether anybody may go where this is.
fn is_everybodys(path: &Path) -> bool {
    let mode = |folder: &Path| fs::metadata(folder).unwrap().permissions().mode();
    path.ancestors().skip(1).all(|folder| mode(folder) & 0o001 != 0)
}

#[test]
fn log_files_belong_to_the_user_who_will_open_them_anew() {
    let needed = [fixtures().join("spoken.py"), binary().to_owned()];
    if !nix::unistd::Uid::effective().is_root() || !needed.iter().all(|it| is_everybodys(it)) {
        eprintln!("not root, or built where nobody else may go: nobody to become");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o777)).unwrap();
    let place = |name: &str| folder.join(name);
    // `nobody`, by number.
    let user = 65534;
    for program in [Program::Gunicorn, Program::Ours] {
        let shown = |name: &str| place(name).to_str().unwrap().to_owned();
        let (errors, requests) = (shown("error.log"), shown("access.log"));
        let flags = ["--user=65534", "--group=65534", "--capture-output", "--chdir"];
        let flags = [&flags[..], &[folder.to_str().unwrap(), "--error-logfile", &errors]].concat();
        let flags = [&flags[..], &["--access-logfile", &requests]].concat();
        let mut server = start(program, "spoken:application", Listens::Tcp, &flags, "");
        let listening = wait_for_text(&place("error.log"), "Listening at: http://");
        let address = listening.split("http://").nth(1).unwrap().split(' ').next().unwrap();
        let address = Place::Tcp(address.to_owned());
        wait_for_text(&place("error.log"), "Booting worker");
        let say = || {
            let mut stream = address.connect().unwrap();
            stream.write_all(b"GET /say HTTP/1.0\r\n\r\n").unwrap();
            stream.rest();
        };
        say();
        for name in ["error.log", "access.log"] {
            assert_eq!(fs::metadata(place(name)).unwrap().uid(), user, "{name}");
            fs::rename(place(name), place(&format!("old {name}"))).unwrap();
        }
        if program == Program::Gunicorn {
            // Its master opens them anew as root, and its workers can not from then on.
            continue;
        }
        server.signal(Signal::SIGUSR1);
        wait_until("everything in the new files", || {
            say();
            let new = fs::read_to_string(place("error.log")).unwrap_or_default();
            (said(&new) == SAID && place("access.log").exists()).then_some(())
        });
        server.signal(Signal::SIGTERM);
        assert_eq!(server.exit_code(), Some(0));
    }
}
