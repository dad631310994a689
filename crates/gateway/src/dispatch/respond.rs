//! The worker's answer on its way to the client, as it comes.
//!
//! What the worker says goes to memory up to a bound, whatever the client does, so that most answers
//! free their worker at once; beyond the bound the worker waits for the client. The worker is free
//! the moment it has ended, not when the client has everything.

mod head; // its head, and how its end will be told

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

use self::head::{Framing, choose_framing, write_head, write_interim};
use super::{DispatchError, send::Exchange, send::Seen};
use crate::{
    front::{BODY_PATIENCE, Connection, Gone, Head, Persistence},
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
        interim: Interim::None,
        wants_keep_alive: wants,
    };
    let result = poll_fn(|context| response.poll(context, connection, story)).await;
    let exchange = response.exchange.take();
    let stage = std::mem::replace(&mut response.stage, Stage::Over);
    let (interim, unsent) = (response.interim, std::mem::take(&mut response.out));
    drop(response);
    match (result, stage) {
        (Ok(persistence), _) => Ok(persistence),
        // A head that has not left yet need not be the start of half an answer.
        (Err(error), stage @ (Stage::Head(_) | Stage::Body { head: Some(_), .. })) => {
            let came = interim == Interim::Came || matches!(stage, Stage::Body { .. });
            // What follows, a page or another worker's answer, does not begin inside an interim
            // head. Where this can not be written, that can not either.
            for bytes in unsent {
                let _ = connection.socket.write_all(&bytes).await;
            }
            let error = match exchange {
                Some(exchange) => learn_the_fate(exchange, error).await,
                None => error,
            };
            Err(if came { error.after_a_sign_of_life() } else { error })
        }
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
    interim: Interim,
    wants_keep_alive: bool,
}

/// Whether the application has sent an interim head: then it has seen the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Interim {
    None,
    Came,
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
                    let exchange = self.exchange.take().expect("it was there above");
                    if end.protocol_status == ProtocolStatus::Overloaded {
                        // It is about to exit, with connections waiting that it will not look at.
                        exchange.lease.worker().shun();
                    }
                    exchange.finish();
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
        let mut body = bytes;
        while let Stage::Head(reader) = &mut self.stage {
            let invalid = |what: String| DispatchError::Protocol { pid, what };
            let read = reader.push(body).map_err(|error| invalid(error.to_string()))?;
            let Some((head, rest)) = read else { return Ok(()) };
            let is_field = |(name, value): (&[u8], &[u8])| is_token(name) && is_field_value(value);
            if !head.fields().all(is_field) || !is_field_value(head.reason()) {
                return Err(invalid("a header with control characters".to_owned()));
            }
            body = rest;
            if head.status < 200 {
                self.interim(&head, pid)?;
            } else {
                let persistence = Persistence::Close;
                let framing = Framing::Nothing;
                self.stage = Stage::Body { head: Some(head), framing, persistence };
            }
        }
        if !body.is_empty() {
            self.fresh_length += body.len();
            self.fresh.push_back(body);
        }
        Ok(())
    }

    /// RFC 9110 §15.2: a client of HTTP/1.0 gets none. 100 and 101 are ours to say, if anybody's.
    fn interim(&mut self, head: &ResponseHead, pid: u32) -> Result<(), DispatchError> {
        if matches!(head.status, 100 | 101) {
            let what = format!("interim status {}, which is not its to give", head.status);
            return Err(DispatchError::Protocol { pid, what });
        }
        self.stage = Stage::Head(HeadReader::new(MOST_HEAD));
        self.interim = Interim::Came;
        if self.head.version() == Version::Http11 {
            let bytes = write_interim(head);
            self.waiting += bytes.len();
            self.out.push_back(bytes);
        }
        Ok(())
    }

    fn check_end(&mut self, end: End, pid: u32, story: &Story) -> Result<(), DispatchError> {
        let protocol = |what: &str| DispatchError::Protocol { pid, what: what.to_owned() };
        if let (ProtocolStatus::Overloaded, Stage::Head(_)) = (end.protocol_status, &self.stage) {
            return Err(DispatchError::Leaving { pid });
        }
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
