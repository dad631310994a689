//! One connection that speaks HTTP/2: many requests at once, each answered by the code that answers
//! one over HTTP/1, since each stream is a client to it.
//!
//! The connection's task reads frames, starts a request as soon as its head is whole, and sends what
//! all streams have written in one call. A request that can be answered at once is answered in this
//! very task; one that has to wait goes on in a task of its own. Priorities are read and not
//! followed (RFC 9113 §5.3.2): streams share the connection evenly.

mod detect; // whether a connection speaks it
mod session; // what a connection and its streams share
mod stream; // a stream as a client's socket
mod frames; // frames, as their bytes come
mod blocks; // new streams, and their heads
mod control; // what is about the connection
mod head; // fields to a request
pub(super) mod response; // an answer's head to fields

use std::{
    future::poll_fn,
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::BytesMut;
use http2::{DEFAULT_WINDOW, ErrorCode, MAX_FRAME_SIZE, MAX_WINDOW, Setting, frame};

pub(super) use detect::{Begins, detect};
pub use stream::Stream;

use super::{
    Client, Connection as After, Io, answer,
    counts::{self, Count, Counted},
    linger,
    request::Head,
};
use crate::{
    load::{Address, Http, Reached},
    log::Level,
    modules::{
        core::{Core, LingeringClose},
        http2::Http2,
    },
    process::Drain,
};
use frames::Frames;
use session::Session;

/// What is read at once where little is expected, and where a body comes.
const READ: usize = 16 << 10;
const READ_BODY: usize = 64 << 10;

pub(super) async fn serve(http: Arc<Http>, address: usize, client: Rc<Client>, drain: Drain) {
    let session = Rc::new(Session::new());
    let mut draining = pin!(drain.begun());
    let mut connection = Connection::new(&http, address, &client, &drain, &session);
    connection.greet();
    let end = poll_fn(|context| {
        if !connection.draining && (drain.has_begun() || draining.as_mut().poll(context).is_ready())
        {
            connection.draining = true;
            connection.go_away(ErrorCode::NoError);
        }
        session.run(context);
        let end = connection.poll(context);
        session.rest();
        end
    })
    .await;
    session.break_off();
    connection.let_go();
    if end == End::Orderly && connection.core.lingering_close() != LingeringClose::Off {
        linger::close(&client, &connection.core).await;
    }
    drop(client);
    // Those that go on without their client are still a part of what the server has to finish.
    poll_fn(|context| session.poll_empty(context)).await;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client knows: it may be read on for a while, so that it reads the last of it.
    Orderly,
    /// There is nobody to tell.
    Gone,
}

struct Connection {
    http: Arc<Http>,
    address: usize,
    client: Rc<Client>,
    drain: Drain,
    session: Rc<Session>,
    /// Of the server that was connected to.
    core: Arc<Core>,
    http2: Arc<Http2>,
    frames: Frames,
    /// Requests whose heads are whole, in the order they came.
    ready: Vec<(u32, Head)>,
    draining: bool,
    /// GOAWAY has been said, and no stream is accepted any more.
    going: bool,
    /// It has been said for a reason that ends the connection.
    broken: bool,
    /// Streams that were accepted.
    accepted: u64,
    /// When a connection without streams is at its end.
    idle_until: Option<Instant>,
    /// When one whose client does not read is.
    stuck_until: Option<Instant>,
    /// While it is without streams.
    waiting: Option<Counted>,
    /// How often a connection without streams has been spoken to.
    idle_reads: u64,
    received: u64,
}

impl Connection {
    fn new(
        http: &Arc<Http>,
        address: usize,
        client: &Rc<Client>,
        drain: &Drain,
        session: &Rc<Session>,
    ) -> Connection {
        let server = Arc::clone(client.peer.reached(&http.addresses[address]).default);
        let outer = &server.outer;
        Connection {
            core: Arc::clone(&outer.core),
            http2: Arc::clone(&outer.http2),
            http: Arc::clone(http),
            address,
            client: Rc::clone(client),
            drain: drain.clone(),
            session: Rc::clone(session),
            frames: Frames::new(outer.http2.max_concurrent_streams()),
            ready: Vec::new(),
            draining: false,
            going: false,
            broken: false,
            accepted: 0,
            idle_until: Some(Instant::now() + outer.core.client_header_timeout()),
            stuck_until: None,
            waiting: None,
            idle_reads: 0,
            received: 0,
        }
    }

    fn address(&self) -> &Address {
        &self.http.addresses[self.address]
    }

    fn reached(&self) -> Reached<'_> {
        self.client.peer.reached(self.address())
    }

    /// The settings, and a window that no upload fills: streams have windows of their own.
    fn greet(&mut self) {
        let http2 = &self.http2;
        let streams = u32::try_from(http2.max_concurrent_streams()).unwrap_or(u32::MAX);
        let settings = [
            (Setting::MaxConcurrentStreams, streams),
            (Setting::InitialWindowSize, http2.body_preread_size()),
            (Setting::MaxFrameSize, MAX_FRAME_SIZE),
        ];
        self.session.control(|out| {
            frame::settings(&settings, out);
            frame::window_update(0, MAX_WINDOW - DEFAULT_WINDOW, out);
        });
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        loop {
            self.take_what_came();
            self.start_requests(context);
            if self.session.is_flooded() {
                self.log("http2 flood detected");
                return Poll::Ready(End::Gone);
            }
            match self.session.poll_flush(context, &self.client) {
                Poll::Ready(Ok(())) => {
                    self.stuck_until = None;
                    if self.is_over() {
                        return Poll::Ready(End::Orderly);
                    }
                }
                Poll::Ready(Err(_)) => return Poll::Ready(End::Gone),
                Poll::Pending if self.broken => return self.poll_time(context),
                Poll::Pending => (),
            }
            match self.poll_receive(context) {
                Poll::Ready(true) => (),
                Poll::Ready(false) => return Poll::Ready(End::Gone),
                Poll::Pending => return self.poll_time(context),
            }
        }
    }

    /// What was read, frame by frame; the first that has no meaning ends the connection.
    fn take_what_came(&mut self) {
        if self.broken || self.client.buffer.borrow().is_empty() {
            return;
        }
        let mut buffer = self.client.buffer.take();
        if let Err(fatal) = self.take_frames(&mut buffer) {
            if !fatal.message.is_empty() {
                self.log(&fatal.message);
            }
            self.break_off(fatal.code);
            buffer.clear();
        }
        *self.client.buffer.borrow_mut() = buffer;
    }

    /// `false`: nothing more will come.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<bool> {
        let mut buffer = self.client.buffer.borrow_mut();
        let idle = self.session.streams() == 0;
        match &self.waiting {
            None if idle => self.waiting = Some(Counted::one(Count::Waiting)),
            Some(_) if !idle => self.waiting = None,
            _ => (),
        }
        if idle && buffer.is_empty() {
            // An idle connection keeps no buffer.
            *buffer = BytesMut::new();
            self.frames.decoder.rest();
            match self.client.poll_read_ready(context) {
                Poll::Ready(Ok(())) => (),
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            }
        }
        let most = self.http2.recv_buffer_size();
        let room = if self.frames.expects_body() { READ_BODY } else { READ }.min(most);
        let read = std::task::ready!(self.client.poll_read(context, &mut buffer, room));
        drop(buffer);
        let Ok(read @ 1..) = read else {
            if !idle || self.frames.is_amid() {
                self.log("client prematurely closed connection");
            }
            return Poll::Ready(false);
        };
        self.received += read as u64;
        self.frames.new_streams = 0;
        if self.is_flood(idle) {
            self.log("http2 flood detected");
            self.break_off(ErrorCode::NoError);
        }
        Poll::Ready(true)
    }

    /// Whether this is anything but requests, as nginx judges it: frames without payload, or a
    /// connection kept awake for nothing.
    fn is_flood(&mut self, idle: bool) -> bool {
        self.idle_reads += u64::from(idle);
        let (overhead, payload) = self.session.sent();
        let all = self.received + overhead + payload;
        all / 8 > self.frames.payload + payload + (1 << 20)
            || self.idle_reads > self.core.keepalive_requests().saturating_mul(10)
    }

    fn start_requests(&mut self, context: &mut Context<'_>) {
        for (id, head) in std::mem::take(&mut self.ready) {
            if self.session.is_reset(id) {
                // Given up as soon as it was asked for: no work is done for it.
                self.session.close(id, ErrorCode::Cancel);
                continue;
            }
            let mut request = self.request(id, head);
            if request.as_mut().poll(context).is_pending() {
                tokio::task::spawn_local(request);
            }
        }
    }

    /// One request, from its head to the end of its stream.
    fn request(&self, id: u32, head: Head) -> Pin<Box<dyn Future<Output = ()>>> {
        let (http, address, drain) = (Arc::clone(&self.http), self.address, self.drain.clone());
        let session = Rc::clone(&self.session);
        let stream = Io::Stream(Stream::new(&session, id));
        let client = Rc::new(Client::new(stream, Rc::clone(&self.client.peer)));
        counts::tally(Count::Requests);
        let counted = Counted::one(Count::Writing);
        client.peer.requests.set(self.accepted);
        Box::pin(async move {
            let _counted = counted;
            let (after, _) = answer(&http, address, &client, head, &drain).await;
            let unanswered = match after {
                After::TimedOut => ErrorCode::ProtocolError,
                _ => ErrorCode::InternalError,
            };
            session.close(id, unanswered);
        })
    }

    /// A head that is not whole is nobody's any more.
    fn let_go(&mut self) {
        if let Some(stream) = self.frames.give_up_head() {
            self.session.close(stream, ErrorCode::InternalError);
        }
    }

    /// Says that no further stream will be accepted.
    fn go_away(&mut self, code: ErrorCode) {
        if !std::mem::replace(&mut self.going, true) {
            let last = self.frames.last_stream;
            self.session.control(|out| frame::go_away(last, code, out));
        }
    }

    /// The same, and the connection ends as soon as it is said.
    fn break_off(&mut self, code: ErrorCode) {
        self.go_away(code);
        self.broken = true;
    }

    /// Whether nothing is left to be done, once everything is sent.
    fn is_over(&self) -> bool {
        self.broken || self.going && self.session.streams() == 0
    }

    /// Nothing moves: for how long may that be?
    fn poll_time(&mut self, context: &mut Context<'_>) -> Poll<End> {
        loop {
            let now = Instant::now();
            let streams = self.session.streams();
            if streams > 0 {
                self.idle_until = None;
            }
            let idle_until = (streams == 0).then(|| {
                let limit = self.core.keepalive_timeout();
                *self.idle_until.get_or_insert_with(|| now + limit)
            });
            let stuck_until = self.session.has_unsent().then(|| {
                let limit: Duration = self.core.send_timeout();
                *self.stuck_until.get_or_insert_with(|| now + limit)
            });
            let head_until = self.frames.head_until(now, self.core.client_header_timeout());
            let soonest = [idle_until, stuck_until, head_until].into_iter().flatten().min();
            let Some(soonest) = soonest else { return Poll::Pending };
            std::task::ready!(self.client.poll_deadline(context, soonest));
            if stuck_until == Some(soonest) {
                self.log("client timed out (110: Connection timed out)");
                return Poll::Ready(End::Gone);
            }
            if head_until == Some(soonest) {
                if let Some(stream) = self.frames.give_up_head() {
                    self.log("client timed out (110: Connection timed out)");
                    self.session.reset(stream, ErrorCode::ProtocolError);
                    self.session.close(stream, ErrorCode::ProtocolError);
                }
            } else {
                let code = if self.accepted == 0 || self.frames.is_amid() {
                    self.log("client timed out (110: Connection timed out)");
                    ErrorCode::ProtocolError
                } else {
                    ErrorCode::NoError
                };
                self.break_off(code);
            }
            match self.session.poll_flush(context, &self.client) {
                Poll::Ready(Ok(())) if self.is_over() => return Poll::Ready(End::Orderly),
                Poll::Ready(Err(_)) => return Poll::Ready(End::Gone),
                _ => (),
            }
        }
    }

    /// A line of the error log about the connection, which has no request.
    fn log(&self, message: &str) {
        let address = self.address();
        let log = &address.default.outer.error_log;
        if log.wants(Level::Info) {
            let peer = String::from_utf8_lossy(self.client.peer.remote.text());
            let at = &address.listen.address;
            let line = format!(
                "{message} while processing HTTP/2 connection, client: {peer}, server: {at}"
            );
            log.write(Level::Info, Some(self.client.peer.number), &line);
        }
    }
}
