//! A small HTTP/1.1 server on a port of its own, whose answers are written by hand; and the program.

use std::collections::BTreeMap;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::task::JoinHandle;

/// A file, as the edge and nginx answer it.
pub(crate) const FILE: &str = "Last-Modified: Sun, 22 Nov 2026 12:00:00 GMT\r\nETag: \"6b02e8c0-4d2\"\r\n\
    Accept-Ranges: bytes\r\nServer-Timing: edge;dur=0.020\r\n";

/// A page of the application, with an entry of its own in `Server-Timing`.
pub(crate) const PAGE: &str = "Content-Type: text/html; charset=utf-8\r\nServer-Timing: db;dur=1, \
    application;dur=6.000, app-host;dur=7.000, queue;dur=0.250, gateway;dur=8.500\r\n\
    Server-Timing: edge;dur=9.000\r\n";

#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

pub(crate) struct Site {
    pub(crate) origin: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    task: JoinHandle<()>,
}

impl Site {
    /// Answers by this function. Bytes that do not end a message are followed by the end of the
    /// connection, as a server that breaks off would have it.
    pub(crate) async fn start(answer: impl Fn(&Seen) -> Reply + Send + Sync + 'static) -> Site {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&seen);
        let answer = Arc::new(answer);
        let task = tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, connection, Arc::clone(&log), Arc::clone(&answer)));
            }
        });
        Site { origin, seen, task }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.origin)
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    /// The requests for one path.
    pub(crate) fn seen_at(&self, path: &str) -> Vec<Seen> {
        self.seen().into_iter().filter(|seen| seen.path == path).collect()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What is written in answer to one request.
pub(crate) struct Reply {
    bytes: Vec<u8>,
    then: Then,
    /// Resolves when the answer may be written.
    after: Option<std::pin::Pin<Box<dyn Future<Output = ()> + Send>>>,
}

#[derive(PartialEq)]
enum Then {
    Listen,
    Close,
}

impl Reply {
    /// A whole answer; `headers` are lines, each with its end.
    pub(crate) fn new(status: u16, headers: &str, body: impl AsRef<[u8]>) -> Reply {
        let body = body.as_ref();
        let length = if status == 304 {
            String::new()
        } else {
            format!("Content-Length: {}\r\n", body.len())
        };
        let mut bytes = format!("HTTP/1.1 {status} Reason\r\n{length}{headers}\r\n").into_bytes();
        bytes.extend_from_slice(body);
        Reply { bytes, then: Then::Listen, after: None }
    }

    /// These bytes, and then the end of the connection.
    pub(crate) fn broken(bytes: &str) -> Reply {
        Reply { bytes: bytes.as_bytes().to_vec(), then: Then::Close, after: None }
    }

    /// Nothing, for as long as the client waits.
    pub(crate) fn silence() -> Reply {
        Reply { bytes: Vec::new(), then: Then::Listen, after: None }
    }

    pub(crate) fn after(mut self, event: impl Future<Output = ()> + Send + 'static) -> Reply {
        self.after = Some(Box::pin(event));
        self
    }
}

async fn serve(
    stream: TcpStream,
    connection: usize,
    log: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<impl Fn(&Seen) -> Reply + Send + Sync + 'static>,
) {
    let mut stream = BufReader::new(stream);
    while let Some(seen) = read_request(&mut stream, connection).await {
        log.lock().unwrap().push(seen.clone());
        let reply = answer(&seen);
        if let Some(event) = reply.after {
            event.await;
        }
        if stream.write_all(&reply.bytes).await.is_err() {
            return;
        }
        if reply.then == Then::Close {
            return;
        }
    }
}

async fn read_request(stream: &mut BufReader<TcpStream>, connection: usize) -> Option<Seen> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok().filter(|&length| length > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        line.clear();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    Some(Seen { connection, path, headers })
}

/// The program, in a plain environment with a locale that has all characters.
pub(crate) fn client(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_causeway-client"));
    command.args(arguments).env_clear().env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    command.kill_on_drop(true);
    command
}

pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) async fn run(arguments: &[&str]) -> Run {
    finished(client(arguments).output().await.unwrap())
}

pub(crate) fn finished(output: Output) -> Run {
    Run {
        code: output.status.code().expect("the client ends by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs with `--json` and reads what it says.
pub(crate) async fn run_json(arguments: &[&str]) -> (i32, Value) {
    let mut with_json = vec!["--json"];
    with_json.extend(arguments);
    let run = run(&with_json).await;
    let value = serde_json::from_str(&run.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}{}", run.stdout, run.stderr));
    (run.code, value)
}

/// The stories of one visit, counted from nought.
pub(crate) fn requests(json: &Value, visit: usize) -> &Vec<Value> {
    json["visits"][visit]["requests"].as_array().unwrap()
}

/// One fact of each story.
pub(crate) fn each<'a>(requests: &'a [Value], fact: &str) -> Vec<&'a Value> {
    requests.iter().map(|request| &request[fact]).collect()
}
