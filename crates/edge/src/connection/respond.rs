//! A response to bytes: head and first bytes of the body in one write, files by sendfile.

use std::{borrow::Cow, cell::Cell, future::poll_fn, io::IoSlice, sync::Arc};

use bytes::Bytes;
use http1::chunk_head;

use super::{Client, ClientError, http2, pace::Pace};
use crate::{
    clock, engine,
    exchange::{Exchange, Protocol},
    log::Level,
    modules::core::{Core, LingeringClose},
    process::Drain,
    response::{Body, FilePart, Part, Response, Source, Trailers},
};

/// What becomes of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Connection {
    Keep,
    Close,
    /// The same, because the client took too long.
    TimedOut,
    /// The client may still be sending: close so that it can read the answer first.
    Linger,
}

/// A file up to this size is read and sent together with the head; a larger one by sendfile.
const SMALL_FILE: u64 = 16 << 10;

pub(super) async fn send(
    exchange: &mut Exchange,
    mut response: Response,
    drain: &Drain,
) -> Connection {
    let bodiless =
        exchange.is_head() || matches!(response.status, 204 | 304) || response.status < 200;
    if bodiless && !matches!(response.body, Body::Tunnel(_)) {
        let length = if exchange.is_head() { response.body.length() } else { None };
        response.body = Body::Absent(length);
    }
    let core = std::sync::Arc::clone(&exchange.location.core);
    // A body that nobody began to read can be dropped as it comes, after the answer.
    let untouched = exchange.body.is_untouched();
    let read = exchange.body.is_read() || exchange.body.discard_buffered();
    let chunked = exchange.request.version == Protocol::Http11
        && (response.body.length().is_none() || !response.trailers.is_empty())
        && !bodiless
        && core.chunked_transfer_encoding();
    // After a tunnel nobody speaks of requests any more.
    let tunnel = matches!(response.body, Body::Tunnel(_));
    let delimited = !tunnel && (chunked || bodiless || response.body.length().is_some());
    let keep = exchange.request.keep_alive
        && (read || untouched && !exchange.body.is_broken())
        && delimited
        && !core.keepalive_timeout().is_zero()
        && !exchange
            .header("user-agent")
            .is_some_and(|agent| core.keepalive_disabled(agent, &exchange.request.method))
        && exchange.client.peer.requests.get() < core.keepalive_requests()
        && exchange.client.peer.age() <= core.keepalive_time()
        && !drain.has_begun();
    exchange.sent.status = response.status;
    let head = match exchange.request.version {
        Protocol::Http09 => Vec::new(),
        Protocol::Http10 | Protocol::Http11 => head(exchange, &core, &response, chunked, keep),
        Protocol::Http2 => http2::response::head(exchange, &core, &response),
    };
    let client = std::rc::Rc::clone(&exchange.client);
    let trailers = response.trailers;
    let pace = Pace::of(exchange);
    let mut writer =
        Writer { client: &client, core: &core, exchange, head, chunked, trailers, pace };
    let sent = match writer.body(response.body).await {
        Ok(()) => writer.end(bodiless).await,
        broken => broken,
    };
    match sent {
        Ok(()) => exchange.sent.complete = true,
        Err(SendError::Client(error)) => {
            exchange.log(Level::Info, &format!("{error} while sending to client"));
            if matches!(error, ClientError::Timeout) && core.reset_timedout_connection() {
                client.reset_on_close();
            }
            let late = matches!(error, ClientError::Timeout);
            return if late { Connection::TimedOut } else { Connection::Close };
        }
        Err(SendError::Body(error)) => {
            // The client must see that it broke.
            client.break_off();
            let left = error.kind() == std::io::ErrorKind::ConnectionAborted;
            let level = if left { Level::Info } else { Level::Error };
            exchange.log(level, &error.to_string());
            return Connection::Close;
        }
    }
    match (keep, core.lingering_close()) {
        (true, _) => Connection::Keep,
        (false, LingeringClose::Always) => Connection::Linger,
        (false, LingeringClose::On) if !read => Connection::Linger,
        (false, LingeringClose::On | LingeringClose::Off) => Connection::Close,
    }
}

enum SendError {
    Client(ClientError),
    Body(std::io::Error),
}

impl From<ClientError> for SendError {
    fn from(error: ClientError) -> SendError {
        SendError::Client(error)
    }
}

struct Writer<'a> {
    client: &'a std::rc::Rc<Client>,
    core: &'a Core,
    exchange: &'a mut Exchange,
    /// The head, until the first write takes it along.
    head: Vec<u8>,
    chunked: bool,
    pace: Option<Pace>,
    /// What follows the last chunk.
    trailers: Vec<Arc<dyn Trailers>>,
}

impl Writer<'_> {
    async fn body(&mut self, body: Body) -> Result<(), SendError> {
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
    async fn end(&mut self, bodiless: bool) -> Result<(), SendError> {
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
const SMALL_BODY: usize = 2 << 10;

/// How much of a larger file is copied to fill the head's packet: a page, so that what sendfile is
/// left with begins with one.
const FIRST: u64 = 4 << 10;

/// What a head is given room for; most need less.
const HEAD: usize = 512;

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

fn head(
    exchange: &Exchange,
    core: &Core,
    response: &Response,
    chunked: bool,
    keep: bool,
) -> Vec<u8> {
    let body = match &response.body {
        Body::Bytes(bytes) if bytes.len() <= SMALL_BODY => bytes.len(),
        _ => 0,
    };
    let mut head = Vec::with_capacity(HEAD + body);
    head.extend_from_slice(b"HTTP/1.1 ");
    let status = match response.status {
        494..=497 => 400,
        status => status,
    };
    head.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
    head.push(b' ');
    match &response.reason {
        Some(reason) => head.extend_from_slice(reason),
        None => head.extend_from_slice(engine::reason(response.status).as_bytes()),
    }
    head.extend_from_slice(b"\r\n");
    let mut field = |name: &[u8], value: &[u8]| {
        head.extend_from_slice(name);
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    let hop = |field: &mut _| hop_fields(response, core, chunked, keep, field);
    fields(exchange, core, response, chunked, &mut field, hop);
    head.extend_from_slice(b"\r\n");
    head
}

/// The fields of a head in nginx's order; `hop` writes those that are about this connection alone.
pub(super) fn fields<F: FnMut(&[u8], &[u8])>(
    exchange: &Exchange,
    core: &Core,
    response: &Response,
    chunked: bool,
    field: &mut F,
    hop: impl FnOnce(&mut F),
) {
    // An upstream's own are kept only where the configuration passes them on.
    if !response.headers.contains("server") {
        field(b"Server", core.server_token().as_bytes());
    }
    if !response.headers.contains("date") {
        field(b"Date", &clock::http_date());
    }
    if let Some(kind) = &response.content_type {
        match &response.charset {
            Some(charset) => field(b"Content-Type", &[kind, &b"; charset="[..], charset].concat()),
            None => field(b"Content-Type", kind),
        }
    }
    let bare = response.status == 204 || response.status < 200;
    let unframed = !bare && !chunked && response.status != 304;
    if let Some(length) = response.body.length().filter(|_| unframed) {
        field(b"Content-Length", itoa::Buffer::new().format(length).as_bytes());
    }
    if let Some(second) = response.last_modified {
        clock::http_date_of(second, |date| field(b"Last-Modified", date.as_bytes()));
    }
    // nginx writes an address it completes itself here, and any other among the rest below.
    let completed = |location: &&Bytes| location.first() == Some(&b'/') && core.absolute_redirect();
    if let Some(location) = response.location.as_ref().filter(completed) {
        field(b"Location", &absolute_location(exchange, location));
    }
    hop(field);
    if response.vary {
        field(b"Vary", b"Accept-Encoding");
    }
    if let Some(location) = response.location.as_ref().filter(|it| !completed(it)) {
        field(b"Location", location);
    }
    for header in &response.headers {
        field(&header.name, &header.value);
    }
}

fn hop_fields(
    response: &Response,
    core: &Core,
    chunked: bool,
    keep: bool,
    field: &mut impl FnMut(&[u8], &[u8]),
) {
    if chunked {
        field(b"Transfer-Encoding", b"chunked");
    }
    if matches!(response.body, Body::Tunnel(_)) {
        field(b"Connection", b"upgrade");
    } else if keep {
        field(b"Connection", b"keep-alive");
        if let Some(timeout) = core.keepalive_header() {
            field(b"Keep-Alive", format!("timeout={}", timeout.as_secs()).as_bytes());
        }
    } else {
        field(b"Connection", b"close");
    }
}

/// `/path` to `http://host:port/path` or `https://...`, as `absolute_redirect`, `server_name_in_redirect` and
/// `port_in_redirect` say.
fn absolute_location(exchange: &Exchange, location: &Bytes) -> Bytes {
    let core = &exchange.location.core;
    let host = match &exchange.request.host {
        _ if core.server_name_in_redirect() && !exchange.server.name.is_empty() => {
            exchange.server.name.clone()
        }
        Some(host) => String::from_utf8_lossy(host).into_owned(),
        _ => match &exchange.client.peer.local {
            super::PeerAddress::Ip(address) => address.ip().to_string(),
            super::PeerAddress::Unix(_) => "localhost".to_owned(),
        },
    };
    let (scheme, usual) = match exchange.client.peer.tls() {
        Some(_) => ("https", 443),
        None => ("http", 80),
    };
    let port = match &exchange.client.peer.local {
        super::PeerAddress::Ip(address) if address.port() != usual && core.port_in_redirect() => {
            format!(":{}", address.port())
        }
        _ => String::new(),
    };
    [format!("{scheme}://{host}{port}").as_bytes(), location].concat().into()
}
