//! A server that does as it is told, byte for byte, and keeps what it was sent.

use std::sync::{Arc, Mutex};

use suite::{Outcome, Suite, Target};
use tempfile::TempDir;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;

#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Reads a whole request, then sends this.
    Answer(Vec<u8>),
    /// Reads no more than a request's head, then sends this.
    AnswerHead(Vec<u8>),
    /// Reads the body that belongs to a head that was read.
    TakeBody(usize),
    Send(Vec<u8>),
    /// Reads no more, and does not close either.
    Stall,
    Close,
    /// Reads a whole request, and closes without a word.
    TakeAndClose,
    /// Waits for a request, and closes without having read any of it.
    CloseUnread,
}

/// What can wait for bytes without taking them.
pub(crate) trait Readable {
    async fn until_readable(&self);
}

impl Readable for TcpStream {
    async fn until_readable(&self) {
        self.peek(&mut [0]).await.unwrap();
    }
}

impl Readable for TlsStream<TcpStream> {
    async fn until_readable(&self) {
        self.get_ref().0.peek(&mut [0]).await.unwrap();
    }
}

pub(crate) fn answer(text: &str) -> Step {
    Step::Answer(text.as_bytes().to_vec())
}

/// A 200 with this body and these fields.
pub(crate) fn ok(fields: &str, body: &str) -> Step {
    answer(&format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len()))
}

pub(crate) struct Server {
    pub(crate) base: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Follows a script for each connection; after it, it waits for the client to close.
    pub(crate) async fn start(scripts: Vec<Vec<Step>>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let keep = Arc::clone(&seen);
        tokio::spawn(async move {
            for script in scripts {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(follow(stream, script, Arc::clone(&keep)));
            }
        });
        Server { base, seen }
    }

    /// The requests, in the order they came in.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }

    /// Runs a file with this text.
    pub(crate) async fn run(&self, text: &str) -> Outcome {
        self.run_with(text, |_| {}).await
    }

    pub(crate) async fn run_with(&self, text: &str, change: impl FnOnce(&mut Target)) -> Outcome {
        let mut target = Target::new(self.base.parse().unwrap());
        change(&mut target);
        let folder = folder(&[("a.hurl", text.as_bytes())]);
        let suite = Suite::load(&[folder.path().to_owned()]).unwrap();
        suite.run(&target).await.unwrap()
    }
}

/// A folder with these files in it.
pub(crate) fn folder(files: &[(&str, &[u8])]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).unwrap();
    }
    folder
}

/// What did not hold, one after the other.
pub(crate) fn reasons(outcome: &Outcome) -> Vec<String> {
    outcome.failures().map(|failure| failure.actual.clone()).collect()
}

#[track_caller]
pub(crate) fn assert_passed(outcome: &Outcome) {
    assert!(outcome.passed(), "{}", suite::report::human(outcome));
}

pub(crate) async fn follow(
    mut stream: impl AsyncRead + AsyncWrite + Readable + Unpin,
    script: Vec<Step>,
    seen: Arc<Mutex<Vec<String>>>,
) {
    let mut unread = Vec::new();
    for step in script {
        match step {
            Step::Answer(bytes) => {
                let Some(request) = request(&mut stream, &mut unread).await else { return };
                seen.lock().unwrap().push(String::from_utf8_lossy(&request).into_owned());
                stream.write_all(&bytes).await.unwrap();
            }
            Step::AnswerHead(bytes) => {
                let Some(head) = head(&mut stream, &mut unread).await else { return };
                seen.lock().unwrap().push(String::from_utf8_lossy(&head).into_owned());
                stream.write_all(&bytes).await.unwrap();
            }
            Step::TakeBody(length) => {
                while unread.len() < length {
                    if stream.read_buf(&mut unread).await.unwrap() == 0 {
                        return;
                    }
                }
                let body: Vec<u8> = unread.drain(..length).collect();
                seen.lock().unwrap().push(String::from_utf8_lossy(&body).into_owned());
            }
            Step::Send(bytes) => stream.write_all(&bytes).await.unwrap(),
            Step::Stall => std::future::pending().await,
            Step::TakeAndClose => {
                request(&mut stream, &mut unread).await.unwrap();
                return;
            }
            Step::CloseUnread => {
                stream.until_readable().await;
                return;
            }
            Step::Close => {
                stream.shutdown().await.unwrap();
                return;
            }
        }
    }
    while stream.read_buf(&mut unread).await.is_ok_and(|read| read > 0) {
        unread.clear();
    }
}

async fn request(stream: &mut (impl AsyncRead + Unpin), unread: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut request = head(stream, unread).await?;
    let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
    let length = text.split("content-length: ").nth(1);
    let length: usize =
        length.map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
    let chunked = text.contains("transfer-encoding: chunked");
    loop {
        let end = if chunked {
            unread.windows(5).position(|bytes| bytes == b"0\r\n\r\n").map(|at| at + 5)
        } else {
            (unread.len() >= length).then_some(length)
        };
        if let Some(end) = end {
            request.extend(unread.drain(..end));
            return Some(request);
        }
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
}

async fn head(stream: &mut (impl AsyncRead + Unpin), unread: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(at) = unread.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            return Some(unread.drain(..at + 4).collect());
        }
        if stream.read_buf(unread).await.ok()? == 0 {
            return None;
        }
    }
}
