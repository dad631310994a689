//! `--user` and `--group`: who answers, and whose files are whose. Only root can try that.

use std::{
    fs,
    net::TcpListener,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::Command,
};

use nix::{sys::signal::Signal, unistd::Uid};

use crate::stack::{Gateway, Listens, Setup, binary, fixtures, wait_until};

const NOBODY: u32 = 65534;

fn is_root(test: &str) -> bool {
    if !Uid::effective().is_root() {
        eprintln!("{test}: skipped, only root can become somebody else");
    }
    Uid::effective().is_root()
}

/// With everything where nobody can read it.
fn setup(flags: &[&str]) -> Setup {
    let mut all = vec!["app:application", "--user", "65534", "--log-level", "debug"];
    all.extend(flags);
    let mut setup = Setup::new(Listens::Elsewhere, &all);
    let scratch = setup.scratch.path();
    fs::set_permissions(scratch, fs::Permissions::from_mode(0o755)).unwrap();
    fs::copy(fixtures().join("app.py"), scratch.join("app.py")).unwrap();
    let library = "libcauseway_app_host.so";
    let program = scratch.join("causeway-gateway");
    fs::copy(binary(), &program).unwrap();
    fs::copy(binary().with_file_name(library), scratch.join(library)).unwrap();
    let arguments: Vec<_> = setup.command.get_args().map(ToOwned::to_owned).collect();
    let mut command = Command::new(program);
    command.args(arguments).current_dir(scratch).stdin(std::process::Stdio::null());
    command.env("XDG_RUNTIME_DIR", scratch).env("PYTHONDONTWRITEBYTECODE", "1");
    setup.command = command;
    setup
}

/// A line of `/proc/PID/status`.
fn status(pid: i32, name: &str) -> Vec<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name}:"))).unwrap();
    line.split_whitespace().map(str::to_owned).collect()
}

fn owner(path: &Path) -> (u32, u32) {
    let facts = fs::symlink_metadata(path).unwrap();
    (facts.uid(), facts.gid())
}

#[track_caller]
fn assert_is_nobody(pid: i32) {
    let number = NOBODY.to_string();
    assert_eq!(status(pid, "Uid"), vec![number.clone(); 4]);
    assert_eq!(status(pid, "Gid"), vec![number.clone(); 4]);
    assert_eq!(status(pid, "Groups"), [number]);
}

fn children(gateway: &Gateway) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{0}/task/{0}/children", gateway.pid())).unwrap();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn all_of_it_becomes_that_user_and_its_files_do() {
    if !is_root("all_of_it_becomes_that_user") {
        return;
    }
    let flags = ["--bind", "unix:app.sock", "--pid", "gateway.pid", "--error-logfile", "error.log"];
    let mut gateway = setup(&flags).launch();
    let log = gateway.scratch().join("error.log");
    wait_until("a worker is ready", || {
        fs::read_to_string(&log).is_ok_and(|text| text.contains("Worker ready")).then_some(())
    });
    assert_is_nobody(gateway.pid());
    let children = children(&gateway);
    assert_eq!(children.len(), 2, "a worker, and what it was forked from");
    children.into_iter().for_each(assert_is_nobody);
    assert!(
        status(gateway.pid(), "CapEff").iter().all(|set| set.chars().all(|digit| digit == '0'))
    );
    for name in ["app.sock", "gateway.pid", "error.log"] {
        assert_eq!(owner(&gateway.scratch().join(name)), (NOBODY, NOBODY), "{name}");
    }
    let mut stream =
        crate::stack::Place::Unix(gateway.scratch().join("app.sock")).connect().unwrap();
    std::io::Write::write_all(&mut stream, b"GET /version HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(stream.answer().text(), "one");
    gateway.stop();
    // Its folder is root's, so it can not be removed; nobody runs, it says.
    assert_eq!(fs::read_to_string(gateway.scratch().join("gateway.pid")).unwrap(), "");
}

fn free_low_port() -> u16 {
    let mut ports = 600..1024;
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("one is free")
}

#[test]
fn of_roots_rights_one_is_kept_if_it_is_needed_again() {
    if !is_root("of_roots_rights_one_is_kept") {
        return;
    }
    let port = free_low_port();
    let setup = setup(&[]);
    setup.write("gunicorn.conf.py", &format!("bind = '127.0.0.1:{port}'\n"));
    let gateway = setup.launch();
    gateway.log.wait_for("Worker ready");
    assert_is_nobody(gateway.pid());
    assert_eq!(status(gateway.pid(), "CapEff"), ["0000000000000400"]);
    for child in children(&gateway) {
        for set in ["CapPrm", "CapEff", "CapInh", "CapAmb"] {
            assert_eq!(status(child, set), ["0000000000000000"]);
        }
    }
    let other = free_low_port();
    gateway.write("gunicorn.conf.py", &format!("bind = '127.0.0.1:{other}'\n"));
    gateway.signal(Signal::SIGHUP);
    gateway.log.wait_for(&format!("Listening at: http://127.0.0.1:{other} "));
    gateway.log.wait_for("Worker exiting");
    let mut stream = crate::stack::Place::Tcp(format!("127.0.0.1:{other}")).connect().unwrap();
    std::io::Write::write_all(&mut stream, b"GET /version HTTP/1.0\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(stream.answer().text(), "one");
}

#[test]
fn hup_can_not_make_it_somebody_else() {
    if !is_root("hup_can_not_make_it_somebody_else") {
        return;
    }
    let setup = Setup::new(Listens::Tcp, &["app:application", "--log-level", "debug"]);
    fs::copy(fixtures().join("app.py"), setup.scratch.path().join("app.py")).unwrap();
    let gateway = setup.launch();
    gateway.log.wait_for("Worker ready");
    gateway.write("gunicorn.conf.py", "user = 'nobody'\n");
    gateway.signal(Signal::SIGHUP);
    gateway.log.wait_for("Reason: running as user 65534, group 65534 takes a restart");
    assert_eq!(gateway.get("/version").text(), "one");
}

#[test]
fn whom_nobody_knows_is_an_error() {
    for (flag, what) in [("--user", "no such user"), ("--group", "no such group")] {
        let mut gateway =
            Setup::new(Listens::Tcp, &["app:application", flag, "surely-nobody"]).launch();
        assert_eq!(gateway.exit_code(), Some(1));
        assert!(
            gateway.log.text().contains(&format!("Error: {flag}: {what}: \"surely-nobody\"")),
            "{}",
            gateway.log.text()
        );
    }
}

#[test]
fn an_upgrade_goes_on_as_that_user() {
    if !is_root("an_upgrade_goes_on_as_that_user") {
        return;
    }
    let gateway = setup(&["--bind", "unix:app.sock", "--pid", "gateway.pid"]).launch();
    gateway.log.wait_for("Worker ready");
    gateway.signal(Signal::SIGUSR2);
    // Its folder is root's.
    gateway.log.wait_for("[WARNING] pid file 'gateway.pid.2' can not be written: ");
    gateway.log.wait_for_nth("Worker ready", 2);
    let line = gateway.log.wait_for("New master with pid: ");
    let new: i32 = line.rsplit(' ').next().unwrap().parse().unwrap();
    assert_is_nobody(new);
    gateway.signal(Signal::SIGTERM);
    gateway.log.wait_for("Master has been promoted.");
    let pid_file = gateway.scratch().join("gateway.pid");
    wait_until("the pid file names the new one", || {
        (fs::read_to_string(&pid_file).unwrap() == format!("{new}\n")).then_some(())
    });
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(new), Signal::SIGTERM).unwrap();
    gateway.log.wait_for_end();
}
