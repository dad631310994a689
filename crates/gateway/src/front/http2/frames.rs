//! What each frame asks for. A body's payload goes on to its stream piece by piece; every other frame is
//! taken whole, and may not be longer than a bound that its kind has. What has no meaning, or asks for
//! more work than a request is worth, ends the connection with the code that RFC 9113 names.

use bytes::{Buf, BytesMut};
use http2::{
    DEFAULT_FRAME_SIZE, ErrorCode, FrameHead, Kind, MAX_FRAME_SIZE, MAX_WINDOW, PREFACE, Setting,
    flags,
    frame::{self, HEAD},
};

use super::{Http2, session::DataError};

/// Why the connection ends.
pub(super) struct Fatal {
    pub(super) code: ErrorCode,
    pub(super) why: &'static str,
}

pub(super) fn fatal(code: ErrorCode, why: &'static str) -> Fatal {
    Fatal { code, why }
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
    Skip {
        left: u32,
    },
}

/// Of SETTINGS and GOAWAY; there are no reasons for longer ones.
const MOST_WHOLE: u32 = DEFAULT_FRAME_SIZE;
const PRIORITY: usize = 5;
/// How much more a frame of fields may have than its fields: a priority, padding.
const BESIDE_FIELDS: u32 = 512;

impl Http2 {
    /// Takes whatever can be taken off the front of what was received.
    pub(super) fn take_frames(&mut self, buffer: &mut BytesMut) -> Result<(), Fatal> {
        loop {
            let goes_on = match self.at {
                At::Preface => {
                    let here = buffer.len().min(PREFACE.len());
                    if buffer[..here] != PREFACE[..here] {
                        return Err(fatal(ErrorCode::ProtocolError, "no preface of HTTP/2"));
                    }
                    let is_whole = here == PREFACE.len();
                    if is_whole {
                        buffer.advance(here);
                        self.at = At::Head;
                    }
                    is_whole
                }
                At::Head => self.take_frame(buffer)?,
                At::Data { stream, left, padding, ends } => {
                    let here = left.min(buffer.len() as u32);
                    if let (Some(stream), 1..) = (stream, here) {
                        self.session.data(stream, &buffer[..here as usize]);
                        self.payload += u64::from(here);
                    }
                    buffer.advance(here as usize);
                    let left = left - here;
                    self.at = At::Data { stream, left, padding, ends };
                    if left == 0 {
                        if let (Some(stream), true) = (stream, ends) {
                            self.session.end_data(stream);
                        }
                        self.at = At::Skip { left: padding };
                    }
                    left == 0
                }
                At::Skip { left } => {
                    let here = left.min(buffer.len() as u32);
                    buffer.advance(here as usize);
                    self.at = if left == here { At::Head } else { At::Skip { left: left - here } };
                    left == here
                }
            };
            if !goes_on {
                return Ok(());
            }
        }
    }

    /// `false`: it is not here yet.
    fn take_frame(&mut self, buffer: &mut BytesMut) -> Result<bool, Fatal> {
        let Some(head) = buffer.first_chunk::<HEAD>() else { return Ok(false) };
        let head = FrameHead::read(*head);
        if head.length > self.settings.http2_max_frame_size {
            return Err(fatal(ErrorCode::FrameSizeError, "a frame longer than allowed"));
        }
        let is_due = self.block.as_ref().map(|block| block.stream);
        match (is_due, head.kind) {
            (None, Kind::Continuation) => {
                return Err(fatal(ErrorCode::ProtocolError, "CONTINUATION of nothing"));
            }
            (Some(stream), kind) if kind != Kind::Continuation || head.stream != stream => {
                return Err(fatal(ErrorCode::ProtocolError, "another frame in a block of fields"));
            }
            _ => (),
        }
        let whole = match head.kind {
            Kind::Data => u32::from(head.has(flags::PADDED)),
            Kind::Unknown(_) | Kind::PushPromise => 0,
            Kind::Headers | Kind::Continuation => {
                if head.length as usize > self.most_fields() + BESIDE_FIELDS as usize {
                    return Err(fatal(ErrorCode::EnhanceYourCalm, "too long a block of fields"));
                }
                head.length
            }
            Kind::Settings | Kind::GoAway if head.length > MOST_WHOLE => {
                return Err(fatal(ErrorCode::EnhanceYourCalm, "too long a frame"));
            }
            _ => head.length,
        };
        if whole > head.length {
            return Err(fatal(ErrorCode::FrameSizeError, "a frame too short for its padding"));
        }
        if buffer.len() < HEAD + whole as usize {
            return Ok(false);
        }
        self.count_frame()?;
        buffer.advance(HEAD);
        let payload = buffer.split_to(whole as usize);
        self.at = At::Skip { left: head.length - whole };
        let of_connection = matches!(head.kind, Kind::Settings | Kind::Ping | Kind::GoAway);
        let of_stream = matches!(
            head.kind,
            Kind::Data | Kind::Headers | Kind::Priority | Kind::ResetStream | Kind::Continuation
        );
        if of_connection && head.stream != 0 || of_stream && head.stream == 0 {
            return Err(fatal(ErrorCode::ProtocolError, "a frame with a number it can not have"));
        }
        match head.kind {
            Kind::Data => self.begin_data(head, &payload)?,
            Kind::Headers => self.take_headers(head, payload)?,
            Kind::Continuation => self.take_fields(head, payload)?,
            Kind::Priority => exactly(PRIORITY, &payload)?,
            Kind::ResetStream => self.take_reset(head, &payload)?,
            Kind::Settings => self.take_settings(head, &payload)?,
            Kind::PushPromise => {
                return Err(fatal(ErrorCode::ProtocolError, "PUSH_PROMISE from a client"));
            }
            Kind::Ping => {
                exactly(8, &payload)?;
                if !head.has(flags::ACK) {
                    let answer = |out: &mut Vec<u8>| {
                        frame::frame(Kind::Ping, flags::ACK, 0, &payload, out);
                    };
                    self.session.control(answer);
                }
            }
            Kind::GoAway if head.length < 8 => {
                return Err(fatal(ErrorCode::FrameSizeError, "too short a GOAWAY"));
            }
            Kind::WindowUpdate => self.take_window_update(head, &payload)?,
            Kind::GoAway | Kind::Unknown(_) => (),
        }
        Ok(true)
    }

    /// A client may send frames in proportion to what they are for. Those for nothing (PING, SETTINGS,
    /// PRIORITY, CONTINUATION and DATA with nothing in them) are cheap to make and not to take.
    fn count_frame(&mut self) -> Result<(), Fatal> {
        const FREE: u64 = 1000;
        const EACH_REQUEST: u64 = 10;
        const BYTES_EACH: u64 = 64;
        self.taken += 1;
        let carried = (self.payload + self.session.payload()) / BYTES_EACH;
        if self.taken > FREE + EACH_REQUEST * self.accepted + carried {
            return Err(fatal(ErrorCode::EnhanceYourCalm, "too many frames for what they carry"));
        }
        Ok(())
    }

    fn begin_data(&mut self, head: FrameHead, before: &[u8]) -> Result<(), Fatal> {
        let size = head.length;
        let padding = before.first().map_or(0, |padding| u32::from(*padding));
        if padding > 0 && padding >= size {
            return Err(fatal(ErrorCode::ProtocolError, "more padding than frame"));
        }
        let id = head.stream;
        if id > self.last_stream {
            return Err(fatal(ErrorCode::ProtocolError, "DATA of a stream that was not opened"));
        }
        if size > self.window {
            return Err(fatal(ErrorCode::FlowControlError, "more DATA than the window"));
        }
        self.window -= size;
        if self.window < MAX_WINDOW / 4 {
            let more = MAX_WINDOW - self.window;
            self.session.control(|out| frame::window_update(0, more, out));
            self.window = MAX_WINDOW;
        }
        let wanted = match self.session.expect_data(id, size) {
            Ok(wanted) => wanted,
            Err(DataError::Window) => {
                self.session.reset(id, ErrorCode::FlowControlError);
                false
            }
            Err(DataError::Ended) => {
                self.session.reset(id, ErrorCode::StreamClosed);
                false
            }
        };
        let left = size - before.len() as u32 - padding;
        let ends = head.has(flags::END_STREAM);
        // Of an answer that has begun, the end still counts.
        if !wanted && ends {
            self.session.end_data(id);
        }
        self.at = At::Data { stream: wanted.then_some(id), left, padding, ends };
        Ok(())
    }

    fn take_reset(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fatal> {
        /// Requests given up, beyond those that were waited for: each has cost a worker something.
        const MOST: u64 = 100;
        exactly(4, payload)?;
        if head.stream > self.last_stream {
            return Err(fatal(ErrorCode::ProtocolError, "the end of what has not begun"));
        }
        self.given_up += u64::from(self.session.reset_by_client(head.stream));
        if self.given_up > MOST + self.session.answered() {
            return Err(fatal(ErrorCode::EnhanceYourCalm, "too many requests given up"));
        }
        Ok(())
    }

    fn take_settings(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fatal> {
        let wrong = |why| Err(fatal(ErrorCode::ProtocolError, why));
        if head.has(flags::ACK) {
            return exactly(0, payload);
        }
        let (settings, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(fatal(ErrorCode::FrameSizeError, "a part of a setting"));
        }
        let mut window = None;
        for [a, b, value @ ..] in settings {
            let value = u32::from_be_bytes(*value);
            match Setting::of(u16::from_be_bytes([*a, *b])) {
                Some(Setting::InitialWindowSize) if value > MAX_WINDOW => {
                    return Err(fatal(ErrorCode::FlowControlError, TOO_WIDE));
                }
                Some(Setting::InitialWindowSize) => window = Some(value),
                Some(Setting::MaxFrameSize) => {
                    if !(DEFAULT_FRAME_SIZE..=MAX_FRAME_SIZE).contains(&value) {
                        return wrong("SETTINGS_MAX_FRAME_SIZE out of its bounds");
                    }
                    self.session.set_frame_size(value);
                }
                Some(Setting::EnablePush) if value > 1 => {
                    return wrong("SETTINGS_ENABLE_PUSH that is neither 0 nor 1");
                }
                Some(Setting::HeaderTableSize) => self.session.change_table(),
                Some(Setting::EnablePush | Setting::MaxConcurrentStreams) | None => (),
            }
        }
        self.session.control(|out| frame::frame(Kind::Settings, flags::ACK, 0, &[], out));
        // Last, so that what it sets free is sent under all of them.
        let resized = window.map_or(Ok(()), |size| self.session.resize_windows(size));
        resized.map_err(|_| fatal(ErrorCode::FlowControlError, TOO_WIDE))
    }

    fn take_window_update(&mut self, head: FrameHead, payload: &[u8]) -> Result<(), Fatal> {
        exactly(4, payload)?;
        let by = payload.first_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes)) & MAX_WINDOW;
        let id = head.stream;
        if id > self.last_stream {
            return Err(fatal(ErrorCode::ProtocolError, "a window of what has not begun"));
        }
        match id {
            0 if by == 0 => Err(fatal(ErrorCode::ProtocolError, "WINDOW_UPDATE by nothing")),
            0 => {
                let widened = self.session.widen(by);
                widened.map_err(|_| fatal(ErrorCode::FlowControlError, TOO_WIDE))
            }
            id => {
                if by == 0 {
                    self.session.reset(id, ErrorCode::ProtocolError);
                } else if self.session.widen_stream(id, by).is_err() {
                    self.session.reset(id, ErrorCode::FlowControlError);
                }
                Ok(())
            }
        }
    }

    /// What the fields of a block may add up to.
    pub(super) fn most_fields(&self) -> usize {
        /// The reader of heads has a bound of its own, a little below.
        const MOST: usize = 1 << 20;
        let most = self.settings.http2_max_header_list_size;
        most.map_or(MOST, |most| (most as usize).min(MOST))
    }
}

const TOO_WIDE: &str = "a window wider than there can be";

fn exactly(length: usize, payload: &[u8]) -> Result<(), Fatal> {
    if payload.len() == length {
        return Ok(());
    }
    Err(fatal(ErrorCode::FrameSizeError, "a frame that has not the length of its kind"))
}
