//! Starting: the lines an operator knows, and one clear sentence where it does not start.

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::stack::{Gateway, Listens, Setup, fixtures, start};

/// Runs to its end: exit code, and the log's last line.
fn run(flags: &[&str]) -> (Option<i32>, String) {
    let mut gateway = Setup::new(Listens::Tcp, flags).launch();
    let code = gateway.exit_code();
    (code, gateway.log.last_line())
}

#[track_caller]
fn check_refused(flags: &[&str], code: i32, last_line: &str) {
    let (ended, last) = run(flags);
    assert!(last.contains(last_line), "{flags:?}: {last}");
    assert_eq!(ended, Some(code), "{flags:?}: {last}");
}

#[test]
fn the_lines_operators_know() {
    let mut gateway = start(&["--workers", "2", "--log-level", "debug"]);
    gateway.log.wait_for_nth("Worker ready", 2);
    gateway.stop();
    let pid = gateway.pid();
    let mut lines = gateway.log.lines();
    // Before them, for whoever debugs, stand the settings; and gunicorn too says somewhere among them
    // where its control socket is.
    lines.retain(|line| line.contains(&format!("] [{pid}] [INFO] ")));
    lines.retain(|line| !line.contains("Control socket listening at "));
    assert!(lines[0].contains("[INFO] Starting causeway-gateway "), "{}", lines[0]);
    assert!(lines[1].contains("[INFO] Listening at: http://127.0.0.1:"), "{}", lines[1]);
    assert!(lines[1].ends_with(&format!(" ({pid})")), "{}", lines[1]);
    assert!(lines[2].ends_with("[INFO] Using worker: sync"), "{}", lines[2]);
    assert!(lines[3].contains("[INFO] Booting worker with pid: "), "{}", lines[3]);
    let text = gateway.log.text();
    assert!(text.contains("Handling signal: term"), "{text}");
    assert_eq!(gateway.log.count("Worker exiting (pid: "), 2, "{text}");
    assert!(gateway.log.last_line().ends_with("Shutting down: Master"), "{text}");
}

/// The application of `broken.py`, which can not be imported.
fn start_broken(flags: &[&str]) -> Gateway {
    let setup = Setup::new(
        Listens::Tcp,
        &[flags, &["--log-level", "debug", "broken:application"]].concat(),
    );
    setup.write("broken.py", "import no_such_module\n");
    setup.launch()
}

const WHOLE: &str = "def application(environ, start_response):\n    \
                     start_response('200 OK', [])\n    return [b'whole']\n";

#[test]
fn an_import_that_fails_is_told_to_clients_tried_again_and_the_last_line() {
    let mut gateway = start_broken(&["--workers", "2"]);
    gateway.log.wait_for_nth("Worker failed to boot, next try in ", 3);
    let answer = gateway.get("/");
    assert_eq!(answer.status, 503);
    assert!(answer.header("retry-after").is_some());
    assert!(answer.text().contains("The application can not be started."), "{}", answer.text());
    assert!(!answer.text().contains("no_such_module"), "that is the operator's business");
    let line = gateway.log.wait_for_nth("Worker failed to boot, next try in ", 3);
    let folder = gateway.scratch().canonicalize().unwrap();
    let reason = format!(
        "Reason: ModuleNotFoundError: No module named 'no_such_module' \
         (in \"{0}\", sys.path[0] \"{0}\", interpreter \"",
        folder.display()
    );
    assert!(line.contains(&reason), "{line}\n{reason}");
    let told = gateway.log.wait_for("503 for GET / ");
    assert!(told.contains("No module named 'no_such_module'"), "{told}");
    gateway.write("broken.py", WHOLE);
    // One tried alone; now that it can, so can the other.
    gateway.log.wait_for_nth("Worker ready", 2);
    assert_eq!(gateway.get("/").text(), "whole");
    gateway.stop();
}

#[test]
fn an_application_that_can_not_be_preloaded_is_tried_again_too() {
    let mut gateway = start_broken(&["--preload"]);
    gateway.log.wait_for_nth("Worker failed to boot, next try in ", 3);
    assert_eq!(gateway.get("/").status, 503);
    gateway.write("broken.py", WHOLE);
    gateway.log.wait_for("Worker ready");
    assert_eq!(gateway.get("/").text(), "whole");
    gateway.stop();
}

#[test]
fn the_reason_is_the_last_line_while_nobody_asks() {
    let gateway = start_broken(&[]);
    for tries in 1..4 {
        gateway.log.wait_for_nth("Worker failed to boot, next try in ", tries);
    }
    let last = gateway.log.last_line();
    assert!(
        last.contains("Reason: ModuleNotFoundError: No module named 'no_such_module'"),
        "{last}"
    );
}

#[test]
fn told_to_stop_while_nobody_boots_it_stops() {
    let mut gateway = start_broken(&[]);
    gateway.log.wait_for("Worker failed to boot, next try in ");
    gateway.stop();
}

#[test]
fn where_it_is_asked_for_an_import_that_fails_is_exit_code_3_and_the_last_line() {
    let mut gateway = start_broken(&["--exit-on-boot-failure"]);
    assert_eq!(gateway.exit_code(), Some(3));
    let text = gateway.log.text();
    assert!(text.contains("Traceback (most recent call last)"), "{text}");
    let last = gateway.log.last_line();
    let reason =
        "Reason: Worker failed to boot: ModuleNotFoundError: No module named 'no_such_module' (in ";
    assert!(last.contains(reason), "{last}");
}

#[test]
fn where_it_is_asked_for_an_application_that_is_not_there_is_exit_code_4() {
    let fixtures = fixtures();
    let flags = ["--exit-on-boot-failure", "--chdir", fixtures.to_str().unwrap()];
    check_refused(&[&flags[..], &["app:nothing"]].concat(), 4, "Reason: App failed to load: ");
    check_refused(&[&flags[..], &["app:VERSION"]].concat(), 4, "Reason: App failed to load: ");
}

#[test]
fn an_interpreter_that_is_not_there() {
    let refused = "interpreter \"/no/python\" can not be started: No such file";
    check_refused(&["--python", "/no/python", "app:application"], 1, refused);
}

/// Does not come to its end when it is imported for the first time.
const HANGS_ONCE: &str = "import os, sys, time\ntry:\n    os.mkdir('hung')\n    \
                          print('hangs', file=sys.stderr, flush=True)\n    time.sleep(600)\n\
                          except FileExistsError:\n    pass\n";

#[test]
fn a_worker_told_to_leave_while_it_boots_is_replaced_and_not_a_failure_to_boot() {
    for flags in [&["--exit-on-boot-failure"][..], &[]] {
        let setup = Setup::new(Listens::Tcp, &[flags, &["slow:application"]].concat());
        setup.write("slow.py", &format!("{HANGS_ONCE}{WHOLE}"));
        let mut gateway = setup.launch();
        gateway.log.wait_for("hangs");
        gateway.log.wait_for("Booting worker with pid: ");
        let worker = gateway.booted()[0];
        kill(Pid::from_raw(worker), Signal::SIGTERM).unwrap();
        gateway.log.wait_for_nth("Booting worker with pid: ", 2);
        assert_eq!(gateway.get("/").text(), "whole");
        assert_eq!(gateway.log.count("failed to boot"), 0, "{}", gateway.log.text());
        gateway.stop();
    }
}

#[test]
fn check_config_imports_the_application() {
    let fixtures = fixtures();
    let chdir = ["--check-config", "--chdir", fixtures.to_str().unwrap()];
    let (code, last) = run(&[&chdir[..], &["app:application"]].concat());
    assert_eq!(code, Some(0), "{last}");
    check_refused(&[&chdir[..], &["app:nothing"]].concat(), 1, "App failed to load");
    check_refused(&[&chdir[..], &["nothing"]].concat(), 1, "No module named 'nothing'");
}

#[test]
fn the_application_gets_its_environment_and_folders() {
    let setup = Setup::new(
        Listens::Tcp,
        &["--env", "COLOUR=deep blue", "--pythonpath", "lib", "elsewhere:application"],
    );
    std::fs::create_dir(setup.scratch.path().join("lib")).unwrap();
    let application = "import os\ndef application(environ, start_response):\n    \
                       start_response('200 OK', [])\n    return [os.environ['COLOUR'].encode()]\n";
    setup.write("lib/elsewhere.py", application);
    let gateway = setup.launch();
    assert_eq!(gateway.get("/").text(), "deep blue");
}
