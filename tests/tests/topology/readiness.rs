//! When a hop counts as ready: not before it is, and never once it has ended.

use std::fs;
use std::net::TcpListener;

use anyhow::Result;
use e2e::scratch::Scratch;
use topology::kinds::Ready;
use topology::process::Process;

use crate::deployment::until;
use crate::own_kind::{OwnKind, start};

/// Listens at once; goes on when the test has made its file.
const WAITS: &str = r#"
import os, pathlib, socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while not pathlib.Path(sys.argv[2]).exists():
    time.sleep(0.01)
"#;

const NOTIFIES: &str = r#"
notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
notify.sendto(b"STATUS=nearly\nREADY=0", os.environ["NOTIFY_SOCKET"])
notify.sendto(b"READY=1\nSTATUS=up", os.environ["NOTIFY_SOCKET"])
time.sleep(600)
"#;

const ANSWERS: &str = r#"
def answer(status):
    connection, _ = listener.accept()
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 %d x\r\nContent-Length: 0\r\n\r\n" % status)
    connection.close()
answer(503)
pathlib.Path(sys.argv[2] + "-refused").touch()
while True:
    answer(404)
"#;

fn free_port() -> std::io::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Starts it, and looks whether it is waited for although somebody listens already.
async fn is_ready_only_after_its_file(script: String, ready: Ready) -> Result<()> {
    let scratch = Scratch::new();
    let (file, port) = (scratch.join("go"), free_port()?);
    let kind = OwnKind { script: script.leak(), ready, file: file.clone() };
    let starting = tokio::spawn(start(kind, Some(port)));
    until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await?;
    assert!(!starting.is_finished());
    fs::write(&file, "")?;
    let stack = starting.await??;
    assert!(stack.hops[0].process.alive());
    Ok(())
}

#[tokio::test]
async fn one_that_notifies_is_ready_when_it_says_so() {
    is_ready_only_after_its_file(format!("{WAITS}{NOTIFIES}"), Ready::Notify).await.unwrap();
}

#[tokio::test]
async fn one_that_is_asked_by_http_is_ready_when_it_answers_without_an_error_of_its_own() {
    let scratch = Scratch::new();
    let file = scratch.join("go");
    fs::write(&file, "").unwrap();
    let script = format!("{WAITS}{ANSWERS}").leak();
    let kind = OwnKind { script, ready: Ready::Http, file };
    let stack = start(kind, None).await.unwrap();
    assert!(scratch.join("go-refused").exists());
    drop(stack);
}

#[tokio::test]
async fn one_that_is_connected_to_is_ready_when_it_listens() {
    let scratch = Scratch::new();
    let file = scratch.join("never");
    let kind = OwnKind { script: WAITS, ready: Ready::Connect, file };
    let stack = start(kind, None).await.unwrap();
    let process = stack.hops[0].process;
    assert!(process.alive());
    drop(stack);
    assert!(!process.alive());
}

/// Whatever is waited for, its end is told at once, with how and what it said.
#[tokio::test]
async fn one_that_ends_is_not_waited_for() {
    const FAILS: &str = r#"
import sys
print("reading the configuration")
sys.exit("ConfigurationError: no such colour")
"#;
    const IS_KILLED: &str = r#"
import os, signal
print("here I am", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"#;
    for ready in [Ready::Notify, Ready::Connect, Ready::Http] {
        let file = Scratch::new().join("none");
        let kind = OwnKind { script: FAILS, ready, file: file.clone() };
        let error = format!("{:#}", start(kind, None).await.unwrap_err());
        assert!(error.contains("hop \"edge\" (script) ended"), "{error}");
        assert!(error.contains("exit code 1"), "{error}");
        assert!(error.contains(": ConfigurationError: no such colour\n"), "{error}");
        assert!(error.contains("\n    reading the configuration"), "{error}");
        let kind = OwnKind { script: IS_KILLED, ready, file };
        let error = format!("{:#}", start(kind, None).await.unwrap_err());
        assert!(error.contains("(SIGKILL)") && error.contains("here I am"), "{error}");
    }
}

/// A server that went into the background belongs to its hop.
#[tokio::test]
async fn what_a_hop_leaves_running_ends_with_it() {
    const FORKS: &str = r#"
import os, pathlib, socket, sys, time
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        import signal
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)
        pathlib.Path(sys.argv[2]).write_text(str(os.getpid()))
        time.sleep(600)
    os._exit(0)
os.wait()
time.sleep(600)
"#;
    let scratch = Scratch::new();
    let file = scratch.join("pid");
    let kind = OwnKind { script: FORKS, ready: Ready::Connect, file: file.clone() };
    let stack = start(kind, None).await.unwrap();
    let mut pid = None;
    until(|| {
        pid = fs::read_to_string(&file).ok().and_then(|text| text.parse().ok());
        pid.is_some()
    })
    .await
    .unwrap();
    let background = Process::of(pid.unwrap()).unwrap();
    drop(stack);
    assert!(!background.alive());
}
