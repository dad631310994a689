//! syslog, byte by byte beside what gunicorn sends.

use std::{
    io::Read,
    net::{TcpListener, UdpSocket},
    os::unix::net::UnixDatagram,
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::Duration,
};

use crate::{
    real_gunicorn::{BOTH, Program, start},
    stack::{self, Gateway, Listens},
};

const PATIENCE: Duration = Duration::from_secs(30);

/// Messages as they come in, without the NUL that ends each.
struct Syslog {
    address: String,
    messages: Receiver<String>,
}

impl Syslog {
    /// `read` waits for bytes of some messages.
    fn begin(
        address: String,
        mut read: impl FnMut(&mut [u8]) -> std::io::Result<usize> + Send + 'static,
    ) -> Syslog {
        let (found, messages) = sync_channel(1000);
        thread::spawn(move || {
            let mut buffer = vec![0; 65536];
            let mut begun = Vec::new();
            while let Ok(length @ 1..) = read(&mut buffer) {
                for byte in &buffer[..length] {
                    if *byte != 0 {
                        begun.push(*byte);
                    } else if found.send(String::from_utf8_lossy(&begun).into_owned()).is_err() {
                        return;
                    } else {
                        begun.clear();
                    }
                }
            }
        });
        Syslog { address, messages }
    }

    fn udp() -> Syslog {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let address = format!("udp://{}", socket.local_addr().unwrap());
        Syslog::begin(address, move |buffer| socket.recv(buffer))
    }

    fn unix(folder: &std::path::Path, name: &str) -> Syslog {
        let path = folder.join(name);
        let socket = UnixDatagram::bind(&path).unwrap();
        Syslog::begin(format!("unix://{}#dgram", path.display()), move |buffer| socket.recv(buffer))
    }

    /// Each process has a connection of its own.
    fn tcp() -> Syslog {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("tcp://{}", listener.local_addr().unwrap());
        let (found, messages) = sync_channel(1000);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let one = Syslog::begin(String::new(), move |buffer| stream.read(buffer));
                let found = found.clone();
                thread::spawn(move || {
                    for message in one.messages {
                        let _ = found.send(message);
                    }
                });
            }
        });
        Syslog { address, messages }
    }

    /// The messages until the server's last, with numbers of processes and times masked.
    fn all(&self) -> Vec<String> {
        let mut all = Vec::new();
        loop {
            let message = self.messages.recv_timeout(PATIENCE).expect("there is more to come");
            let is_last = message.contains("Shutting down");
            all.push(masked(&message));
            if is_last {
                all.sort();
                return all;
            }
        }
    }
}

/// Tracebacks show the server's own files, and each server says its own name.
fn masked(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    let first = first.split("Starting ").next().unwrap_or_default();
    let mut text = String::new();
    for letter in first.chars() {
        if !letter.is_ascii_digit() {
            text.push(letter);
        } else if !text.ends_with('0') {
            text.push('0');
        }
    }
    // What is between the brackets of a date.
    text.replace("Nov", "Month")
}

/// Says the application's own line, an access line, a failure, and everything of a start and a stop.
fn drive(mut server: Gateway) {
    server.log.wait_for("Booting worker");
    for target in ["/say", "/nothing?q"] {
        server.get(target);
    }
    server.stop();
}

fn check(both: [Syslog; 2], flags: &[&str]) -> Vec<String> {
    let mut said = BOTH.into_iter().zip(both).map(|(program, syslog)| {
        let all = [&["--log-syslog", "--log-syslog-to", &syslog.address], flags].concat();
        drive(start(program, "spoken:application", Listens::Tcp, &all, ""));
        (program, syslog.all())
    });
    let ((_, ours), (program, theirs)) = (said.next().unwrap(), said.next().unwrap());
    assert!(program == Program::Gunicorn);
    assert_eq!(ours, theirs, "ours, then gunicorn's");
    ours
}

#[test]
fn datagrams_are_gunicorns() {
    let said = check([Syslog::udp(), Syslog::udp()], &[]);
    assert!(
        said.contains(&"<0>gunicorn.spoken.application.error: [0] Using worker: sync".to_owned())
    );
}

#[test]
fn on_a_unix_socket_with_another_name_and_without_requests() {
    let folder = tempfile::tempdir().unwrap();
    let both = ["ours", "gunicorns"].map(|name| Syslog::unix(folder.path(), name));
    let flags = [
        "--log-syslog-prefix=site",
        "--log-syslog-facility=LOCAL3",
        "--disable-redirect-access-to-syslog",
    ];
    let said = check(both, &flags);
    assert!(said.iter().all(|line| line.starts_with("<0>gunicorn.site.error: [")), "{said:?}");
}

#[test]
fn over_tcp() {
    check([Syslog::tcp(), Syslog::tcp()], &["--name", "a:b"]);
}

#[test]
fn facilities_and_levels_are_numbers() {
    let syslog = Syslog::udp();
    let flags =
        ["--log-syslog", "--log-syslog-to", &syslog.address, "--log-syslog-facility", "local3"];
    let flags = [&flags[..], &["--access-logformat", "line %(s)s"]].concat();
    let gateway = start(Program::Ours, "spoken:application", Listens::Tcp, &flags, "");
    gateway.log.wait_for("Booting worker");
    gateway.get("/boom");
    // local3 is 19: 19 * 8 + 6 for an info, + 3 for an error.
    let [mut info, mut error] = [false; 2];
    while !info || !error {
        let message = syslog.messages.recv_timeout(PATIENCE).expect("there is more to come");
        info |= message.starts_with("<158>gunicorn.spoken.application.access: ")
            && message.ends_with("] line 500");
        error |= message.starts_with("<155>gunicorn.spoken.application.error: ")
            && message.ends_with("RuntimeError: boom");
    }
}

#[test]
fn one_that_is_not_there_costs_a_warning_and_nothing_else() {
    for address in ["unix:///nowhere/log", "tcp://127.0.0.1:1", "udp://127.0.0.1:1"] {
        let mut gateway = stack::start(&["--log-syslog", "--log-syslog-to", address]);
        for _ in 0..5 {
            assert_eq!(gateway.get("/").status, 200);
        }
        let line = gateway.log.wait_for("syslog at \"");
        assert!(line.contains("[WARNING]") && line.contains(address), "{line}");
        gateway.stop();
        assert_eq!(gateway.log.count("syslog at \""), 1, "{}", gateway.log.text());
    }
}

#[test]
fn what_is_no_address_or_facility_is_refused() {
    for (flag, value) in [("--log-syslog-to", "/dev/log"), ("--log-syslog-facility", "loud")] {
        let mut gateway =
            stack::Setup::new(Listens::Tcp, &[flag, value, "app:application"]).launch();
        assert_eq!(gateway.exit_code(), Some(1));
        let line = gateway.log.last_line();
        assert!(line.contains(flag) && line.contains(value), "{line}");
    }
}
