//! What each frame asks for. Frames are taken as their bytes come: a body's payload goes on to its
//! stream piece by piece, a block of fields is decoded field by field, and nothing is held that a
//! limit does not bound. What has no meaning is refused with the code that nginx would use.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use bytes::{Buf, BytesMut};
use http2::{
    ErrorCode, FrameHead, Kind, MAX_WINDOW, PREFACE, flags,
    frame::{self, HEAD},
    hpack::Decoder,
};

use super::{Connection, blocks::Block, session::DataError};

/// Why the connection ends.
pub(super) struct Fatal {
    pub(super) code: ErrorCode,
    pub(super) message: Cow<'static, str>,
}

pub(super) fn fatal(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Fatal {
    Fatal { code, message: message.into() }
}

/// How far the frames have been read.
pub(super) struct Frames {
    pub(super) at: At,
    pub(super) block: Option<Block>,
    pub(super) decoder: Decoder,
    pub(super) last_stream: u32,
    /// What the client may still send on all streams together.
    window: u32,
    pub(super) settings_acknowledged: bool,
    /// PRIORITY frames that are still taken without complaint.
    pub(super) priorities_left: usize,
    /// Streams since the last read, and those refused since the beginning.
    pub(super) new_streams: usize,
    pub(super) refused: usize,
    /// Bytes of bodies and heads since the beginning.
    pub(super) payload: u64,
}

/// Where in a frame.
#[derive(Clone, Copy)]
pub(super) enum At {
    /// Before the first frame.
    Preface,
    Head,
    /// Of a body's frame, whose stream may not want it.
    Data {
        stream: Option<u32>,
        left: u32,
        padding: u32,
        ends: bool,
    },
    /// Of a block's.
    Fields {
        left: u32,
        padding: u32,
        ends: bool,
    },
    Settings {
        left: u32,
        window: Option<u32>,
    },
    Skip {
        left: u32,
    },
}

/// Frames that carry a number have this much payload.
pub(super) const PRIORITY: u32 = 5;
const RESET: u32 = 4;
const PING: u32 = 8;
const GO_AWAY: u32 = 8;
const WINDOW_UPDATE: u32 = 4;

/// As in nginx, whatever the limit on streams is.
pub(super) const LEAST_LIMIT: usize = 100;

impl Frames {
    pub(super) fn new(streams: usize) -> Frames {
        Frames {
            at: At::Preface,
            block: None,
            decoder: Decoder::default(),
            last_stream: 0,
            window: MAX_WINDOW,
            settings_acknowledged: false,
            priorities_left: streams.max(LEAST_LIMIT),
            new_streams: 0,
            refused: 0,
            payload: 0,
        }
    }

    /// Whether a frame has been read in part.
    pub(super) fn is_amid(&self) -> bool {
        self.block.is_some() || !matches!(self.at, At::Head)
    }

    pub(super) fn expects_body(&self) -> bool {
        matches!(self.at, At::Data { .. })
    }

    /// How long the head that is being read may take.
    pub(super) fn head_until(&mut self, now: Instant, limit: Duration) -> Option<Instant> {
        let block = self.block.as_mut().filter(|block| block.fields.is_some())?;
        Some(*block.until.get_or_insert_with(|| now + limit))
    }

    /// Goes on reading a head for the table's sake alone.
    pub(super) fn give_up_head(&mut self) -> Option<u32> {
        let block = self.block.as_mut()?;
        block.fields = None;
        Some(block.stream)
    }
}

impl Connection {
    /// Takes whatever can be taken off the front of `buffer`.
    pub(super) fn take_frames(&mut self, buffer: &mut BytesMut) -> Result<(), Fatal> {
        loop {
            let goes_on = match self.frames.at {
                At::Preface => {
                    let here = buffer.len().min(PREFACE.len());
                    if buffer[..here] != PREFACE[..here] {
                        let message = "invalid connection preface";
                        return Err(fatal(ErrorCode::ProtocolError, message));
                    }
                    let whole = here == PREFACE.len();
                    if whole {
                        buffer.advance(here);
                        self.frames.at = At::Head;
                    }
                    whole
                }
                At::Head => self.take_head(buffer)?,
                At::Data { stream, left, padding, ends } => {
                    let here = left.min(buffer.len() as u32);
                    if let Some(stream) = stream
                        && here > 0
                    {
                        self.session.data(stream, &buffer[..here as usize]);
                        self.frames.payload += u64::from(here);
                    }
                    buffer.advance(here as usize);
                    let left = left - here;
                    if left == 0 {
                        if let (Some(stream), true) = (stream, ends) {
                            self.session.end_data(stream);
                        }
                        self.frames.at = At::Skip { left: padding };
                    } else {
                        self.frames.at = At::Data { stream, left, padding, ends };
                    }
                    left == 0
                }
                At::Fields { left, padding, ends } => {
                    let here = left.min(buffer.len() as u32);
                    let block = self.frames.block.as_mut().expect("fields belong to a block");
                    if block.undecoded.is_empty() {
                        block.undecoded = buffer.split_to(here as usize);
                    } else {
                        block.undecoded.extend_from_slice(&buffer[..here as usize]);
                        buffer.advance(here as usize);
                    }
                    let left = left - here;
                    self.frames.at = At::Fields { left, padding, ends };
                    self.decode_fields()?;
                    if left == 0 {
                        self.end_of_fields(ends)?;
                        self.frames.at = At::Skip { left: padding };
                    }
                    left == 0
                }
                At::Settings { left, window } => self.take_setting(buffer, left, window)?,
                At::Skip { left } => {
                    let here = left.min(buffer.len() as u32);
                    buffer.advance(here as usize);
                    self.frames.at =
                        if left == here { At::Head } else { At::Skip { left: left - here } };
                    left == here
                }
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// `false`: it is not here yet.
    fn take_head(&mut self, buffer: &mut BytesMut) -> Result<bool, Fatal> {
        let Some(head) = buffer.first_chunk::<HEAD>() else { return Ok(false) };
        let head = FrameHead::read(*head);
        if let Some(block) = self.frames.block.as_ref().filter(|block| block.goes_on) {
            if head.kind != Kind::Continuation {
                let message = "client sent inappropriate frame while CONTINUATION was expected";
                return Err(fatal(ErrorCode::ProtocolError, message));
            }
            if head.stream != block.stream {
                let message = "client sent CONTINUATION frame with incorrect identifier";
                return Err(fatal(ErrorCode::ProtocolError, message));
            }
        }
        // What stands in front of a payload that is taken in pieces, and whole payloads of numbers.
        let needed = match head.kind {
            Kind::Data => self.before_data(head)?,
            Kind::Headers => self.before_headers(head)?,
            Kind::Priority => self.exactly(head, PRIORITY, "PRIORITY")?,
            Kind::ResetStream => self.exactly(head, RESET, "RST_STREAM")?,
            Kind::Ping => self.exactly(head, PING, "PING")?,
            Kind::WindowUpdate => self.exactly(head, WINDOW_UPDATE, "WINDOW_UPDATE")?,
            Kind::GoAway if head.length < GO_AWAY => {
                return Err(self.wrong_length("GOAWAY", head.length));
            }
            Kind::GoAway => GO_AWAY,
            Kind::Settings | Kind::PushPromise | Kind::Continuation | Kind::Unknown(_) => 0,
        };
        if buffer.len() < HEAD + needed as usize {
            return Ok(false);
        }
        buffer.advance(HEAD);
        let payload = buffer.split_to(needed as usize);
        let rest = head.length - needed;
        self.frames.at = At::Skip { left: rest };
        match head.kind {
            Kind::Data => self.begin_data(head, &payload)?,
            Kind::Headers => self.begin_headers(head, &payload)?,
            Kind::Priority => self.take_priority(head, &payload)?,
            Kind::ResetStream => self.take_reset(head, &payload)?,
            Kind::Settings => self.begin_settings(head)?,
            Kind::PushPromise => {
                return Err(fatal(ErrorCode::ProtocolError, "client sent PUSH_PROMISE frame"));
            }
            Kind::Ping => self.take_ping(head, &payload)?,
            Kind::GoAway if head.stream != 0 => return Err(self.wrong_stream("GOAWAY")),
            Kind::GoAway => (),
            Kind::WindowUpdate => self.take_window_update(head, &payload)?,
            Kind::Continuation => self.begin_continuation(head)?,
            Kind::Unknown(kind) => {
                self.log(&format!("client sent frame with unknown type {kind}"));
            }
        }
        Ok(true)
    }

    pub(super) fn wrong_length(&self, name: &str, length: u32) -> Fatal {
        let message = format!("client sent {name} frame with incorrect length {length}");
        fatal(ErrorCode::FrameSizeError, message)
    }

    pub(super) fn wrong_stream(&self, name: &str) -> Fatal {
        let message = format!("client sent {name} frame with incorrect identifier");
        fatal(ErrorCode::ProtocolError, message)
    }

    fn exactly(&self, head: FrameHead, length: u32, name: &str) -> Result<u32, Fatal> {
        if head.length == length { Ok(length) } else { Err(self.wrong_length(name, head.length)) }
    }

    fn before_data(&self, head: FrameHead) -> Result<u32, Fatal> {
        if head.has(flags::PADDED) && head.length == 0 {
            let message = "client sent padded DATA frame with incorrect length: 0";
            return Err(fatal(ErrorCode::FrameSizeError, message));
        }
        Ok(u32::from(head.has(flags::PADDED)))
    }

    fn begin_data(&mut self, head: FrameHead, before: &[u8]) -> Result<(), Fatal> {
        let size = head.length;
        let padding = before.first().map_or(0, |padding| u32::from(*padding));
        if padding > 0 && padding >= size {
            let message = format!(
                "client sent padded DATA frame with incorrect length: {size}, padding: {padding}"
            );
            return Err(fatal(ErrorCode::ProtocolError, message));
        }
        if head.stream == 0 {
            return Err(self.wrong_stream("DATA"));
        }
        let window = self.frames.window;
        if size > window {
            let message = format!(
                "client violated connection flow control: received DATA frame length {size}, \
                 available window {window}"
            );
            return Err(fatal(ErrorCode::FlowControlError, message));
        }
        self.frames.window -= size;
        if self.frames.window < MAX_WINDOW / 4 {
            let more = MAX_WINDOW - self.frames.window;
            self.session.control(|out| frame::window_update(0, more, out));
            self.frames.window = MAX_WINDOW;
        }
        let id = head.stream;
        let wanted = match self.session.expect_data(id, size) {
            Ok(wanted) => wanted,
            Err(DataError::Window(window)) => {
                self.log(&format!(
                    "client violated flow control for stream {id}: received DATA frame length \
                     {size}, available window {window}"
                ));
                self.session.reset(id, ErrorCode::FlowControlError);
                false
            }
            Err(DataError::Ended) => {
                self.log(&format!("client sent DATA frame for half-closed stream {id}"));
                self.session.reset(id, ErrorCode::StreamClosed);
                false
            }
        };
        let left = size - before.len() as u32 - padding;
        let ends = head.has(flags::END_STREAM);
        self.frames.at = At::Data { stream: wanted.then_some(id), left, padding, ends };
        Ok(())
    }
}

/// The stream that a priority names, if one was sent.
pub(super) fn depends_on(priority: &[u8]) -> Option<u32> {
    (!priority.is_empty()).then(|| number(priority) & 0x7fff_ffff)
}

pub(super) fn number(payload: &[u8]) -> u32 {
    payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
