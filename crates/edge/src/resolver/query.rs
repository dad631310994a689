//! One question, asked of one server after another until one of them answers.
//!
//! Each question has a socket of its own, whose port the kernel chooses: who wants to answer in a
//! server's place has to guess the port as well as the number.

use std::{
    collections::hash_map::RandomState,
    hash::{BuildHasher, Hasher},
    io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpStream, UdpSocket},
    time::timeout,
};

use super::{
    ResolveError,
    message::{Answer, Kind, Reply, question, reply},
};
use crate::{conf::errno, log::Level, modules::error_log::ErrorLog};

/// How long one server is waited for before the next is asked.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest datagram that is read; what is longer is asked for by TCP.
const DATAGRAM: usize = 4096;

/// Asks until there is an answer; whoever wants one bounds the time.
pub(super) async fn ask(
    servers: impl Iterator<Item = SocketAddr>,
    name: &str,
    kind: Kind,
    log: &ErrorLog,
) -> Result<Answer, ResolveError> {
    for server in servers {
        // The hasher's keys come from the system: a number nobody outside can tell.
        let id = RandomState::new().build_hasher().finish() as u16;
        let message = question(id, name, kind).ok_or(ResolveError::NotFound)?;
        let one = Query { server, id, name, kind, message: &message };
        let outcome = timeout(PATIENCE, async {
            let outcome = one.ask().await;
            if let Err(error) = &outcome {
                let error = errno(error);
                let line = format!("{error} while resolving, resolver: {server}");
                log.write(Level::Error, None, &line);
                // As long as the server would have had: it may be back by then.
                std::future::pending::<()>().await;
            }
            outcome
        });
        match outcome.await {
            Ok(Ok(Reply::Answer(answer))) => return Ok(answer),
            Ok(Ok(Reply::Failed(error))) => return Err(error),
            _ => (),
        }
    }
    Err(ResolveError::Timeout)
}

struct Query<'a> {
    server: SocketAddr,
    id: u16,
    name: &'a str,
    kind: Kind,
    message: &'a [u8],
}

impl Query<'_> {
    async fn ask(&self) -> io::Result<Reply> {
        let any: SocketAddr = match self.server {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).await?;
        socket.connect(self.server).await?;
        socket.send(self.message).await?;
        let mut buffer = vec![0; DATAGRAM];
        loop {
            let length = socket.recv(&mut buffer).await?;
            match reply(&buffer[..length], self.id, self.name, self.kind) {
                Reply::Nonsense => (),
                Reply::Truncated => return self.ask_by_tcp().await,
                reply => return Ok(reply),
            }
        }
    }

    async fn ask_by_tcp(&self) -> io::Result<Reply> {
        let mut stream = TcpStream::connect(self.server).await?;
        let length = (self.message.len() as u16).to_be_bytes();
        stream.write_all(&[&length, self.message].concat()).await?;
        let length = stream.read_u16().await?;
        let mut buffer = vec![0; length.into()];
        stream.read_exact(&mut buffer).await?;
        match reply(&buffer, self.id, self.name, self.kind) {
            Reply::Nonsense | Reply::Truncated => Err(io::ErrorKind::InvalidData.into()),
            reply => Ok(reply),
        }
    }
}
