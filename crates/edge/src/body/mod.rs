//! The request's body: read when somebody wants it, as the framing says, never beyond its limit.

pub mod file; // files to be sent
mod kept; // what a thread remembers of them
pub mod stretch; // a part of a stream
mod joined; // small pieces put together
mod stored; // what is here, as a stream
mod spool; // a body that has come in whole
mod temporary; // files for what does not fit in memory
pub mod symlinks; // opening without following links

use std::{rc::Rc, time::Duration};

use bytes::Bytes;
use http1::{Chunked, Piece};

pub use joined::Joined;
pub use spool::{Keep, Spool, SpoolRules, read_at};
pub use temporary::{TempFolder, prepare, unnamed_file};

use crate::{
    connection::{Client, ClientError, Deadline},
    exchange::{Protocol, Request},
};

pub struct RequestBody {
    client: Rc<Client>,
    framing: Framing,
    /// Bytes so far.
    received: u64,
    /// `client_max_body_size`; 0 is none.
    limit: u64,
    /// The client waits to be told to go on (`Expect: 100-continue`).
    continue_pending: bool,
    declared: Option<u64>,
    /// Taken in, and not given out yet.
    taken: Joined,
    /// Somebody has had a part of it.
    begun: bool,
    /// The whole body, once somebody wanted it whole.
    spooled: Option<Rc<Spool>>,
    /// It was too large: whoever answers in place of the refused request gets none of it.
    refused: bool,
}

/// How the end of a body is known.
pub enum Framing {
    Empty,
    /// This many bytes are still to come.
    Length(u64),
    Chunked(Chunked),
    /// Until the stream ends that brings nothing else (HTTP/2), and exactly this many bytes if it has
    /// said so.
    Stream {
        left: Option<u64>,
    },
    /// Of a refused request: what follows has no meaning.
    Unknown,
}

#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("client sent invalid chunked body")]
    Chunked(#[from] http1::ChunkError),
    #[error("client prematurely closed stream: {0} bytes of request body are missing")]
    Missing(u64),
    #[error("client intended to send body data larger than declared")]
    Longer,
    #[error("client intended to send too large chunked body")]
    TooLarge,
    #[error("client request body could not be written to a temporary file: {0}")]
    Spool(std::io::Error),
}

impl BodyError {
    /// What the client is told, if it still listens.
    pub fn status(&self) -> u16 {
        match self {
            BodyError::Client(ClientError::Timeout) => 408,
            BodyError::Client(_)
            | BodyError::Chunked(_)
            | BodyError::Missing(_)
            | BodyError::Longer => 400,
            BodyError::TooLarge => 413,
            BodyError::Spool(_) => 500,
        }
    }
}

/// Reads of this size cost the fewest system calls a byte.
const READ: usize = 64 << 10;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

impl RequestBody {
    pub fn new(client: &Rc<Client>, request: &Request, framing: Framing) -> RequestBody {
        let expects = request.headers.get("expect");
        // Also without a body: who asks is told.
        let continue_pending = request.version == Protocol::Http11
            && expects.is_some_and(|value| value.eq_ignore_ascii_case(b"100-continue"))
            && !matches!(framing, Framing::Unknown);
        let declared = match framing {
            Framing::Empty => Some(0),
            Framing::Length(length) => Some(length),
            Framing::Stream { left } => left,
            Framing::Chunked(_) | Framing::Unknown => None,
        };
        let client = Rc::clone(client);
        RequestBody {
            client,
            framing,
            received: 0,
            limit: 0,
            continue_pending,
            declared,
            taken: Joined::default(),
            begun: false,
            spooled: None,
            refused: false,
        }
    }

    /// The same body for a request that this one leads to: what has been read whole, and nothing of
    /// what is still on the wire.
    pub fn twin(&self) -> RequestBody {
        RequestBody {
            client: Rc::clone(&self.client),
            framing: Framing::Empty,
            received: self.received,
            limit: self.limit,
            continue_pending: false,
            declared: Some(self.spooled.as_ref().map_or(0, |spool| spool.len())),
            taken: Joined::default(),
            begun: false,
            spooled: self.spooled.clone(),
            refused: false,
        }
    }

    /// What `Content-Length` says; `None` of a chunked body.
    pub fn declared_length(&self) -> Option<u64> {
        if self.refused { Some(0) } else { self.declared }
    }

    /// It is too large, and is not given to anybody.
    pub fn refuse(&mut self) {
        self.refused = true;
    }

    /// How long it turned out to be, once it has been read as a whole.
    pub fn spooled_length(&self) -> Option<u64> {
        self.spooled.as_ref().map(|spool| spool.len())
    }

    pub fn limit(&mut self, bytes: u64) {
        self.limit = bytes;
    }

    pub fn received(&self) -> u64 {
        self.received
    }

    /// Whether nothing of the body is left on the wire, so that the next request can follow.
    pub fn is_read(&self) -> bool {
        match &self.framing {
            Framing::Empty => true,
            Framing::Length(left) => *left == 0,
            Framing::Chunked(chunked) => chunked.is_end(),
            Framing::Stream { left } => {
                left.is_none_or(|left| left == 0)
                    && self.client.buffer.borrow().is_empty()
                    && self.client.has_ended()
            }
            Framing::Unknown => false,
        }
    }

    /// The next bytes; `None` after the last. `timeout` bounds the wait for each read
    /// (`client_body_timeout`).
    pub async fn chunk(&mut self, timeout: Duration) -> Result<Option<Bytes>, BodyError> {
        self.begun = true;
        if self.continue_pending && !self.refused {
            self.continue_pending = false;
            let line = std::io::IoSlice::new(CONTINUE);
            self.client.write_all(&mut [line], timeout).await?;
        }
        loop {
            let end = self.take_in(READ)?;
            let taken = self.taken.take();
            if taken.is_some() || end {
                return Ok(taken);
            }
            self.client.fill(READ, &mut Deadline::after(timeout)).await?;
        }
    }

    /// Takes in what is here, up to about so many bytes: small chunks that came together are given
    /// out together. `true`: that was the last of it.
    fn take_in(&mut self, most: usize) -> Result<bool, BodyError> {
        if self.refused {
            return Ok(true);
        }
        while self.taken.len() < most {
            match self.next_buffered()? {
                Some(Some(part)) => self.taken.add(part),
                Some(None) => return Ok(true),
                None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// What was taken in while nobody wanted it yet.
    pub fn taken(&mut self) -> Option<Bytes> {
        self.begun = true;
        self.taken.take()
    }

    /// Whether all of it has been given out, as far as that is known without waiting.
    pub fn is_given_out(&self) -> bool {
        self.taken.is_empty() && self.is_read()
    }

    /// What is here already; `None`: read more. `Some(None)`: the end.
    fn next_buffered(&mut self) -> Result<Option<Option<Bytes>>, BodyError> {
        let mut buffer = self.client.buffer.borrow_mut();
        let data = match &mut self.framing {
            Framing::Empty | Framing::Unknown | Framing::Length(0) => return Ok(Some(None)),
            Framing::Length(_) if buffer.is_empty() => return Ok(None),
            Framing::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= here as u64;
                buffer.split_to(here).freeze()
            }
            Framing::Stream { left } if buffer.is_empty() => {
                return match left {
                    _ if !self.client.has_ended() => Ok(None),
                    Some(left @ 1..) => Err(BodyError::Missing(*left)),
                    _ => Ok(Some(None)),
                };
            }
            Framing::Stream { left } => {
                let data = buffer.split().freeze();
                if let Some(left) = left {
                    let rest = left.checked_sub(data.len() as u64);
                    *left = rest.ok_or(BodyError::Longer)?;
                }
                data
            }
            Framing::Chunked(chunked) => match chunked.next(&mut buffer)? {
                Piece::Data(data) => data,
                Piece::More => return Ok(None),
                Piece::End => return Ok(Some(None)),
            },
        };
        self.received += data.len() as u64;
        if self.limit != 0 && self.received > self.limit {
            self.refused = true;
            return Err(BodyError::TooLarge);
        }
        Ok(Some(Some(data)))
    }

    /// Drops what is here already. `true`: that was all of it.
    pub fn discard_buffered(&mut self) -> bool {
        self.limit = 0;
        loop {
            match self.next_buffered() {
                Ok(Some(None)) => return self.is_read(),
                Ok(Some(Some(_))) => (),
                Ok(None) => return false,
                Err(_) => {
                    self.framing = Framing::Unknown;
                    return false;
                }
            }
        }
    }

    /// Whether nothing of the body was given out, so that the rest can be dropped as it comes.
    pub fn is_untouched(&self) -> bool {
        // A client that was not told to send it may send the next request in its place.
        !self.begun && !self.is_broken() && !self.continue_pending
    }

    /// Where the body ends can not be said.
    pub fn is_broken(&self) -> bool {
        matches!(self.framing, Framing::Unknown)
    }

    /// Drops what is here of a body nobody has asked for; `true`: its framing has no meaning.
    pub fn buffered_is_broken(&mut self) -> bool {
        let chunked = matches!(&self.framing, Framing::Chunked(chunked) if !chunked.is_end());
        chunked && !self.begun && !self.discard_buffered() && self.is_broken()
    }

    /// Tells a client that waits for it to send a body nobody will read: the connection goes on.
    pub async fn continue_to_discard(&mut self, timeout: Duration) -> Result<(), ClientError> {
        if std::mem::take(&mut self.continue_pending) {
            let line = std::io::IoSlice::new(CONTINUE);
            self.client.write_all(&mut [line], timeout).await?;
        }
        Ok(())
    }
}
