//! A connection that speaks HTTP/2: many requests at once, each answered by the code that answers one
//! over HTTP/1.1, since each stream is a client's socket to it.
//!
//! The connection's task reads frames, starts a task for each request whose head is whole, and sends
//! what all of them have written in one call. A stream is cheap for whoever opens it, and what is
//! behind it is not: hence the counts of frames, of requests given up and of requests refused.

mod blocks; // new streams, and their heads
mod frames; // what each frame asks for
mod head; // fields to a request
mod session; // what a connection and its streams share
mod stream; // a stream as a client's socket

use std::{
    future::poll_fn,
    mem,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::BytesMut;
use http2::{DEFAULT_WINDOW, ErrorCode, MAX_WINDOW, Setting, frame, hpack::Decoder};

pub(super) use stream::Stream;

use super::{
    BODY_PATIENCE, Connection, Gone, HEAD_PATIENCE, HeadReader, Limits, Phase, Refusal, Socket,
    idle_limit,
};
use crate::{gateway::Gateway, settings::Settings};
use blocks::Block;
use frames::{At, Fatal};
use head::Asked;
use session::Session;

/// The name of it in ALPN.
pub(super) const NAME: &[u8] = b"h2";

/// What is read at once.
const READ: usize = 16 << 10;

pub(super) async fn serve(gateway: Rc<Gateway>, connection: Connection, limits: Limits) {
    let mut http2 = Http2::new(gateway, connection, limits);
    http2.greet();
    let end = poll_fn(|context| http2.poll(context)).await;
    http2.session.break_off();
    if end == End::Orderly {
        let Connection { socket, buffer, .. } = &mut http2.connection;
        socket.linger(buffer).await;
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The client knows: it may be read on for a while, so that it reads the last of it.
    Orderly,
    /// There is nobody to tell.
    Gone,
}

struct Http2 {
    gateway: Rc<Gateway>,
    connection: Connection,
    limits: Rc<Limits>,
    /// Those in force when it began.
    settings: Rc<Settings>,
    session: Rc<Session>,
    at: At,
    block: Option<Block>,
    decoder: Decoder,
    last_stream: u32,
    /// What the client may still send on all streams together.
    window: u32,
    /// Requests whose heads are whole, in the order they came, and whether a body follows.
    ready: Vec<(u32, Asked, bool)>,
    /// GOAWAY has been said, and no stream is accepted any more.
    going: bool,
    /// It has been said for a reason that ends the connection.
    broken: bool,
    /// Since the beginning: streams that were accepted, refused, given up by the client; frames; bytes
    /// of bodies.
    accepted: u64,
    refused: u64,
    given_up: u64,
    taken: u64,
    payload: u64,
    /// Since when there is no stream.
    idle_since: Instant,
    /// What had left when something last did, and when that was.
    stuck: Option<((u64, usize), Instant)>,
}

impl Http2 {
    fn new(gateway: Rc<Gateway>, connection: Connection, limits: Limits) -> Http2 {
        let settings = gateway.settings();
        Http2 {
            session: Rc::new(Session::new(settings.http2_initial_window_size)),
            gateway,
            connection,
            limits: Rc::new(limits),
            settings,
            at: At::Preface,
            block: None,
            decoder: Decoder::default(),
            last_stream: 0,
            window: MAX_WINDOW,
            ready: Vec::new(),
            going: false,
            broken: false,
            accepted: 0,
            refused: 0,
            given_up: 0,
            taken: 0,
            payload: 0,
            idle_since: Instant::now(),
            stuck: None,
        }
    }

    /// The settings, and a window that no upload fills: streams have windows of their own.
    fn greet(&mut self) {
        let settings = [
            (Setting::MaxConcurrentStreams, self.settings.http2_max_concurrent_streams),
            (Setting::InitialWindowSize, self.settings.http2_initial_window_size),
            (Setting::MaxFrameSize, self.settings.http2_max_frame_size),
        ];
        self.session.control(|out| {
            frame::settings(&settings, out);
            frame::window_update(0, MAX_WINDOW - DEFAULT_WINDOW, out);
        });
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<End> {
        self.session.park(context);
        loop {
            self.take_what_came();
            self.start_requests();
            if self.session.is_flooded() {
                self.complain("control frames are asked for and not read");
                return Poll::Ready(End::Gone);
            }
            if self.gateway.connections.is_stopping() {
                self.go_away(ErrorCode::NoError);
            }
            self.set_deadline();
            match self.session.poll_flush(context, &mut self.connection.socket) {
                Poll::Ready(Ok(())) if self.is_over() => return Poll::Ready(End::Orderly),
                Poll::Ready(Ok(())) => {
                    self.stuck = None;
                    self.set_deadline();
                }
                Poll::Ready(Err(_)) => return Poll::Ready(End::Gone),
                Poll::Pending if self.broken => return Poll::Pending,
                Poll::Pending => self.set_deadline(),
            }
            let Connection { socket, buffer, .. } = &mut self.connection;
            buffer.reserve(READ);
            match std::task::ready!(socket.poll_read(context, buffer)) {
                Ok(_) => (),
                Err(Gone::Closed) => return Poll::Ready(End::Gone),
                Err(Gone::Silent) if self.session.unsent().is_some() => {
                    return Poll::Ready(End::Gone);
                }
                Err(Gone::Silent) if self.block.is_some() => {
                    self.complain("a head that did not come to its end in time");
                    self.break_off(ErrorCode::ProtocolError);
                }
                Err(Gone::Silent) => self.break_off(ErrorCode::NoError),
            }
        }
    }

    /// The soonest of all that may not take for ever.
    fn set_deadline(&mut self) {
        let (now, streams) = (Instant::now(), self.session.streams());
        match (self.session.unsent(), self.stuck) {
            (None, _) => self.stuck = None,
            (Some(unsent), Some((before, _))) if unsent == before => (),
            (Some(unsent), _) => self.stuck = Some((unsent, now)),
        }
        if streams > 0 {
            self.idle_since = now;
        }
        let patience = match self.accepted {
            0 => HEAD_PATIENCE,
            _ => idle_limit(&self.gateway, self.connection.peer),
        };
        let idle_until = (streams == 0).then(|| self.idle_since + patience);
        let stuck_until = self.stuck.map(|(_, since)| since + BODY_PATIENCE);
        let head_until = self.block.as_ref().map(|block| block.since + HEAD_PATIENCE);
        let deadline = [idle_until, stuck_until, head_until].into_iter().flatten().min();
        let phase = match (streams, self.accepted) {
            (0, 0) => Phase::Fresh,
            (0, _) => Phase::Idle,
            _ => Phase::Busy,
        };
        self.connection.socket.wait_until(deadline, phase);
    }

    /// What was read, frame by frame; the first that has no meaning ends the connection.
    fn take_what_came(&mut self) {
        if self.broken || self.connection.buffer.is_empty() {
            return;
        }
        let mut buffer = mem::take(&mut self.connection.buffer);
        if let Err(Fatal { code, why }) = self.take_frames(&mut buffer) {
            self.complain(why);
            self.break_off(code);
            buffer.clear();
        }
        self.connection.buffer = buffer;
    }

    fn start_requests(&mut self) {
        for (id, asked, has_body) in self.ready.drain(..) {
            let stream = Stream::new(&self.session, id, asked.is_head);
            // Given up as soon as it was asked for: no work is done for it.
            if self.session.is_reset(id) {
                continue;
            }
            let Connection { peer, introduction, local, .. } = &self.connection;
            let connection = Connection {
                socket: Socket::of_stream(stream, self.gateway.connections.enter()),
                buffer: BytesMut::new(),
                peer: *peer,
                introduction: *introduction,
                local: Rc::clone(local),
                is_last: false,
            };
            let (gateway, limits) = (Rc::clone(&self.gateway), Rc::clone(&self.limits));
            tokio::task::spawn_local(answer(gateway, connection, limits, asked.text, has_body));
        }
    }

    /// Says that no further stream will be accepted.
    fn go_away(&mut self, code: ErrorCode) {
        if !mem::replace(&mut self.going, true) {
            let last = self.last_stream;
            self.session.control(|out| frame::go_away(last, code, out));
        }
    }

    /// The same, and the connection ends as soon as it is said.
    fn break_off(&mut self, code: ErrorCode) {
        // Said a second time, it says why.
        self.going &= code == ErrorCode::NoError;
        self.go_away(code);
        self.broken = true;
    }

    /// Whether nothing is left to be done, once everything is sent.
    fn is_over(&self) -> bool {
        self.broken || self.going && self.session.streams() == 0
    }

    fn complain(&self, why: &str) {
        let client = self.connection.client();
        self.gateway.log.warning(format_args!("Invalid request from ip={client}: HTTP/2: {why}"));
    }
}

/// One request, from its head to the end of its stream.
async fn answer(
    gateway: Rc<Gateway>,
    mut connection: Connection,
    limits: Rc<Limits>,
    mut text: BytesMut,
    has_body: bool,
) {
    connection.socket.set_phase(Phase::Busy);
    let read = HeadReader::new(&limits).read(&mut text);
    match read.and_then(|head| head.ok_or_else(|| Refusal::new(400, "a head without an end"))) {
        Ok(head) => {
            let head = head.over_http2(has_body);
            gateway.complaints.borrow_mut().hear(&head, connection.peer, &gateway.log);
            connection.exchange(&gateway, &head).await;
        }
        Err(refusal) => drop(connection.tell(&gateway, None, refusal).await),
    }
    connection.socket.finish();
}
