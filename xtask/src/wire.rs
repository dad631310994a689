//! HTTP/1.1 as bytes on a socket. The tests speak it themselves, because what they look for (a reply
//! that comes too early, a second reply that nobody asked for, a body cut short) is just what an HTTP
//! library hides. It believes nothing it did not read.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Waker};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use crate::probe::Address;

/// No test waits longer for anything; a hang becomes a failure that says where.
pub const PATIENCE: Duration = Duration::from_secs(30);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One connection, and what was read from it but not yet looked at.
pub struct Wire {
    stream: Box<dyn Stream>,
    unread: Vec<u8>,
    ended: bool,
}

/// Status line and fields of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub fields: Vec<(String, String)>,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub head: Head,
    pub body: Vec<u8>,
}

/// How the end of a body is found, RFC 9112 §6.3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    None,
    Length(usize),
    Chunked,
    UntilClose,
}

impl Head {
    /// The value of a field that must not come twice.
    pub fn field<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        let mut values = self.all(name);
        let first = values.next();
        assert!(values.next().is_none(), "field \"{name}\" came twice: {:?}", self.fields);
        first
    }

    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.fields
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    fn framing(&self, method: &str) -> Result<Framing> {
        if method == "HEAD" || self.status == 204 || self.status == 304 || self.status < 200 {
            return Ok(Framing::None);
        }
        let length = self.field("content-length");
        if let Some(coding) = self.field("transfer-encoding") {
            ensure!(coding == "chunked", "transfer coding \"{coding}\"");
            ensure!(length.is_none(), "an answer with both Content-Length and Transfer-Encoding");
            return Ok(Framing::Chunked);
        }
        Ok(match length {
            Some(length) => Framing::Length(length.parse().context("content-length")?),
            None => Framing::UntilClose,
        })
    }
}

impl Answer {
    pub fn status(&self) -> u16 {
        self.head.status
    }

    pub fn field<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.head.field(name)
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Wire {
    pub async fn tcp(address: SocketAddr) -> io::Result<Wire> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Wire { stream: Box::new(stream), unread: Vec::new(), ended: false })
    }

    pub async fn unix(socket: &Path) -> io::Result<Wire> {
        let stream = UnixStream::connect(socket).await?;
        Ok(Wire { stream: Box::new(stream), unread: Vec::new(), ended: false })
    }

    /// A connection of either kind.
    pub async fn to(address: &Address) -> io::Result<Wire> {
        match address {
            Address::Tcp(address) => Wire::tcp(*address).await,
            Address::Unix(socket) => Wire::unix(socket).await,
        }
    }

    /// Whether the peer has said that it is done, as far as this side knows by now. What it sent
    /// unasked counts as that, too.
    pub fn was_closed(&mut self) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        let mut byte = [0; 1];
        let mut buffer = ReadBuf::new(&mut byte);
        Pin::new(&mut self.stream).poll_read(&mut context, &mut buffer).is_ready()
    }

    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> Result<()> {
        let sent = timeout(PATIENCE, self.stream.write_all(bytes.as_ref())).await;
        sent.context("the peer reads no more")?.context("cannot send")
    }

    /// Says that no more will be sent, and goes on reading.
    pub async fn half_close(&mut self) -> Result<()> {
        self.stream.shutdown().await.context("cannot half-close")
    }

    /// A request without a body, and its answer.
    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        self.request("GET", path, "").await
    }

    /// A request without a body; `fields` are whole lines, each ended by CR LF.
    pub async fn request(&mut self, method: &str, path: &str, fields: &str) -> Result<Answer> {
        self.send(format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")).await?;
        self.answer(method).await
    }

    /// The next answer, interim ones (1xx) skipped, as an answer to `method`.
    pub async fn answer(&mut self, method: &str) -> Result<Answer> {
        let head = loop {
            let head = self.head().await?;
            if head.status >= 200 {
                break head;
            }
        };
        let mut body = Vec::new();
        match head.framing(method)? {
            Framing::None => {}
            Framing::Length(length) => body = self.exactly(length).await?,
            Framing::Chunked => {
                while let Some(chunk) = self.chunk().await? {
                    body.extend_from_slice(&chunk);
                }
            }
            Framing::UntilClose => {
                while self.more().await? {}
                body = std::mem::take(&mut self.unread);
            }
        }
        Ok(Answer { head, body })
    }

    pub async fn head(&mut self) -> Result<Head> {
        let line = self.line().await?;
        let status = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
        let status = status.and_then(|rest| rest.get(..3)?.parse().ok());
        let status = status.with_context(|| format!("not a status line: {line:?}"))?;
        let mut fields = Vec::new();
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(Head { status, fields });
            }
            let (name, value) =
                line.split_once(':').with_context(|| format!("not a field line: {line:?}"))?;
            fields.push((name.to_owned(), value.trim().to_owned()));
        }
    }

    /// One chunk of a chunked body as it came, `None` for the last.
    pub async fn chunk(&mut self) -> Result<Option<Vec<u8>>> {
        let line = self.line().await?;
        let size = line.split(';').next().unwrap_or_default();
        let size = usize::from_str_radix(size, 16)
            .with_context(|| format!("not a chunk size: {line:?}"))?;
        if size > 0 {
            let chunk = self.exactly(size).await?;
            ensure!(self.line().await?.is_empty(), "a chunk is longer than its size");
            return Ok(Some(chunk));
        }
        while !self.line().await?.is_empty() {}
        Ok(None)
    }

    pub async fn line(&mut self) -> Result<String> {
        loop {
            if let Some(end) = self.unread.windows(2).position(|pair| pair == b"\r\n") {
                let line = String::from_utf8_lossy(&self.unread[..end]).into_owned();
                self.unread.drain(..end + 2);
                return Ok(line);
            }
            self.need().await?;
        }
    }

    pub async fn exactly(&mut self, length: usize) -> Result<Vec<u8>> {
        while self.unread.len() < length {
            self.need().await?;
        }
        Ok(self.unread.drain(..length).collect())
    }

    /// Waits for the peer to close; what it sent until then.
    pub async fn rest(&mut self) -> Result<Vec<u8>> {
        while self.more().await? {}
        Ok(std::mem::take(&mut self.unread))
    }

    /// Whether anything of an answer has been read.
    pub fn nothing_read(&self) -> bool {
        self.unread.is_empty()
    }

    async fn need(&mut self) -> Result<()> {
        if !self.more().await? {
            let text =
                String::from_utf8_lossy(&self.unread[..self.unread.len().min(200)]).into_owned();
            bail!("the connection ended too early, after {text:?}");
        }
        Ok(())
    }

    /// Reads once; `false` at the end of the stream.
    async fn more(&mut self) -> Result<bool> {
        if self.ended {
            return Ok(false);
        }
        self.unread.reserve(64 * 1024);
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.unread)).await;
        let read = read.context("no more bytes came")?.context("cannot read")?;
        self.ended = read == 0;
        Ok(read > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn reading(sent: &'static [u8]) -> Wire {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        far.write_all(sent).await.unwrap();
        Wire { stream: Box::new(near), unread: Vec::new(), ended: false }
    }

    #[tokio::test]
    async fn answers_that_follow_each_other_are_told_apart() {
        let mut wire = reading(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\
              Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nHTTP/1.1 304 Not Modified\r\n\r\nHTTP/1.1 404 No\r\n\r\nrest",
        )
        .await;
        assert_eq!(wire.answer("GET").await.unwrap().body, b"ok");
        assert_eq!(wire.answer("GET").await.unwrap().body, b"abc");
        assert_eq!(wire.answer("GET").await.unwrap().status(), 304);
        assert_eq!(wire.answer("GET").await.unwrap().text(), "rest");
    }

    #[tokio::test]
    async fn a_body_cut_short_is_an_error() {
        let mut wire = reading(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok").await;
        assert!(wire.answer("GET").await.is_err());
        let mut wire =
            reading(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").await;
        assert!(wire.answer("GET").await.is_err());
    }
}
