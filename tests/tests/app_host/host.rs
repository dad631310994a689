//! One app-host on a socket in a scratch folder, and a FastCGI client for it.

use std::fs::File;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use causeway_app_host::HostOptions;
use fastcgi::{
    ClientConnection, ClientEvent, End, HeadReader, KeepConnection, RequestWriter, ResponseHead,
};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, pipe};
use tempfile::TempDir;

/// `python3`, or what `CAUSEWAY_PYTHON` says.
pub(crate) fn python() -> PathBuf {
    std::env::var_os("CAUSEWAY_PYTHON").unwrap_or_else(|| "python3".into()).into()
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/wsgi")
}

pub(crate) fn library() -> PathBuf {
    causeway_app_host::library().expect("cargo builds it next to this test")
}

/// How to start one.
pub(crate) struct Setup {
    pub(crate) options: HostOptions,
    pub(crate) python: PathBuf,
    pub(crate) environment: Vec<(String, String)>,
}

impl Setup {
    /// `module:callable` among the fixtures.
    pub(crate) fn of(application: &str) -> Setup {
        let mut options = HostOptions::new(application);
        options.chdir = Some(fixtures());
        Setup { options, python: python(), environment: Vec::new() }
    }

    pub(crate) fn threads(mut self, threads: usize) -> Setup {
        self.options.threads = threads;
        self
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = causeway_app_host::command(&self.python, &library(), &self.options);
        // It is our own variable, and no more than chance that it is there.
        command.env_remove("CAUSEWAY_PYTHON").env("PYTHONDONTWRITEBYTECODE", "1");
        command.envs(self.environment.iter().cloned());
        command
    }

    /// Starts it without waiting for anything.
    pub(crate) fn launch(self) -> Host {
        let scratch = tempfile::tempdir().unwrap();
        let socket = scratch.path().join("host.sock");
        let log = scratch.path().join("log");
        let listener = UnixListener::bind(&socket).unwrap();
        // Our ends are not for other processes that tests start meanwhile.
        let (control, control_theirs) = pipe().unwrap();
        let (lifeline_theirs, lifeline) = pipe().unwrap();
        for ours in [&control, &lifeline] {
            fcntl(ours, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC)).unwrap();
        }
        let child = self
            .command()
            .env("CAUSEWAY_CONTROL_FD", control_theirs.as_raw_fd().to_string())
            .env("CAUSEWAY_LIFELINE_FD", lifeline_theirs.as_raw_fd().to_string())
            .stdin(OwnedFd::from(listener))
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        let control = BufReader::new(File::from(control));
        Host { child, scratch, socket, control, lifeline: Some(lifeline) }
    }

    /// Starts it and waits until it is ready.
    pub(crate) fn start(self) -> Host {
        let mut host = self.launch();
        let line = host.control_line();
        assert_eq!(line, format!("ready {}\n", host.child.id()), "{}", host.log());
        host
    }
}

pub(crate) struct Host {
    pub(crate) child: Child,
    pub(crate) scratch: TempDir,
    pub(crate) socket: PathBuf,
    control: BufReader<File>,
    pub(crate) lifeline: Option<OwnedFd>,
}

impl Host {
    pub(crate) fn start(application: &str) -> Host {
        Setup::of(application).start()
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.scratch.path().join("log")).unwrap()
    }

    pub(crate) fn control_line(&mut self) -> String {
        let mut line = String::new();
        self.control.read_line(&mut line).unwrap();
        line
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }

    pub(crate) fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }

    pub(crate) fn connect(&self) -> Client {
        Client::new(UnixStream::connect(&self.socket).unwrap())
    }

    /// One request on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> Answer {
        self.connect().get(path)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A response, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) interim: Vec<ResponseHead>,
    pub(crate) head: Option<ResponseHead>,
    pub(crate) body: Vec<u8>,
    /// `None`: the connection was closed before END_REQUEST.
    pub(crate) end: Option<End>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.as_ref().expect("a head").status
    }

    pub(crate) fn field(&self, name: &str) -> Option<String> {
        let value = self.head.as_ref()?.field(name)?;
        Some(value.iter().map(|byte| char::from(*byte)).collect())
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn app_status(&self) -> u32 {
        self.end.expect("an END_REQUEST").app_status
    }
}

pub(crate) struct Client {
    pub(crate) stream: UnixStream,
    wire: ClientConnection,
    input: BytesMut,
    /// `None`: the head was read, the body is being.
    head: Option<HeadReader>,
    /// What of the body came with the head.
    rest: Bytes,
}

/// What arrived next.
#[derive(Debug)]
pub(crate) enum Arrival {
    Interim(ResponseHead),
    Head(ResponseHead),
    Body(Bytes),
    End(End),
    Closed,
}

pub(crate) const GET: &[(&str, &str)] = &[
    ("REQUEST_METHOD", "GET"),
    ("SCRIPT_NAME", ""),
    ("QUERY_STRING", ""),
    ("SERVER_NAME", "localhost"),
    ("SERVER_PORT", "8000"),
    ("SERVER_PROTOCOL", "HTTP/1.1"),
    ("REMOTE_ADDR", "127.0.0.1"),
    ("wsgi.url_scheme", "http"),
];

impl Client {
    pub(crate) fn new(stream: UnixStream) -> Client {
        // Longer than anything takes; then what is read for a close fails the test.
        stream.set_read_timeout(Some(Duration::from_secs(90))).unwrap();
        let mut wire = ClientConnection::new();
        wire.expect(1);
        Client { stream, wire, input: BytesMut::new(), head: Some(new_head()), rest: Bytes::new() }
    }

    pub(crate) fn get(&mut self, path: &str) -> Answer {
        self.request(path, &[], b"")
    }

    /// `extra` parameters come after, and in place of, those of `GET`.
    pub(crate) fn request(&mut self, path: &str, extra: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut wire = begin(path, extra);
        fastcgi::stdin(&mut wire, 1, body);
        fastcgi::stdin_end(&mut wire, 1);
        // An application may answer while it reads: whoever only writes would wait for ever.
        let mut stream = self.stream.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(move || stream.write_all(&wire).unwrap());
            self.answer()
        })
    }

    pub(crate) fn send(&mut self, wire: &[u8]) {
        self.stream.write_all(wire).unwrap();
    }

    /// A part of the body, or its end if there is none.
    pub(crate) fn stdin(&mut self, part: &[u8]) {
        let mut wire = Vec::new();
        match part {
            b"" => fastcgi::stdin_end(&mut wire, 1),
            part => fastcgi::stdin(&mut wire, 1, part),
        }
        self.send(&wire);
    }

    pub(crate) fn next(&mut self) -> Arrival {
        if !self.rest.is_empty() {
            return Arrival::Body(std::mem::take(&mut self.rest));
        }
        loop {
            match self.wire.next(&mut self.input).unwrap() {
                Some(ClientEvent::Stdout(part)) => match &mut self.head {
                    None => return Arrival::Body(part),
                    Some(head) => {
                        if let Some((head, rest)) = head.push(part).unwrap() {
                            if head.status < 200 {
                                assert!(rest.is_empty(), "an interim head is sent by itself");
                                self.head = Some(new_head());
                                return Arrival::Interim(head);
                            }
                            self.head = None;
                            self.rest = rest;
                            return Arrival::Head(head);
                        }
                    }
                },
                Some(ClientEvent::End(end)) => {
                    self.head = Some(new_head());
                    return Arrival::End(end);
                }
                Some(other) => panic!("{other:?}"),
                None => {
                    let mut part = vec![0; 65_536];
                    let length = match self.stream.read(&mut part) {
                        Ok(length) => length,
                        // With a timeout, the system does not begin anew by itself.
                        Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                        // A reset is a close too.
                        Err(_) => 0,
                    };
                    if length == 0 {
                        return Arrival::Closed;
                    }
                    self.input.extend_from_slice(&part[..length]);
                }
            }
        }
    }

    pub(crate) fn answer(&mut self) -> Answer {
        let mut answer = Answer { interim: Vec::new(), head: None, body: Vec::new(), end: None };
        loop {
            match self.next() {
                Arrival::Interim(head) => answer.interim.push(head),
                Arrival::Head(head) => answer.head = Some(head),
                Arrival::Body(part) => answer.body.extend_from_slice(&part),
                Arrival::End(end) => {
                    answer.end = Some(end);
                    return answer;
                }
                Arrival::Closed => return answer,
            }
        }
    }
}

fn new_head() -> HeadReader {
    HeadReader::new(65_536)
}

/// BEGIN_REQUEST and PARAMS.
pub(crate) fn begin(path: &str, extra: &[(&str, &str)]) -> Vec<u8> {
    let mut wire = Vec::new();
    let mut request = RequestWriter::begin(&mut wire, 1, KeepConnection::Yes);
    for (name, value) in GET.iter().chain(&[("PATH_INFO", path), ("RAW_URI", path)]) {
        if !extra.iter().any(|(other, _)| other == name) {
            request.param(name.as_bytes(), value.as_bytes());
        }
    }
    for (name, value) in extra {
        request.param(name.as_bytes(), value.as_bytes());
    }
    request.params_end();
    wire
}

/// Runs a command to its end. What it printed, both ways.
pub(crate) fn output(command: &mut Command) -> (ExitStatus, String) {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status, String::from_utf8_lossy(&text).into_owned())
}
