//! Does a hop truly answer? Asked with a real request through its socket, because a socket that
//! accepts says nothing about an application that is still being imported.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpStream, UnixStream};

/// Where a hop listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Address {
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Tcp(address) => write!(out, "{address}"),
            Address::Unix(path) => write!(out, "unix:{}", path.display()),
        }
    }
}

impl Address {
    /// The status of one GET, over a connection of its own.
    pub async fn ask(&self, path: &str) -> io::Result<u16> {
        match self {
            Address::Tcp(address) => status(TcpStream::connect(address).await?, path).await,
            Address::Unix(socket) => status(UnixStream::connect(socket).await?, path).await,
        }
    }

    /// Connects again and again until somebody accepts, and says what came last. It ends by its caller's
    /// deadline only.
    pub async fn until_it_accepts(&self, last: &mut String) {
        let mut tick = tokio::time::interval(Duration::from_millis(25));
        loop {
            tick.tick().await;
            let connected = match self {
                Address::Tcp(address) => TcpStream::connect(address).await.map(drop),
                Address::Unix(socket) => UnixStream::connect(socket).await.map(drop),
            };
            match connected {
                Ok(()) => return,
                Err(error) => *last = error.to_string(),
            }
        }
    }

    /// Asks again and again until the answer is not an error of a server (5xx), and says what came
    /// last. It ends by its caller's deadline only.
    pub async fn until_it_answers(&self, path: &str, last: &mut String) {
        let mut tick = tokio::time::interval(Duration::from_millis(25));
        loop {
            tick.tick().await;
            match self.ask(path).await {
                Ok(status) if status < 500 => return,
                Ok(status) => *last = format!("it answered {status}"),
                Err(error) => *last = error.to_string(),
            }
        }
    }
}

async fn status(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> io::Result<u16> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: causeway-up\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // To its end, so that no hop finds a client that went away; some end it without closing.
    while !complete(&answer) && stream.read_buf(&mut answer).await? > 0 {}
    let line = answer.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = String::from_utf8_lossy(line);
    let code = line.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)?.parse().ok());
    code.ok_or_else(|| {
        io::Error::new(io::ErrorKind::InvalidData, format!("it answered \"{}\"", line.trim_end()))
    })
}

/// Whether there are as many bytes as the head says; never for an answer that ends by closing.
fn complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer);
    let Some((head, _)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.lines().filter_map(|line| line.split_once(':'));
    let length = length.filter(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut length = length.filter_map(|(_, value)| value.trim().parse::<usize>().ok());
    length.next().is_some_and(|length| answer.len() >= head.len() + 4 + length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    async fn answers(answer: &'static str) -> io::Result<u16> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = Address::Tcp(listener.local_addr()?);
        tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
        });
        address.ask("/").await
    }

    #[tokio::test]
    async fn a_status_is_read_and_anything_else_is_an_error() {
        assert_eq!(answers("HTTP/1.1 200 OK\r\n\r\n").await.unwrap(), 200);
        assert_eq!(answers("HTTP/1.0 502 Bad Gateway\r\n\r\n").await.unwrap(), 502);
        assert_eq!(answers("HTTP/1.1 404 No\r\ncontent-length: 2\r\n\r\nno").await.unwrap(), 404);
        assert!(answers("SSH-2.0-OpenSSH\r\n").await.is_err());
        assert!(answers("").await.is_err());
    }
}
