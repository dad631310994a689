//! A response's bytes to the client: head and first bytes of the body in one write, files by sendfile,
//! streams as they come.

use std::{borrow::Cow, cell::Cell, future::poll_fn, io::IoSlice, sync::Arc};

use bytes::Bytes;
use http1::chunk_head;

use super::{Client, ClientError, http2, pace::Pace};
use crate::{
    exchange::{Exchange, Protocol},
    modules::core::Core,
    response::{Body, FilePart, Part, Source, Trailers},
};

/// A file up to this size is read and sent together with the head; a larger one by sendfile.
const SMALL_FILE: u64 = 16 << 10;

pub(super) enum SendError {
    Client(ClientError),
    Body(std::io::Error),
}

impl From<ClientError> for SendError {
    fn from(error: ClientError) -> SendError {
        SendError::Client(error)
    }
}

pub(super) struct Writer<'a> {
    pub(super) client: &'a std::rc::Rc<Client>,
    pub(super) core: &'a Core,
    pub(super) exchange: &'a mut Exchange,
    /// The head, until the first write takes it along.
    pub(super) head: Vec<u8>,
    pub(super) chunked: bool,
    pub(super) pace: Option<Pace>,
    /// What follows the last chunk.
    pub(super) trailers: Vec<Arc<dyn Trailers>>,
}

impl Writer<'_> {
    pub(super) async fn body(&mut self, body: Body) -> Result<(), SendError> {
        match body {
            // A body of a known length is one chunk.
            Body::Empty | Body::Bytes(_) | Body::Parts(_) if self.chunked => {
                let length = body.length().unwrap_or(0);
                let mut size = Vec::new();
                if length > 0 {
                    chunk_head(usize::try_from(length).unwrap_or(usize::MAX), &mut size);
                    self.write_more(&[&size]).await?;
                }
                self.plain(body).await?;
                let end = self.last_chunk();
                let end = if length > 0 { [&b"\r\n"[..], &end].concat() } else { end };
                self.write(&[&end]).await?;
                self.exchange.sent.body_bytes -= (size.len() + end.len()) as u64;
            }
            body => self.plain(body).await?,
        }
        Ok(())
    }

    /// The end of a body in chunks, with its trailers.
    fn last_chunk(&mut self) -> Vec<u8> {
        let mut end = b"0\r\n".to_vec();
        for trailers in std::mem::take(&mut self.trailers) {
            trailers.write(self.exchange);
        }
        for field in &self.exchange.sent.trailers {
            end.extend_from_slice(&[&field.name[..], b": ", &field.value, b"\r\n"].concat());
        }
        end.extend_from_slice(b"\r\n");
        end
    }

    /// Says that a stream is at its end. HTTP/1 has said it by the framing of the body.
    pub(super) async fn end(&mut self, bodiless: bool) -> Result<(), SendError> {
        if self.exchange.request.version != Protocol::Http2 {
            return Ok(());
        }
        let trailers = std::mem::take(&mut self.trailers);
        if !bodiless && !trailers.is_empty() {
            for trailers in trailers {
                trailers.write(self.exchange);
            }
            let block = http2::response::block(&self.exchange.sent.trailers);
            if !block.is_empty() {
                self.send_fields(&block)?;
            }
        }
        self.client.end_answer().await.map_err(ClientError::from)?;
        Ok(())
    }

    fn send_fields(&mut self, block: &[u8]) -> Result<(), SendError> {
        let chunk = self.exchange.location.http2.chunk_size();
        self.client.send_fields(block, chunk).map_err(ClientError::from)?;
        Ok(())
    }

    /// A body as it is; a stream frames itself.
    async fn plain(&mut self, body: Body) -> Result<(), SendError> {
        match body {
            Body::Empty | Body::Absent(_) => self.write(&[]).await?,
            Body::Bytes(bytes) => self.write(&[&bytes]).await?,
            Body::Parts(parts) => {
                let last = parts.len().saturating_sub(1);
                for (place, part) in parts.into_iter().enumerate() {
                    match part {
                        // The head of a part goes with what it is the head of.
                        Part::Bytes(bytes) if place < last => self.write_more(&[&bytes]).await?,
                        Part::Bytes(bytes) => self.write(&[&bytes]).await?,
                        Part::File(file) => self.file(&file).await?,
                    }
                }
                self.write(&[]).await?;
            }
            Body::Stream(stream) => self.stream(stream.source).await?,
            Body::Tunnel(tunnel) => {
                self.write(&[]).await?;
                let sent = tunnel.run(std::rc::Rc::clone(self.client)).await;
                self.count(0, sent);
            }
        }
        Ok(())
    }

    async fn stream(&mut self, mut source: Box<dyn Source>) -> Result<(), SendError> {
        loop {
            let next = poll_fn(|context| source.poll_chunk(context));
            // A head that waits for a slow body leaves without it.
            let next = if self.head.is_empty() { next.await } else { self.first(next).await? };
            match next {
                Some(Ok(data)) => {
                    let last = source.is_finished();
                    self.chunk(&data, last, &mut *source).await?;
                    if last {
                        return Ok(());
                    }
                }
                Some(Err(error)) => {
                    self.write(&[]).await?;
                    return Err(SendError::Body(error));
                }
                None => {
                    let end = if self.chunked { self.last_chunk() } else { Vec::new() };
                    self.write(&[&end]).await?;
                    self.exchange.sent.body_bytes -= end.len() as u64;
                    return Ok(());
                }
            }
        }
    }

    /// One piece of a stream, framed if need be; the source goes on while the client is slow.
    async fn chunk(
        &mut self,
        data: &Bytes,
        last: bool,
        source: &mut dyn Source,
    ) -> Result<(), SendError> {
        let mut size = Vec::new();
        let end = match (self.chunked, last) {
            (true, true) => Cow::Owned([&b"\r\n"[..], &self.last_chunk()].concat()),
            (true, false) => Cow::Borrowed(&b"\r\n"[..]),
            (false, _) => Cow::Borrowed(&b""[..]),
        };
        if self.chunked {
            chunk_head(data.len(), &mut size);
        }
        let parts: [&[u8]; 3] = [&size, data, &end];
        {
            let mut write = std::pin::pin!(self.write(&parts));
            poll_fn(|context| {
                let written = write.as_mut().poll(context);
                if written.is_pending() {
                    source.poll_ahead(context);
                }
                written
            })
            .await?;
        }
        // The framing is not the body.
        self.exchange.sent.body_bytes -= (size.len() + end.len()) as u64;
        Ok(())
    }

    /// The body's first bytes, or, if they are not there at once, the head alone before them.
    async fn first(
        &mut self,
        next: impl Future<Output = Option<std::io::Result<Bytes>>>,
    ) -> Result<Option<std::io::Result<Bytes>>, SendError> {
        let mut next = std::pin::pin!(next);
        let mut once = true;
        let here = poll_fn(|context| match next.as_mut().poll(context) {
            std::task::Poll::Ready(piece) => std::task::Poll::Ready(Some(piece)),
            std::task::Poll::Pending if once => {
                once = false;
                std::task::Poll::Ready(None)
            }
            std::task::Poll::Pending => std::task::Poll::Pending,
        })
        .await;
        if let Some(piece) = here {
            return Ok(piece);
        }
        self.write(&[]).await?;
        Ok(next.await)
    }

    async fn file(&mut self, part: &FilePart) -> Result<(), SendError> {
        if part.length <= SMALL_FILE || !self.core.sendfile() || !self.client.can_sendfile() {
            return self.copy(part).await;
        }
        let mut rest = part.clone();
        if self.core.tcp_nopush() {
            // The file's beginning leaves with the head, in one packet, by being copied behind it:
            // a corked socket would do the same, and cost ten microseconds on a file of 100 KB.
            self.copy(&FilePart { length: FIRST, ..part.clone() }).await?;
            rest.offset += FIRST;
            rest.length -= FIRST;
        } else {
            self.write(&[]).await?;
        }
        let timeout = self.core.send_timeout();
        while rest.length > 0 {
            let allowed = match &mut self.pace {
                Some(pace) => pace.allowed(self.client).await?.min(rest.length),
                None => rest.length,
            };
            let now = FilePart { length: allowed, ..rest.clone() };
            let sent = self.client.sendfile(&now, timeout).await?;
            self.count(0, sent);
            if let Some(pace) = &mut self.pace {
                pace.sent(sent);
            }
            if sent < allowed {
                return Err(shrunk());
            }
            rest.offset += sent;
            rest.length -= sent;
        }
        Ok(())
    }

    async fn copy(&mut self, part: &FilePart) -> Result<(), SendError> {
        let size = part.length.min(READ) as usize;
        let mut buffer = BUFFER.take();
        if buffer.len() < size {
            buffer.resize(size, 0);
        }
        let copied = self.copy_by(part, &mut buffer[..size]).await;
        BUFFER.set(buffer);
        copied
    }

    async fn copy_by(&mut self, part: &FilePart, buffer: &mut [u8]) -> Result<(), SendError> {
        let mut offset = part.offset;
        let end = part.offset + part.length;
        while offset < end {
            let size = (end - offset).min(buffer.len() as u64) as usize;
            let read = nix::sys::uio::pread(&*part.file, &mut buffer[..size], offset as i64)
                .map_err(|error| SendError::Body(error.into()))?;
            if read == 0 {
                return Err(shrunk());
            }
            self.write(&[&buffer[..read]]).await?;
            offset += read as u64;
        }
        Ok(())
    }

    /// Writes the head, if it is still here, and these parts of the body.
    async fn write(&mut self, parts: &[&[u8]]) -> Result<(), SendError> {
        self.write_with(parts, Then::Send).await
    }

    /// The same, with more to follow at once.
    async fn write_more(&mut self, parts: &[&[u8]]) -> Result<(), SendError> {
        self.write_with(parts, Then::More).await
    }

    async fn write_with(&mut self, parts: &[&[u8]], then: Then) -> Result<(), SendError> {
        let head = std::mem::take(&mut self.head);
        let body: usize = parts.iter().map(|part| part.len()).sum();
        if head.is_empty() && body == 0 {
            return Ok(());
        }
        let timeout = self.core.send_timeout();
        let mut head = head;
        if self.exchange.request.version == Protocol::Http2 && !head.is_empty() {
            // A frame of its own, and not the beginning of the body's.
            self.send_fields(&head)?;
            self.count(head.len() as u64, 0);
            self.exchange.sent.head = std::mem::take(&mut head);
        }
        let head_length = head.len();
        let joined = head_length > 0 && body <= SMALL_BODY;
        if joined {
            for part in parts {
                head.extend_from_slice(part);
            }
        }
        let mut slices = [IoSlice::new(&head); 4];
        let used = if joined { 1 } else { parts.len() + 1 };
        for (slice, part) in slices[1..used].iter_mut().zip(parts) {
            *slice = IoSlice::new(part);
        }
        match then {
            _ if self.pace.is_some() => self.write_paced(&slices[..used]).await?,
            Then::Send => self.client.write_all(&mut slices[..used], timeout).await?,
            Then::More => self.client.write_before_more(&mut slices[..used], timeout).await?,
        }
        head.truncate(head_length);
        self.count(head_length as u64, body as u64);
        if !head.is_empty() {
            self.exchange.sent.head = head;
        }
        Ok(())
    }

    /// The same, held back: each stretch in as many pieces as it must be.
    async fn write_paced(&mut self, slices: &[IoSlice<'_>]) -> Result<(), SendError> {
        let Some(pace) = &mut self.pace else { return Ok(()) };
        let timeout = self.core.send_timeout();
        for slice in slices {
            let mut rest = &slice[..];
            while !rest.is_empty() {
                let allowed = pace.allowed(self.client).await?.min(rest.len() as u64);
                let (now, later) = rest.split_at(allowed as usize);
                self.client.write_all(&mut [IoSlice::new(now)], timeout).await?;
                pace.sent(allowed);
                rest = later;
            }
        }
        Ok(())
    }

    fn count(&mut self, head: u64, body: u64) {
        self.exchange.sent.bytes += head + body;
        self.exchange.sent.body_bytes += body;
    }
}

/// Whether a write is the last for now, or the first of several that belong together.
#[derive(Clone, Copy)]
enum Then {
    Send,
    More,
}

/// A body up to this size is copied behind its head: one stretch of memory costs the kernel less
/// than two, and the copy costs nothing beside it.
pub(super) const SMALL_BODY: usize = 2 << 10;

/// How much of a larger file is copied to fill the head's packet: a page, so that what sendfile is
/// left with begins with one.
const FIRST: u64 = 4 << 10;

/// What is read of a file at once.
const READ: u64 = 64 << 10;

thread_local! {
    /// What files are read into. A connection takes it for as long as it sends a file; should
    /// another need one meanwhile, it makes its own.
    static BUFFER: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

fn shrunk() -> SendError {
    SendError::Body(std::io::Error::other("the file has become shorter"))
}
