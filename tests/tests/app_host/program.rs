//! `causeway-app-host`, the program: what it takes, what it refuses, which interpreter it chooses.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::{Client, fixtures, output, python};

/// The program, built once for all tests, in the profile the tests are built in.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().and_then(Path::parent).expect("tests are in PROFILE/deps");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "causeway-app-host", "--target-dir"]);
        build.arg(profile.parent().expect("a profile is in the target folder"));
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(built.success(), "the program is built");
        profile.join("causeway-app-host")
    })
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command.env("PYTHONDONTWRITEBYTECODE", "1").env_remove("VIRTUAL_ENV").args(arguments);
    command
}

#[track_caller]
fn check_refused(arguments: &[&str], code: i32, message: &str) {
    let (status, text) = output(&mut command(arguments));
    assert_eq!((status.code(), text.trim_end()), (Some(code), message), "{arguments:?}");
}

#[test]
fn what_it_can_not_take_is_named() {
    let see = "; --help lists the options";
    for (arguments, message) in [
        (&[][..], "no application: \"module:callable\" is missing"),
        (&["a:b", "c:d"], "a second application \"c:d\""),
        (&["--nope", "a:b"], "unknown option \"--nope\""),
        (&["--nope=1", "a:b"], "unknown option \"--nope=1\""),
        (&["a:b", "--bind"], "option \"--bind\" needs a value"),
        (&["--python"], "option \"--python\" needs a value"),
        (&["--threads", "0", "a:b"], "invalid number \"0\" of option \"--threads\""),
        (&["--threads=many", "a:b"], "invalid number \"many\" of option \"--threads\""),
        (&["--umask", "8", "a:b"], "invalid number \"8\" of option \"--umask\""),
    ] {
        check_refused(arguments, 2, &format!("causeway-app-host: {message}{see}"));
    }
    check_refused(
        &["--python", "/no/such/python", "a:b"],
        1,
        "causeway-app-host: interpreter \"/no/such/python\" can not be started: \
         No such file or directory (os error 2)",
    );
}

#[test]
fn help_names_every_option() {
    let (status, text) = output(&mut command(&["--help"]));
    assert!(status.success() && text.starts_with("Serves one WSGI application"), "{text}");
    let mut options = causeway_app_host::HostOptions::new("a:b");
    options.chdir = Some("x".into());
    options.pythonpath = vec!["x".into()];
    options.sendfile = false;
    options.bind = Some("x".into());
    for argument in options.to_arguments() {
        let argument = argument.to_string_lossy().into_owned();
        let named = !argument.starts_with("--") || text.contains(&format!("{argument} "));
        assert!(named, "{argument}");
    }
    let version = concat!("causeway-app-host ", env!("CARGO_PKG_VERSION"), "\n");
    assert_eq!(output(&mut command(&["--version"])).1, version);
}

/// Starts it, asks once, ends it. Gives what the request was answered and what the log says.
fn serve_once(mut command: Command, socket: &Path) -> (String, String) {
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut log = BufReader::new(child.stderr.take().unwrap());
    let mut lines = String::new();
    while !lines.contains("Listening at: ") {
        assert!(log.read_line(&mut lines).unwrap() > 0, "{lines}");
    }
    let answer = Client::new(UnixStream::connect(socket).unwrap()).get("/").text().to_owned();
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    log.read_to_string(&mut lines).unwrap();
    (answer, lines)
}

#[test]
fn it_serves_until_it_is_told_to_stop() {
    let scratch = tempfile::tempdir().unwrap();
    let socket = scratch.path().join("app.sock");
    let bind = format!("--bind=unix:{}", socket.display());
    let chdir = format!("--chdir={}", fixtures().display());
    let python = python();
    let mut command = command(&["--threads", "4", &bind, &chdir, "hello:application"]);
    command.arg("--python").arg(&python);
    let (answer, log) = serve_once(command, &socket);
    assert_eq!(answer, "Hello, world!");
    assert!(log.contains(&format!("[INFO] Listening at: unix:{} (", socket.display())), "{log}");
    assert!(!socket.exists());
}

#[test]
fn everybody_may_connect_unless_the_umask_says_otherwise() {
    for (umask, mode) in [("0", 0o777), ("7", 0o770), ("0117", 0o660)] {
        let scratch = tempfile::tempdir().unwrap();
        let socket = scratch.path().join("app.sock");
        let bind = format!("unix:{}", socket.display());
        let mut command = command(&["-b", &bind, "--umask", umask, "file_mode"]);
        command.arg("--chdir").arg(scratch.path()).arg("--python").arg(python());
        // The umask is the socket's alone: what the application makes is as its own umask has it.
        let application = "import os\n\
             def application(environ, start_response):\n    start_response('200 OK', [])\n    \
             umask = os.umask(0)\n    os.umask(umask)\n    \
             return [b'%o %o' % (os.stat('app.sock').st_mode & 0o777, umask)]\n";
        fs::write(scratch.path().join("file_mode.py"), application).unwrap();
        let facts = fs::read_to_string("/proc/self/status").unwrap();
        let own = facts.lines().find_map(|line| line.strip_prefix("Umask:\t")).unwrap();
        let own = u32::from_str_radix(own, 8).unwrap();
        let (answer, _) = serve_once(command, &socket);
        assert_eq!(answer, format!("{mode:o} {own:o}"));
    }
}

#[test]
fn the_interpreter_is_the_environments() {
    let scratch = tempfile::tempdir().unwrap();
    let bin = scratch.path().join("bin");
    fs::create_dir(&bin).unwrap();
    let script = bin.join("python");
    fs::write(&script, "#!/bin/sh\necho the one in VIRTUAL_ENV\n").unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = command(&["a:b"]);
    command.env("VIRTUAL_ENV", scratch.path());
    assert_eq!(output(&mut command).1, "the one in VIRTUAL_ENV\n");
    // One that was removed is passed over, and PATH asked.
    let mut command = self::command(&["a:b"]);
    command.env("VIRTUAL_ENV", "/no/such/environment").env("PATH", &bin);
    fs::rename(&script, bin.join("python3")).unwrap();
    assert_eq!(output(&mut command).1, "the one in VIRTUAL_ENV\n");
}
