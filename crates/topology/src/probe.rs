//! Does a hop truly answer? Asked with a real request through its socket, because a socket that
//! accepts says nothing about an application that is still being imported.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::TlsConnector;

use crate::hosts::Namespace;

/// Of an answer, as much as is read.
const LONGEST: usize = 16 << 20;

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
        Probe::of(self).ask(path).await
    }

    /// Asks again and again until the answer is not an error of a server (5xx), and says what came
    /// last. It ends by its caller's deadline only.
    pub async fn until_it_answers(&self, path: &str, last: &mut String) {
        Probe::of(self).until_it_answers(path, last).await;
    }
}

/// How an address is reached.
#[derive(Clone, Copy, Debug)]
pub struct Probe<'a> {
    pub address: &'a Address,
    /// From which network.
    pub namespace: Option<&'a Namespace>,
    /// By TLS, with this authority trusted.
    pub authority: Option<&'a Path>,
}

impl<'a> Probe<'a> {
    pub fn of(address: &'a Address) -> Probe<'a> {
        Probe { address, namespace: None, authority: None }
    }

    pub async fn ask(self, path: &str) -> io::Result<u16> {
        let stream = self.connect().await?;
        let Some(authority) = self.authority else { return status(stream, path).await };
        let client = TlsConnector::from(client_config(authority)?);
        let name = ServerName::try_from("localhost").expect("it is a name");
        status(client.connect(name, stream).await?, path).await
    }

    pub async fn until_it_answers(self, path: &str, last: &mut String) {
        let attempt = || async move {
            match self.ask(path).await? {
                ..500 => Ok(()),
                status => Err(io::Error::other(format!("it answered {status}"))),
            }
        };
        until(attempt, last).await;
    }

    /// Until somebody accepts; the same otherwise.
    pub async fn until_it_accepts(self, last: &mut String) {
        until(|| async move { self.connect().await.map(drop) }, last).await;
    }

    /// Until a session of PostgreSQL's begins: it accepts connections before it lets anybody in.
    pub async fn until_postgresql_lets_in(self, user: &str, database: &str, last: &mut String) {
        until(|| self.log_in(user, database), last).await;
    }

    async fn log_in(self, user: &str, database: &str) -> io::Result<()> {
        const VERSION: &[u8] = &[0, 3, 0, 0];
        const TERMINATE: &[u8] = b"X\0\0\0\x04";
        let who = format!("user\0{user}\0database\0{database}\0\0");
        let length = (4 + VERSION.len() + who.len()) as u32;
        let mut stream = self.connect().await?;
        stream.write_all(&[&length.to_be_bytes(), VERSION, who.as_bytes()].concat()).await?;
        // Authentication, or an error, after which it closes.
        if stream.read_u8().await? == b'R' {
            return stream.write_all(TERMINATE).await;
        }
        let mut said = Vec::new();
        stream.take(1024).read_to_end(&mut said).await?;
        Err(io::Error::other(String::from_utf8_lossy(&said).replace('\0', " ").trim().to_owned()))
    }

    async fn connect(self) -> io::Result<Stream> {
        match (self.address, self.namespace) {
            (Address::Tcp(address), None) => {
                Ok(Box::new(TcpStream::connect(address).await?) as Stream)
            }
            (Address::Tcp(address), Some(namespace)) => {
                let made = namespace.inside(|| match address {
                    SocketAddr::V4(_) => TcpSocket::new_v4(),
                    SocketAddr::V6(_) => TcpSocket::new_v6(),
                });
                Ok(Box::new(made?.connect(*address).await?))
            }
            (Address::Unix(socket), _) => Ok(Box::new(UnixStream::connect(socket).await?)),
        }
    }
}

/// Whatever bytes go to and fro on.
trait Bytes: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Bytes for T {}

type Stream = Box<dyn Bytes>;

/// Tries again and again, and says what came last. It ends by its caller's deadline only.
async fn until<A: Future<Output = io::Result<()>>>(attempt: impl Fn() -> A, last: &mut String) {
    let mut tick = tokio::time::interval(Duration::from_millis(25));
    loop {
        tick.tick().await;
        match attempt().await {
            Ok(()) => return,
            Err(error) => *last = error.to_string(),
        }
    }
}

fn client_config(authority: &Path) -> io::Result<Arc<ClientConfig>> {
    let certificate = CertificateDer::from_pem_file(authority).map_err(io::Error::other)?;
    let mut roots = RootCertStore::empty();
    roots.add(certificate).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let builder = builder.map_err(io::Error::other)?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}

async fn status(mut stream: impl AsyncRead + AsyncWrite + Unpin, path: &str) -> io::Result<u16> {
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUser-Agent: causeway-up\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    // To its end, so that no hop finds a client that went away; some end it without closing. But no page
    // that says whether something works is endless.
    while !complete(&answer) && answer.len() < LONGEST && stream.read_buf(&mut answer).await? > 0 {}
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
