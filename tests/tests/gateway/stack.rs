//! A gateway in a scratch folder, clients for it, and its log, which is how a test learns that
//! something has happened: nothing here sleeps.

use std::{
    env, fs,
    io::{BufRead, BufReader, ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{
        Arc, Condvar, Mutex, OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tempfile::TempDir;

/// How long anything may take before a test gives up. Never how long anything should.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/gateway")
}

pub(crate) fn python() -> String {
    env::var("CAUSEWAY_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// The program, built once for all tests, in the profile the tests are built in.
pub(crate) fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let test = env::current_exe().unwrap();
        let profile = test.parent().and_then(Path::parent).expect("tests are in PROFILE/deps");
        let target = profile.parent().expect("a profile is in the target folder");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "-p", "causeway-gateway", "-p", "causeway-app-host"]);
        build.arg("--target-dir").arg(target);
        if profile.ends_with("release") {
            build.arg("--release");
        }
        let built = build.current_dir(env!("CARGO_MANIFEST_DIR")).status().unwrap();
        assert!(built.success(), "the gateway is built");
        profile.join("causeway-gateway")
    })
}

/// How a gateway is started.
pub(crate) struct Setup {
    pub(crate) scratch: TempDir,
    pub(crate) command: Command,
    pub(crate) listens: Listens,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listens {
    Tcp,
    Unix,
    /// As the flags say.
    Elsewhere,
}

impl Setup {
    pub(crate) fn new(listens: Listens, flags: &[&str]) -> Setup {
        let scratch = tempfile::tempdir().unwrap();
        let mut command = Command::new(binary());
        for variable in [
            "GUNICORN_CMD_ARGS",
            "WEB_CONCURRENCY",
            "PORT",
            "FORWARDED_ALLOW_IPS",
            "PYTHONUNBUFFERED",
        ] {
            command.env_remove(variable);
        }
        // Each has a control socket of its own.
        command.env("XDG_RUNTIME_DIR", scratch.path());
        for variable in ["NOTIFY_SOCKET", "LISTEN_PID", "LISTEN_FDS", "WATCHDOG_USEC"] {
            command.env_remove(variable);
        }
        command.stdin(Stdio::null());
        command.current_dir(scratch.path()).args(["--python", &python()]);
        match listens {
            Listens::Tcp => drop(command.args(["--bind", "127.0.0.1:0"])),
            Listens::Unix => drop(command.args(["--bind", "unix:app.sock"])),
            Listens::Elsewhere => (),
        }
        command.args(flags);
        Setup { scratch, command, listens }
    }

    /// With an application of the test's own, in the scratch folder.
    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.scratch.path().join(name), text).unwrap();
    }

    /// Started by a shell, which can do what only the process itself can: say its own number, or
    /// move its descriptors. `script` ends where the gateway begins.
    pub(crate) fn through_shell(mut self, script: &str) -> Setup {
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{script}; exec \"$0\" \"$@\"")]);
        shell.arg(self.command.get_program()).args(self.command.get_args());
        shell.current_dir(self.scratch.path()).stdin(Stdio::null());
        for (name, value) in self.command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        self.command = shell;
        self
    }

    pub(crate) fn launch(mut self) -> Gateway {
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap();
        let log = Log::read(child.stderr.take().unwrap());
        let output = Log::read(child.stdout.take().unwrap());
        Gateway {
            child,
            scratch: self.scratch,
            log,
            output,
            listens: self.listens,
            place: OnceLock::new(),
        }
    }
}

/// Where it listens.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    Tcp(String),
    Unix(PathBuf),
}

impl Place {
    pub(crate) fn connect(&self) -> std::io::Result<Stream> {
        let stream = match self {
            Place::Tcp(address) => Stream::Tcp(TcpStream::connect(address)?),
            Place::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
        };
        stream.set_patience(PATIENCE);
        Ok(stream)
    }
}

pub(crate) struct Gateway {
    child: Child,
    scratch: TempDir,
    pub(crate) log: Log,
    pub(crate) output: Log,
    listens: Listens,
    place: OnceLock<Place>,
}

/// On TCP, with the tests' application, once it answers.
pub(crate) fn start(flags: &[&str]) -> Gateway {
    start_on(Listens::Tcp, flags)
}

pub(crate) fn start_on(listens: Listens, flags: &[&str]) -> Gateway {
    let fixtures = fixtures();
    let mut all = vec!["--pythonpath", fixtures.to_str().unwrap(), "app:application"];
    all.extend(["--log-level", "debug"]);
    all.extend(flags);
    let gateway = Setup::new(listens, &all).launch();
    gateway.log.wait_for("Worker ready");
    assert_eq!(gateway.get("/").status, 200, "{}", gateway.log.text());
    gateway
}

impl Gateway {
    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub(crate) fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        fs::write(self.scratch().join(name), text).unwrap();
    }

    /// The child that is no worker.
    pub(crate) fn kill_nursery(&self) {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        let workers = self.booted();
        let children = fs::read_to_string(children).unwrap();
        let mut children = children.split_whitespace().map(|pid| pid.parse().unwrap());
        let nursery = children.find(|pid| !workers.contains(pid)).expect("there is one");
        kill(Pid::from_raw(nursery), Signal::SIGKILL).unwrap();
    }

    pub(crate) fn place(&self) -> &Place {
        self.place.get_or_init(|| match self.listens {
            Listens::Unix => {
                self.log.wait_for("Listening at: unix:");
                Place::Unix(self.scratch().join("app.sock"))
            }
            Listens::Tcp | Listens::Elsewhere => {
                let line = self.log.wait_for("Listening at: http");
                let address = line.split("://").nth(1).unwrap();
                Place::Tcp(address.split(' ').next().unwrap().to_owned())
            }
        })
    }

    pub(crate) fn connect(&self) -> Stream {
        self.place().connect().unwrap()
    }

    pub(crate) fn get(&self, target: &str) -> Response {
        self.send(&format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n"))
    }

    /// On a connection of its own.
    pub(crate) fn send(&self, request: &str) -> Response {
        let mut stream = self.connect();
        // It may refuse before it has read everything.
        let _ = stream.write_all(request.as_bytes());
        Response::read(&mut stream).unwrap_or_else(|| panic!("no answer\n{}", self.log.text()))
    }

    /// A request that is still waiting for its answer when this returns.
    pub(crate) fn begin(&self, target: &str) -> Stream {
        let mut stream = self.connect();
        let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        stream
    }

    /// A named pipe for `/held` and `/stream`.
    pub(crate) fn gate(&self, name: &str) -> Gate {
        let path = self.scratch().join(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        Gate { path }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        // This has a deadline, which the other has not.
        self.log.wait_for_end();
        self.child.wait().unwrap()
    }

    /// Its exit code. The log is complete afterwards.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.wait().code()
    }

    /// TERM, and everything that must be gone is.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::SIGTERM);
        assert_eq!(self.exit_code(), Some(0), "{}", self.log.text());
    }

    /// Process ids of workers it has booted so far.
    pub(crate) fn booted(&self) -> Vec<i32> {
        let lines = self.log.lines();
        let pids = lines.iter().filter_map(|line| line.split("Booting worker with pid: ").nth(1));
        pids.map(|pid| pid.parse().unwrap()).collect()
    }

    /// Which worker answers.
    pub(crate) fn worker(&self) -> i32 {
        self.get("/").text().rsplit(' ').next().unwrap().parse().unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.signal(if thread::panicking() { Signal::SIGKILL } else { Signal::SIGQUIT });
            let _ = self.child.wait();
        }
    }
}

pub(crate) struct Gate {
    path: PathBuf,
}

impl Gate {
    pub(crate) fn path(&self) -> &str {
        self.path.to_str().unwrap()
    }

    /// Returns once somebody has read that it is open.
    pub(crate) fn open(&self) {
        fs::write(&self.path, "open").unwrap();
    }
}

/// Between two looks at what does not say when it has happened: others need the processor for it.
fn pause() {
    thread::park_timeout(Duration::from_millis(2));
}

/// What `look` finds, once it finds something. For what does not say when it has happened.
#[track_caller]
pub(crate) fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        pause();
    }
}

/// A file's text, once it holds `part`.
#[track_caller]
pub(crate) fn wait_for_text(path: &Path, part: &str) -> String {
    wait_until(&format!("{part:?} in {}", path.display()), || {
        fs::read_to_string(path).ok().filter(|text| text.contains(part))
    })
}

/// Lines as they are written.
#[derive(Clone)]
pub(crate) struct Log {
    inner: Arc<(Mutex<Written>, Condvar)>,
}

#[derive(Default)]
struct Written {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    fn read(source: impl Read + Send + 'static) -> Log {
        let log = Log { inner: Arc::default() };
        let reader = log.clone();
        thread::spawn(move || {
            let (written, changed) = &*reader.inner;
            for line in BufReader::new(source).split(b'\n') {
                let Ok(line) = line else { break };
                let line = String::from_utf8_lossy(&line).into_owned();
                written.lock().unwrap().lines.push(line);
                changed.notify_all();
            }
            written.lock().unwrap().ended = true;
            changed.notify_all();
        });
        log
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.inner.0.lock().unwrap().lines.clone()
    }

    pub(crate) fn text(&self) -> String {
        self.lines().join("\n")
    }

    pub(crate) fn last_line(&self) -> String {
        self.lines().pop().unwrap_or_default()
    }

    pub(crate) fn count(&self, text: &str) -> usize {
        self.lines().iter().filter(|line| line.contains(text)).count()
    }

    pub(crate) fn wait_for(&self, text: &str) -> String {
        self.wait_for_nth(text, 1)
    }

    /// The `nth` line that holds `text`.
    #[track_caller]
    pub(crate) fn wait_for_nth(&self, text: &str, nth: usize) -> String {
        let (written, changed) = &*self.inner;
        let deadline = Instant::now() + PATIENCE;
        let mut now = written.lock().unwrap();
        loop {
            if let Some(line) = now.lines.iter().filter(|line| line.contains(text)).nth(nth - 1) {
                return line.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!now.ended && !left.is_zero(), "no {text:?} in:\n{}", now.lines.join("\n"));
            now = changed.wait_timeout(now, left).unwrap().0;
        }
    }

    /// Nobody holds the stream open any more: the process and all it started are gone.
    pub(crate) fn wait_for_end(&self) {
        let (written, changed) = &*self.inner;
        let now = written.lock().unwrap();
        let (now, _) = changed.wait_timeout_while(now, PATIENCE, |now| !now.ended).unwrap();
        assert!(now.ended, "somebody still writes to the log:\n{}", now.lines.join("\n"));
    }
}

pub(crate) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn set_patience(&self, patience: Duration) {
        match self {
            Stream::Tcp(stream) => stream.set_read_timeout(Some(patience)).unwrap(),
            Stream::Unix(stream) => stream.set_read_timeout(Some(patience)).unwrap(),
        }
    }

    /// The whole answer, which must come.
    #[track_caller]
    pub(crate) fn answer(mut self) -> Response {
        Response::read(&mut self).expect("an answer comes")
    }

    /// The other side reads an end; this one can still read.
    pub(crate) fn no_more(&self) {
        // It may have closed already.
        let _ = match self {
            Stream::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Stream::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }

    /// Everything until the other side closes.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        // A reset ends it as well.
        let _ = self.read_to_end(&mut all);
        all
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether the body came to the end its head promised.
    pub(crate) complete: bool,
}

impl Response {
    /// `None`: the connection closed without a whole head.
    pub(crate) fn read(stream: &mut impl Read) -> Option<Response> {
        Response::read_for(stream, "GET")
    }

    pub(crate) fn read_for(stream: &mut impl Read, method: &str) -> Option<Response> {
        let mut reader = BufReader::with_capacity(1, stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            let length = reader.read_line(&mut head).ok()?;
            if length == 0 {
                return None;
            }
        }
        let status = head.split(' ').nth(1)?.parse().ok()?;
        let mut response = Response { status, head, body: Vec::new(), complete: true };
        if method == "HEAD" || matches!(status, 100..=199 | 204 | 304) {
            return Some(response);
        }
        if let Some(length) = response.header("content-length") {
            let length: u64 = length.parse().unwrap();
            let _ = reader.take(length).read_to_end(&mut response.body);
            response.complete = response.body.len() as u64 == length;
        } else if response.header("transfer-encoding") == Some("chunked") {
            response.complete = read_chunks(&mut reader, &mut response.body).is_some();
        } else {
            response.complete = reader.read_to_end(&mut response.body).is_ok();
        }
        Some(response)
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).next()
    }

    pub(crate) fn headers(&self, name: &str) -> impl Iterator<Item = &str> {
        self.head.lines().filter_map(move |line| {
            let (field, value) = line.split_once(": ")?;
            field.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

fn read_chunks(reader: &mut impl BufRead, body: &mut Vec<u8>) -> Option<()> {
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = u64::from_str_radix(line.trim_end(), 16).ok()?;
        let before = body.len() as u64;
        reader.take(size).read_to_end(body).ok()?;
        if body.len() as u64 - before != size {
            return None;
        }
        let mut end = [0; 2];
        reader.read_exact(&mut end).ok()?;
        if size == 0 {
            return Some(());
        }
    }
}

/// Clients that ask again and again.
pub(crate) struct Load {
    clients: Vec<JoinHandle<Vec<Outcome>>>,
    stop: Arc<AtomicBool>,
    seen: Arc<(Mutex<usize>, Condvar)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answer {
        status: u16,
        body: String,
    },
    /// It was sent, and no answer came.
    Lost(String),
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// A connection for each request.
    Close,
    /// One connection for all, as a web server has.
    KeepAlive,
}

impl Load {
    pub(crate) fn start(place: &Place, clients: usize, habit: Habit, target: &str) -> Load {
        Load::repeat(place, clients, habit, &format!("GET {target} HTTP/1.1"), "")
    }

    /// Of what may not be asked twice.
    pub(crate) fn post(place: &Place, clients: usize, habit: Habit, target: &str) -> Load {
        Load::repeat(place, clients, habit, &format!("POST {target} HTTP/1.1"), "body")
    }

    fn repeat(place: &Place, clients: usize, habit: Habit, line: &str, body: &str) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let seen = Arc::new((Mutex::new(0), Condvar::new()));
        let connection = if habit == Habit::Close { "close" } else { "keep-alive" };
        let length = body.len();
        let request = format!(
            "{line}\r\nHost: test\r\nConnection: {connection}\r\n\
             Content-Length: {length}\r\n\r\n{body}"
        );
        let client = || {
            let (place, stop, seen) = (place.clone(), Arc::clone(&stop), Arc::clone(&seen));
            let request = request.clone();
            thread::spawn(move || ask_until(&place, habit, &request, &stop, &seen))
        };
        Load { clients: (0..clients).map(|_| client()).collect(), stop, seen }
    }

    /// Returns after `more` further answers.
    #[track_caller]
    pub(crate) fn wait_for(&self, more: usize) {
        let (seen, changed) = &*self.seen;
        let now = seen.lock().unwrap();
        let goal = *now + more;
        let (now, _) = changed.wait_timeout_while(now, PATIENCE, |now| *now < goal).unwrap();
        assert!(*now >= goal, "{} answers of {goal}", *now);
    }

    pub(crate) fn finish(self) -> Vec<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    }
}

/// Until told, or until nobody listens any more.
fn ask_until(
    place: &Place,
    habit: Habit,
    request: &str,
    stop: &AtomicBool,
    seen: &(Mutex<usize>, Condvar),
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut open: Option<Stream> = None;
    while !stop.load(Ordering::Relaxed) {
        let Ok(mut stream) = open.take().map_or_else(|| place.connect(), Ok) else { break };
        if let Err(error) = stream.write_all(request.as_bytes()) {
            // The other side had closed: nothing was sent, so nothing is lost.
            if matches!(error.kind(), ErrorKind::BrokenPipe) {
                continue;
            }
            outcomes.push(Outcome::Lost(format!("write: {error}")));
            continue;
        }
        match Response::read(&mut stream) {
            Some(response) if response.complete => {
                let closes = response.header("connection") == Some("close");
                outcomes.push(Outcome::Answer { status: response.status, body: response.text() });
                open = (habit == Habit::KeepAlive && !closes).then_some(stream);
                *seen.0.lock().unwrap() += 1;
                seen.1.notify_all();
            }
            other => outcomes.push(Outcome::Lost(format!("read: {other:?}"))),
        }
    }
    outcomes
}

/// Asserts that every request got 200.
#[track_caller]
pub(crate) fn assert_none_lost(outcomes: &[Outcome], log: &Log) {
    let is_good = |outcome: &&Outcome| matches!(outcome, Outcome::Answer { status: 200, .. });
    let bad: Vec<_> = outcomes.iter().filter(|outcome| !is_good(outcome)).collect();
    assert!(bad.is_empty(), "of {}: {bad:?}\n{}", outcomes.len(), log.text());
    assert!(!outcomes.is_empty());
}

/// Returns once the process has gone, or only waits to be reaped.
#[track_caller]
pub(crate) fn wait_until_gone(pid: i32) {
    let deadline = Instant::now() + PATIENCE;
    while is_alive(pid) {
        assert!(Instant::now() < deadline, "process {pid} is still there");
        pause();
    }
}

fn is_alive(pid: i32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    status.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}
