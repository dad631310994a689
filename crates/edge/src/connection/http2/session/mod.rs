//! What a connection and its streams share: the bytes that are to be sent, the windows, and for each
//! stream what has come and not been read.
//!
//! A stream writes its frames into the connection's one outbox, under its windows, and the
//! connection's task sends what all of them have written in one call. Whoever can go on is woken;
//! the task itself is not, as long as it is the one that runs. Nothing holds a borrow across a call
//! of a stream's own code.

mod receive; // bodies of requests, from the connection's task to its streams
mod send; // answers, from the streams to the outbox

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    io::IoSlice,
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use http2::{DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, ErrorCode, frame};

pub(super) use receive::DataError;

use crate::connection::Client;

pub(super) struct Session {
    state: RefCell<State>,
}

struct State {
    out: Outbox,
    streams: HashMap<u32, Stream>,
    /// Of the connection, for what is sent.
    window: i64,
    /// Of a new stream.
    initial_window: i64,
    frame_size: usize,
    /// The client has changed its table: the next block has to say that none is used.
    table_changed: bool,
    /// The connection's task, and whether it is the one that runs.
    task: Option<Waker>,
    running: bool,
}

/// Frames on their way to the socket.
#[derive(Default)]
struct Outbox {
    bytes: Vec<u8>,
    sent: usize,
    /// The stream of the last frame, and where that frame begins: it may turn out to be the
    /// stream's last, as long as no byte of it has been offered to the socket.
    last: Option<(u32, usize)>,
    /// How often it has been emptied.
    round: u64,
    /// Who waits for that.
    waiting: Vec<u32>,
    /// Frames of no stream's body since then: a client that makes them and does not read is ended.
    control: usize,
    /// Bytes of frames that carried nothing, and of those that did, since the beginning.
    overhead: u64,
    payload: u64,
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
struct Stream {
    received: BytesMut,
    /// What the client may still send.
    receive_window: i64,
    /// The whole body is wanted, and taken as it comes.
    whole: bool,
    /// An answer has begun: what still comes of a body is nobody's.
    unwanted: bool,
    /// The client has said its last.
    ended: bool,
    reader: Option<Waker>,
    send_window: i64,
    /// What a frame of the body holds at most.
    chunk_size: usize,
    /// How much of it lies in the outbox, and in which round it was put there.
    queued: (u64, usize),
    writer: Option<Waker>,
    /// The answer has been said to its end.
    answered: bool,
    /// One side has broken it off.
    reset: bool,
}

/// As in nginx.
const MOST_CONTROL_FRAMES: usize = 10_000;

/// The outbox of an idle connection holds no more than this.
const SPARE: usize = 16 << 10;

impl Session {
    pub(super) fn new() -> Session {
        Session {
            state: RefCell::new(State {
                out: Outbox::default(),
                streams: HashMap::new(),
                window: i64::from(DEFAULT_WINDOW),
                initial_window: i64::from(DEFAULT_WINDOW),
                frame_size: DEFAULT_FRAME_SIZE as usize,
                table_changed: false,
                task: None,
                running: false,
            }),
        }
    }

    /// What streams write from here on is sent when the task is done, without its being woken.
    pub(super) fn run(&self, context: &Context<'_>) {
        let mut state = self.state.borrow_mut();
        state.running = true;
        if !state.task.as_ref().is_some_and(|task| task.will_wake(context.waker())) {
            state.task = Some(context.waker().clone());
        }
    }

    pub(super) fn rest(&self) {
        self.state.borrow_mut().running = false;
    }

    /// A frame that is no part of an answer.
    pub(super) fn control(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.borrow_mut();
        let before = state.out.bytes.len();
        write(&mut state.out.bytes);
        state.out.overhead += (state.out.bytes.len() - before) as u64;
        state.out.control += 1;
        state.out.last = None;
    }

    /// Whether a client makes the server talk to nobody: control frames that are not read.
    pub(super) fn is_flooded(&self) -> bool {
        self.state.borrow().out.control > MOST_CONTROL_FRAMES
    }

    /// Bytes sent since the beginning: those of frames that carried nothing, and the others.
    pub(super) fn sent(&self) -> (u64, u64) {
        let state = self.state.borrow();
        (state.out.overhead, state.out.payload)
    }

    /// Sends what is in the outbox. Ready when it is empty.
    pub(super) fn poll_flush(
        &self,
        context: &mut Context<'_>,
        client: &Client,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        state.out.last = None;
        while state.out.sent < state.out.bytes.len() {
            let rest = IoSlice::new(&state.out.bytes[state.out.sent..]);
            match std::task::ready!(client.poll_write(context, &[rest]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => state.out.sent += written,
            }
        }
        if state.out.sent > 0 {
            state.out.sent = 0;
            state.out.control = 0;
            state.out.round += 1;
            if state.streams.is_empty() && state.out.bytes.capacity() > SPARE {
                state.out.bytes = Vec::new();
            } else {
                state.out.bytes.clear();
            }
            for stream in state.out.waiting.drain(..) {
                let stream = state.streams.get_mut(&stream);
                if let Some(writer) = stream.and_then(|stream| stream.writer.take()) {
                    writer.wake();
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn has_unsent(&self) -> bool {
        !self.state.borrow().out.bytes.is_empty()
    }

    pub(super) fn streams(&self) -> usize {
        self.state.borrow().streams.len()
    }

    pub(super) fn open(&self, id: u32, receive_window: u32, ended: bool) {
        let mut state = self.state.borrow_mut();
        let stream = Stream {
            received: BytesMut::new(),
            receive_window: i64::from(receive_window),
            whole: false,
            unwanted: false,
            ended,
            reader: None,
            send_window: state.initial_window,
            chunk_size: DEFAULT_FRAME_SIZE as usize,
            queued: (0, 0),
            writer: None,
            answered: false,
            reset: false,
        };
        state.streams.insert(id, stream);
    }

    /// Whether there is such a stream, which from now on is nobody's.
    pub(super) fn reset_by_client(&self, id: u32) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(stream) = state.streams.get_mut(&id) else { return false };
        let known = !stream.reset;
        stream.break_off();
        known
    }

    /// Whether a stream was given up before it was looked at.
    pub(super) fn is_reset(&self, id: u32) -> bool {
        self.state.borrow().streams.get(&id).is_none_or(|stream| stream.reset)
    }

    /// Breaks a stream off, for something its client did.
    pub(super) fn reset(&self, id: u32, code: ErrorCode) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.reset) else {
            return;
        };
        stream.break_off();
        state.out.last = None;
        frame::reset_stream(id, code, &mut state.out.bytes);
    }

    /// Nothing can be sent any more: every stream is told.
    pub(super) fn break_off(&self) {
        let mut state = self.state.borrow_mut();
        state.streams.values_mut().for_each(Stream::break_off);
    }

    /// Ready when every stream has ended.
    pub(super) fn poll_empty(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        if state.streams.is_empty() {
            return Poll::Ready(());
        }
        state.task = Some(context.waker().clone());
        Poll::Pending
    }

    /// Ready when nobody waits for the answer any more.
    pub(super) fn poll_gone(&self, id: u32, context: &Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        match state.streams.get_mut(&id).filter(|stream| !stream.reset) {
            None => Poll::Ready(()),
            Some(stream) => {
                stream.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The request is over. A client that has not been told so is, and one that still sends.
    pub(super) fn close(&self, id: u32, unanswered: ErrorCode) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(stream) = state.streams.remove(&id) else { return };
        let done = stream.reset || stream.answered && stream.ended;
        if !done {
            let code = if stream.answered { ErrorCode::NoError } else { unanswered };
            state.out.last = None;
            frame::reset_stream(id, code, &mut state.out.bytes);
        }
        state.wake();
    }
}

impl State {
    fn wake(&mut self) {
        if !self.running {
            wake(&mut self.task);
        }
    }
}

impl Stream {
    fn break_off(&mut self) {
        self.reset = true;
        self.received = BytesMut::new();
        wake(&mut self.reader);
        wake(&mut self.writer);
    }
}

fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

fn broken_off() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "client prematurely closed stream")
}
