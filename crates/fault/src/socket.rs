//! A TCP or a unix stream, and a listener for either, behind one face. Reading and writing never
//! wait; waiting is a step of its own, so that nothing is taken from a socket before the toxics in
//! force have been looked at.

use std::{
    fs,
    io::{self, ErrorKind},
    net::{Shutdown, SocketAddr},
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use socket2::{Domain, SockAddr, SockRef, Type};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use crate::{Address, FaultError};

pub(crate) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    pub(crate) async fn connect(address: &Address) -> io::Result<Socket> {
        Ok(match address {
            Address::Tcp(text) => Socket::tcp(TcpStream::connect(text.as_str()).await?),
            Address::Unix(path) => Socket::Unix(UnixStream::connect(path).await?),
            Address::Abstract(name) => {
                Socket::Unix(UnixStream::connect(format!("\0{name}")).await?)
            }
        })
    }

    /// What is written apart arrives apart, as far as that can be had.
    fn tcp(stream: TcpStream) -> Socket {
        // It fails on a socket that is reset already, and that is told by the first read.
        let _ = stream.set_nodelay(true);
        Socket::Tcp(stream)
    }

    pub(crate) async fn readable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.readable().await,
            Socket::Unix(stream) => stream.readable().await,
        }
    }

    pub(crate) async fn writable(&self) -> io::Result<()> {
        match self {
            Socket::Tcp(stream) => stream.writable().await,
            Socket::Unix(stream) => stream.writable().await,
        }
    }

    pub(crate) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_read(buffer),
            Socket::Unix(stream) => stream.try_read(buffer),
        }
    }

    pub(crate) fn try_write(&self, data: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.try_write(data),
            Socket::Unix(stream) => stream.try_write(data),
        }
    }

    /// Tells the peer that nothing more will be said. A peer that is gone needs no telling.
    pub(crate) fn finish(&self) {
        let _ = match self {
            Socket::Tcp(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
            Socket::Unix(stream) => SockRef::from(stream).shutdown(Shutdown::Write),
        };
    }

    /// Ends the connection with RST. A unix socket has none: its peer gets ECONNRESET if bytes of
    /// it are unread, and a plain end otherwise.
    pub(crate) fn reset(self) {
        if let Socket::Tcp(stream) = &self {
            // It fails on a socket that is reset already.
            let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
        }
    }
}

pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, OwnFile),
    Abstract(UnixListener, String),
}

/// The file of a unix socket, removed with its listener.
pub(crate) struct OwnFile {
    path: PathBuf,
    device_and_inode: (u64, u64),
}

impl OwnFile {
    fn new(path: &Path) -> io::Result<OwnFile> {
        Ok(OwnFile { path: path.to_owned(), device_and_inode: device_and_inode(path)? })
    }
}

impl Drop for OwnFile {
    fn drop(&mut self) {
        // Somebody may have removed it before us, which is one of the faults people try, and another
        // listener may have taken the place.
        if device_and_inode(&self.path).is_ok_and(|found| found == self.device_and_inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn device_and_inode(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

impl Listener {
    pub(crate) async fn bind(address: &Address) -> Result<Listener, FaultError> {
        let bound = match address {
            Address::Tcp(text) => TcpListener::bind(text.as_str()).await.map(Listener::Tcp),
            Address::Unix(path) => remove_stale(path)
                .and_then(|()| Ok(Listener::Unix(UnixListener::bind(path)?, OwnFile::new(path)?))),
            Address::Abstract(name) => UnixListener::bind(format!("\0{name}"))
                .map(|listener| Listener::Abstract(listener, name.clone())),
        };
        bound.map_err(|error| FaultError::Listen { listen: address.to_string(), error })
    }

    /// The address with the port the system has chosen, if it was asked to choose.
    pub(crate) fn address(&self) -> io::Result<Address> {
        Ok(match self {
            Listener::Tcp(listener) => Address::Tcp(listener.local_addr()?.to_string()),
            Listener::Unix(_, file) => Address::Unix(file.path.clone()),
            Listener::Abstract(_, name) => Address::Abstract(name.clone()),
        })
    }

    pub(crate) async fn accept(&self) -> io::Result<(Socket, Option<SocketAddr>)> {
        match self {
            Listener::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                Ok((Socket::tcp(stream), Some(peer)))
            }
            Listener::Unix(listener, _) | Listener::Abstract(listener, _) => {
                Ok((Socket::Unix(listener.accept().await?.0), None))
            }
        }
    }
}

/// A socket's file outlives a process that is killed. It is stale when nobody listens any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    let probe = socket2::Socket::new(Domain::UNIX, Type::STREAM.nonblocking(), None)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Ok(()) => Err(ErrorKind::AddrInUse.into()),
        // Somebody listens who has more than enough to accept.
        Err(error) if error.kind() == ErrorKind::WouldBlock => Err(ErrorKind::AddrInUse.into()),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            // A file of another kind refuses connections too, and is not ours to remove.
            if fs::symlink_metadata(path)?.file_type().is_socket() {
                fs::remove_file(path)?;
            }
            Ok(())
        }
        // No file, or one that bind will complain of.
        Err(_) => Ok(()),
    }
}
