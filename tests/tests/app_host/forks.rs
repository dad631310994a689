//! An application that forks in a request, and whose child comes back to us or lives on.

use std::io::Read;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::host::Host;

#[test]
fn the_parent_answers_and_the_child_ends() {
    let host = Host::start("forks");
    let mut client = host.connect();
    let pid = host.child.id().to_string();
    for (path, answer) in [
        ("/returns", "child ended with 0"),
        // An OSError: the socket is not its own.
        ("/writes", "child ended with 1"),
        ("/raises", "child ended with 1"),
        ("/exits", "child ended with 7"),
        ("/exits_with_text", "child ended with 1"),
        ("/leaves", "child ended with 5"),
        ("/hints", "child ended with 1"),
        ("/generated", "before child ended with 0"),
        // To it, and not to us.
        ("/terminated", "child ended with -15"),
    ] {
        let gateway = [("CAUSEWAY_GATEWAY", "1")];
        let response = client.request(path, &gateway, b"a body");
        assert_eq!((response.text(), response.app_status()), (answer, 0), "{path}: {}", host.log());
        assert_eq!(response.interim.len(), 0);
        assert_eq!(client.get("/pid").text(), pid, "{path}");
    }
    let log = host.log();
    let line = "[WARNING] a process forked in GET /returns has returned from it, and ends\n";
    assert_eq!(log.matches(line).count(), 1, "{log}");
    assert!(log.contains("RuntimeError: in the child"), "{log}");
}

#[test]
fn a_child_that_lives_on_keeps_no_connection_open() {
    let mut host = Host::start("forks");
    let mut client = host.connect();
    let child = client.get("/lives_on").text().parse().unwrap();
    host.signal(Signal::SIGKILL);
    host.wait();
    // The end, and not a wait for the child.
    assert_eq!(client.stream.read(&mut [0; 16]).unwrap(), 0);
    assert!(std::os::unix::net::UnixStream::connect(&host.socket).is_err());
    kill(Pid::from_raw(child), Signal::SIGKILL).unwrap();
}
