//! `--daemon`: what was typed comes back with an answer, and leaves somebody behind it.

use std::{
    fs,
    os::unix::net::UnixDatagram,
    path::{Path, PathBuf},
    process::Output,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

use crate::stack::{Listens, Place, Setup, Stream, fixtures, wait_until, wait_until_gone};

/// One that was left behind, by its pid file.
pub(crate) struct Daemon {
    pub(crate) pid: i32,
    pub(crate) scratch: TempDir,
}

pub(crate) fn setup(flags: &[&str]) -> Setup {
    let fixtures = fixtures();
    let mut all = vec!["--pythonpath", fixtures.to_str().unwrap(), "app:application", "--daemon"];
    all.extend(["--pid", "gateway.pid", "--error-logfile", "error.log", "--log-level", "debug"]);
    all.extend(flags);
    Setup::new(Listens::Unix, &all)
}

impl Daemon {
    pub(crate) fn start(mut setup: Setup) -> (Daemon, Output) {
        let output = setup.command.output().unwrap();
        let scratch = setup.scratch;
        let pid = fs::read_to_string(scratch.path().join("gateway.pid"));
        let pid = pid.unwrap_or_else(|_| panic!("{output:?}")).trim().parse().unwrap();
        (Daemon { pid, scratch }, output)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.path("error.log")).unwrap()
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, text: &str, times: usize) {
        wait_until(text, || (self.log().matches(text).count() >= times).then_some(()));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid), signal).unwrap();
    }

    pub(crate) fn begin(&self, target: &str) -> Stream {
        let mut stream = Place::Unix(self.path("app.sock")).connect().unwrap();
        let request = format!("GET {target} HTTP/1.0\r\n\r\n");
        std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
        stream
    }

    /// The same files, another master.
    pub(crate) fn succeeded_by(self, pid: i32) -> Daemon {
        let scratch = tempfile::TempDir::new().unwrap();
        let mut old = self;
        let scratch = std::mem::replace(&mut old.scratch, scratch);
        Daemon { pid, scratch }
    }

    pub(crate) fn get(&self, target: &str) -> String {
        self.begin(target).answer().text()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = kill(Pid::from_raw(self.pid), Signal::SIGQUIT);
    }
}

fn descriptor(pid: i32, number: i32) -> PathBuf {
    fs::read_link(format!("/proc/{pid}/fd/{number}")).unwrap()
}

#[test]
fn it_is_alone_and_says_nothing_to_the_terminal() {
    let (daemon, output) = Daemon::start(setup(&[]));
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    // It listens already: no waiting here.
    let worker: i32 = daemon.get("/").rsplit(' ').next().unwrap().parse().unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid)).unwrap();
    let fields: Vec<i32> = stat
        .rsplit(") ")
        .next()
        .unwrap()
        .split(' ')
        .skip(1)
        .take(4)
        .map(|field| field.parse().unwrap())
        .collect();
    let [parent, _, session, terminal] = fields[..] else { panic!("{stat}") };
    assert_ne!(parent, std::process::id().cast_signed());
    assert_ne!(session, nix::unistd::getsid(None).unwrap().as_raw());
    // It leads no session, so no terminal can ever become its own.
    assert_ne!(session, daemon.pid);
    assert_eq!(terminal, 0);
    for number in 0..3 {
        assert_eq!(descriptor(daemon.pid, number), Path::new("/dev/null"));
    }
    assert_eq!(descriptor(worker, 1), Path::new("/dev/null"));
    daemon.signal(Signal::SIGTERM);
    wait_until_gone(daemon.pid);
    wait_until_gone(worker);
    for name in ["gateway.pid", "app.sock", "gunicorn.ctl"] {
        assert!(!daemon.path(name).exists(), "{name}");
    }
}

#[test]
fn without_an_error_log_nothing_of_it_keeps_the_terminal() {
    let (daemon, output) = Daemon::start(setup(&["--error-logfile", "-"]));
    // Until it listens it is on the terminal, and so is its log. Afterwards nobody holds what the
    // harness has read to its end.
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("Listening at: unix:"), "{said}");
    daemon.get("/");
}

#[test]
fn what_goes_wrong_is_said_where_it_was_typed() {
    let (daemon, _) = Daemon::start(setup(&[]));
    let mut second = setup(&[]);
    second.command.args(["--pid", daemon.path("gateway.pid").to_str().unwrap()]);
    let output = second.command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(&format!("Error: Already running on PID {} (or", daemon.pid)), "{said}");
    assert_eq!(output.status.code(), Some(1));
    let mut third = setup(&["--user", "surely-nobody"]);
    let output = third.command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said, "Error: --user: no such user: \"surely-nobody\"\n");
}

#[test]
fn under_systemd_it_stays() {
    let mut setup = setup(&["--error-logfile", "-"]);
    let path = setup.scratch.path().join("notify");
    let _manager = UnixDatagram::bind(&path).unwrap();
    setup.command.env("NOTIFY_SOCKET", path);
    let mut gateway = setup.launch();
    gateway
        .log
        .wait_for("--daemon is ignored: systemd (NOTIFY_SOCKET) watches the process it started");
    gateway.log.wait_for("Worker ready");
    gateway.stop();
}
