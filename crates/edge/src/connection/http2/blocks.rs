//! Blocks of fields, in HEADERS and CONTINUATION: a new stream, its head field by field, and the request
//! when the block is whole.

use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http2::{
    DEFAULT_WINDOW, ErrorCode, FrameHead, flags, frame,
    hpack::{Decoded, HpackError},
};

use super::{
    Connection,
    frames::{At, Fatal, LEAST_LIMIT, PRIORITY, depends_on, fatal},
    head::{self, Asked},
};
use crate::connection::counts::{Count, tally};

/// A block of fields that is being read.
pub(super) struct Block {
    pub(super) stream: u32,
    /// `None`: nobody wants the fields, but the table must learn of them.
    pub(super) fields: Option<Vec<(Bytes, Bytes)>>,
    /// What they may still add up to.
    room: usize,
    pub(super) size: usize,
    /// No body follows.
    ends_stream: bool,
    pub(super) undecoded: BytesMut,
    pub(super) until: Option<Instant>,
    /// CONTINUATION is due.
    pub(super) goes_on: bool,
}

/// Most requests have fewer fields.
const USUAL_FIELDS: usize = 16;

impl Connection {
    pub(super) fn before_headers(&self, head: FrameHead) -> Result<u32, Fatal> {
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

    pub(super) fn begin_headers(&mut self, head: FrameHead, before: &[u8]) -> Result<(), Fatal> {
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
        tally(Count::Requests);
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

    pub(super) fn begin_continuation(&mut self, head: FrameHead) -> Result<(), Fatal> {
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
    pub(super) fn decode_fields(&mut self) -> Result<(), Fatal> {
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
    pub(super) fn end_of_fields(&mut self, ends: bool) -> Result<(), Fatal> {
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
}

fn bad_block(error: HpackError) -> Fatal {
    let code = match error {
        HpackError::StringTooLong => ErrorCode::EnhanceYourCalm,
        HpackError::EmptyName => ErrorCode::ProtocolError,
        _ => ErrorCode::CompressionError,
    };
    fatal(code, format!("client sent {error}"))
}
