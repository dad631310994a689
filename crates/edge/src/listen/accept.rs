//! Connections, shared out among the threads.
//!
//! Every thread waits on every socket, and whoever wakes first accepts; but the connection goes to
//! the thread that has the fewest. With keep-alive a connection stays where it is put for minutes,
//! so an uneven start would leave cores idle for as long.

use std::{
    io::ErrorKind,
    net::SocketAddr,
    os::fd::OwnedFd,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::mpsc,
};

use super::{ListenAddress, Socket};
use crate::{
    connection::{
        Client, Io, Peer, PeerAddress,
        counts::{self, Count, Counted},
        serve,
    },
    load::Http,
    log::Level,
    process::Drain,
};

/// One thread's place: how many connections it has, and where new ones are handed to it.
pub struct Desk {
    connections: AtomicUsize,
    inbox: mpsc::Sender<Accepted>,
}

/// A connection on its way to the thread that will serve it.
pub struct Accepted {
    stream: std::net::TcpStream,
    peer: PeerAddress,
    local: PeerAddress,
    address: usize,
}

/// Connections are numbered through all threads, as in nginx's log.
static NUMBER: AtomicU64 = AtomicU64::new(1);

/// Handed over and not yet taken: more than this, and the accepting thread keeps its own.
const INBOX: usize = 1024;

impl Desk {
    pub fn new() -> (Desk, mpsc::Receiver<Accepted>) {
        let (inbox, taken) = mpsc::channel(INBOX);
        (Desk { connections: AtomicUsize::new(0), inbox }, taken)
    }
}

/// What a thread needs to take connections.
pub struct Acceptor {
    pub http: Arc<Http>,
    pub desks: Arc<[Desk]>,
    /// Whose thread this is.
    pub desk: usize,
    pub drain: Drain,
    /// `worker_connections`: clients a thread has at most.
    pub limit: usize,
}

impl Acceptor {
    /// Starts accepting, on the thread's own runtime, until the drain begins.
    pub fn start(
        self: Rc<Self>,
        sockets: &[Socket],
        mut inbox: mpsc::Receiver<Accepted>,
    ) -> std::io::Result<()> {
        for (address, listen) in self.http.addresses.iter().enumerate() {
            let socket = sockets.iter().find(|socket| socket.address == listen.listen.address);
            // One without a socket is covered by a wildcard's.
            let Some(socket) = socket else { continue };
            let fd = socket.fd.try_clone()?;
            tokio::task::spawn_local(
                Rc::clone(&self).accept(listener(&socket.address, fd)?, address),
            );
        }
        tokio::task::spawn_local(async move {
            // What has been handed over is served; from then on the others keep their own.
            let _busy = self.drain.busy();
            loop {
                let accepted = tokio::select! {
                    biased;
                    accepted = inbox.recv() => accepted,
                    () = self.drain.begun(), if !inbox.is_closed() => {
                        inbox.close();
                        continue;
                    }
                };
                match accepted {
                    Some(accepted) => self.take(accepted),
                    None => return,
                }
            }
        });
        Ok(())
    }

    async fn accept(self: Rc<Self>, listener: Listener, address: usize) {
        let _busy = self.drain.busy();
        let assign = |(stream, peer, local)| {
            let address = self.address_of(&local, address);
            self.assign(stream, peer, local, address);
        };
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = self.drain.begun() => break,
            };
            match accepted {
                Ok(accepted) => assign(accepted),
                Err(error) => self.refused(&error, address).await,
            }
        }
        // Who has connected is answered. The kernel is asked itself: the runtime only knows of those
        // that had come when it last looked.
        if let Err(error) = listener.last(assign) {
            self.refused(&error, address).await;
        }
    }

    /// Behind a wildcard's socket: the address that was connected to, if the file names it.
    fn address_of(&self, local: &PeerAddress, accepted_at: usize) -> usize {
        let addresses = &self.http.addresses;
        let PeerAddress::Ip(local) = local else { return accepted_at };
        if addresses[accepted_at].listen.address == ListenAddress::Ip(*local) {
            return accepted_at;
        }
        let local = ListenAddress::Ip(*local);
        let named = addresses.iter().position(|known| known.listen.address == local);
        named.unwrap_or(accepted_at)
    }

    async fn refused(&self, error: &std::io::Error, address: usize) {
        let log = &self.http.addresses[address].default.outer.error_log;
        let line = format!("accept4() failed ({})", crate::conf::errno(error));
        if error.kind() == ErrorKind::ConnectionAborted {
            log.write(Level::Error, None, &line);
            return;
        }
        log.write(Level::Crit, None, &line);
        // Out of descriptors, most likely: give the others time to close some.
        tokio::select! {
            () = tokio::time::sleep(ACCEPT_PAUSE) => (),
            () = self.drain.begun() => (),
        }
    }

    fn assign(self: &Rc<Self>, io: Io, peer: PeerAddress, local: PeerAddress, address: usize) {
        counts::tally(Count::Accepted);
        let count = |desk: &Desk| desk.connections.load(Ordering::Relaxed);
        let (least, desk) = self
            .desks
            .iter()
            .enumerate()
            .min_by_key(|(_, desk)| count(desk))
            .expect("there is at least this thread's desk");
        if count(desk) >= self.limit {
            let log = &self.http.addresses[address].default.outer.error_log;
            let line = format!("{} worker_connections are not enough", self.limit);
            return log.write(Level::Alert, None, &line);
        }
        // A tie, or nearly one, is not worth waking another thread for.
        if least == self.desk || count(desk) >= count(&self.desks[self.desk]) {
            return self.serve(io, peer, local, address);
        }
        let io = match io {
            Io::Tcp(stream) => stream,
            other => return self.serve(other, peer, local, address),
        };
        let Ok(stream) = io.into_std() else { return };
        desk.connections.fetch_add(1, Ordering::Relaxed);
        let accepted = Accepted { stream, peer, local, address };
        if let Err(error) = desk.inbox.try_send(accepted) {
            desk.connections.fetch_sub(1, Ordering::Relaxed);
            let accepted = error.into_inner();
            self.desks[self.desk].connections.fetch_add(1, Ordering::Relaxed);
            self.take(accepted);
        }
    }

    /// A connection that was counted when it was handed over.
    fn take(self: &Rc<Self>, accepted: Accepted) {
        let Accepted { stream, peer, local, address } = accepted;
        match TcpStream::from_std(stream) {
            Ok(stream) => self.spawn(Io::Tcp(stream), peer, local, address),
            Err(_) => {
                self.desks[self.desk].connections.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }

    fn serve(self: &Rc<Self>, io: Io, peer: PeerAddress, local: PeerAddress, address: usize) {
        self.desks[self.desk].connections.fetch_add(1, Ordering::Relaxed);
        self.spawn(io, peer, local, address);
    }

    fn spawn(self: &Rc<Self>, io: Io, peer: PeerAddress, local: PeerAddress, address: usize) {
        counts::tally(Count::Handled);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        if let Io::Tcp(stream) = &io
            && self.http.addresses[address].default.outer.core.tcp_nodelay()
        {
            // The socket may have been reset already; serving it will tell.
            let _reset = stream.set_nodelay(true);
        }
        let mut peer = Peer::new(number, peer, local);
        peer.debugged = self.http.debugged.iter().any(|who| who.fits(&peer.remote.address));
        let client = Client::new(io, Rc::new(peer));
        let serving = Serving::begin(self);
        let (http, drain) = (Arc::clone(&self.http), self.drain.clone());
        tokio::task::spawn_local(async move {
            let _serving = serving;
            serve(http, address, client, drain).await;
        });
    }
}

/// Counts a connection out again, however it ends.
struct Serving {
    desks: Arc<[Desk]>,
    desk: usize,
    _active: Counted,
    _drain: crate::process::Busy,
}

impl Serving {
    fn begin(acceptor: &Acceptor) -> Serving {
        let desks = Arc::clone(&acceptor.desks);
        let (active, drain) = (Counted::one(Count::Active), acceptor.drain.busy());
        Serving { desks, desk: acceptor.desk, _active: active, _drain: drain }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.desks[self.desk].connections.fetch_sub(1, Ordering::Relaxed);
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(500);

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

fn listener(address: &ListenAddress, fd: OwnedFd) -> std::io::Result<Listener> {
    Ok(match address {
        ListenAddress::Ip(_) => Listener::Tcp(TcpListener::from_std(fd.into())?),
        ListenAddress::Unix(_) => Listener::Unix(UnixListener::from_std(fd.into())?),
    })
}

impl Listener {
    /// Takes those that wait to be accepted now. After them, nobody listens here.
    fn last(self, mut take: impl FnMut(Accept)) -> std::io::Result<()> {
        let listener = match self {
            Listener::Tcp(listener) => Last::Tcp(listener.into_std()?),
            Listener::Unix(listener) => Last::Unix(listener.into_std()?),
        };
        loop {
            match listener.accept() {
                Ok(accepted) => take(accepted),
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => return Ok(()),
                    ErrorKind::Interrupted | ErrorKind::ConnectionAborted => (),
                    _ => return Err(error),
                },
            }
        }
    }

    async fn accept(&self) -> std::io::Result<Accept> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                over_tcp(stream, peer)
            }
            Listener::Unix(listener) => over_unix(listener.accept().await?.0),
        }
    }
}

/// A listener asked by system calls alone.
enum Last {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Last {
    fn accept(&self) -> std::io::Result<Accept> {
        match self {
            Last::Tcp(listener) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                over_tcp(TcpStream::from_std(stream)?, peer)
            }
            Last::Unix(listener) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                over_unix(UnixStream::from_std(stream)?)
            }
        }
    }
}

/// A connection, who made it, and what address it was made to.
type Accept = (Io, PeerAddress, PeerAddress);

fn over_tcp(stream: TcpStream, peer: SocketAddr) -> std::io::Result<Accept> {
    let local = stream.local_addr()?;
    Ok((Io::Tcp(stream), PeerAddress::Ip(peer), PeerAddress::Ip(local)))
}

fn over_unix(stream: UnixStream) -> std::io::Result<Accept> {
    let local = stream.local_addr()?.as_pathname().map(std::path::Path::to_path_buf);
    Ok((Io::Unix(stream), PeerAddress::Unix(None), PeerAddress::Unix(local)))
}
