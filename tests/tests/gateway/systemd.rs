//! The service manager's side: sockets it hands over, what it is told. A real datagram socket listens.

use std::{
    fs,
    os::{
        fd::OwnedFd,
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram, UnixListener},
    },
    time::Duration,
};

use nix::sys::signal::Signal;

use crate::stack::{Gateway, Listens, Place, Setup, fixtures};

struct Manager {
    socket: UnixDatagram,
}

impl Manager {
    fn at(setup: &mut Setup) -> Manager {
        let path = setup.scratch.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        setup.command.env("NOTIFY_SOCKET", path);
        Manager::over(socket)
    }

    fn over(socket: UnixDatagram) -> Manager {
        socket.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        Manager { socket }
    }

    #[track_caller]
    fn next(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).expect("something is told");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    /// Everything up to the first that begins so, with it.
    #[track_caller]
    fn until(&self, beginning: &str) -> Vec<String> {
        let mut told = vec![self.next()];
        while !told.last().unwrap().starts_with(beginning) {
            told.push(self.next());
        }
        told
    }
}

fn setup(flags: &[&str]) -> Setup {
    let fixtures = fixtures();
    let mut all = vec!["--chdir", fixtures.to_str().unwrap(), "app:application"];
    all.extend(flags);
    Setup::new(Listens::Tcp, &all)
}

#[test]
fn it_is_told_of_readiness_reloads_and_the_end() {
    let mut setup = setup(&["--workers", "1"]);
    let manager = Manager::at(&mut setup);
    let mut gateway = setup.launch();
    assert_eq!(manager.next(), "STATUS=No worker is ready yet");
    // Not before somebody can answer.
    assert_eq!(gateway.log.count("Booting worker"), 0);
    assert_eq!(manager.next(), "READY=1");
    assert_eq!(gateway.log.count("Booting worker"), 1);
    assert!(manager.next().starts_with("STATUS=Serving at http://127.0.0.1:"));
    gateway.signal(Signal::SIGHUP);
    let told = manager.next();
    let moment = told.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").expect(&told);
    let uptime = fs::read_to_string("/proc/uptime").unwrap();
    let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
    assert!(
        moment.parse::<f64>().unwrap() / 1e6 <= seconds + 1.0,
        "{moment} is not after {seconds}"
    );
    assert_eq!(manager.next(), "READY=1");
    assert_eq!(gateway.log.count("Booting worker"), 2);
    gateway.signal(Signal::SIGTERM);
    assert_eq!(manager.next(), "STOPPING=1");
    assert_eq!(gateway.exit_code(), Some(0), "{}", gateway.log.text());
}

#[test]
fn a_reload_that_fails_is_over_too() {
    let setup = Setup::new(Listens::Unix, &["app:application"]);
    setup.write("app.py", "def application(e, s):\n    s('200 OK', [])\n    return []\n");
    let mut setup = setup;
    let manager = Manager::at(&mut setup);
    let gateway = setup.launch();
    manager.until("READY=1");
    gateway.write("app.py", "import surely_there_is_no_such_thing\n");
    gateway.signal(Signal::SIGHUP);
    let told = manager.until("READY=1");
    assert!(told.iter().any(|it| it.starts_with("RELOADING=1\n")), "{told:?}");
}

#[test]
fn it_is_told_why_there_is_no_worker() {
    let mut setup = Setup::new(Listens::Unix, &["app:application"]);
    setup.write("app.py", "import surely_there_is_no_such_thing\n");
    let manager = Manager::at(&mut setup);
    let gateway = setup.launch();
    let told = manager.until("STATUS=ModuleNotFoundError");
    assert!(told.last().unwrap().contains("surely_there_is_no_such_thing"), "{told:?}");
    assert!(!told.iter().any(|it| it.starts_with("READY")), "{told:?}");
    gateway.write("app.py", "def application(e, s):\n    s('200 OK', [])\n    return []\n");
    manager.until("READY=1");
    assert!(manager.next().starts_with("STATUS=Serving at unix:"));
}

#[test]
fn an_abstract_name_is_one_too() {
    let mut setup = setup(&[]);
    let name = format!("causeway-test-{}", setup.scratch.path().display());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let manager = Manager::over(UnixDatagram::bind_addr(&address).unwrap());
    setup.command.env("NOTIFY_SOCKET", format!("@{name}"));
    let _gateway = setup.launch();
    manager.until("READY=1");
}

#[test]
fn a_watchdog_is_fed() {
    let mut setup = setup(&[]);
    let manager = Manager::at(&mut setup);
    setup.command.env("WATCHDOG_USEC", "100000");
    let _gateway = setup.launch();
    for _ in 0..3 {
        manager.until("WATCHDOG=1");
    }
}

/// With a listening socket as systemd hands one over: number 3, and the process's own number said.
fn activated(flags: &[&str]) -> Gateway {
    let mut setup = setup(&[flags, &["--log-level", "debug"]].concat());
    setup.listens = Listens::Elsewhere;
    let listener = UnixListener::bind(setup.scratch.path().join("given.sock")).unwrap();
    let mut setup = setup
        .through_shell("exec 3<&0 0</dev/null; export LISTEN_FDS=1 LISTEN_PID=$$ LISTEN_FDNAMES=x");
    setup.command.stdin(OwnedFd::from(listener));
    let gateway = setup.launch();
    gateway.log.wait_for("Worker ready");
    gateway
}

fn get(gateway: &Gateway, target: &str) -> String {
    let place = Place::Unix(gateway.scratch().join("given.sock"));
    let mut stream = place.connect().unwrap();
    std::io::Write::write_all(&mut stream, format!("GET {target} HTTP/1.0\r\n\r\n").as_bytes())
        .unwrap();
    stream.answer().text()
}

#[test]
fn a_socket_that_is_handed_over_is_listened_on_instead() {
    let mut gateway = activated(&["--bind", "unix:/nowhere/other.sock"]);
    let given = fs::canonicalize(gateway.scratch().join("given.sock")).unwrap();
    // By the name it was bound with.
    gateway.log.wait_for(&format!("Listening at: unix:{}", given.display()));
    let warning = format!("is ignored: systemd handed over unix:{}", given.display());
    gateway.log.wait_for(&format!("--bind unix:/nowhere/other.sock {warning}"));
    assert_eq!(get(&gateway, "/version"), "one");
    for variable in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"] {
        assert_eq!(get(&gateway, &format!("/process?name={variable}")), "(unset)");
    }
    gateway.stop();
    assert!(given.exists(), "it is systemd's");
}

#[test]
fn one_that_is_for_another_process_is_not_taken() {
    let mut setup = setup(&[]);
    setup.command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1");
    let gateway = setup.launch();
    assert_eq!(gateway.get("/version").text(), "one");
}

#[test]
fn it_is_told_which_of_two_masters_is_the_service() {
    let mut setup = setup(&["--workers", "1"]);
    let manager = Manager::at(&mut setup);
    let mut gateway = setup.launch();
    manager.until("READY=1");
    gateway.signal(Signal::SIGUSR2);
    let line = gateway.log.wait_for("New master with pid: ");
    let new = line.rsplit(' ').next().unwrap().to_owned();
    manager.until("READY=1");
    gateway.signal(Signal::SIGTERM);
    let told = manager.until("MAINPID=");
    assert_eq!(told.last().unwrap(), &format!("MAINPID={new}"));
    assert!(!told.iter().any(|it| it.starts_with("STOPPING")), "the service goes on: {told:?}");
    // Once more, by itself, once it is the only one.
    assert_eq!(manager.until("MAINPID=").last(), Some(&format!("MAINPID={new}")));
    let new = nix::unistd::Pid::from_raw(new.parse().unwrap());
    nix::sys::signal::kill(new, Signal::SIGTERM).unwrap();
    manager.until("STOPPING=1");
    gateway.wait();
}
