//! Where connections come from: sockets bound here, or handed over by whoever started us.

use std::{
    future::poll_fn,
    io,
    net::{SocketAddr, TcpListener as StdTcpListener, ToSocketAddrs},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::{
            fs::{FileTypeExt, MetadataExt},
            net::{UnixListener as StdUnixListener, UnixStream as StdUnixStream},
        },
    },
    path::{Path, PathBuf},
    rc::Rc,
    task::{Context, Poll},
    time::Duration,
};

use nix::sys::stat::{Mode, umask};
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::watch,
};

use crate::{
    front::{self, Stream},
    gateway::Gateway,
    settings::{Address, Settings},
    story::Peer,
    sys,
};

/// A listener's own address, as CGI's variables have it.
#[derive(Debug)]
pub(crate) enum Local {
    Tcp { host: String, port: String },
    Unix { path: String },
}

pub(crate) struct Listener {
    socket: Bound,
    local: Rc<Local>,
    /// Shown to the operator: `http://127.0.0.1:8000`, `unix:/run/app.sock`.
    pub(crate) shown: String,
    /// A path of ours, removed when we stop. One we inherited is not ours.
    pub(crate) path: Option<OwnPath>,
}

impl Listener {
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        match &self.socket {
            Bound::Tcp(socket) => socket.as_fd(),
            Bound::Unix(socket) => socket.as_fd(),
        }
    }

    /// As gunicornc has it.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.socket {
            Bound::Unix(_) => "unix",
            Bound::Tcp(socket) => match socket.local_addr() {
                Ok(SocketAddr::V6(_)) => "tcp6",
                Ok(SocketAddr::V4(_)) | Err(_) => "tcp",
            },
        }
    }

    /// Where it has a name among files.
    pub(crate) fn file(&self) -> Option<PathBuf> {
        match &self.socket {
            Bound::Tcp(_) => None,
            Bound::Unix(socket) => {
                socket.local_addr().ok()?.as_pathname().map(std::borrow::ToOwned::to_owned)
            }
        }
    }
}

/// Whether whoever knocks is let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doors {
    Open,
    /// They wait in the kernel's queue, for us or for another process that has the same socket.
    Shut,
    Closed(Queue),
}

/// What becomes of those who wait there when we close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Queue {
    /// Nobody else will take them.
    Ours,
    /// Another process has the same socket.
    Shared,
}

enum Bound {
    Tcp(StdTcpListener),
    Unix(StdUnixListener),
}

/// Removed when dropped, if it still is the same file: another server may have taken its place.
#[derive(Debug)]
pub(crate) struct OwnPath {
    path: PathBuf,
    inode: (u64, u64),
}

impl OwnPath {
    pub(crate) fn claim(path: &Path) -> io::Result<OwnPath> {
        let path = std::path::absolute(path)?;
        let inode = inode(&path)?;
        Ok(OwnPath { path, inode })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Somebody else removes it.
    pub(crate) fn leave(self) {
        std::mem::forget(self);
    }
}

fn inode(path: &Path) -> io::Result<(u64, u64)> {
    let found = std::fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

impl Drop for OwnPath {
    fn drop(&mut self) {
        if inode(&self.path).is_ok_and(|now| now == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// In gunicorn's words, for its error log; the first says what, the second why.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BindError {
    #[error("connection to {address} failed: {}", in_pythons_words(error))]
    Bind { address: Address, error: io::Error },
    #[error("\"{0}\" is in the way, and is not a socket")]
    NotASocket(PathBuf),
    #[error("{0} is not a listening stream socket")]
    NotListening(Address),
}

impl BindError {
    /// The system's own, where it was the system that refused.
    pub(crate) fn number(&self) -> Option<i32> {
        match self {
            BindError::Bind { error, .. } => error.raw_os_error(),
            BindError::NotASocket(_) | BindError::NotListening(_) => None,
        }
    }
}

fn in_pythons_words(error: &io::Error) -> String {
    let number = error.raw_os_error().unwrap_or(0);
    let text = nix::errno::Errno::from_raw(number).desc();
    if number == 0 { error.to_string() } else { format!("[Errno {number}] {text}") }
}

pub(crate) fn bind(address: &Address, settings: &Settings) -> Result<Listener, BindError> {
    let failed = |error| BindError::Bind { address: address.clone(), error };
    match address {
        Address::Tcp { host, port } => bind_tcp(host, *port, settings).map_err(failed),
        Address::Unix(path) => {
            if is_in_the_way(path).map_err(failed)? {
                return Err(BindError::NotASocket(path.clone()));
            }
            bind_unix(path, settings).map_err(failed)
        }
        Address::Inherited(number) => {
            let closed = || failed(io::Error::from_raw_os_error(nix::libc::EBADF));
            let descriptor = sys::take_descriptor(*number).ok_or_else(closed)?;
            adopt(address, descriptor, settings)
        }
    }
}

fn bind_tcp(host: &str, port: u16, settings: &Settings) -> io::Result<Listener> {
    let address = (host, port).to_socket_addrs()?.next();
    let address = address.ok_or_else(|| io::Error::other("the name has no address"))?;
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    if settings.reuse_port {
        socket.set_reuse_port(true)?;
    }
    // Accepted connections inherit it.
    socket.set_tcp_nodelay(true)?;
    socket.bind(&address.into())?;
    socket.listen(settings.backlog)?;
    tcp(socket.into(), settings)
}

fn tcp(socket: StdTcpListener, settings: &Settings) -> io::Result<Listener> {
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    let local = Local::Tcp { host: address.ip().to_string(), port: address.port().to_string() };
    let scheme = if settings.certfile.is_some() { "https" } else { "http" };
    let shown = format!("{scheme}://{address}");
    Ok(Listener { socket: Bound::Tcp(socket), local: Rc::new(local), shown, path: None })
}

/// Removes a socket nobody answers on. gunicorn removes it either way, and with it the other server.
pub(crate) fn is_in_the_way(path: &Path) -> io::Result<bool> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => Ok(true),
        Ok(_) => match StdUnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)?;
                Ok(false)
            }
            // Somebody answers, or may: a full queue is an answer too.
            Ok(_) | Err(_) => Err(io::Error::from_raw_os_error(nix::libc::EADDRINUSE)),
        },
    }
}

fn bind_unix(path: &Path, settings: &Settings) -> io::Result<Listener> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    let before = umask(Mode::from_bits_truncate(settings.umask));
    let bound = SockAddr::unix(path).and_then(|address| socket.bind(&address));
    umask(before);
    bound?;
    let own = OwnPath::claim(path)?;
    socket.listen(settings.backlog)?;
    unix(socket.into(), path, Some(own))
}

fn unix(socket: StdUnixListener, path: &Path, own: Option<OwnPath>) -> io::Result<Listener> {
    socket.set_nonblocking(true)?;
    let local = Rc::new(Local::Unix { path: path.display().to_string() });
    let shown = format!("unix:{}", path.display());
    Ok(Listener { socket: Bound::Unix(socket), local, shown, path: own })
}

/// Takes over a socket that listens already.
pub(crate) fn adopt(
    address: &Address,
    descriptor: OwnedFd,
    settings: &Settings,
) -> Result<Listener, BindError> {
    let failed = |error| BindError::Bind { address: address.clone(), error };
    let socket = Socket::from(descriptor);
    let listens = socket.is_listener().unwrap_or(false);
    if !listens || socket.r#type().ok() != Some(Type::STREAM) {
        return Err(BindError::NotListening(address.clone()));
    }
    let own = socket.local_addr().map_err(failed)?;
    if own.is_unix() {
        let path = own.as_pathname().map(Path::to_owned);
        let path = path.or_else(|| {
            // Without a file: its name is shown as systemd writes it.
            let name = String::from_utf8_lossy(own.as_abstract_namespace()?).into_owned();
            Some(PathBuf::from(format!("@{name}")))
        });
        return unix(socket.into(), &path.unwrap_or_default(), None).map_err(failed);
    }
    let _ = socket.set_tcp_nodelay(true);
    tcp(socket.into(), settings).map_err(failed)
}

/// Accepts until told to stop, and then everything that had already come: a connection the kernel
/// accepted for us is a client of ours.
pub(crate) async fn accept(
    gateway: Rc<Gateway>,
    listener: Listener,
    mut doors: watch::Receiver<Doors>,
) {
    let Listener { socket, local, .. } = listener;
    let begin = |stream, peer| {
        tokio::task::spawn_local(front::serve(
            Rc::clone(&gateway),
            gateway.connections.enter(),
            stream,
            peer,
            Rc::clone(&local),
        ));
    };
    let registered = match socket {
        Bound::Tcp(socket) => TcpListener::from_std(socket).map(Accepting::Tcp),
        Bound::Unix(socket) => UnixListener::from_std(socket).map(Accepting::Unix),
    };
    let mut accepting = match registered {
        Ok(accepting) => accepting,
        Err(error) => {
            return gateway.log.error(format_args!("can not accept connections: {error}"));
        }
    };
    loop {
        let now = *doors.borrow_and_update();
        let accepted = tokio::select! {
            biased;
            accepted = accepting.accept(&gateway), if now == Doors::Open => accepted,
            changed = doors.changed() => match (changed, *doors.borrow()) {
                (Ok(()), Doors::Open | Doors::Shut) => continue,
                (Ok(()), Doors::Closed(Queue::Shared)) => return,
                (Ok(()), Doors::Closed(Queue::Ours)) | (Err(_), _) => break,
            },
        };
        match accepted {
            Ok((stream, peer)) => begin(stream, peer),
            Err(error) => {
                // Out of descriptors, or the client is gone already. The next may do better.
                gateway.log.error(format_args!("a connection was not accepted: {error}"));
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
    match accepting {
        Accepting::Tcp(socket) => {
            let Ok(socket) = socket.into_std() else { return };
            while let Ok((stream, peer)) = socket.accept() {
                let _ = stream.set_nonblocking(true);
                if let Ok(stream) = tokio::net::TcpStream::from_std(stream) {
                    begin(Stream::Tcp(stream), Peer::Tcp(peer));
                }
            }
        }
        Accepting::Unix(socket) => {
            let Ok(socket) = socket.into_std() else { return };
            while let Ok((stream, _)) = socket.accept() {
                let _ = stream.set_nonblocking(true);
                if let Ok(stream) = tokio::net::UnixStream::from_std(stream) {
                    begin(Stream::Unix(stream), Peer::Unix);
                }
            }
        }
    }
}

enum Accepting {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Accepting {
    /// The next connection, once there may be another.
    async fn accept(&mut self, gateway: &Gateway) -> io::Result<(Stream, Peer)> {
        poll_fn(|context| {
            if !gateway.connections.have_room(&gateway.settings(), context) {
                return Poll::Pending;
            }
            self.poll_accept(context)
        })
        .await
    }

    fn poll_accept(&mut self, context: &mut Context<'_>) -> Poll<io::Result<(Stream, Peer)>> {
        match self {
            Accepting::Tcp(socket) => socket
                .poll_accept(context)
                .map_ok(|(stream, peer): (_, SocketAddr)| (Stream::Tcp(stream), Peer::Tcp(peer))),
            Accepting::Unix(socket) => {
                socket.poll_accept(context).map_ok(|(stream, _)| (Stream::Unix(stream), Peer::Unix))
            }
        }
    }
}
