//! Blocks of fields, in HEADERS and CONTINUATION: a new stream, and its request once the block is
//! whole; or the fields after a body, which nobody asks for.

use std::time::Instant;

use bytes::{Buf, Bytes, BytesMut};
use http2::{
    ErrorCode, FrameHead, flags, frame,
    hpack::{Decoded, HpackError},
};

use super::{
    Http2,
    frames::{Fatal, fatal},
    head,
};

/// A block of fields that is being read.
pub(super) struct Block {
    pub(super) stream: u32,
    /// `None`: nobody wants the fields, but the table must learn of them.
    fields: Option<Vec<(Bytes, Bytes)>>,
    /// What they may still add up to.
    room: usize,
    /// What may still come of it, before it is decoded.
    bytes_left: usize,
    kind: BlockKind,
    undecoded: BytesMut,
    pub(super) since: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BlockKind {
    Request { has_body: bool },
    Trailers,
}

/// Most requests have fewer fields.
const USUAL_FIELDS: usize = 16;
/// What a field costs besides its letters (RFC 9113 §6.5.2).
const FIELD: usize = 32;

impl Http2 {
    pub(super) fn take_headers(
        &mut self,
        head: FrameHead,
        mut payload: BytesMut,
    ) -> Result<(), Fatal> {
        let short = || fatal(ErrorCode::FrameSizeError, "too short a HEADERS frame");
        let mut padding = 0;
        if head.has(flags::PADDED) {
            padding = payload.first().copied().map(usize::from).ok_or_else(short)?;
            payload.advance(1);
        }
        if head.has(flags::PRIORITY) {
            // Read and not followed (RFC 9113 §5.3.2).
            if payload.len() < 5 {
                return Err(short());
            }
            payload.advance(5);
        }
        let Some(length) = payload.len().checked_sub(padding) else {
            return Err(fatal(ErrorCode::ProtocolError, "more padding than frame"));
        };
        payload.truncate(length);
        let ends_stream = head.has(flags::END_STREAM);
        // A stream that is closed here may not be so yet in the client's eyes.
        let is_known = !head.stream.is_multiple_of(2) && head.stream <= self.last_stream;
        let (kind, wanted) = if is_known {
            if !ends_stream {
                return Err(fatal(ErrorCode::ProtocolError, "a second head"));
            }
            (BlockKind::Trailers, false)
        } else {
            (BlockKind::Request { has_body: !ends_stream }, self.is_accepted(head.stream)?)
        };
        let most = self.most_fields();
        self.block = Some(Block {
            stream: head.stream,
            fields: wanted.then(|| Vec::with_capacity(USUAL_FIELDS)),
            room: most,
            bytes_left: most,
            kind,
            undecoded: BytesMut::new(),
            since: Instant::now(),
        });
        self.take_fields(head, payload)
    }

    /// Whether a new stream is taken, or refused.
    fn is_accepted(&mut self, id: u32) -> Result<bool, Fatal> {
        /// Of requests that come too many at a time, whatever the limit.
        const MOST_REFUSED: u64 = 100;
        if id.is_multiple_of(2) {
            return Err(fatal(ErrorCode::ProtocolError, "a stream whose number is none"));
        }
        if self.going {
            // The client has been told which the last one was.
            return Ok(false);
        }
        self.last_stream = id;
        let most = self.settings.http2_max_concurrent_streams as usize;
        if self.session.streams() + self.ready.len() >= most {
            self.refused += 1;
            if self.refused > MOST_REFUSED + self.session.answered() {
                return Err(fatal(ErrorCode::EnhanceYourCalm, "too many requests at a time"));
            }
            self.session.control(|out| frame::reset_stream(id, ErrorCode::RefusedStream, out));
            return Ok(false);
        }
        Ok(true)
    }

    /// Of a block, what one frame brings.
    pub(super) fn take_fields(&mut self, head: FrameHead, payload: BytesMut) -> Result<(), Fatal> {
        let too_long = || fatal(ErrorCode::EnhanceYourCalm, "too long a block of fields");
        let Some(mut block) = self.block.take() else { return Ok(()) };
        block.bytes_left = block.bytes_left.checked_sub(payload.len()).ok_or_else(too_long)?;
        if block.undecoded.is_empty() {
            block.undecoded = payload;
        } else {
            block.undecoded.extend_from_slice(&payload);
        }
        let longest = self.most_fields();
        while let Some(decoded) =
            self.decoder.next(&mut block.undecoded, longest).map_err(bad_block)?
        {
            let Decoded::Field { name, value } = decoded else { continue };
            let size = name.len() + value.len() + FIELD;
            block.room = block.room.checked_sub(size).ok_or_else(too_long)?;
            if let Some(fields) = &mut block.fields {
                fields.push((name, value));
            }
        }
        if !head.has(flags::END_HEADERS) {
            self.block = Some(block);
            return Ok(());
        }
        if !block.undecoded.is_empty() {
            return Err(fatal(ErrorCode::CompressionError, "a block that ends in a field"));
        }
        match (block.kind, block.fields) {
            (BlockKind::Trailers, _) => self.session.end_data(block.stream),
            (BlockKind::Request { has_body }, Some(fields)) => {
                self.accept(block.stream, fields, has_body);
            }
            // Refused.
            (BlockKind::Request { .. }, None) => (),
        }
        Ok(())
    }

    fn accept(&mut self, id: u32, fields: Vec<(Bytes, Bytes)>, has_body: bool) {
        let asked = head::read(fields).and_then(|asked| match asked.announced {
            Some(1..) if !has_body => Err("a body that is announced and does not come"),
            _ => Ok(asked),
        });
        match asked {
            Ok(asked) => {
                self.accepted += 1;
                self.session.open(id, asked.announced, !has_body);
                self.ready.push((id, asked, has_body));
            }
            Err(why) => {
                self.complain(why);
                self.session.control(|out| frame::reset_stream(id, ErrorCode::ProtocolError, out));
            }
        }
    }
}

fn bad_block(error: HpackError) -> Fatal {
    match error {
        HpackError::StringTooLong => {
            fatal(ErrorCode::EnhanceYourCalm, "too long a block of fields")
        }
        HpackError::EmptyName => fatal(ErrorCode::ProtocolError, "a field without a name"),
        _ => fatal(ErrorCode::CompressionError, "a block of fields that is none"),
    }
}
