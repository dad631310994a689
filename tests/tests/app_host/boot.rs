//! Starting: what the application may be called, and what is said when there is none.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use nix::sys::signal::Signal;

use crate::host::{Setup, fixtures, output};

fn setup(application: &str) -> Setup {
    let mut setup = Setup::of(application);
    setup.options.chdir = Some(fixtures().join("boot"));
    setup
}

#[track_caller]
fn check_failure(application: &str, code: i32, message: &str, last_line: &str) -> String {
    let mut host = setup(application).launch();
    // Behind the reason, where it was looked for.
    let folder = fixtures().join("boot").canonicalize().unwrap();
    let place = format!(" (in \"{0}\", sys.path[0] \"{0}\", interpreter \"/", folder.display());
    let told = host.control_line();
    assert!(told.starts_with(&format!("failed {code} {message}{place}")), "{told}{}", host.log());
    assert_eq!(host.wait().code(), Some(code));
    let log = host.log();
    let last = log.lines().last().unwrap();
    assert!(last.contains(&format!("{last_line}{place}")), "{log}");
    log
}

#[test]
fn a_failed_import_says_why() {
    let message = "ModuleNotFoundError: No module named 'no_such_module_anywhere'";
    let last = format!("[ERROR] worker could not boot: {message}");
    let log = check_failure("broken_import:application", 3, message, &last);
    assert!(log.contains("[ERROR] Exception in worker process\nTraceback (most recent"), "{log}");
    assert!(log.contains("broken_import.py\", line 1, in <module>"), "{log}");
    assert!(!log.contains("load.py"), "our own frames say nothing: {log}");
    let message = "ModuleNotFoundError: No module named 'nope'";
    check_failure("nope", 3, message, &format!("worker could not boot: {message}"));
    let message = "RuntimeError: settings are not right";
    let log = check_failure("raises", 3, message, &format!("worker could not boot: {message}"));
    assert!(log.contains("raises.py\", line 1, in <module>"), "{log}");
    check_failure("exits", 3, "SystemExit: leaving", "worker could not boot: SystemExit: leaving");
    let mut host = setup("broken_syntax").launch();
    assert!(host.control_line().starts_with("failed 3 SyntaxError: "));
}

#[test]
fn a_module_without_the_application_says_so() {
    for (application, message) in [
        ("attributes:nothing", "no attribute 'nothing' in module 'attributes'"),
        ("attributes:number", "'attributes:number' is not callable"),
        ("attributes:a.b", "'a.b' is neither a name nor a call"),
        ("attributes:build(", "'build(' is neither a name nor a call"),
        ("attributes:build(sys)", "arguments in 'build(sys)' are not literals"),
        ("attributes:build_nothing()", "'attributes:build_nothing()' is not callable"),
        ("attributes:number()", "the factory in 'number()' is not callable"),
        (
            "attributes:build()",
            "'build()' can not be called: missing a required argument: 'greeting'",
        ),
        ("attributes.py", "no module 'attributes.py': did you mean 'attributes:application'?"),
    ] {
        let log = check_failure(application, 4, message, message);
        assert!(!log.contains("Traceback"), "{log}");
    }
    // What the factory itself raises is its own fault.
    let mut host = setup("attributes:build('type')").launch();
    assert!(host.control_line().starts_with("failed 3 TypeError: from inside ("));
}

#[test]
fn a_factory_is_called() {
    let host = setup("attributes:build('hi ', times=2)").start();
    assert_eq!(host.get("/").text(), "hi hi ");
}

#[test]
fn paths_begin_with_the_folder_served_from() {
    let mut setup = Setup::of("attributes");
    setup.options.pythonpath = vec![fixtures().join("boot")];
    let host = setup.start();
    let expected = format!("{}\ncauseway-app-host attributes", fixtures().display());
    assert_eq!(host.get("/").text(), expected);
}

#[test]
fn what_is_missing_is_named() {
    let mut missing = setup("attributes");
    missing.options.chdir = Some("/no/such/folder".into());
    let mut host = missing.launch();
    assert!(host.control_line().contains("can not change to \"/no/such/folder\": "));
    let (status, text) = output(&mut setup("attributes").command());
    assert_eq!(status.code(), Some(3), "{text}");
    assert!(text.contains("standard input is not a listening socket, and there is no --bind"));
    let (status, text) = output(setup("attributes").command().arg("--nope"));
    assert_eq!(status.code(), Some(3), "{text}");
    assert!(text.contains("unknown option \"--nope\""), "{text}");
}

#[test]
fn a_signal_during_the_import_ends_it() {
    for signal in [Signal::SIGTERM, Signal::SIGQUIT] {
        let mut command = setup("slow").command();
        let scratch = tempfile::tempdir().unwrap();
        let socket = std::os::unix::net::UnixListener::bind(scratch.path().join("s")).unwrap();
        let socket = std::os::fd::OwnedFd::from(socket);
        let mut child = command.stdin(socket).stderr(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        assert_eq!(line, "importing\n");
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, signal).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn alone_it_binds_and_unlinks() {
    let scratch = tempfile::tempdir().unwrap();
    let socket = scratch.path().join("alone.sock");
    // What a crash leaves behind is in nobody's way.
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    let mut alone = setup("attributes");
    alone.options.bind = Some(format!("unix:{}", socket.display()));
    let mut host = alone.start();
    host.socket.clone_from(&socket);
    assert_eq!(host.get("/").status(), 200);
    let mut second = setup("attributes");
    second.options.bind = Some(format!("unix:{}", socket.display()));
    assert!(second.launch().control_line().contains("Address already in use"));
    host.signal(Signal::SIGTERM);
    assert_eq!(host.wait().code(), Some(0));
    assert!(!socket.exists());
}

#[test]
fn the_application_does_not_inherit_what_is_ours() {
    let mut setup = Setup::of("children");
    setup.environment = vec![("CAUSEWAY_ERRORLOG".into(), "/dev/null".into())];
    assert_eq!(setup.start().get("/").text(), "/dev/null\nno environment\n");
}
