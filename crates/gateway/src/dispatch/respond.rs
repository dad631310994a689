//! The worker's answer on its way to the client, as it comes.
//!
//! What the worker says goes to memory up to a bound, whatever the client does, so that most answers
//! free their worker at once; beyond the bound the worker waits for the client. The worker is free
//! the moment it has ended, not when the client has everything.

use std::{
    collections::VecDeque,
    future::poll_fn,
    io::IoSlice,
    rc::Rc,
    task::{Context, Poll},
    time::Instant,
};

use bytes::{Buf, Bytes};
use fastcgi::{ClientEvent, End, HeadReader, ProtocolStatus, ResponseHead};
use http1::{Version, chunk_head, is_field_value, is_token};
use trace::SERVER_TIMING;

use super::{DispatchError, send::Exchange, send::Seen};
use crate::{
    clock::http_date,
    front::{BODY_PATIENCE, Connection, Gone, Head, Persistence, SERVER, reason},
    gateway::Gateway,
    story::Story,
};

/// Of one answer, in memory while the client takes it.
const MOST_WAITING: usize = 1024 * 1024;
/// Where memory for all answers together has run out: no more than is on its way anyway.
const LEAST_WAITING: usize = 64 * 1024;
const MOST_HEAD: usize = 256 * 1024;
const MOST_SLICES: usize = 32;

pub(super) async fn respond(
    gateway: &Rc<Gateway>,
    connection: &mut Connection,
    story: &mut Story,
    head: &Head,
    exchange: Exchange,
) -> Result<Persistence, DispatchError> {
    let wants = head.wants_keep_alive() && !connection.is_last;
    let mut response = Response {
        gateway,
        head,
        exchange: Some(exchange),
        stage: Stage::Head(HeadReader::new(MOST_HEAD)),
        fresh: VecDeque::new(),
        fresh_length: 0,
        out: VecDeque::new(),
        waiting: 0,
        budgeted: 0,
        end: None,
        wants_keep_alive: wants,
    };
    let result = poll_fn(|context| response.poll(context, connection, story)).await;
    let exchange = response.exchange.take();
    let stage = std::mem::replace(&mut response.stage, Stage::Over);
    drop(response);
    match (result, stage) {
        (Ok(persistence), _) => Ok(persistence),
        (Err(error), Stage::Head(_)) => match exchange {
            Some(exchange) => Err(learn_the_fate(exchange, error).await),
            None => Err(error),
        },
        (Err(DispatchError::ClientGone), Stage::Body { .. } | Stage::Over) => {
            gateway.log.debug(format_args!(
                "{} {}: the client left before it had all of the answer{}",
                head.method_text(),
                head.target_text(),
                story.trace_suffix()
            ));
            if let Some(exchange) = exchange {
                tokio::task::spawn_local(exchange.abandon());
            }
            Ok(Persistence::Close)
        }
        (Err(error), Stage::Body { framing, .. }) => {
            let error = match exchange {
                Some(exchange) => learn_the_fate(exchange, error).await,
                None => error,
            };
            gateway.log.error(format_args!(
                "{} {}: the answer was broken off: {error}{}",
                head.method_text(),
                head.target_text(),
                story.trace_suffix()
            ));
            if framing == Framing::UntilClose {
                // The end of the connection would pass for the end of the answer.
                connection.socket.reset();
            }
            Ok(Persistence::Close)
        }
        (Err(error), Stage::Over) => Err(error),
    }
}

/// A worker's connection breaks a moment before the worker can be asked how it ended. The lease is
/// kept until then: the supervisor still has to see what the worker held.
async fn learn_the_fate(exchange: Exchange, error: DispatchError) -> DispatchError {
    let worker = Rc::clone(exchange.lease.worker());
    match error {
        DispatchError::WorkerGone { pid, seen: Seen::Never, ended } => {
            worker.forget_connections();
            DispatchError::WorkerGone { pid, seen: Seen::Never, ended }
        }
        DispatchError::WorkerGone { pid, seen, .. } => {
            let ended = worker.ended().await;
            DispatchError::WorkerGone { pid, seen, ended }
        }
        DispatchError::Timeout { pid } => {
            worker.ended().await;
            DispatchError::Timeout { pid }
        }
        other => other,
    }
}

struct Response<'a> {
    gateway: &'a Rc<Gateway>,
    head: &'a Head,
    /// Until the worker has ended.
    exchange: Option<Exchange>,
    stage: Stage,
    /// Body as the worker sent it, not yet framed.
    fresh: VecDeque<Bytes>,
    fresh_length: usize,
    /// Framed, not yet taken by the client.
    out: VecDeque<Bytes>,
    waiting: usize,
    budgeted: usize,
    end: Option<End>,
    wants_keep_alive: bool,
}

enum Stage {
    Head(HeadReader),
    Body {
        /// Known, but not yet sent: whether the end is known too decides its framing.
        head: Option<ResponseHead>,
        framing: Framing,
        persistence: Persistence,
    },
    Over,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// HEAD, 204, 304: what the application sends is dropped.
    Nothing,
    /// So many bytes are still to come.
    Length(u64),
    Chunked,
    UntilClose,
}

impl Drop for Response<'_> {
    fn drop(&mut self) {
        self.gateway.memory.give_back(self.budgeted);
    }
}

impl Response<'_> {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connection,
        story: &mut Story,
    ) -> Poll<Result<Persistence, DispatchError>> {
        loop {
            self.take(context, story)?;
            self.frame(story)?;
            if self.out.is_empty() {
                return match (&self.stage, self.end) {
                    (Stage::Body { persistence, .. }, Some(_)) => Poll::Ready(Ok(*persistence)),
                    _ => Poll::Pending,
                };
            }
            match self.give(context, connection) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => connection.socket.expect_within(BODY_PATIENCE),
                Poll::Ready(Err(_)) => return Poll::Ready(Err(DispatchError::ClientGone)),
            }
        }
    }

    /// Everything the worker has to say now, as far as there is room for it.
    fn take(&mut self, context: &mut Context<'_>, story: &mut Story) -> Result<(), DispatchError> {
        loop {
            let is_full = self.waiting + self.fresh_length >= LEAST_WAITING && !self.has_room();
            let Some(exchange) = &mut self.exchange else { return Ok(()) };
            if is_full {
                exchange.pause();
                return Ok(());
            }
            let event = match exchange.poll_event(context) {
                Poll::Pending => return Ok(()),
                Poll::Ready(event) => event?,
            };
            let pid = exchange.lease.worker().pid;
            match event {
                ClientEvent::Stdout(bytes) => self.stdout(bytes, pid)?,
                ClientEvent::Stderr(text) => {
                    let text = text.trim_ascii_end().escape_ascii();
                    self.gateway.log.error(format_args!("worker (pid:{pid}): {text}"));
                }
                ClientEvent::End(end) => {
                    self.exchange.take().expect("it was there above").finish();
                    self.end = Some(end);
                    self.check_end(end, pid, story)?;
                }
                ClientEvent::Values(_) | ClientEvent::UnknownType(_) => (),
            }
        }
    }

    fn has_room(&mut self) -> bool {
        let waiting = self.waiting + self.fresh_length;
        if waiting >= MOST_WAITING {
            return false;
        }
        let more = (waiting + LEAST_WAITING).saturating_sub(self.budgeted);
        let granted = more == 0 || self.gateway.memory.take(more);
        if granted {
            self.budgeted += more;
        }
        granted
    }

    fn stdout(&mut self, bytes: Bytes, pid: u32) -> Result<(), DispatchError> {
        let body = match &mut self.stage {
            Stage::Head(reader) => {
                let invalid = |what: String| DispatchError::Protocol { pid, what };
                let read = reader.push(bytes).map_err(|error| invalid(error.to_string()))?;
                let Some((head, rest)) = read else { return Ok(()) };
                let is_field =
                    |(name, value): (&[u8], &[u8])| is_token(name) && is_field_value(value);
                if !head.fields().all(is_field) || !is_field_value(head.reason()) {
                    return Err(invalid("a header with control characters".to_owned()));
                }
                let persistence = Persistence::Close;
                let framing = Framing::Nothing;
                self.stage = Stage::Body { head: Some(head), framing, persistence };
                rest
            }
            Stage::Body { .. } | Stage::Over => bytes,
        };
        if !body.is_empty() {
            self.fresh_length += body.len();
            self.fresh.push_back(body);
        }
        Ok(())
    }

    fn check_end(&mut self, end: End, pid: u32, story: &Story) -> Result<(), DispatchError> {
        let protocol = |what: &str| DispatchError::Protocol { pid, what: what.to_owned() };
        if end.protocol_status != ProtocolStatus::RequestComplete {
            return Err(protocol("it does not take the request"));
        }
        let unsent = match &self.stage {
            Stage::Head(_) => return Err(protocol("it ended without a head")),
            Stage::Body { head, .. } => head.is_some(),
            Stage::Over => false,
        };
        if end.app_status == 0 {
            return Ok(());
        }
        if unsent {
            // Nothing has left yet, so the client need not get half an answer.
            self.stage = Stage::Head(HeadReader::new(MOST_HEAD));
        }
        let trace = story.trace_suffix();
        Err(DispatchError::Protocol {
            pid,
            what: format!("the application broke off in the middle of its answer{trace}"),
        })
    }

    /// What came, ready to be written.
    fn frame(&mut self, story: &mut Story) -> Result<(), DispatchError> {
        let Stage::Body { head, framing, persistence } = &mut self.stage else { return Ok(()) };
        if let Some(response) = head.take() {
            let known = self.end.is_some().then_some(self.fresh_length as u64);
            *framing = choose_framing(self.head, &response, known, story)?;
            let lives = self.wants_keep_alive
                && *framing != Framing::UntilClose
                && !self.gateway.connections.is_stopping();
            *persistence = if lives { Persistence::KeepAlive } else { Persistence::Close };
            story.answered = Some(Instant::now());
            story.status = response.status;
            let bytes = write_head(
                self.gateway,
                self.head,
                &response,
                *framing,
                *persistence,
                known,
                story,
            );
            self.waiting += bytes.len();
            self.out.push_back(bytes);
        }
        let fresh = std::mem::take(&mut self.fresh_length);
        let mut put = |bytes: Bytes| {
            self.waiting += bytes.len();
            self.out.push_back(bytes);
        };
        match framing {
            Framing::Nothing => self.fresh.clear(),
            Framing::UntilClose => {
                story.sent += fresh as u64;
                self.fresh.drain(..).for_each(put);
            }
            Framing::Length(left) => {
                for mut bytes in self.fresh.drain(..) {
                    // As gunicorn does, what goes beyond the promised length is cut off.
                    bytes.truncate(usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len()));
                    *left -= bytes.len() as u64;
                    story.sent += bytes.len() as u64;
                    if !bytes.is_empty() {
                        put(bytes);
                    }
                }
            }
            Framing::Chunked => {
                if fresh > 0 {
                    let mut start = Vec::with_capacity(16);
                    chunk_head(fresh, &mut start);
                    put(start.into());
                    self.fresh.drain(..).for_each(&mut put);
                    put(Bytes::from_static(b"\r\n"));
                    story.sent += fresh as u64;
                }
                if self.end.is_some() {
                    put(Bytes::from_static(b"0\r\n\r\n"));
                    *framing = Framing::Nothing;
                }
            }
        }
        if let (Framing::Length(left @ 1..), Some(_)) = (&*framing, self.end)
            && self.out.is_empty()
        {
            let what = format!("its body is {left} bytes shorter than its Content-Length");
            return Err(DispatchError::Protocol { pid: story.worker.unwrap_or(0), what });
        }
        Ok(())
    }

    /// One write of what waits.
    fn give(
        &mut self,
        context: &mut Context<'_>,
        connection: &mut Connection,
    ) -> Poll<Result<(), Gone>> {
        let mut slices = [IoSlice::new(&[]); MOST_SLICES];
        let count = self.out.len().min(MOST_SLICES);
        for (slice, bytes) in slices.iter_mut().zip(&self.out) {
            *slice = IoSlice::new(bytes);
        }
        let mut written = match connection.socket.poll_write(context, &slices[..count]) {
            Poll::Ready(Ok(written)) => written,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => return Poll::Pending,
        };
        self.waiting -= written;
        while let Some(first) = self.out.front_mut() {
            if written < first.len() {
                first.advance(written);
                break;
            }
            written -= first.len();
            self.out.pop_front();
        }
        Poll::Ready(Ok(()))
    }
}

/// RFC 9112 §6.3, from the sender's side.
fn choose_framing(
    request: &Head,
    response: &ResponseHead,
    known: Option<u64>,
    story: &Story,
) -> Result<Framing, DispatchError> {
    let protocol = |what: &str| {
        Err(DispatchError::Protocol { pid: story.worker.unwrap_or(0), what: what.to_owned() })
    };
    if response.status < 200 {
        return protocol("an interim response in place of a final one");
    }
    let mut lengths = response
        .fields()
        .filter(|(name, _)| name.eq_ignore_ascii_case(b"content-length"))
        .map(|(_, value)| std::str::from_utf8(value).ok()?.parse::<u64>().ok());
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => None,
        (Some(Some(length)), None) => Some(length),
        _ => return protocol("an invalid Content-Length"),
    };
    Ok(match length {
        _ if request.is_head() || matches!(response.status, 204 | 304) => Framing::Nothing,
        Some(length) => Framing::Length(length),
        None => match (known, request.version()) {
            (Some(known), _) => Framing::Length(known),
            (None, Version::Http11) => Framing::Chunked,
            (None, Version::Http10 | Version::Http09) => Framing::UntilClose,
        },
    })
}

fn write_head(
    gateway: &Gateway,
    request: &Head,
    response: &ResponseHead,
    framing: Framing,
    persistence: Persistence,
    known: Option<u64>,
    story: &mut Story,
) -> Bytes {
    let mut out = Vec::with_capacity(512);
    out.extend_from_slice(request.protocol().as_bytes());
    out.push(b' ');
    out.extend_from_slice(itoa::Buffer::new().format(response.status).as_bytes());
    out.push(b' ');
    let given = response.reason();
    let text = if given.is_empty() { reason(response.status).as_bytes() } else { given };
    out.extend_from_slice(text);
    out.extend_from_slice(b"\r\n");
    let (mut server, mut date, mut length) = (false, false, false);
    for (name, value) in response.fields() {
        if is_hop_by_hop(name) {
            continue;
        }
        server |= name.eq_ignore_ascii_case(b"server");
        date |= name.eq_ignore_ascii_case(b"date");
        if name.eq_ignore_ascii_case(b"content-length") {
            length = true;
            // RFC 9110 §8.6: a 204 has none.
            if response.status == 204 {
                continue;
            }
        }
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
        out.extend_from_slice(value);
        out.extend_from_slice(b"\r\n");
    }
    if !server {
        out.extend_from_slice(b"Server: ");
        out.extend_from_slice(SERVER.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    if !date {
        out.extend_from_slice(b"Date: ");
        out.extend_from_slice(&http_date());
        out.extend_from_slice(b"\r\n");
    }
    match (framing, known) {
        (Framing::Length(_), Some(known)) if !length => {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(known).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        (Framing::Chunked, _) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        _ => (),
    }
    if gateway.settings.server_timing {
        let mut value = Vec::with_capacity(64);
        story.server_timing(&mut value);
        out.extend_from_slice(SERVER_TIMING.as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(&value);
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(persistence.field().as_bytes());
    out.extend_from_slice(b"\r\n");
    if gateway.access.as_ref().is_some_and(crate::access_log::AccessLog::needs_response) {
        story.response_fields.clone_from(&out);
    }
    out.into()
}

/// RFC 9110 §7.6.1, and what gunicorn drops: they are about this connection, which is ours.
fn is_hop_by_hop(name: &[u8]) -> bool {
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    match name.len() {
        2 => is("te"),
        7 => is("trailer") || is("upgrade"),
        8 => is("trailers"),
        10 => is("connection") || is("keep-alive"),
        17 => is("transfer-encoding"),
        18 => is("proxy-authenticate"),
        19 => is("proxy-authorization"),
        _ => false,
    }
}
