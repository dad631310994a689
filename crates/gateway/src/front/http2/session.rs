//! What a connection and its streams share: the bytes that are to be sent, the windows, and for each
//! stream what has come and not been read.
//!
//! A stream writes its frames into the connection's one outbox, under its windows, and wakes the
//! connection's task, which sends what all of them have written in one call. Nothing holds a borrow
//! across a call of a stream's own code.

mod receive; // bodies of requests, from the connection's task to its streams
mod send; // answers, from the streams to the outbox

use std::{
    cell::RefCell,
    collections::HashMap,
    io::{self, IoSlice},
    task::{Context, Poll, Waker, ready},
};

use bytes::BytesMut;
use http2::{DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, ErrorCode, frame};

use super::super::{Gone, Socket};

pub(super) use receive::DataError;

pub(super) struct Session {
    state: RefCell<State>,
}

struct State {
    out: Outbox,
    streams: HashMap<u32, Stream>,
    /// Of the connection, for what is sent.
    window: i64,
    /// Of a new stream, for what is sent, and for what is received.
    initial_window: i64,
    initial_receive_window: i64,
    frame_size: usize,
    /// The client has changed its table: the next block has to say that none is used.
    table_changed: bool,
    /// The connection's task.
    task: Option<Waker>,
    /// Answers that were said to their end.
    answered: u64,
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
    /// Bytes of answers since the beginning.
    payload: u64,
}

struct Stream {
    received: BytesMut,
    /// What the client may still send, and has said that it will.
    receive_window: i64,
    announced: Option<u64>,
    /// The client has said its last.
    ended: bool,
    reader: Option<Waker>,
    send_window: i64,
    /// How much of its answer lies in the outbox, and in which round it was put there.
    queued: (u64, usize),
    writer: Option<Waker>,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Asked,
    /// An answer has begun: what still comes of a body is nobody's.
    Answering,
    /// The answer has been said to its end.
    Answered,
    /// One side has broken it off.
    Reset,
}

/// A client may ask for so much that is only about the connection without reading any of it.
const MOST_CONTROL_FRAMES: usize = 1000;

/// The outbox of an idle connection holds no more than this.
const SPARE: usize = 16 << 10;

impl Session {
    pub(super) fn new(receive_window: u32) -> Session {
        Session {
            state: RefCell::new(State {
                out: Outbox::default(),
                streams: HashMap::new(),
                window: i64::from(DEFAULT_WINDOW),
                initial_window: i64::from(DEFAULT_WINDOW),
                initial_receive_window: i64::from(receive_window),
                frame_size: DEFAULT_FRAME_SIZE as usize,
                table_changed: false,
                task: None,
                answered: 0,
            }),
        }
    }

    /// Whom to wake when a stream has something to be sent.
    pub(super) fn park(&self, context: &Context<'_>) {
        let mut state = self.state.borrow_mut();
        if !state.task.as_ref().is_some_and(|task| task.will_wake(context.waker())) {
            state.task = Some(context.waker().clone());
        }
    }

    /// A frame that is no part of an answer.
    pub(super) fn control(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.state.borrow_mut();
        write(&mut state.out.bytes);
        state.out.control += 1;
        state.out.last = None;
    }

    /// Whether a client makes us talk to nobody: control frames that are not read.
    pub(super) fn is_flooded(&self) -> bool {
        self.state.borrow().out.control > MOST_CONTROL_FRAMES
    }

    /// Sends what is in the outbox. Ready when it is empty.
    pub(super) fn poll_flush(
        &self,
        context: &mut Context<'_>,
        socket: &mut Socket,
    ) -> Poll<Result<(), Gone>> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        state.out.last = None;
        while state.out.sent < state.out.bytes.len() {
            let rest = IoSlice::new(&state.out.bytes[state.out.sent..]);
            state.out.sent += ready!(socket.poll_write(context, &[rest]))?;
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
                if let Some(stream) = state.streams.get_mut(&stream) {
                    wake(&mut stream.writer);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Bytes that have not left, and how many of them have: what changes moves.
    pub(super) fn unsent(&self) -> Option<(u64, usize)> {
        let out = &self.state.borrow().out;
        (!out.bytes.is_empty()).then_some((out.round, out.sent))
    }

    pub(super) fn streams(&self) -> usize {
        self.state.borrow().streams.len()
    }

    pub(super) fn answered(&self) -> u64 {
        self.state.borrow().answered
    }

    /// Bytes of answers since the beginning.
    pub(super) fn payload(&self) -> u64 {
        self.state.borrow().out.payload
    }

    /// `announced`: the length its body is said to have.
    pub(super) fn open(&self, id: u32, announced: Option<u64>, ended: bool) {
        let mut state = self.state.borrow_mut();
        let stream = Stream {
            received: BytesMut::new(),
            receive_window: state.initial_receive_window,
            announced,
            ended,
            reader: None,
            send_window: state.initial_window,
            queued: (0, 0),
            writer: None,
            progress: Progress::Asked,
        };
        state.streams.insert(id, stream);
    }

    /// Whether there was such a stream, still without its answer. From now on it is nobody's.
    pub(super) fn reset_by_client(&self, id: u32) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(stream) = state.streams.get_mut(&id) else { return false };
        let was_open = matches!(stream.progress, Progress::Asked | Progress::Answering);
        stream.break_off();
        was_open
    }

    /// Whether a stream was given up before it was looked at.
    pub(super) fn is_reset(&self, id: u32) -> bool {
        let state = self.state.borrow();
        state.streams.get(&id).is_none_or(|stream| stream.progress == Progress::Reset)
    }

    /// Breaks a stream off.
    pub(super) fn reset(&self, id: u32, code: ErrorCode) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(stream) = state.open_stream(id) else { return };
        stream.break_off();
        state.out.last = None;
        frame::reset_stream(id, code, &mut state.out.bytes);
        wake(&mut state.task);
    }

    /// Nothing can be sent any more: every stream is told.
    pub(super) fn break_off(&self) {
        self.state.borrow_mut().streams.values_mut().for_each(Stream::break_off);
    }

    /// Ready when nobody waits for the answer any more.
    pub(super) fn poll_gone(&self, id: u32, context: &Context<'_>) -> Poll<()> {
        match self.state.borrow_mut().open_stream(id) {
            None => Poll::Ready(()),
            Some(stream) => {
                stream.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The request is over. A client that has not been told so is, and one that still sends.
    pub(super) fn close(&self, id: u32) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(stream) = state.streams.remove(&id) else { return };
        let code = match stream.progress {
            Progress::Reset => None,
            Progress::Answered if stream.ended => None,
            Progress::Answered => Some(ErrorCode::NoError),
            Progress::Asked | Progress::Answering => Some(ErrorCode::InternalError),
        };
        if let Some(code) = code {
            state.out.last = None;
            frame::reset_stream(id, code, &mut state.out.bytes);
        }
        wake(&mut state.task);
    }
}

impl State {
    fn open_stream(&mut self, id: u32) -> Option<&mut Stream> {
        self.streams.get_mut(&id).filter(|stream| stream.progress != Progress::Reset)
    }
}

impl Stream {
    fn break_off(&mut self) {
        self.progress = Progress::Reset;
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
    io::ErrorKind::ConnectionAborted.into()
}
