//! The program: its command line, and what is left of it when it ends in either way.

#![expect(clippy::unwrap_used, reason = "a test that can not go on has failed")]

mod started; // the program, running
#[cfg(feature = "clients")]
mod clients; // Toxiproxy's public clients drive it

use std::{fs, io::Read as _, path::Path, process::ExitStatus};

use nix::sys::signal::Signal;
use started::Started;

/// A configuration with one proxy on a unix socket, and the socket's path.
fn configured(folder: &Path) -> (String, String) {
    let socket = folder.join("socket").display().to_string();
    let proxies = serde_json::json!([{
        "name": "hop", "listen": format!("unix:{socket}"), "upstream": "127.0.0.1:1",
    }]);
    let config = folder.join("proxies.json");
    fs::write(&config, proxies.to_string()).unwrap();
    (config.display().to_string(), socket)
}

#[test]
fn it_ends_in_good_order_and_takes_its_sockets_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (config, socket) = configured(folder.path());
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        let mut program = Started::new(&["--config", &config]);
        program.line("proxy \"hop\" listens on unix:");
        assert!(Path::new(&socket).exists());
        let status = program.end(signal);
        assert!(status.success(), "{signal}: {status}");
        assert!(!Path::new(&socket).exists(), "{signal}");
    }
}

#[test]
fn what_a_kill_leaves_is_replaced_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let (config, socket) = configured(folder.path());
    for _ in 0..2 {
        let mut program = Started::new(&["--config", &config]);
        program.line("proxy \"hop\" listens on unix:");
        program.end(Signal::SIGKILL);
        assert!(Path::new(&socket).exists());
    }
}

#[test]
fn a_kill_leaves_nothing_of_an_abstract_name() {
    let folder = tempfile::tempdir().unwrap();
    let name = format!("@fault-program-{}", fastrand::u64(..));
    let config = folder.path().join("proxies.json");
    let listen = format!("unix:{name}");
    let proxies = serde_json::json!([{"name": "n", "listen": listen, "upstream": "127.0.0.1:1"}]);
    fs::write(&config, proxies.to_string()).unwrap();
    let config = config.display().to_string();
    let is_there = || fs::read_to_string("/proc/net/unix").unwrap().contains(&name);
    let mut program = Started::new(&["--config", &config]);
    program.line("proxy \"n\" listens on unix:@");
    assert!(is_there());
    program.end(Signal::SIGKILL);
    assert!(!is_there());
}

#[test]
fn what_it_can_not_begin_with_it_names() {
    let mut running = Started::new(&[]);
    let port = running.api.rsplit(':').next().unwrap().to_owned();
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("proxies.json");
    fs::write(&config, r#"[{"name": "a"}]"#).unwrap();
    let config = config.display().to_string();
    for (arguments, part) in [
        (&["--port", &port][..], format!("cannot listen on \"127.0.0.1:{port}\"")),
        (&["--port", "0", "--config", "/nowhere"], "cannot read \"/nowhere\"".to_owned()),
        (&["--port", "0", "--config", &config], "upstream at proxy 1".to_owned()),
    ] {
        let (status, said) = failed(arguments);
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(&part), "{said}");
    }
    running.end(Signal::SIGTERM);
}

fn failed(arguments: &[&str]) -> (ExitStatus, String) {
    let mut child = started::command(arguments).spawn().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (child.wait().unwrap(), said)
}
