//! Where it listens, and what is left of it afterwards: nothing.

use std::{fs, os::unix::fs::PermissionsExt, os::unix::net::UnixListener, path::Path};

use nix::sys::signal::Signal;

use crate::stack::{Gateway, Listens, Setup, fixtures, start, start_on, wait_until_gone};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn a_unix_socket_is_everybodys_unless_masked() {
    let gateway = start_on(Listens::Unix, &[]);
    assert_eq!(mode(&gateway.scratch().join("app.sock")), 0o777);
    let gateway = start_on(Listens::Unix, &["--umask", "007"]);
    assert_eq!(mode(&gateway.scratch().join("app.sock")), 0o770);
}

#[test]
fn nothing_is_left_after_a_stop() {
    let mut gateway = start_on(Listens::Unix, &["--pid", "gateway.pid", "--workers", "2"]);
    let pid_file = gateway.scratch().join("gateway.pid");
    assert_eq!(fs::read_to_string(&pid_file).unwrap(), format!("{}\n", gateway.pid()));
    gateway.log.wait_for_nth("Booting worker", 2);
    gateway.stop();
    assert_eq!(fs::read_dir(gateway.scratch()).unwrap().count(), 0);
    gateway.booted().into_iter().for_each(wait_until_gone);
}

#[test]
fn no_worker_is_left_when_it_is_killed() {
    let mut gateway = start(&["--workers", "2"]);
    gateway.log.wait_for_nth("Booting worker", 2);
    gateway.signal(Signal::SIGKILL);
    // The log ends only when every process that holds it has gone.
    gateway.wait();
    gateway.booted().into_iter().for_each(wait_until_gone);
}

#[test]
fn a_worker_in_the_middle_of_a_request_is_not_left_either() {
    let mut gateway = start(&["--workers", "1"]);
    let held = gateway.begin("/endless");
    gateway.log.wait_for("endless /endless");
    gateway.signal(Signal::SIGKILL);
    gateway.wait();
    drop(held);
    gateway.booted().into_iter().for_each(wait_until_gone);
}

fn launch_at(bind: &str, before: impl FnOnce(&Path)) -> Gateway {
    launch_with(bind, &[], before)
}

fn launch_with(bind: &str, more: &[&str], before: impl FnOnce(&Path)) -> Gateway {
    let fixtures = fixtures();
    let mut flags =
        vec!["--pythonpath", fixtures.to_str().unwrap(), "app:application", "--bind", bind];
    flags.extend(["--log-level", "debug"]);
    flags.extend(more);
    let setup = Setup::new(Listens::Elsewhere, &flags);
    before(setup.scratch.path());
    setup.launch()
}

#[test]
fn a_socket_nobody_answers_on_is_replaced() {
    let gateway = launch_at("unix:app.sock", |scratch| {
        drop(UnixListener::bind(scratch.join("app.sock")).unwrap());
        assert!(scratch.join("app.sock").exists());
    });
    gateway.log.wait_for("Listening at: unix:app.sock");
}

#[test]
fn a_socket_somebody_answers_on_is_left_alone() {
    let mut other = None;
    let mut gateway = launch_at("unix:app.sock", |scratch| {
        other = Some(UnixListener::bind(scratch.join("app.sock")).unwrap());
    });
    assert_eq!(gateway.exit_code(), Some(1));
    let in_use = "connection to unix:app.sock failed: [Errno 98] Address already in use";
    assert!(gateway.log.text().contains(in_use), "{}", gateway.log.text());
    assert!(gateway.scratch().join("app.sock").exists());
}

#[test]
fn a_file_in_the_way_is_not_removed() {
    let mut gateway = launch_at("unix:app.sock", |scratch| {
        fs::write(scratch.join("app.sock"), "precious").unwrap();
    });
    assert_eq!(gateway.exit_code(), Some(1));
    assert_eq!(fs::read(gateway.scratch().join("app.sock")).unwrap(), b"precious");
}

#[test]
fn a_port_in_use_is_tried_again_and_said_with_its_address() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut gateway = launch_at(&address, |_| ());
    assert_eq!(gateway.exit_code(), Some(1));
    let log = gateway.log.text();
    for line in [
        format!("[ERROR] Connection in use: {address}\n"),
        format!("[ERROR] connection to {address} failed: [Errno 98] Address already in use\n"),
        "[DEBUG] Retrying in 1 second.\n".to_owned(),
    ] {
        assert_eq!(log.matches(&line).count(), 5, "{log}");
    }
    assert!(gateway.log.last_line().ends_with(&format!("[ERROR] Can't connect to {address}")));
}

#[test]
fn a_port_that_becomes_free_is_taken() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let gateway = launch_at(&address, |_| ());
    gateway.log.wait_for("Retrying in 1 second.");
    drop(taken);
    gateway.log.wait_for(&format!("Listening at: http://{address}"));
    assert_eq!(gateway.get("/").status, 200);
}

#[test]
fn a_stop_is_heard_while_a_port_is_waited_for() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut gateway = launch_with(&address, &["--pid", "gateway.pid"], |_| ());
    gateway.log.wait_for("Retrying in 1 second.");
    gateway.signal(Signal::SIGTERM);
    assert_eq!(gateway.exit_code(), Some(0), "{}", gateway.log.text());
    assert_eq!(fs::read_dir(gateway.scratch()).unwrap().count(), 0);
}

#[test]
fn an_inherited_socket_is_used_and_not_removed() {
    let fixtures = fixtures();
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("inherited.sock");
    let listener = UnixListener::bind(&path).unwrap();
    // Standard input is a descriptor like any other.
    let mut child = std::process::Command::new(crate::stack::binary())
        .args(["--python", &crate::stack::python(), "--bind", "fd://0"])
        .args(["--pythonpath", fixtures.to_str().unwrap(), "app:application"])
        .stdin(std::os::fd::OwnedFd::from(listener))
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let place = crate::stack::Place::Unix(path.clone());
    let mut stream = place.connect().unwrap();
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(stream.answer().status, 200);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM)
        .unwrap();
    assert!(child.wait().unwrap().success());
    assert!(path.exists());
}

#[test]
fn two_servers_can_share_a_port_if_both_say_so() {
    let first = start(&["--reuse-port"]);
    let crate::stack::Place::Tcp(address) = first.place().clone() else { panic!("it is TCP") };
    let second = launch_with(&address, &["--reuse-port"], |_| ());
    second.log.wait_for(&format!("Listening at: http://{address}"));
}

#[test]
fn the_pid_file_moves_with_the_settings() {
    let fixtures = fixtures();
    let flags = ["--pythonpath", fixtures.to_str().unwrap(), "app:application"];
    let setup = Setup::new(Listens::Unix, &flags);
    setup.write("gunicorn.conf.py", "pidfile = 'one.pid'\n");
    let gateway = setup.launch();
    gateway.log.wait_for("Booting worker");
    let file = |name: &str| fs::read_to_string(gateway.scratch().join(name)).unwrap_or_default();
    assert_eq!(file("one.pid"), format!("{}\n", gateway.pid()));
    assert_eq!(mode(&gateway.scratch().join("one.pid")), 0o644);
    gateway.write("gunicorn.conf.py", "pidfile = 'two.pid'\n");
    gateway.signal(Signal::SIGHUP);
    gateway.log.wait_for("Worker exiting");
    assert_eq!(file("two.pid"), format!("{}\n", gateway.pid()));
    assert!(!gateway.scratch().join("one.pid").exists());
}
