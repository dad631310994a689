//! gunicorn's own client, from a virtual environment, on our control socket.

use std::{
    fs,
    io::{Read, Write},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use xtask::progress::Progress;

use crate::stack::{Gateway, Listens, Setup, fixtures, start, wait_until_gone};

fn gunicornc() -> PathBuf {
    let gunicorn = xtask::peers::gunicorn(Progress::Quiet).unwrap();
    gunicorn.with_file_name("gunicornc")
}

fn run(gateway: &Gateway, command: &str, json: bool) -> Output {
    let mut client = Command::new(gunicornc());
    client.arg("-s").arg(gateway.scratch().join("gunicorn.ctl")).args(["-c", command]);
    if json {
        client.arg("-j");
    }
    client.output().unwrap()
}

/// As an operator sees it.
#[track_caller]
fn say(gateway: &Gateway, command: &str) -> String {
    let output = run(gateway, command, false);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn ask(gateway: &Gateway, command: &str) -> Value {
    let output = run(gateway, command, true);
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn listening(flags: &[&str]) -> Gateway {
    let gateway = start(flags);
    gateway.log.wait_for("Control socket listening at ");
    gateway
}

#[test]
fn everything_is_shown() {
    let gateway = listening(&["--workers", "2", "--timeout", "77", "-e", "PASSWORD=secret"]);
    gateway.log.wait_for_nth("Worker ready", 2);
    let all = say(&gateway, "show all");
    assert!(all.contains(&format!("PID: {}", gateway.pid())), "{all}");
    assert!(all.contains("WEB WORKERS (2)"), "{all}");
    let workers = say(&gateway, "show workers");
    for pid in gateway.booted() {
        let line = workers.lines().find(|line| line.starts_with(&pid.to_string())).unwrap();
        assert!(line.contains("yes") && line.contains("s ago"), "{line}");
    }
    let stats = say(&gateway, "show stats");
    for line in
        ["Workers current:  2", "Workers target:   2", "Workers spawned:  2", "Reloads:          0"]
    {
        assert!(stats.contains(line), "{stats}");
    }
    let listeners = ask(&gateway, "show listeners");
    assert_eq!(listeners["count"], 1);
    assert_eq!(listeners["listeners"][0]["type"], "tcp");
    let config = ask(&gateway, "show config");
    assert_eq!((&config["workers"], &config["timeout"]), (&2.into(), &77.into()));
    assert!(!config.to_string().contains("secret"), "{config}");
    assert!(say(&gateway, "show config").contains("timeout: 77"));
    assert!(say(&gateway, "help").contains("worker kill <PID>"));
    assert_eq!(ask(&gateway, "show dirty")["enabled"], false);
}

#[test]
fn a_request_in_hand_has_a_name() {
    let gateway = listening(&["--workers", "1"]);
    let gate = gateway.gate("gate");
    let held = gateway.begin(&format!("/held?gate={}", gate.path()));
    gateway.log.wait_for("held /held");
    let workers = ask(&gateway, "show workers");
    let worker = &workers["workers"][0];
    let request = &worker["requests"][0];
    assert_eq!((&request["method"], &request["client"]), (&"GET".into(), &"127.0.0.1".into()));
    assert!(request["path"].as_str().unwrap().starts_with("/held?gate="), "{request}");
    assert!(request["age"].is_number(), "{request}");
    assert!(worker["memory"].as_u64().unwrap() > 1_000_000, "{worker}");
    // The harness asked once, to see that it serves.
    assert_eq!(worker["requests_served"], 2);
    let requests = ask(&gateway, "show requests");
    assert_eq!((&requests["count"], &requests["waiting"]), (&1.into(), &0.into()));
    gate.open();
    assert_eq!(held.answer().text(), "released");
}

#[test]
fn workers_come_and_go() {
    let gateway = listening(&["--workers", "1"]);
    let added = ask(&gateway, "worker add 2");
    assert_eq!((&added["added"], &added["total"]), (&2.into(), &3.into()));
    gateway.log.wait_for_nth("Worker ready", 3);
    let removed = ask(&gateway, "worker remove 9");
    assert_eq!((&removed["removed"], &removed["total"]), (&2.into(), &1.into()));
    gateway.log.wait_for_nth("Worker exiting", 2);
    let last = gateway.worker();
    assert_eq!(ask(&gateway, &format!("worker kill {last}"))["success"], true);
    gateway.log.wait_for_nth("Worker exiting", 3);
    wait_until_gone(last);
    assert_ne!(gateway.worker(), last);
    assert_eq!(ask(&gateway, "worker kill 1")["success"], false);
    assert_eq!(gateway.log.count("Control command: worker add 2 (user "), 1);
}

#[test]
fn it_reloads_reopens_and_stops() {
    let mut gateway = listening(&["--workers", "1"]);
    assert!(say(&gateway, "reload").contains("reloading"));
    gateway.log.wait_for("Handling signal: hup");
    gateway.log.wait_for("Worker exiting");
    assert_eq!(ask(&gateway, "show stats")["reloads"], 1);
    assert!(say(&gateway, "reopen").contains("reopening"));
    gateway.log.wait_for("Handling signal: usr1");
    assert!(say(&gateway, "shutdown").contains("graceful"));
    assert_eq!(gateway.exit_code(), Some(0), "{}", gateway.log.text());
    assert!(!gateway.scratch().join("gunicorn.ctl").exists());
    let mut gateway = listening(&[]);
    assert!(say(&gateway, "shutdown quick").contains("quick"));
    gateway.log.wait_for("Handling signal: int");
    assert_eq!(gateway.exit_code(), Some(0));
}

#[test]
fn what_there_is_not_is_refused_by_name() {
    let gateway = listening(&[]);
    for (command, reason) in [
        ("dirty add 1", "dirty workers are gunicorn's; causeway-gateway has none"),
        ("show me", "Unknown command: show me"),
        ("worker kill", "Unknown command: worker kill"),
    ] {
        let output = run(&gateway, command, false);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1));
        assert!(said.contains(reason), "{said}");
    }
    // What is no command at all costs its sender the connection, and nobody else anything.
    for junk in
        [&b"\xff\xff\xff\xff"[..], b"\0\0\0\x02[]", b"\0\0\0\x01x", b"GET / HTTP/1.0\r\n\r\n"]
    {
        let mut stream = UnixStream::connect(gateway.scratch().join("gunicorn.ctl")).unwrap();
        stream.write_all(junk).unwrap();
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(!String::from_utf8_lossy(&answer).contains("\"ok\""), "{answer:?}");
    }
    say(&gateway, "help");
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn launch(flags: &[&str], prepare: impl FnOnce(&mut Setup)) -> Gateway {
    let fixtures = fixtures();
    let mut all = vec!["--pythonpath", fixtures.to_str().unwrap(), "app:application"];
    all.extend(["--log-level", "debug"]);
    all.extend(flags);
    let mut setup = Setup::new(Listens::Tcp, &all);
    prepare(&mut setup);
    let gateway = setup.launch();
    gateway.log.wait_for("Worker ready");
    gateway
}

#[test]
fn it_is_its_owners_alone_and_where_gunicornc_looks() {
    let gateway = launch(&[], |setup| {
        let home = setup.scratch.path().join("home");
        setup.command.env_remove("XDG_RUNTIME_DIR").env("HOME", home);
    });
    let socket = gateway.scratch().join("home/.gunicorn/gunicorn.ctl");
    assert_eq!((mode(&socket), mode(socket.parent().unwrap())), (0o600, 0o700));
    let gateway =
        launch(&["--control-socket", "own.ctl", "--control-socket-mode", "0o660"], |_| ());
    assert_eq!(mode(&gateway.scratch().join("own.ctl")), 0o660);
    let gateway = launch(&["--no-control-socket"], |_| ());
    assert!(!gateway.scratch().join("gunicorn.ctl").exists());
}

#[test]
fn that_it_can_not_be_had_is_only_a_warning() {
    let first = listening(&[]);
    let theirs = first.scratch().join("gunicorn.ctl");
    let second = launch(&["--control-socket", theirs.to_str().unwrap()], |_| ());
    second.log.wait_for("another server answers there; --control-socket gives this one its own");
    assert_eq!(second.get("/version").text(), "one");
    assert_eq!(ask(&first, "show stats")["pid"], first.pid());
    let third = launch(&["--control-socket", "/proc/nowhere/x.ctl"], |_| ());
    third.log.wait_for("[WARNING] no control socket at \"/proc/nowhere/x.ctl\": ");
    assert_eq!(third.get("/version").text(), "one");
}
