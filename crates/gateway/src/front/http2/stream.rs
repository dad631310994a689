//! One stream, as a client's socket: a request's body is read of it, and an answer is written to it as
//! HTTP/1.1 says it, of which the head becomes a block of fields here. So whoever answers requests need
//! not know how they came.

use std::{
    io::{self, IoSlice},
    rc::Rc,
    task::{Context, Poll},
};

use http2::{ErrorCode, hpack::Encoder};
use tokio::io::ReadBuf;

use super::session::Session;

pub(in super::super) struct Stream {
    session: Rc<Session>,
    id: u32,
    /// It was asked for a head alone.
    is_head: bool,
    answer: Answer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answer {
    /// Its head is due, perhaps after interim ones.
    Head,
    /// So much of its body is to follow, if that was said.
    Body { left: Option<u64> },
    /// It must not look whole.
    Broken,
}

impl Stream {
    pub(super) fn new(session: &Rc<Session>, id: u32, is_head: bool) -> Stream {
        Stream { session: Rc::clone(session), id, is_head, answer: Answer::Head }
    }

    pub(in super::super) fn poll_read(
        &self,
        context: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.session.poll_read(self.id, context, buffer)
    }

    pub(in super::super) fn poll_gone(&self, context: &Context<'_>) -> Poll<()> {
        self.session.poll_gone(self.id, context)
    }

    pub(in super::super) fn has_ended(&self) -> bool {
        self.session.has_ended(self.id)
    }

    /// A head comes in one piece, from its first byte: those who write them make them so.
    pub(in super::super) fn poll_write(
        &mut self,
        context: &Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.answer {
            Answer::Head => {
                let first = pieces.iter().find(|piece| !piece.is_empty());
                Poll::Ready(first.map_or(Ok(0), |piece| self.head(piece)))
            }
            Answer::Body { left } => {
                let written = std::task::ready!(self.session.poll_write(self.id, context, pieces))?;
                if let Some(left) = left {
                    *left = left.saturating_sub(written as u64);
                }
                Poll::Ready(Ok(written))
            }
            Answer::Broken => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// How many bytes of `text` the head is.
    fn head(&mut self, text: &[u8]) -> io::Result<usize> {
        let invalid = || io::Error::from(io::ErrorKind::InvalidData);
        let end = memchr::memmem::find(text, b"\r\n\r\n").ok_or_else(invalid)?;
        let mut lines = text[..end].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii_end);
        let status = lines.next().and_then(|line| line.get(9..12)).ok_or_else(invalid)?;
        let status = std::str::from_utf8(status).ok().and_then(|status| status.parse().ok());
        let status: u16 = status.ok_or_else(invalid)?;
        let mut encoder = Encoder::with_capacity(end);
        encoder.status(status);
        let mut length = None;
        for line in lines {
            let colon = memchr::memchr(b':', line).ok_or_else(invalid)?;
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if is_about_the_connection(name) {
                continue;
            }
            if name.eq_ignore_ascii_case(b"content-length") {
                length = std::str::from_utf8(value).ok().and_then(|value| value.parse().ok());
            }
            encoder.field(name, value);
        }
        let is_last = status >= 200;
        self.session.fields(self.id, encoder.finish(), is_last)?;
        if is_last {
            let is_bare = self.is_head || matches!(status, 204 | 304);
            self.answer = Answer::Body { left: if is_bare { Some(0) } else { length } };
        }
        Ok(end + 4)
    }

    /// What was being sent has broken off.
    pub(in super::super) fn break_off(&mut self) {
        self.answer = Answer::Broken;
    }

    /// The answer is said, to its end or not.
    pub(in super::super) fn finish(&mut self) {
        match self.answer {
            Answer::Body { left: None | Some(0) } => self.session.end(self.id),
            _ => self.session.reset(self.id, ErrorCode::InternalError),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.session.close(self.id);
    }
}

/// RFC 9113 §8.2.2. A client may take a stream that says such a thing for broken.
fn is_about_the_connection(name: &[u8]) -> bool {
    const NAMES: [&str; 5] =
        ["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"];
    matches!(name.len(), 7 | 10 | 16 | 17)
        && NAMES.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}
