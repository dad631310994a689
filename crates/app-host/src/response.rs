//! A response as records: the head with the first part of the body, then the rest, then END_REQUEST.
//!
//! Nothing is sent before the first non-empty part of the body (PEP 3333): until then an error can
//! still become a 500. Small parts are gathered, and leave when the caller says so; large ones are
//! written from the memory they are in. The interpreter is let go for every write.

use std::io::{self, IoSlice, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use fastcgi::{MAX_CONTENT, OpenRecord, ProtocolStatus, RecordKind};
use pyo3::prelude::*;

use crate::environ::{Peer, Wishes};
use crate::file_wrapper::PlainFile;
use crate::head::Head;
use crate::hooks::Told;
use crate::story::Story;

/// Copying more than this costs more than a second slice in the same write.
const COPIED: usize = 16 * 1024;
/// Gathered parts leave at this size even if nobody asks.
const GATHERED: usize = 64 * 1024;

/// Which methods' responses have a body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum BodyRule {
    #[default]
    Sent,
    /// HEAD: the application may produce one; it goes nowhere.
    Dropped,
}

#[derive(Debug)]
enum State {
    /// start_response was not called.
    Unset,
    /// It was, and may be called again, with `exc_info`.
    Set(Head),
    Sent,
}

#[derive(Debug)]
pub(crate) struct Response {
    stream: Arc<UnixStream>,
    request_id: u16,
    /// Whole records, not yet written.
    out: Vec<u8>,
    state: State,
    rule: BodyRule,
    /// What of Content-Length is still to come, once the head is sent.
    remaining: Option<u64>,
    /// Bytes the application produced beyond its Content-Length.
    surplus: u64,
    broken: bool,
    pub(crate) peer: Peer,
    /// What a hook will be told, where there is one.
    told: Option<Told>,
    pub(crate) story: Story,
}

impl Response {
    pub(crate) fn new(
        stream: Arc<UnixStream>,
        out: Vec<u8>,
        request_id: u16,
        wishes: Wishes,
        story: Story,
    ) -> Response {
        Response {
            stream,
            request_id,
            out,
            state: State::Unset,
            rule: wishes.body,
            remaining: None,
            surplus: 0,
            broken: false,
            peer: wishes.peer,
            told: None,
            story,
        }
    }

    /// A hook wants to know how this went.
    pub(crate) fn keep_told(&mut self) {
        self.told = Some(Told::default());
    }

    pub(crate) fn take_told(&mut self) -> Told {
        self.told.take().unwrap_or_default()
    }

    pub(crate) fn is_unset(&self) -> bool {
        matches!(self.state, State::Unset)
    }

    pub(crate) fn is_sent(&self) -> bool {
        matches!(self.state, State::Sent)
    }

    /// The peer reads no more.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Bytes that were promised by Content-Length and did not come.
    pub(crate) fn missing(&self) -> u64 {
        self.remaining.unwrap_or_default()
    }

    pub(crate) fn surplus(&self) -> u64 {
        self.surplus
    }

    /// CGI has one head, so only the gateway knows what an interim one is.
    pub(crate) fn takes_early_hints(&self) -> bool {
        self.peer == Peer::Gateway && !self.is_sent()
    }

    /// Sends an interim head. The final one, if it is set, still can be replaced.
    pub(crate) fn send_early_hints(&mut self, py: Python<'_>, head: &Head) -> io::Result<()> {
        fastcgi::stdout(&mut self.out, self.request_id, &head.lines);
        self.write_out(py)
    }

    /// Takes a head, or another in its place.
    pub(crate) fn set(&mut self, head: Head) {
        self.state = State::Set(head);
    }

    /// A part of the body. Parts are gathered; `flush` sends them.
    pub(crate) fn append(&mut self, py: Python<'_>, part: &[u8]) -> io::Result<()> {
        let open = self.begin_body();
        let part = self.admit(part);
        if part.len() <= COPIED {
            match open {
                Some(record) => {
                    self.out.extend_from_slice(part);
                    record.seal(&mut self.out);
                }
                None => fastcgi::stdout(&mut self.out, self.request_id, part),
            }
            return if self.out.len() > GATHERED { self.flush(py) } else { Ok(()) };
        }
        if let Some(record) = open {
            record.seal(&mut self.out);
        }
        let result = py.detach(|| self.write_part(part));
        self.note(result)
    }

    /// Sends what was gathered, the head too if it is set.
    pub(crate) fn flush(&mut self, py: Python<'_>) -> io::Result<()> {
        if let Some(record) = self.begin_body() {
            record.seal(&mut self.out);
        }
        self.write_out(py)
    }

    fn write_out(&mut self, py: Python<'_>) -> io::Result<()> {
        if self.out.is_empty() {
            return Ok(());
        }
        let result = py.detach(|| (&*self.stream).write_all(&self.out));
        self.out.clear();
        self.note(result)
    }

    /// Sends a file as the body, without Python.
    pub(crate) fn send_file(&mut self, py: Python<'_>, plain: &PlainFile) -> io::Result<()> {
        if let Some(record) = self.begin_body() {
            record.seal(&mut self.out);
        }
        if self.rule == BodyRule::Dropped {
            return self.flush(py);
        }
        let length = plain.length.min(self.remaining.unwrap_or(u64::MAX));
        let result = py.detach(|| self.copy_file(plain, length));
        let result = result.map(|copied| {
            if let Some(remaining) = &mut self.remaining {
                *remaining -= copied;
            }
            if let Some(told) = &mut self.told {
                told.sent += copied;
            }
        });
        self.note(result)
    }

    /// Appends END_REQUEST. `app_status` not 0: the body is not the whole body. Gives back the
    /// buffer, which still has to be written.
    pub(crate) fn end(mut self, app_status: u32) -> Vec<u8> {
        if let Some(record) = self.begin_body() {
            record.seal(&mut self.out);
        }
        let status = ProtocolStatus::RequestComplete;
        fastcgi::end_request(&mut self.out, self.request_id, app_status, status);
        self.out
    }

    /// Turns a head that is set into one that is sent, as the start of a record.
    fn begin_body(&mut self) -> Option<OpenRecord> {
        let State::Set(head) = std::mem::replace(&mut self.state, State::Sent) else {
            return None;
        };
        if matches!(head.status, 204 | 304) {
            self.rule = BodyRule::Dropped;
        }
        if self.rule == BodyRule::Sent {
            self.remaining = head.content_length;
        }
        if let Some(told) = &mut self.told {
            told.read(&head.lines);
        }
        let record = OpenRecord::begin(&mut self.out, RecordKind::Stdout, self.request_id);
        self.out.extend_from_slice(&head.lines);
        self.story.write_timings(&mut self.out);
        self.out.extend_from_slice(b"\r\n");
        Some(record)
    }

    /// What of a part may be sent.
    fn admit<'a>(&mut self, part: &'a [u8]) -> &'a [u8] {
        if self.rule == BodyRule::Dropped {
            return &[];
        }
        let mut length = part.len();
        if let Some(remaining) = &mut self.remaining {
            length = usize::try_from(*remaining).unwrap_or(usize::MAX).min(length);
            *remaining -= length as u64;
            self.surplus += (part.len() - length) as u64;
        }
        if let Some(told) = &mut self.told {
            told.sent += length as u64;
        }
        &part[..length]
    }

    /// Writes what was gathered and `part` behind it, where they are.
    fn write_part(&mut self, part: &[u8]) -> io::Result<()> {
        let headers: Vec<[u8; 8]> = part
            .chunks(MAX_CONTENT)
            .map(|content| {
                let length = u16::try_from(content.len()).expect("a chunk fits one record");
                fastcgi::stdout_header(self.request_id, length)
            })
            .collect();
        let mut slices = vec![IoSlice::new(&self.out)];
        for (header, content) in headers.iter().zip(part.chunks(MAX_CONTENT)) {
            slices.extend([IoSlice::new(header), IoSlice::new(content)]);
        }
        let mut rest = &mut slices[..];
        // An empty slice in front would be taken for a peer that takes nothing.
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            match (&*self.stream).write_vectored(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => IoSlice::advance_slices(&mut rest, written),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        Ok(())
    }

    /// How much was copied: less than `length` if the file became shorter meanwhile.
    fn copy_file(&mut self, plain: &PlainFile, length: u64) -> io::Result<u64> {
        use std::os::unix::fs::FileExt;
        let mut block = vec![0; MAX_CONTENT];
        let mut copied = 0;
        while copied < length {
            let wanted = usize::try_from(length - copied).unwrap_or(usize::MAX).min(block.len());
            let read = plain.file.read_at(&mut block[..wanted], plain.offset + copied)?;
            if read == 0 {
                break;
            }
            self.write_part(&block[..read])?;
            copied += read as u64;
        }
        if !self.out.is_empty() {
            (&*self.stream).write_all(&self.out)?;
            self.out.clear();
        }
        Ok(copied)
    }

    fn note(&mut self, result: io::Result<()>) -> io::Result<()> {
        self.broken |= result.is_err();
        result
    }
}
