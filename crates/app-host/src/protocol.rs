//! One connection: requests off it, one after the other, and the body of the one in hand.
//!
//! Blocking, and without Python: whoever calls has let go of the interpreter. The reading half is
//! shared with `wsgi.input`, which an application may hand to another of its threads, or keep for
//! longer than the request: each request has a serial number, and a body of the wrong one is over.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use fastcgi::{
    KeepConnection, Params, ProtocolStatus, ServerConnection, ServerError, ServerEvent,
    ServerLimits,
};

use crate::sys::{self, Wait};
use crate::worker::{Slot, Stopped};

/// One read takes as much: a body's records fit, and most requests many times over.
const READ: usize = 65_536;
/// Less room than this is not worth a read.
const LEAST_ROOM: usize = 8_192;
/// A buffer that grew for one large response is not kept for all that follow.
const KEPT: usize = 256 * 1024;
/// How long a peer that was answered early may go on sending what nobody reads.
const LINGER: Duration = Duration::from_secs(2);
const MAX_PARAMS: usize = 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub(crate) enum ConnectionError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// What came is not FastCGI as the specification has it.
    #[error("invalid FastCGI: {0}")]
    Wire(#[from] ServerError),
}

/// A request whose parameters are complete.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) id: u16,
    pub(crate) keep: KeepConnection,
    pub(crate) serial: u64,
    pub(crate) params: Params,
}

#[derive(Debug)]
pub(crate) struct Connection {
    stream: Arc<UnixStream>,
    body: Arc<Body>,
    /// What is still to be written: the end of a response leaves in the same stretch without the
    /// interpreter in which the next request is waited for.
    pub(crate) out: Vec<u8>,
}

impl Connection {
    /// `socket` may be of any family: only what all streams have in common is used.
    pub(crate) fn new(socket: OwnedFd, threads: usize) -> Connection {
        let stream = Arc::new(UnixStream::from(socket));
        let limits = ServerLimits { params: MAX_PARAMS, connections: threads };
        let reader = Reader {
            stream: Some(Arc::clone(&stream)),
            wire: ServerConnection::new(limits),
            input: BytesMut::with_capacity(READ),
            answers: Vec::new(),
            chunks: VecDeque::new(),
            available: 0,
            end: BodyEnd::Ended,
        };
        let body = Body { current: AtomicU64::new(0), reader: Mutex::new(reader) };
        Connection { stream, body: Arc::new(body), out: Vec::new() }
    }

    pub(crate) fn stream(&self) -> Arc<UnixStream> {
        Arc::clone(&self.stream)
    }

    pub(crate) fn body(&self) -> Arc<Body> {
        Arc::clone(&self.body)
    }

    /// Writes what is left of the response before, then waits for the next request. `None`: the peer
    /// has closed the connection, or it is to be closed.
    pub(crate) fn next(&mut self, slot: &Slot) -> Result<Option<Request>, ConnectionError> {
        // A new number first: an input that is still held is over, and does not wait for the lock.
        let serial = self.body.current.fetch_add(1, Ordering::SeqCst) + 1;
        let body = self.body();
        let mut reader = body.lock();
        reader.wire.finish();
        reader.forget_body();
        let mut begun = None;
        loop {
            let event = reader.parse()?;
            self.out.append(&mut reader.answers);
            match event {
                Some(ServerEvent::Begin(begin)) => begun = Some(begin),
                Some(ServerEvent::Params(params)) => {
                    let begin = begun.expect("parameters follow the begin of their request");
                    reader.end = BodyEnd::Open;
                    if slot.is_shut() && !reader.has_whole_body() {
                        // Its end will not come any more. The application has not seen it: said so.
                        let status = ProtocolStatus::Overloaded;
                        fastcgi::end_request(&mut self.out, begin.request_id, 0, status);
                        self.flush()?;
                        return Ok(None);
                    }
                    let (id, keep) = (begin.request_id, begin.keep);
                    return Ok(Some(Request { id, keep, serial, params }));
                }
                Some(ServerEvent::Abort) => {
                    let Some(begin) = begun.take() else { continue };
                    let status = ProtocolStatus::RequestComplete;
                    fastcgi::end_request(&mut self.out, begin.request_id, 0, status);
                    reader.wire.finish();
                    if begin.keep == KeepConnection::No {
                        self.flush()?;
                        return Ok(None);
                    }
                }
                Some(ServerEvent::Stdin(_) | ServerEvent::StdinEnd) => (),
                None => {
                    self.flush()?;
                    if begun.is_none() && slot.wait_for_request() == Stopped::Yes {
                        // What is queued already is still read; after it comes the end.
                        let _ = self.stream.shutdown(Shutdown::Read);
                    }
                    if reader.receive(Wait::Yes)? == 0 {
                        return Ok(None);
                    }
                    slot.has_request();
                }
            }
        }
    }

    /// Writes all that is pending.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        let result = (&*self.stream).write_all(&self.out);
        self.out.clear();
        self.out.shrink_to(KEPT);
        result
    }

    /// Closes a connection that is not kept. Bytes nobody reads would turn the close into a reset
    /// on TCP, and the response could be lost: the peer is given a moment to finish.
    pub(crate) fn close(mut self) {
        if self.flush().is_err() || self.body.lock().has_buffered_end() {
            return;
        }
        let _ = self.stream.shutdown(Shutdown::Write);
        let _ = self.stream.set_read_timeout(Some(LINGER));
        let mut reader = self.body.lock();
        while reader.receive(Wait::Yes).is_ok_and(|length| length > 0) {
            reader.input.clear();
        }
    }
}

/// An application may keep `wsgi.input` for longer than its request: on purpose, or in a cycle that
/// the collector has not come by yet. The connection ends all the same, for the peer, who may wait
/// for just that, and for this process, whose descriptors are counted.
impl Drop for Connection {
    fn drop(&mut self) {
        self.body.current.fetch_add(1, Ordering::SeqCst);
        // Whoever still reads in another thread has the lock, and hears of it by this.
        let _ = self.stream.shutdown(Shutdown::Both);
        self.body.lock().stream = None;
    }
}

/// The body of the request in hand, shared with `wsgi.input`.
#[derive(Debug)]
pub(crate) struct Body {
    /// Whose it is.
    current: AtomicU64,
    reader: Mutex<Reader>,
}

impl Body {
    /// Takes a part of the body of request `serial`, waiting for it if need be.
    pub(crate) fn take(&self, serial: u64, wanted: Wanted) -> Result<Vec<Bytes>, BodyError> {
        let is_over = || self.current.load(Ordering::SeqCst) != serial;
        if is_over() {
            return Err(BodyError::Over);
        }
        let mut reader = self.lock();
        if is_over() {
            return Err(BodyError::Over);
        }
        reader.take(wanted)
    }

    /// Whether nobody waits for the response any more: looks at what has arrived, without waiting.
    /// While parts of the body are still to come, that can not be told.
    pub(crate) fn peer_is_gone(&self) -> bool {
        // Another thread of the application reads the body: then it is still to come.
        self.reader.try_lock().is_ok_and(|mut reader| reader.peer_is_gone())
    }

    /// A thread that panicked while it read leaves nothing half-done that matters: the connection
    /// is closed.
    fn lock(&self) -> MutexGuard<'_, Reader> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The reading half of a connection.
#[derive(Debug)]
struct Reader {
    /// `None` once the connection has ended.
    stream: Option<Arc<UnixStream>>,
    wire: ServerConnection,
    input: BytesMut,
    /// What the protocol alone answers. Written between requests, where no record is half sent.
    answers: Vec<u8>,
    /// The part of the body that has arrived and was not taken yet.
    chunks: VecDeque<Bytes>,
    available: usize,
    end: BodyEnd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyEnd {
    Open,
    Ended,
    /// No more of it will come, and it is not all.
    Broken,
}

/// How much of a body to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    All,
    /// So many bytes, fewer only at the end.
    Bytes(usize),
    /// To the next line feed, but not more than so many bytes.
    Line(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the request this input belongs to has ended")]
    Over,
    #[error("the connection broke before the end of the request body")]
    Broken,
}

impl Reader {
    fn take(&mut self, wanted: Wanted) -> Result<Vec<Bytes>, BodyError> {
        let mut searched = Searched::default();
        loop {
            let enough = match wanted {
                Wanted::All => None,
                Wanted::Bytes(length) => (self.available >= length).then_some(length),
                Wanted::Line(limit) => searched.line(&self.chunks, limit),
            };
            if let Some(length) = enough {
                return Ok(self.split_to(length));
            }
            match self.end {
                BodyEnd::Ended => return Ok(self.split_to(self.available)),
                BodyEnd::Broken => return Err(BodyError::Broken),
                BodyEnd::Open => self.fill(),
            }
        }
    }

    fn peer_is_gone(&mut self) -> bool {
        self.digest();
        if self.end == BodyEnd::Ended {
            match self.receive(Wait::No) {
                Ok(0) => self.end = BodyEnd::Broken,
                Ok(_) => self.digest(),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => (),
                Err(_) => self.end = BodyEnd::Broken,
            }
        }
        self.end == BodyEnd::Broken
    }

    fn parse(&mut self) -> Result<Option<ServerEvent>, ServerError> {
        self.wire.next(&mut self.input, &mut self.answers)
    }

    fn receive(&mut self, wait: Wait) -> io::Result<usize> {
        if self.input.capacity() - self.input.len() < LEAST_ROOM {
            self.input.reserve(READ);
        }
        let Some(stream) = &self.stream else { return Ok(0) };
        sys::receive(stream.as_fd(), &mut self.input, wait)
    }

    /// One more event of the body.
    fn fill(&mut self) {
        match self.parse() {
            Ok(Some(event)) => self.note(event),
            Ok(None) => match self.receive(Wait::Yes) {
                Ok(1..) => (),
                Ok(0) | Err(_) => self.end = BodyEnd::Broken,
            },
            Err(_) => self.end = BodyEnd::Broken,
        }
    }

    /// Notes every event that has arrived in full.
    fn digest(&mut self) {
        while self.end != BodyEnd::Broken {
            match self.parse() {
                Ok(Some(event)) => self.note(event),
                Ok(None) => return,
                Err(_) => self.end = BodyEnd::Broken,
            }
        }
    }

    fn note(&mut self, event: ServerEvent) {
        match event {
            ServerEvent::Stdin(data) => {
                self.available += data.len();
                self.chunks.push_back(data);
            }
            ServerEvent::StdinEnd => self.end = BodyEnd::Ended,
            // Within a request there is no other; the first two are refused by `wire`.
            ServerEvent::Begin(_) | ServerEvent::Params(_) | ServerEvent::Abort => {
                self.end = BodyEnd::Broken;
            }
        }
    }

    fn forget_body(&mut self) {
        self.chunks.clear();
        self.available = 0;
        self.end = BodyEnd::Ended;
    }

    fn has_whole_body(&mut self) -> bool {
        while self.end == BodyEnd::Open {
            self.fill();
        }
        self.end == BodyEnd::Ended
    }

    fn has_buffered_end(&mut self) -> bool {
        self.digest();
        self.end != BodyEnd::Open
    }

    fn split_to(&mut self, mut length: usize) -> Vec<Bytes> {
        let mut taken = Vec::new();
        length = length.min(self.available);
        self.available -= length;
        while length > 0 {
            let front = self.chunks.front_mut().expect("`available` counts what is there");
            if front.len() > length {
                taken.push(front.split_to(length));
                break;
            }
            length -= front.len();
            taken.extend(self.chunks.pop_front());
        }
        taken
    }
}

/// How far a line feed has been looked for.
#[derive(Debug, Default)]
struct Searched {
    chunks: usize,
    bytes: usize,
}

impl Searched {
    /// The line's length, once it is known.
    fn line(&mut self, chunks: &VecDeque<Bytes>, limit: usize) -> Option<usize> {
        while self.bytes < limit {
            let chunk = chunks.get(self.chunks)?;
            if let Some(place) = memchr::memchr(b'\n', chunk) {
                return Some((self.bytes + place + 1).min(limit));
            }
            self.bytes += chunk.len();
            self.chunks += 1;
        }
        Some(limit)
    }
}
