//! What a connection and its streams share: the bytes that are to be sent, the windows, and for each
//! stream what has come and not been read.
//!
//! A stream writes its frames into the connection's one outbox, under its windows, and the
//! connection's task sends what all of them have written in one call. Whoever can go on is woken;
//! the task itself is not, as long as it is the one that runs. Nothing holds a borrow across a call
//! of a stream's own code.

use std::{
    cell::RefCell,
    collections::HashMap,
    io,
    io::IoSlice,
    task::{Context, Poll, Waker},
};

use bytes::BytesMut;
use http2::{
    DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, ErrorCode, FrameHead, Kind, MAX_WINDOW, flags,
    frame::{self, HEAD},
    hpack,
};

use super::super::Client;

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
    /// Nothing can be sent any more.
    gone: bool,
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

/// What all streams together may have in the outbox, and what each may however many there are.
const OUTBOX: usize = 256 << 10;
const SHARE: usize = 16 << 10;

/// More than this, and even a stream that has said everything waits until it is on its way.
const FULL: usize = 1 << 20;

/// What a body may run ahead of whoever forwards it as it comes.
const AHEAD: i64 = 64 << 10;

/// As in nginx.
const MOST_CONTROL_FRAMES: usize = 10_000;

/// An outbox that was larger than this gives its memory back.
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
                gone: false,
                task: None,
                running: false,
            }),
        }
    }

    // For the connection's task.

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
            if state.out.bytes.capacity() > SPARE {
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

    /// The head of a DATA frame: whether its payload is wanted, or what is wrong with it.
    pub(super) fn expect_data(&self, id: u32, size: u32) -> Result<bool, DataError> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.reset) else {
            return Ok(false);
        };
        if i64::from(size) > stream.receive_window {
            return Err(DataError::Window(stream.receive_window));
        }
        stream.receive_window -= i64::from(size);
        if stream.ended {
            return Err(DataError::Ended);
        }
        Ok(true)
    }

    pub(super) fn data(&self, id: u32, payload: &[u8]) {
        let mut state = self.state.borrow_mut();
        if let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.reset) {
            stream.received.extend_from_slice(payload);
            wake(&mut stream.reader);
        }
    }

    /// The client has said its last on this stream.
    pub(super) fn end_data(&self, id: u32) {
        if let Some(stream) = self.state.borrow_mut().streams.get_mut(&id) {
            stream.ended = true;
            wake(&mut stream.reader);
        }
    }

    /// Whether there is such a stream, which from now on is nobody's.
    pub(super) fn reset_by_client(&self, id: u32) -> bool {
        let mut state = self.state.borrow_mut();
        let Some(stream) = state.streams.get_mut(&id) else { return false };
        let known = !stream.reset;
        stream.break_off();
        known
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

    /// More may be sent on the connection. `Err`: more than there can be.
    pub(super) fn widen(&self, by: u32) -> Result<(), i64> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if i64::from(by) > i64::from(MAX_WINDOW) - state.window {
            return Err(state.window);
        }
        state.window += i64::from(by);
        state.streams.values_mut().for_each(|stream| wake(&mut stream.writer));
        Ok(())
    }

    /// The same on one stream.
    pub(super) fn widen_stream(&self, id: u32, by: u32) -> Result<(), i64> {
        let mut state = self.state.borrow_mut();
        let Some(stream) = state.streams.get_mut(&id) else { return Ok(()) };
        if i64::from(by) > i64::from(MAX_WINDOW) - stream.send_window {
            return Err(stream.send_window);
        }
        stream.send_window += i64::from(by);
        wake(&mut stream.writer);
        Ok(())
    }

    /// `SETTINGS_INITIAL_WINDOW_SIZE`, which counts for the streams there are, too. `Err`: a window
    /// would be larger than there can be.
    pub(super) fn resize_windows(&self, size: u32) -> Result<(), ()> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let delta = i64::from(size) - state.initial_window;
        state.initial_window = i64::from(size);
        for stream in state.streams.values_mut() {
            stream.send_window += delta;
            if stream.send_window > i64::from(MAX_WINDOW) {
                return Err(());
            }
            wake(&mut stream.writer);
        }
        Ok(())
    }

    pub(super) fn set_frame_size(&self, size: u32) {
        self.state.borrow_mut().frame_size = size as usize;
    }

    pub(super) fn change_table(&self) {
        self.state.borrow_mut().table_changed = true;
    }

    /// Nothing can be sent any more: every stream is told.
    pub(super) fn break_off(&self) {
        let mut state = self.state.borrow_mut();
        state.gone = true;
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

    // For the streams.

    /// Moves what has come into `buffer`; 0 is the end, or a stream that was broken off.
    pub(super) fn poll_read(
        &self,
        id: u32,
        context: &Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.reset) else {
            return Poll::Ready(Ok(0));
        };
        if !stream.received.is_empty() {
            let received = stream.received.split();
            let bytes = received.len();
            if buffer.is_empty() {
                *buffer = received;
            } else {
                buffer.extend_from_slice(&received);
            }
            return Poll::Ready(Ok(bytes));
        }
        if stream.ended {
            return Poll::Ready(Ok(0));
        }
        stream.reader = Some(context.waker().clone());
        let wanted = if stream.whole { i64::from(MAX_WINDOW) } else { AHEAD };
        if stream.receive_window < wanted / 2 {
            let more = (wanted - stream.receive_window) as u32;
            stream.receive_window = wanted;
            state.out.last = None;
            frame::window_update(id, more, &mut state.out.bytes);
            state.wake();
        }
        Poll::Pending
    }

    pub(super) fn take_whole(&self, id: u32) {
        if let Some(stream) = self.state.borrow_mut().streams.get_mut(&id) {
            stream.whole = true;
        }
    }

    /// Whether the client has said its last, and all of it was read.
    pub(super) fn has_ended(&self, id: u32) -> bool {
        let state = self.state.borrow();
        let stream = state.streams.get(&id);
        stream.is_some_and(|stream| stream.ended && !stream.reset && stream.received.is_empty())
    }

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

    /// A block of fields: the head of an answer, or what follows its body.
    pub(super) fn fields(&self, id: u32, block: &[u8], chunk_size: usize) -> io::Result<()> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let stream = state.streams.get_mut(&id).filter(|stream| !stream.reset);
        stream.ok_or_else(broken_off)?.chunk_size = chunk_size;
        let start = state.out.bytes.len();
        if std::mem::take(&mut state.table_changed) {
            let mut whole = Vec::with_capacity(block.len() + 1);
            hpack::forget_table(&mut whole);
            whole.extend_from_slice(block);
            frame::headers(id, &whole, state.frame_size, &mut state.out.bytes);
        } else {
            frame::headers(id, block, state.frame_size, &mut state.out.bytes);
        }
        state.out.payload += block.len() as u64;
        state.out.last = Some((id, start));
        state.wake();
        Ok(())
    }

    /// Frames as much of a body as the windows and the outbox allow.
    pub(super) fn poll_write(
        &self,
        id: u32,
        context: &Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let share = (OUTBOX / state.streams.len().max(1)).max(SHARE);
        let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.reset) else {
            return Poll::Ready(Err(broken_off()));
        };
        if stream.queued.0 != state.out.round {
            stream.queued = (state.out.round, 0);
        }
        let room = share.saturating_sub(stream.queued.1);
        let windows = usize::try_from(stream.send_window.min(state.window)).unwrap_or(0);
        let wanted: usize = parts.iter().map(|part| part.len()).sum();
        let bytes = wanted.min(room).min(windows);
        if bytes == 0 && wanted > 0 {
            stream.writer = Some(context.waker().clone());
            if room == 0 {
                state.out.waiting.push(id);
            }
            state.wake();
            return Poll::Pending;
        }
        stream.queued.1 += bytes;
        stream.send_window -= bytes as i64;
        state.window -= bytes as i64;
        state.out.payload += bytes as u64;
        let most = stream.chunk_size.min(state.frame_size);
        state.out.bytes.reserve(bytes + HEAD * bytes.div_ceil(most));
        let mut parts = Parts { rest: parts, part: &[] };
        let mut left = bytes;
        // What follows at once upon what was not offered to the socket yet goes into the same frame.
        if let Some((_, start)) = state.out.last.filter(|(last, _)| *last == id) {
            let more = frame::lengthen(&mut state.out.bytes[start..], most, left);
            parts.take(more, &mut state.out.bytes);
            left -= more;
        }
        while left > 0 {
            let length = left.min(most);
            left -= length;
            state.out.last = Some((id, state.out.bytes.len()));
            let head = FrameHead {
                length: length as u32,
                kind: Kind::Data,
                flags: flags::NONE,
                stream: id,
            };
            head.write(&mut state.out.bytes);
            parts.take(length, &mut state.out.bytes);
        }
        state.wake();
        Poll::Ready(Ok(bytes))
    }

    /// Marks the last frame as the stream's last, or sends one that says so.
    pub(super) fn end(&self, id: u32) {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.reset) else {
            return;
        };
        stream.answered = true;
        match state.out.last.take() {
            Some((last, start)) if last == id => {
                // Length and kind stand before the flags.
                state.out.bytes[start + 4] |= flags::END_STREAM;
            }
            _ => frame::frame(Kind::Data, flags::END_STREAM, id, &[], &mut state.out.bytes),
        }
        state.wake();
    }

    /// Ready when there is room for the answers of others.
    pub(super) fn poll_room(&self, id: u32, context: &Context<'_>) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        let state = &mut *state;
        if state.out.bytes.len() - state.out.sent < FULL {
            return Poll::Ready(Ok(()));
        }
        let Some(stream) = state.streams.get_mut(&id).filter(|stream| !stream.reset) else {
            return Poll::Ready(Err(broken_off()));
        };
        stream.writer = Some(context.waker().clone());
        state.out.waiting.push(id);
        Poll::Pending
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

/// What is left of several stretches of memory.
struct Parts<'a, 'b> {
    rest: &'a [IoSlice<'b>],
    part: &'a [u8],
}

impl Parts<'_, '_> {
    fn take(&mut self, mut bytes: usize, out: &mut Vec<u8>) {
        while bytes > 0 {
            if self.part.is_empty() {
                let (part, rest) =
                    self.rest.split_first().expect("no more is framed than there is");
                (self.part, self.rest) = (part, rest);
                continue;
            }
            let (here, rest) = self.part.split_at(bytes.min(self.part.len()));
            out.extend_from_slice(here);
            bytes -= here.len();
            self.part = rest;
        }
    }
}

/// What is wrong with a DATA frame.
pub(super) enum DataError {
    /// It is longer than the window, which is this.
    Window(i64),
    Ended,
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
