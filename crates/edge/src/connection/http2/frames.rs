//! What each frame asks for. Frames are taken as their bytes come: a body's payload goes on to its
//! stream piece by piece, a block of fields is decoded field by field, and nothing is held that a
//! limit does not bound. What has no meaning is refused with the code that nginx would use.

use std::{
    borrow::Cow,
    time::{Duration, Instant},
};

use bytes::{Buf, Bytes, BytesMut};
use http2::{
    DEFAULT_FRAME_SIZE, DEFAULT_WINDOW, ErrorCode, FrameHead, Kind, MAX_FRAME_SIZE, MAX_WINDOW,
    PREFACE, Setting, flags,
    frame::{self, HEAD},
    hpack::{Decoded, Decoder, HpackError},
};

use super::{
    Connection,
    head::{self, Asked},
    session::DataError,
};

/// Why the connection ends.
pub(super) struct Fatal {
    pub(super) code: ErrorCode,
    pub(super) message: Cow<'static, str>,
}

fn fatal(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Fatal {
    Fatal { code, message: message.into() }
}

/// How far the frames have been read.
pub(super) struct Frames {
    at: At,
    block: Option<Block>,
    decoder: Decoder,
    pub(super) last_stream: u32,
    /// What the client may still send on all streams together.
    window: u32,
    settings_acknowledged: bool,
    /// PRIORITY frames that are still taken without complaint.
    priorities_left: usize,
    /// Streams since the last read, and those refused since the beginning.
    pub(super) new_streams: usize,
    refused: usize,
    /// Bytes of bodies and heads since the beginning.
    pub(super) payload: u64,
}

/// Where in a frame.
#[derive(Clone, Copy)]
enum At {
    /// Before the first frame.
    Preface,
    Head,
    /// Of a body's frame, whose stream may not want it.
    Data {
        stream: Option<u32>,
        left: u32,
        padding: u32,
        ends: bool,
        id: u32,
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

/// A block of fields that is being read.
struct Block {
    stream: u32,
    /// `None`: nobody wants the fields, but the table must learn of them.
    fields: Option<Vec<(Bytes, Bytes)>>,
    /// What they may still add up to.
    room: usize,
    size: usize,
    /// No body follows.
    ends_stream: bool,
    undecoded: BytesMut,
    until: Option<Instant>,
    /// CONTINUATION is due.
    goes_on: bool,
}

/// Frames that carry a number have this much payload.
const PRIORITY: u32 = 5;
const RESET: u32 = 4;
const PING: u32 = 8;
const GO_AWAY: u32 = 8;
const WINDOW_UPDATE: u32 = 4;
const SETTING: u32 = 6;

/// As in nginx, whatever the limit on streams is.
const LEAST_LIMIT: usize = 100;

/// Most requests have fewer fields.
const USUAL_FIELDS: usize = 16;

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
                At::Data { stream, left, padding, ends, id } => {
                    let here = left.min(buffer.len() as u32);
                    if let Some(stream) = stream
                        && here > 0
                    {
                        self.session.data(stream, &buffer[..here as usize]);
                    }
                    self.frames.payload += u64::from(here);
                    buffer.advance(here as usize);
                    let left = left - here;
                    if left == 0 {
                        if let (Some(stream), true) = (stream, ends) {
                            self.session.end_data(stream);
                        }
                        self.frames.at = At::Skip { left: padding };
                    } else {
                        self.frames.at = At::Data { stream, left, padding, ends, id };
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

    fn wrong_length(&self, name: &str, length: u32) -> Fatal {
        let message = format!("client sent {name} frame with incorrect length {length}");
        fatal(ErrorCode::FrameSizeError, message)
    }

    fn wrong_stream(&self, name: &str) -> Fatal {
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
        self.frames.at = At::Data { stream: wanted.then_some(id), left, padding, ends, id };
        Ok(())
    }

    fn before_headers(&self, head: FrameHead) -> Result<u32, Fatal> {
        let padded = u32::from(head.has(flags::PADDED));
        let before = padded + if head.has(flags::PRIORITY) { PRIORITY } else { 0 };
        if head.length < before {
            return Err(self.wrong_length("HEADERS", head.length));
        }
        if head.length == before {
            let message = "client sent HEADERS frame with empty header block";
            return Err(fatal(ErrorCode::FrameSizeError, message));
        }
        Ok(before)
    }

    fn begin_headers(&mut self, head: FrameHead, before: &[u8]) -> Result<(), Fatal> {
        let length = head.length - before.len() as u32;
        let (padding, priority) = match before.split_first() {
            Some((padding, rest)) if head.has(flags::PADDED) => (u32::from(*padding), rest),
            _ => (0, before),
        };
        if padding > length {
            let message = format!(
                "client sent padded HEADERS frame with incorrect length: {length}, padding: \
                 {padding}"
            );
            return Err(fatal(ErrorCode::ProtocolError, message));
        }
        let id = head.stream;
        let wanted = if self.going { false } else { self.accept(head, priority)? };
        let left = length - padding;
        let limits = self.core.large_client_header_buffers();
        self.frames.block = Some(Block {
            stream: id,
            fields: wanted.then(|| Vec::with_capacity(USUAL_FIELDS)),
            room: limits.size.saturating_mul(limits.number),
            size: left as usize,
            ends_stream: head.has(flags::END_STREAM),
            undecoded: BytesMut::new(),
            until: None,
            goes_on: false,
        });
        let ends = head.has(flags::END_HEADERS);
        self.frames.at = At::Fields { left, padding, ends };
        Ok(())
    }

    /// Whether a new stream is taken, or refused; or its number is none.
    fn accept(&mut self, head: FrameHead, priority: &[u8]) -> Result<bool, Fatal> {
        let (id, last) = (head.stream, self.frames.last_stream);
        if id % 2 == 0 || id <= last {
            let message = format!(
                "client sent HEADERS frame with incorrect identifier {id}, the last was {last}"
            );
            return Err(fatal(ErrorCode::ProtocolError, message));
        }
        if depends_on(priority) == Some(id) {
            let message =
                format!("client sent HEADERS frame for stream {id} with incorrect dependency");
            return Err(fatal(ErrorCode::ProtocolError, message));
        }
        self.frames.last_stream = id;
        let most = self.http2.max_concurrent_streams();
        let streams = self.session.streams();
        let ends = head.has(flags::END_STREAM);
        let preread = self.http2.body_preread_size();
        let refusal = if streams >= most {
            Some(format!("concurrent streams exceeded {streams}"))
        } else if self.frames.new_streams >= most.saturating_mul(2) {
            Some("client sent too many streams at once".to_owned())
        } else if !self.frames.settings_acknowledged && !ends && preread < DEFAULT_WINDOW {
            Some("client sent stream with data before settings were acknowledged".to_owned())
        } else {
            None
        };
        self.frames.new_streams += 1;
        if let Some(refusal) = refusal {
            self.log(&refusal);
            self.frames.refused += 1;
            if self.frames.refused > most.max(LEAST_LIMIT) {
                return Err(fatal(ErrorCode::NoError, "client sent too many refused streams"));
            }
            self.session.control(|out| frame::reset_stream(id, ErrorCode::RefusedStream, out));
            return Ok(false);
        }
        self.frames.priorities_left = self.frames.priorities_left.saturating_add(most);
        self.session.open(id, preread, ends);
        self.accepted += 1;
        self.idle_until = None;
        let core = &self.core;
        if core.keepalive_timeout().is_zero()
            || self.accepted >= core.keepalive_requests()
            || self.client.peer.age() > core.keepalive_time()
        {
            self.go_away(ErrorCode::NoError);
        }
        Ok(true)
    }

    fn begin_continuation(&mut self, head: FrameHead) -> Result<(), Fatal> {
        let Some(block) = self.frames.block.as_mut() else {
            let message = "client sent unexpected CONTINUATION frame";
            return Err(fatal(ErrorCode::ProtocolError, message));
        };
        block.goes_on = false;
        block.size += head.length as usize;
        let ends = head.has(flags::END_HEADERS);
        self.frames.at = At::Fields { left: head.length, padding: 0, ends };
        Ok(())
    }

    /// Decodes the fields that are whole.
    fn decode_fields(&mut self) -> Result<(), Fatal> {
        let block = self.frames.block.as_mut().expect("fields belong to a block");
        let longest = self.core.large_client_header_buffers().size;
        let decoder = &mut self.frames.decoder;
        while let Some(decoded) = decoder.next(&mut block.undecoded, longest).map_err(bad_block)? {
            let Decoded::Field { name, value } = decoded else { continue };
            let size = name.len() + value.len();
            if size > block.room {
                let message = "client sent too large header";
                return Err(fatal(ErrorCode::EnhanceYourCalm, message));
            }
            block.room -= size;
            if let Some(fields) = &mut block.fields {
                fields.push((name, value));
            }
        }
        Ok(())
    }

    /// One frame of the block is over; perhaps the block is.
    fn end_of_fields(&mut self, ends: bool) -> Result<(), Fatal> {
        let block = self.frames.block.as_mut().expect("fields belong to a block");
        if !ends {
            block.goes_on = true;
            return Ok(());
        }
        if !block.undecoded.is_empty() {
            let message = "client sent header block with incorrect length";
            return Err(fatal(ErrorCode::FrameSizeError, message));
        }
        let Some(block) = self.frames.block.take() else { return Ok(()) };
        self.frames.payload += block.size as u64;
        let Some(fields) = block.fields else { return Ok(()) };
        let asked = Asked { fields, size: block.size, ended: block.ends_stream };
        let head = head::read(asked, self.reached(), &self.client);
        self.ready.push((block.stream, head));
        Ok(())
    }

    fn take_priority(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fatal> {
        self.frames.priorities_left = self.frames.priorities_left.saturating_sub(1);
        if self.frames.priorities_left == 0 {
            let message = "client sent too many PRIORITY frames";
            return Err(fatal(ErrorCode::EnhanceYourCalm, message));
        }
        if head.stream == 0 {
            return Err(self.wrong_stream("PRIORITY"));
        }
        if depends_on(payload) == Some(head.stream) {
            let id = head.stream;
            let message =
                format!("client sent PRIORITY frame for stream {id} with incorrect dependency");
            return Err(fatal(ErrorCode::ProtocolError, message));
        }
        Ok(())
    }

    fn take_reset(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fatal> {
        let id = head.stream;
        if id == 0 {
            return Err(self.wrong_stream("RST_STREAM"));
        }
        let unfinished = self.frames.block.as_ref().is_some_and(|block| block.stream == id);
        debug_assert!(!unfinished, "a block is not interrupted");
        if self.session.reset_by_client(id) {
            let code = number(payload);
            let why = match code {
                8 => format!("client canceled stream {id}"),
                2 => format!("client terminated stream {id} due to internal error"),
                code => format!("client terminated stream {id} with status {code}"),
            };
            self.log(&why);
        }
        Ok(())
    }

    fn begin_settings(&mut self, head: FrameHead) -> Result<(), Fatal> {
        if head.stream != 0 {
            return Err(self.wrong_stream("SETTINGS"));
        }
        if head.has(flags::ACK) {
            if head.length != 0 {
                let message = "client sent SETTINGS frame with the ACK flag and nonzero length";
                return Err(fatal(ErrorCode::FrameSizeError, message));
            }
            self.frames.settings_acknowledged = true;
            return Ok(());
        }
        if !head.length.is_multiple_of(SETTING) {
            return Err(self.wrong_length("SETTINGS", head.length));
        }
        self.frames.at = At::Settings { left: head.length, window: None };
        Ok(())
    }

    /// One setting after the other. The window's is applied last, so that what it sets free is sent
    /// under all of them.
    fn take_setting(
        &mut self,
        buffer: &mut BytesMut,
        left: u32,
        mut window: Option<u32>,
    ) -> Result<bool, Fatal> {
        if left == 0 {
            self.session.control(|out| frame::frame(Kind::Settings, flags::ACK, 0, &[], out));
            if let Some(size) = window
                && self.session.resize_windows(size).is_err()
            {
                let message = "client sent SETTINGS frame that makes a window too large";
                return Err(fatal(ErrorCode::FlowControlError, message));
            }
            self.frames.at = At::Head;
            return Ok(true);
        }
        if buffer.len() < SETTING as usize {
            return Ok(false);
        }
        let (code, value) = (buffer.get_u16(), buffer.get_u32());
        let wrong =
            |name: &str| format!("client sent SETTINGS frame with incorrect {name} value {value}");
        match Setting::of(code) {
            Some(Setting::InitialWindowSize) if value > MAX_WINDOW => {
                let message = wrong("INITIAL_WINDOW_SIZE");
                return Err(fatal(ErrorCode::FlowControlError, message));
            }
            Some(Setting::InitialWindowSize) => window = Some(value),
            Some(Setting::MaxFrameSize) => {
                if !(DEFAULT_FRAME_SIZE..=MAX_FRAME_SIZE).contains(&value) {
                    return Err(fatal(ErrorCode::ProtocolError, wrong("MAX_FRAME_SIZE")));
                }
                self.session.set_frame_size(value);
            }
            Some(Setting::EnablePush) if value > 1 => {
                return Err(fatal(ErrorCode::ProtocolError, wrong("ENABLE_PUSH")));
            }
            Some(Setting::HeaderTableSize) => self.session.change_table(),
            Some(Setting::EnablePush | Setting::MaxConcurrentStreams) | None => (),
        }
        self.frames.at = At::Settings { left: left - SETTING, window };
        Ok(true)
    }

    fn take_ping(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fatal> {
        if head.stream != 0 {
            return Err(self.wrong_stream("PING"));
        }
        if !head.has(flags::ACK) {
            self.session.control(|out| frame::frame(Kind::Ping, flags::ACK, 0, payload, out));
        }
        Ok(())
    }

    fn take_window_update(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fatal> {
        let by = number(payload) & 0x7fff_ffff;
        if by == 0 {
            let message = "client sent WINDOW_UPDATE frame with incorrect window increment 0";
            return Err(fatal(ErrorCode::ProtocolError, message));
        }
        let id = head.stream;
        let violated = |what: &str, window: i64| {
            format!(
                "client violated {what}: received WINDOW_UPDATE frame with window increment {by} \
                 not allowed for window {window}"
            )
        };
        if id == 0 {
            return self.session.widen(by).map_err(|window| {
                let message = violated("connection flow control", window);
                fatal(ErrorCode::FlowControlError, message)
            });
        }
        if let Err(window) = self.session.widen_stream(id, by) {
            self.log(&violated(&format!("flow control for stream {id}"), window));
            self.session.reset(id, ErrorCode::FlowControlError);
        }
        Ok(())
    }
}

fn bad_block(error: HpackError) -> Fatal {
    let code = match error {
        HpackError::StringTooLong => ErrorCode::EnhanceYourCalm,
        HpackError::EmptyName => ErrorCode::ProtocolError,
        _ => ErrorCode::CompressionError,
    };
    fatal(code, format!("client sent {error}"))
}

/// The stream that a priority names, if one was sent.
fn depends_on(priority: &[u8]) -> Option<u32> {
    (!priority.is_empty()).then(|| number(priority) & 0x7fff_ffff)
}

fn number(payload: &[u8]) -> u32 {
    payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
