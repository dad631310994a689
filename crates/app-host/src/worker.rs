//! The threads: each accepts a connection and serves it until it is closed.
//!
//! Stopping is gentle without a poll before every read. A connection that waits for a request is
//! shut for reading by the main thread: what is queued is still read and answered, then comes the
//! end. One that is in a request is left alone until it has answered. A listening socket of our own
//! (a gateway gives each of its workers one) is shut first: nobody connects any more, and those who
//! had connected are still served, so no request is ever taken and not answered. One that may be
//! shared with other processes is only no longer accepted from.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, TryLockError};

use fastcgi::KeepConnection;
use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{
    AddressFamily, SockaddrLike, SockaddrStorage, getsockname, setsockopt, shutdown, sockopt,
};
use pyo3::prelude::*;

use crate::call;
use crate::environ::Environs;
use crate::fork;
use crate::hooks::Hooks;
use crate::log::{self, Level};
use crate::options::HostOptions;
use crate::protocol::{Connection, ConnectionError};
use crate::sys;

/// Called by each Python thread with its number.
#[pyclass(frozen, module = "causeway_app_host")]
pub(crate) struct Worker {
    application: Py<PyAny>,
    options: HostOptions,
    listener: OwnedFd,
    is_tcp: bool,
    listens: Listens,
    shared: Arc<Shared>,
    hooks: Hooks,
}

/// Who else may accept from the listening socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listens {
    Alone,
    WithOthers,
}

/// What the main thread and the serving threads know of each other.
#[derive(Debug)]
pub(crate) struct Shared {
    stopping: Arc<AtomicBool>,
    /// Readable from the moment of stopping on.
    stop: EventFd,
    running: AtomicUsize,
    /// Readable once the last thread has ended.
    pub(crate) done: EventFd,
    slots: Vec<Slot>,
}

/// One thread's connection, as the main thread sees it.
#[derive(Debug)]
pub(crate) struct Slot {
    state: AtomicU8,
    stream: Mutex<Option<Arc<UnixStream>>>,
    stopping: Arc<AtomicBool>,
}

const BUSY: u8 = 0;
/// Between requests: may be shut.
const WAITING: u8 = 1;
/// Nothing new will come.
const SHUT: u8 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    Yes,
    No,
}

impl Slot {
    /// The thread is about to wait for a request. `Yes`: it is to shut the connection itself.
    pub(crate) fn wait_for_request(&self) -> Stopped {
        let before = self.state.swap(WAITING, Ordering::SeqCst);
        if before != SHUT && !self.stopping.load(Ordering::SeqCst) {
            return Stopped::No;
        }
        self.state.store(SHUT, Ordering::SeqCst);
        Stopped::Yes
    }

    /// A request has begun to arrive.
    pub(crate) fn has_request(&self) {
        // A connection that was shut meanwhile stays so.
        let _ = self.state.compare_exchange(WAITING, BUSY, Ordering::SeqCst, Ordering::SeqCst);
    }

    pub(crate) fn is_shut(&self) -> bool {
        self.state.load(Ordering::SeqCst) == SHUT
    }

    fn connect(&self, stream: Option<Arc<UnixStream>>) {
        self.state.store(BUSY, Ordering::SeqCst);
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = stream;
    }

    /// `None` where there is none, or where its thread is just changing it.
    fn number(&self) -> Option<RawFd> {
        let stream = match self.stream.try_lock() {
            Ok(stream) => stream,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return None,
        };
        stream.as_ref().map(AsRawFd::as_raw_fd)
    }

    fn is_named(&self, connection: &str) -> bool {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let peer = stream.as_ref().and_then(|stream| stream.peer_addr().ok());
        let name = peer.as_ref().and_then(SocketAddr::as_abstract_name);
        name.is_some_and(|name| name.escape_ascii().to_string() == connection)
    }

    fn shut_if_waiting(&self) {
        let stream = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting =
            self.state.compare_exchange(WAITING, SHUT, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        if let (true, Some(stream)) = (waiting, &*stream) {
            let _ = stream.shutdown(Shutdown::Read);
        }
    }
}

impl Shared {
    pub(crate) fn new(threads: usize) -> nix::Result<Shared> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let stopping = Arc::new(AtomicBool::new(false));
        let slot = || Slot {
            state: AtomicU8::new(BUSY),
            stream: Mutex::new(None),
            stopping: Arc::clone(&stopping),
        };
        Ok(Shared {
            stop: EventFd::from_flags(flags)?,
            running: AtomicUsize::new(threads),
            done: EventFd::from_flags(flags)?,
            slots: (0..threads).map(|_| slot()).collect(),
            stopping,
        })
    }

    /// The thread that has the connection whose other end goes by this name.
    pub(crate) fn serving(&self, connection: &str) -> Option<usize> {
        self.slots.iter().position(|slot| slot.is_named(connection))
    }

    fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = self.stop.write(1);
        self.slots.iter().for_each(Slot::shut_if_waiting);
    }

    fn thread_ends(&self) {
        if self.running.fetch_sub(1, Ordering::SeqCst) == 1 {
            let _ = self.done.write(1);
        }
    }
}

impl Worker {
    pub(crate) fn new(
        application: Py<PyAny>,
        options: HostOptions,
        listener: OwnedFd,
        listens: Listens,
        shared: Arc<Shared>,
        hooks: Hooks,
    ) -> nix::Result<Worker> {
        let address: SockaddrStorage = getsockname(listener.as_raw_fd())?;
        let is_tcp = address.family() != Some(AddressFamily::Unix);
        Ok(Worker { application, options, listener, is_tcp, listens, shared, hooks })
    }

    /// No new connection, no new request; what is in hand is finished.
    pub(crate) fn stop(&self) {
        if self.drains() {
            let _ = shutdown(self.listener.as_raw_fd(), nix::sys::socket::Shutdown::Read);
        }
        self.shared.stop();
    }

    /// Whether those that have connected already are served after all. A TCP socket that is shut
    /// has forgotten them.
    fn drains(&self) -> bool {
        self.listens == Listens::Alone && !self.is_tcp
    }

    /// Waits for a connection. `None`: we are stopping.
    fn accept(&self) -> std::io::Result<Option<OwnedFd>> {
        loop {
            let mut events = [
                PollFd::new(self.listener.as_fd(), PollFlags::POLLIN),
                PollFd::new(self.shared.stop.as_fd(), PollFlags::POLLIN),
            ];
            match poll(&mut events, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => (),
                Err(error) => return Err(error.into()),
            }
            let stopping = self.shared.stopping.load(Ordering::SeqCst);
            if stopping && !self.drains() {
                return Ok(None);
            }
            match sys::accept(self.listener.as_fd()) {
                Ok(socket) => {
                    if self.is_tcp {
                        let _ = setsockopt(&socket, sockopt::TcpNoDelay, &true);
                    }
                    return Ok(Some(socket));
                }
                // It was shut before `stopping` was set: the last who had connected is served.
                Err(error) if stopping && error.kind() == ErrorKind::WouldBlock => return Ok(None),
                // Shut, but we have not been told yet.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(None),
                // Another thread or process was faster; or the peer has given up already.
                Err(error) if is_passing(&error) => (),
                Err(error) => return Err(error),
            }
        }
    }

    fn serve(&self, py: Python<'_>, environs: &mut Environs, slot: &Slot, socket: OwnedFd) {
        let mut connection = Connection::new(socket, self.options.threads);
        slot.connect(Some(connection.stream()));
        loop {
            let request = match py.detach(|| connection.next(slot)) {
                Ok(Some(request)) => request,
                Ok(None) => return,
                Err(error) => return complain(py, &error),
            };
            let (application, options) = (self.application.bind(py), &self.options);
            let hooks = &self.hooks;
            let served =
                call::serve(application, options, environs, &mut connection, request, hooks);
            if fork::is_child() {
                // A hook has forked; the application's children do not come as far as this.
                let _ = fork::leave(py, 0);
            }
            match served {
                Ok(KeepConnection::Yes) => (),
                Ok(KeepConnection::No) => return py.detach(|| connection.close()),
                Err(error) => {
                    log::entry(py, Level::Error, &format_args!("Closing a connection: {error}"));
                    return;
                }
            }
        }
    }
}

#[pymethods]
impl Worker {
    fn after_fork_in_child(&self, py: Python<'_>) -> PyResult<()> {
        let connections = self.shared.slots.iter().filter_map(Slot::number);
        fork::begin_child(py, [self.listener.as_raw_fd()].into_iter().chain(connections))
    }

    fn __call__(slf: &Bound<'_, Self>, number: usize) -> PyResult<()> {
        let (this, py) = (slf.get(), slf.py());
        let ends = EndOfThread(&this.shared);
        if number == 0 {
            fork::watch(slf)?;
        }
        let slot = &this.shared.slots[number];
        let mut environs = Environs::new(py, &this.options)?;
        loop {
            let socket = match py.detach(|| this.accept()) {
                Ok(Some(socket)) => socket,
                Ok(None) => break,
                Err(error) => {
                    log::entry(py, Level::Error, &format_args!("Accepting: {error}"));
                    break;
                }
            };
            // A panic ends the connection it came up in, not the thread. The environs may be half
            // changed by it.
            let served = catch_unwind(AssertUnwindSafe(|| {
                this.serve(py, &mut environs, slot, socket);
            }));
            slot.connect(None);
            if served.is_err() {
                log::entry(py, Level::Error, &"Closing a connection after a panic");
                environs = Environs::new(py, &this.options)?;
            }
        }
        drop(ends);
        Ok(())
    }
}

/// However a thread ends, the main thread must know.
struct EndOfThread<'a>(&'a Shared);

impl Drop for EndOfThread<'_> {
    fn drop(&mut self) {
        self.0.thread_ends();
    }
}

/// A peer that breaks a connection off is not worth a line; one that does not speak FastCGI is.
fn complain(py: Python<'_>, error: &ConnectionError) {
    if let ConnectionError::Wire(_) = error {
        log::entry(py, Level::Warning, &format_args!("Closing a connection: {error}"));
    }
}

fn is_passing(error: &std::io::Error) -> bool {
    let passing = [Errno::EAGAIN, Errno::EINTR, Errno::ECONNABORTED, Errno::EPROTO];
    error.raw_os_error().is_some_and(|number| passing.contains(&Errno::from_raw(number)))
}
