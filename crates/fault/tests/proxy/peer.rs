//! The two ends of a proxied connection, in either family, and a proxy between them.

use std::{
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use fault::{Fault, Journal, Proxy, Stream as Direction};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::timeout,
};

/// No test waits longer for anything.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// One end.
pub(crate) struct Peer(Box<dyn Stream>);

pub(crate) async fn patiently<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future)
        .await
        .unwrap_or_else(|_| panic!("{what}: nothing within {PATIENCE:?}"))
}

impl Peer {
    pub(crate) async fn connect(address: &str) -> io::Result<Peer> {
        Ok(Peer(match address.strip_prefix("unix:") {
            Some(path) => Box::new(UnixStream::connect(path.replacen('@', "\0", 1)).await?),
            None => Box::new(TcpStream::connect(address).await?),
        }))
    }

    pub(crate) async fn send(&mut self, text: impl AsRef<[u8]>) {
        patiently("send", self.0.write_all(text.as_ref())).await.unwrap();
    }

    /// Says that nothing more will be sent.
    pub(crate) async fn finish(&mut self) {
        patiently("finish", self.0.shutdown()).await.unwrap();
    }

    /// One read's worth.
    pub(crate) async fn piece(&mut self) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; 65536];
        let count = patiently("piece", self.0.read(&mut buffer)).await?;
        buffer.truncate(count);
        Ok(buffer)
    }

    pub(crate) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        let mut buffer = vec![0; count];
        patiently("exactly", self.0.read_exact(&mut buffer)).await.unwrap();
        buffer
    }

    /// Reads `text`, and nothing else.
    pub(crate) async fn expect(&mut self, text: &str) {
        let read = self.exactly(text.len()).await;
        assert_eq!(String::from_utf8_lossy(&read), text);
    }

    /// Everything until the end, and how it ended.
    pub(crate) async fn rest(&mut self) -> (Vec<u8>, io::Result<()>) {
        let mut all = Vec::new();
        loop {
            match self.piece().await {
                Ok(piece) if piece.is_empty() => return (all, Ok(())),
                Ok(piece) => all.extend(piece),
                Err(error) => return (all, Err(error)),
            }
        }
    }

    /// Reads nothing but the end.
    pub(crate) async fn ends(&mut self) {
        let (rest, end) = self.rest().await;
        assert_eq!(String::from_utf8_lossy(&rest), "");
        end.unwrap();
    }

    pub(crate) async fn is_reset(&mut self) {
        let error = self.rest().await.1.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset, "{error}");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Tcp,
    Unix,
}

enum Server {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A proxy with a server behind it.
pub(crate) struct Stand {
    pub(crate) proxy: Proxy,
    server: Server,
    lines: Arc<Mutex<Vec<String>>>,
    pub(crate) fault: Fault,
    pub(crate) folder: TempDir,
}

impl Stand {
    pub(crate) async fn new() -> Stand {
        Stand::of(Family::Tcp).await
    }

    pub(crate) async fn of(family: Family) -> Stand {
        let folder = tempfile::tempdir().unwrap();
        let (server, upstream, listen) = match family {
            Family::Tcp => {
                let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = server.local_addr().unwrap().to_string();
                (Server::Tcp(server), address, "127.0.0.1:0".to_owned())
            }
            Family::Unix => {
                let path = folder.path().join("server");
                let server = UnixListener::bind(&path).unwrap();
                let unix = |name| format!("unix:{}", folder.path().join(name).display());
                (Server::Unix(server), unix("server"), unix("proxy"))
            }
        };
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&lines);
        let fault =
            Fault::new(Journal::new(move |line| kept.lock().unwrap().push(line.to_owned())));
        let proxy = fault.proxy("hop", &listen, &upstream).await.unwrap();
        Stand { proxy, server, lines, fault, folder }
    }

    pub(crate) async fn client(&self) -> Peer {
        Peer::connect(&self.proxy.listen().to_string()).await.unwrap()
    }

    pub(crate) async fn accept(&self) -> Peer {
        let accepted = async {
            match &self.server {
                Server::Tcp(server) => Peer(Box::new(server.accept().await.unwrap().0)),
                Server::Unix(server) => Peer(Box::new(server.accept().await.unwrap().0)),
            }
        };
        patiently("accept", accepted).await
    }

    /// Both ends of a new connection through the proxy.
    pub(crate) async fn pair(&self) -> (Peer, Peer) {
        let client = self.client().await;
        (client, self.accept().await)
    }

    /// Waits until the proxy has read so many bytes of the stream.
    pub(crate) async fn has_read(&self, stream: Direction, bytes: u64) {
        let read = async {
            let mut tick = tokio::time::interval(Duration::from_millis(5));
            while self.read(stream) < bytes {
                tick.tick().await;
            }
        };
        patiently("has_read", read).await;
    }

    fn read(&self, stream: Direction) -> u64 {
        let counters = self.proxy.counters();
        match stream {
            Direction::Upstream => counters.upstream.received,
            Direction::Downstream => counters.downstream.received,
        }
    }

    /// The proxy's lines that contain `part`.
    pub(crate) fn lines(&self, part: &str) -> Vec<String> {
        let lines = self.lines.lock().unwrap();
        lines.iter().filter(|line| line.contains(part)).cloned().collect()
    }
}

/// Both directions work.
pub(crate) async fn converse(client: &mut Peer, server: &mut Peer) {
    client.send("ping").await;
    server.expect("ping").await;
    server.send("pong").await;
    client.expect("pong").await;
}
