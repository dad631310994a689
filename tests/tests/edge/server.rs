//! A scratch folder with a server in it, ours or nginx, told apart by `EDGE_BINARY` alone.
//!
//! A test gives the inside of `http {}`, or a whole file, with placeholders: `%%PORT%%`, `%%PORT1%%`
//! to `%%PORT9%%` (a free port each, the same one wherever it is named) and `%%DIR%%` (the folder).
//! The server is ready when its pid file is there, since it listens by then, and is ended when it is
//! dropped.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{self, Signal},
    unistd::Pid,
};

/// How long anything may take on a busy machine before the test is called hung.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The server under test: `EDGE_BINARY`, or ours beside this test.
pub(crate) fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("EDGE_BINARY") {
        return named.into();
    }
    let test = std::env::current_exe().expect("this test has a path");
    let deps = test.parent().expect("a test stands in a folder");
    let binary = deps.parent().expect("target/debug/deps").join("causeway-edge");
    assert!(binary.is_file(), "{} is missing: cargo build -p causeway-edge", binary.display());
    binary
}

/// Whether the suite tests the tests. For what nginx has not, and for what it words in its own way.
pub(crate) fn is_nginx() -> bool {
    std::env::var_os("EDGE_BINARY").is_some_and(|name| name.to_string_lossy().ends_with("nginx"))
}

/// A folder and its ports, with no server yet.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    ports: RefCell<BTreeMap<String, Port>>,
}

/// A port is held until the moment the server starts, so that two tests never share one.
struct Port {
    number: u16,
    held: Option<TcpListener>,
}

impl Site {
    pub(crate) fn new() -> Site {
        let dir = tempfile::Builder::new().prefix("edge-").tempdir().expect("a scratch folder");
        Site { dir, ports: RefCell::default() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("inside of the folder")).expect("a folder");
        fs::write(&path, content).expect("a file");
        path
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let bytes = fs::read(self.path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The port behind a placeholder: `PORT`, `PORT1`.
    pub(crate) fn port(&self, placeholder: &str) -> u16 {
        let mut ports = self.ports.borrow_mut();
        let port = ports.entry(placeholder.to_owned()).or_insert_with(|| {
            let held = TcpListener::bind("127.0.0.1:0").expect("a free port");
            Port { number: held.local_addr().expect("bound").port(), held: Some(held) }
        });
        port.number
    }

    /// The text with its placeholders filled in.
    pub(crate) fn fill(&self, text: &str) -> String {
        let mut text = text.replace("%%DIR%%", &self.dir.path().display().to_string());
        while let Some(start) = text.find("%%PORT") {
            let rest = &text[start + 2..];
            let name = rest[..rest.find("%%").expect("a closed placeholder")].to_owned();
            text = text.replace(&format!("%%{name}%%"), &self.port(&name).to_string());
        }
        text
    }

    /// The file around a test's part of it: globals, `events`, and `http` with temporary paths.
    pub(crate) fn config(&self, http: &str) -> String {
        let root = nix::unistd::geteuid().is_root();
        let user = if root { "user root;\n" } else { "" };
        // nginx was built with folders of its own for these, which only root may write to.
        let temporary = if is_nginx() {
            ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|name| format!("    {name}_temp_path %%DIR%%/{name}_temp;\n"))
                .concat()
        } else {
            String::new()
        };
        self.fill(&format!(
            "{user}daemon off;\npid %%DIR%%/nginx.pid;\nerror_log %%DIR%%/error.log info;\n\
             worker_processes 2;\nevents {{ }}\nhttp {{\n{temporary}    root %%DIR%%;\n    \
             access_log %%DIR%%/access.log;\n{http}\n}}\n"
        ))
    }

    /// The command as an operator would type it, for this folder.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command.arg("-p").arg(format!("{}/", self.dir.path().display()));
        command.args(["-c", "nginx.conf", "-e", "error.log"]);
        command
    }

    /// Runs the command to its end.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.release();
        let mut command = self.command();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server runs");
        let deadline = Instant::now() + PATIENCE;
        while let Ok(None) = child.try_wait() {
            if Instant::now() > deadline {
                let _gone = signal::kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM);
                panic!("{arguments:?} does not end");
            }
            pause();
        }
        child.wait_with_output().expect("a child of ours")
    }

    /// Lets go of the ports, for the server to take.
    fn release(&self) {
        self.ports.borrow_mut().values_mut().for_each(|port| port.held = None);
    }

    /// A placeholder's port, already listening: for an upstream that the test itself plays.
    pub(crate) fn listener(&self, placeholder: &str) -> TcpListener {
        self.port(placeholder);
        let mut ports = self.ports.borrow_mut();
        let port = ports.get_mut(placeholder).expect("asked for just now");
        port.held.take().expect("asked for before the server started, and once")
    }
}

/// A server that runs.
pub(crate) struct Edge {
    pub(crate) site: Site,
    child: Child,
}

impl Edge {
    /// Starts with this inside of `http {}`.
    pub(crate) fn start(http: &str) -> Edge {
        Edge::start_in(Site::new(), http)
    }

    /// The same, in a folder that the test has put files into.
    pub(crate) fn start_in(site: Site, http: &str) -> Edge {
        let config = site.config(http);
        Edge::start_whole(site, &config)
    }

    /// Starts with this as the whole file.
    pub(crate) fn start_whole(site: Site, config: &str) -> Edge {
        Edge::start_with(site, config, &[])
    }

    /// The same, with more on the command line.
    pub(crate) fn start_with(site: Site, config: &str, arguments: &[&str]) -> Edge {
        site.write("nginx.conf", site.fill(config));
        let stderr = fs::File::create(site.path("stderr")).expect("a file for stderr");
        site.release();
        let mut command = site.command();
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(stderr);
        // Its own group, so that a Ctrl-C of the suite does not reach it before its owner does.
        let child = command.process_group(0).spawn().expect("the server starts");
        let mut edge = Edge { site, child };
        edge.wait_until_ready();
        edge
    }

    fn wait_until_ready(&mut self) {
        self.wait_for("the pid file", |edge| edge.site.path("nginx.pid").is_file());
    }

    fn wait_for(&mut self, what: &str, ready: impl Fn(&Edge) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !ready(self) {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                panic!("the server ended with {status}: {}", self.stderr());
            }
            assert!(Instant::now() < deadline, "{what} is still missing: {}", self.stderr());
            pause();
        }
    }

    pub(crate) fn stderr(&self) -> String {
        self.site.read("stderr")
    }

    pub(crate) fn error_log(&self) -> String {
        self.site.read("error.log")
    }

    pub(crate) fn access_log(&self) -> String {
        self.site.read("access.log")
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        signal::kill(self.pid(), signal).expect("the server is there to be told");
    }

    /// Waits for the process to end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not end: {}", self.error_log());
            pause();
        }
    }

    /// Ends the server gracefully, so that everything is in the logs.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGQUIT);
        self.wait()
    }

    pub(crate) fn connect(&self) -> TcpStream {
        self.connect_to("PORT")
    }

    pub(crate) fn connect_to(&self, placeholder: &str) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.site.port(placeholder)));
        let stream = stream.expect("the server accepts");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout is set");
        stream
    }

    /// Sends these bytes, and reads until the server closes.
    pub(crate) fn raw(&self, request: &[u8]) -> Vec<u8> {
        let mut stream = self.connect();
        stream.write_all(request).expect("the request is sent");
        let mut response = Vec::new();
        // A reset after the response is the server's right; what came before it is the answer.
        let _reset = stream.read_to_end(&mut response);
        response
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.request("GET", path, &[], b"")
    }

    /// One request on a connection of its own. `Host: localhost` unless the fields name another.
    pub(crate) fn request(
        &self,
        method: &str,
        path: &str,
        fields: &[&str],
        body: &[u8],
    ) -> Response {
        self.request_to("PORT", method, path, fields, body)
    }

    pub(crate) fn request_to(
        &self,
        placeholder: &str,
        method: &str,
        path: &str,
        fields: &[&str],
        body: &[u8],
    ) -> Response {
        let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !fields.iter().any(|field| field.to_ascii_lowercase().starts_with("host:")) {
            head += "Host: localhost\r\n";
        }
        head.extend(fields.iter().flat_map(|field| [*field, "\r\n"]));
        let framed = fields.iter().any(|field| {
            let field = field.to_ascii_lowercase();
            field.starts_with("content-length:") || field.starts_with("transfer-encoding:")
        });
        if !body.is_empty() && !framed {
            head.extend(["Content-Length: ", &body.len().to_string(), "\r\n"]);
        }
        head += "\r\n";
        let mut stream = self.connect_to(placeholder);
        stream.write_all(&[head.as_bytes(), body].concat()).expect("the request is sent");
        let response = read_response(&mut stream, method);
        // Until it is closed: by then the request has its line in the log.
        let _reset = stream.read_to_end(&mut Vec::new());
        response
    }

    /// Waits until a file of the folder contains this text.
    pub(crate) fn wait_for_line(&mut self, file: &str, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.site.read(file).contains(text) {
            let content = self.site.read(file);
            assert!(Instant::now() < deadline, "no {text:?} in {file}: {content}");
            pause();
        }
    }

    /// How many processes the server has besides the master.
    pub(crate) fn children(&self) -> Vec<Pid> {
        children_of(self.pid())
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let children = self.children();
            let _gone = signal::kill(self.pid(), Signal::SIGTERM);
            let deadline = Instant::now() + Duration::from_secs(5);
            while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
                pause();
            }
            if let Ok(None) = self.child.try_wait() {
                for pid in children {
                    let _gone = signal::kill(pid, Signal::SIGKILL);
                }
                let _gone = self.child.kill();
                let _status = self.child.wait();
            }
        }
    }
}

/// The processes this one has started and that still run.
pub(crate) fn children_of(pid: Pid) -> Vec<Pid> {
    let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    list.split_whitespace().filter_map(|word| word.parse().ok()).map(Pid::from_raw).collect()
}

/// A moment between two looks at a file or a process, which tell nobody when they change.
pub(crate) fn pause() {
    let never = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let never =
        nix::poll::PollFd::new(std::os::fd::AsFd::as_fd(&never), nix::poll::PollFlags::POLLIN);
    let _timeout = nix::poll::poll(&mut [never], 10u8);
}

/// A response, as it came.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Everything before the body, with its empty line.
    pub(crate) head: String,
    /// As the framing delimits it, chunks joined.
    pub(crate) body: Vec<u8>,
}

impl Response {
    /// The first field of this name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers(name).into_iter().next()
    }

    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1);
        let fields = lines.filter_map(|line| line.split_once(':'));
        let same = fields.filter(|(field, _)| field.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.trim()).collect()
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a body of text")
    }
}

/// Reads one response and nothing beyond it, so that a connection can be used again.
pub(crate) fn read_response(stream: &mut impl Read, method: &str) -> Response {
    let head = read_head(stream);
    let status = head.split(' ').nth(1).and_then(|word| word.parse().ok());
    let status = status.unwrap_or_else(|| panic!("a status line, and not {head:?}"));
    let mut response = Response { status, head, body: Vec::new() };
    if method == "HEAD" || status < 200 || status == 204 || status == 304 {
        return response;
    }
    if response.header("transfer-encoding").is_some_and(|value| value == "chunked") {
        response.body = read_chunks(stream);
    } else if let Some(length) = response.header("content-length") {
        response.body = vec![0; length.parse().expect("a length")];
        stream.read_exact(&mut response.body).expect("the whole body");
    } else {
        let _reset = stream.read_to_end(&mut response.body);
    }
    response
}

fn read_head(stream: &mut impl Read) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            end => panic!("{end:?} inside of a head: {:?}", String::from_utf8_lossy(&head)),
        }
    }
    String::from_utf8_lossy(&head).into_owned()
}

fn read_chunks(stream: &mut impl Read) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a chunk's size");
            line.push(byte[0]);
        }
        let size = std::str::from_utf8(&line).expect("digits").trim();
        let size = usize::from_str_radix(size, 16).expect("a chunk's size in hex");
        let mut chunk = vec![0; size + 2];
        stream.read_exact(&mut chunk).expect("a whole chunk");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunk[..size]);
    }
}

/// The names in a folder, for tests that look for what was left behind.
pub(crate) fn listing(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<_> =
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
