//! A response's body on its way from a peer to the client.
//!
//! A slow client must not hold a peer: while the client takes its time, the peer is read on, into
//! memory first, then into a file without a name, and only when that is full too does the peer have
//! to wait. The moment the body is whole, the peer's connection is free for another request.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Write},
    path::PathBuf,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http1::Piece;

use super::{Asked, Connection, Framing, Limits, Outgoing, Pace, ask::Ticket, records::Taken};
use crate::{
    body::{read_at, unnamed_file},
    connection::Client,
    exchange::{Exchange, Scribe},
    response::Source,
    story::{Attempt, Progress},
};

pub struct Relay {
    client: Rc<Client>,
    peer: Option<(Box<Connection>, Ticket)>,
    framing: Framing,
    /// Whether the connection can be used again after this body.
    keep: bool,
    /// What of the request the peer has not taken yet.
    unsent: Option<Outgoing>,
    read_timeout: Duration,
    ignore_client_abort: bool,
    buffering: Arc<Buffering>,
    progress: Rc<Progress>,
    begun: Instant,
    pace: Option<Pace>,
    /// Taken from the peer and not yet due.
    held: Bytes,
    store: Store,
    /// Where it is written what the peer says beside its answer: FastCGI's STDERR.
    scribe: Option<Scribe>,
}

/// How far the peer is read ahead of the client.
#[derive(Clone, Debug)]
pub struct Buffering {
    pub enabled: bool,
    /// `proxy_buffers`, all together.
    pub memory: usize,
    /// `proxy_max_temp_file_size`.
    pub file: u64,
    /// `proxy_temp_path`.
    pub folder: PathBuf,
}

/// What was read ahead: first the queue, then the file.
#[derive(Default)]
struct Store {
    queue: VecDeque<Bytes>,
    queued: usize,
    file: Option<File>,
    written: u64,
    read: u64,
    deadline: Option<Instant>,
    end: Option<Result<(), String>>,
}

/// Where `Relay` has got to with one look at the peer.
enum Received {
    Data(Bytes),
    End,
}

/// The whole body, if it has been read already: most answers come in one piece, and need no relay.
pub fn whole(
    exchange: &Exchange,
    mut asked: Asked,
    attempt: &Attempt,
) -> Result<Bytes, Box<Asked>> {
    let buffer = &mut asked.connection.buffer;
    let body = match &mut asked.head.framing {
        Framing::Length(length) if *length <= buffer.len() as u64 => {
            buffer.split_to(*length as usize).freeze()
        }
        Framing::FastCgi(records) => {
            let body = records.whole(buffer);
            for note in records.notes() {
                exchange.log(note.level, &while_reading_body(&note.text));
            }
            let Some(body) = body else { return Err(Box::new(asked)) };
            asked.head.keep &= records.is_clean();
            body
        }
        Framing::Length(_) | Framing::Chunked(_) | Framing::UntilClose => {
            return Err(Box::new(asked));
        }
    };
    attempt.progress.body.set(body.len() as u64);
    // It came with the head.
    attempt.progress.complete.set(attempt.head);
    if asked.head.keep && asked.unsent.is_none() && asked.connection.buffer.is_empty() {
        asked.ticket.keep(asked.connection);
    }
    Ok(body)
}

fn while_reading_body(message: &str) -> String {
    format!("{message} while reading upstream")
}

impl Relay {
    /// Goes on where the head ended. The body's framing stays with the head's other facts.
    pub fn new(
        exchange: &Exchange,
        asked: Asked,
        limits: &Limits,
        buffering: Arc<Buffering>,
        pace: Option<Pace>,
        attempt: &Attempt,
    ) -> Relay {
        let scribe = matches!(asked.head.framing, Framing::FastCgi(_)).then(|| exchange.scribe());
        Relay {
            client: Rc::clone(&exchange.client),
            scribe,
            peer: Some((asked.connection, asked.ticket)),
            framing: asked.head.framing,
            keep: asked.head.keep,
            unsent: asked.unsent,
            read_timeout: limits.read,
            ignore_client_abort: limits.ignore_client_abort,
            buffering,
            progress: Rc::clone(&attempt.progress),
            begun: attempt.begun,
            pace,
            held: Bytes::new(),
            store: Store::default(),
        }
    }

    /// The body is whole: the connection goes back.
    fn finish(&mut self) {
        self.progress.complete.set(Some(self.begun.elapsed()));
        self.store.end = Some(Ok(()));
        let Some((connection, ticket)) = self.peer.take() else { return };
        if self.keep && self.unsent.is_none() && connection.buffer.is_empty() {
            ticket.keep(connection);
        }
    }

    fn fail(&mut self, message: &str) {
        self.progress.complete.set(Some(self.begun.elapsed()));
        self.store.end = Some(Err(while_reading_body(message)));
        self.peer = None;
    }

    /// The next bytes from the peer, no faster than they may be taken.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        let Some(pace) = &mut self.pace else { return self.poll_any(context) };
        let allowed = loop {
            match pace.allowed() {
                Ok(allowed) => break allowed,
                // A pause is not the peer's silence.
                Err(until) => {
                    self.store.deadline = None;
                    ready!(self.client.poll_deadline(context, until));
                }
            }
        };
        let mut data = if self.held.is_empty() {
            match ready!(self.poll_any(context)) {
                Received::Data(data) => data,
                Received::End => return Poll::Ready(Received::End),
            }
        } else {
            std::mem::take(&mut self.held)
        };
        if data.len() > allowed {
            self.held = data.split_off(allowed);
        }
        if let Some(pace) = &mut self.pace {
            pace.take(data.len());
        }
        Poll::Ready(Received::Data(data))
    }

    fn poll_any(&mut self, context: &mut Context<'_>) -> Poll<Received> {
        loop {
            match self.decode() {
                Err(message) => {
                    self.fail(&message);
                    return Poll::Ready(Received::End);
                }
                Ok(Some(Received::End)) => {
                    self.finish();
                    return Poll::Ready(Received::End);
                }
                Ok(Some(data)) => return Poll::Ready(data),
                Ok(None) => (),
            }
            let Some((connection, _)) = &mut self.peer else {
                return Poll::Ready(Received::End);
            };
            if let Some(unsent) = &mut self.unsent {
                // A peer that reads no more may still have something to say.
                if let Poll::Ready(sent) = unsent.poll_send(context, connection) {
                    self.keep &= sent.is_ok();
                    self.unsent = None;
                }
            }
            let read = match connection.poll_read(context) {
                Poll::Ready(read) => read,
                Poll::Pending => {
                    let timeout = self.read_timeout;
                    let deadline =
                        *self.store.deadline.get_or_insert_with(|| Instant::now() + timeout);
                    ready!(self.client.poll_deadline(context, deadline));
                    self.fail("upstream timed out (110: Connection timed out)");
                    return Poll::Ready(Received::End);
                }
            };
            self.store.deadline = None;
            match (read, &self.framing) {
                (Ok(0), Framing::UntilClose) => {
                    self.keep = false;
                    self.finish();
                    return Poll::Ready(Received::End);
                }
                (Ok(0), Framing::FastCgi(records)) if records.is_complete() => {
                    self.keep = false;
                    self.finish();
                    return Poll::Ready(Received::End);
                }
                (Ok(0), _) => {
                    self.fail("upstream prematurely closed connection");
                    return Poll::Ready(Received::End);
                }
                (Ok(bytes), _) => {
                    self.progress.received.set(self.progress.received.get() + bytes as u64);
                }
                (Err(error), _) => {
                    let error = crate::conf::errno(&error);
                    self.fail(&format!("recv() failed ({error})"));
                    return Poll::Ready(Received::End);
                }
            }
        }
    }

    /// What the connection's buffer holds of the body. `None`: read more.
    fn decode(&mut self) -> Result<Option<Received>, String> {
        let Some((connection, _)) = &mut self.peer else { return Ok(Some(Received::End)) };
        let buffer = &mut connection.buffer;
        let data = match &mut self.framing {
            Framing::Length(0) => return Ok(Some(Received::End)),
            Framing::Length(_) | Framing::UntilClose | Framing::Chunked(_) if buffer.is_empty() => {
                return Ok(None);
            }
            Framing::Length(left) => {
                let here = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
                *left -= here as u64;
                buffer.split_to(here).freeze()
            }
            Framing::UntilClose => buffer.split().freeze(),
            Framing::FastCgi(records) => {
                let taken = records.next(buffer);
                for note in records.notes() {
                    if let Some(scribe) = &self.scribe {
                        scribe.log(note.level, &while_reading_body(&note.text));
                    }
                }
                match taken.map_err(|error| error.to_string())? {
                    Taken::Data(data) => data,
                    Taken::Nothing => return Ok(None),
                    Taken::End => {
                        self.keep &= records.is_clean();
                        return Ok(Some(Received::End));
                    }
                }
            }
            Framing::Chunked(chunked) => match chunked.next(buffer) {
                Ok(Piece::Data(data)) => data,
                Ok(Piece::More) => return Ok(None),
                Ok(Piece::End) => return Ok(Some(Received::End)),
                Err(_) => return Err("upstream sent invalid chunked response".to_owned()),
            },
        };
        self.progress.body.set(self.progress.body.get() + data.len() as u64);
        Ok(Some(Received::Data(data)))
    }

    /// Ends at once where the end is known without waiting, so that it can leave with the last bytes.
    fn look_for_end(&mut self) {
        if !self.store.is_empty() || self.pace.is_some() {
            return;
        }
        let Some((connection, _)) = &mut self.peer else { return };
        match &mut self.framing {
            Framing::Length(0) => self.finish(),
            Framing::FastCgi(_) => match self.decode() {
                Ok(Some(Received::End)) => self.finish(),
                Ok(Some(Received::Data(data))) => self.store.push(data),
                // What is wrong with it is said when more is asked for.
                Ok(None) | Err(_) => (),
            },
            Framing::Chunked(chunked) => match chunked.next(&mut connection.buffer) {
                Ok(Piece::End) => self.finish(),
                Ok(Piece::Data(data)) => {
                    self.progress.body.set(self.progress.body.get() + data.len() as u64);
                    self.store.push(data);
                }
                // What is wrong with it is said when more is asked for.
                Ok(Piece::More) | Err(_) => (),
            },
            _ => (),
        }
    }
}

impl Source for Relay {
    fn poll_chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        match self.store.take() {
            Ok(Some(data)) => {
                self.look_for_end();
                return Poll::Ready(Some(Ok(data)));
            }
            Ok(None) => (),
            Err(error) => return Poll::Ready(Some(Err(error))),
        }
        if self.store.end.is_none() {
            match self.poll_receive(context) {
                Poll::Ready(Received::Data(data)) => {
                    self.look_for_end();
                    return Poll::Ready(Some(Ok(data)));
                }
                Poll::Ready(Received::End) => (),
                Poll::Pending => {
                    if !self.ignore_client_abort && self.client.poll_gone(context).is_ready() {
                        self.progress.complete.set(Some(self.begun.elapsed()));
                        self.peer = None;
                        let message = "client prematurely closed connection, so upstream connection \
                                       is closed too while reading upstream";
                        let error = io::Error::new(io::ErrorKind::ConnectionAborted, message);
                        return Poll::Ready(Some(Err(error)));
                    }
                    return Poll::Pending;
                }
            }
        }
        match &self.store.end {
            Some(Err(message)) => Poll::Ready(Some(Err(io::Error::other(message.clone())))),
            _ => Poll::Ready(None),
        }
    }

    fn poll_ahead(&mut self, context: &mut Context<'_>) {
        if !self.buffering.enabled {
            return;
        }
        while self.store.end.is_none() && self.store.has_room(&self.buffering) {
            match self.poll_receive(context) {
                Poll::Ready(Received::Data(data)) => {
                    if let Err(error) = self.store.put(data, &self.buffering) {
                        let error = crate::conf::errno(&error);
                        self.fail(&format!("temporary file could not be written ({error})"));
                    }
                }
                Poll::Ready(Received::End) | Poll::Pending => return,
            }
        }
    }

    fn is_finished(&self) -> bool {
        self.store.end == Some(Ok(())) && self.store.is_empty()
    }
}

impl Store {
    fn is_empty(&self) -> bool {
        self.queue.is_empty() && self.read == self.written
    }

    fn take(&mut self) -> io::Result<Option<Bytes>> {
        if let Some(data) = self.queue.pop_front() {
            self.queued -= data.len();
            return Ok(Some(data));
        }
        match &self.file {
            Some(file) if self.read < self.written => {
                let length = (self.written - self.read).min(super::connection::READ as u64);
                let data = read_at(file, self.read, length as usize)?;
                self.read += length;
                if self.read == self.written {
                    // All of it is on its way: the file's room can be used again.
                    self.file = None;
                    (self.read, self.written) = (0, 0);
                }
                Ok(Some(data))
            }
            _ => Ok(None),
        }
    }

    fn push(&mut self, data: Bytes) {
        self.queued += data.len();
        self.queue.push_back(data);
    }

    fn has_room(&self, limits: &Buffering) -> bool {
        self.queued < limits.memory && self.file.is_none() || self.written < limits.file
    }

    fn put(&mut self, data: Bytes, limits: &Buffering) -> io::Result<()> {
        if self.file.is_none() && (self.queued < limits.memory || limits.file == 0) {
            self.push(data);
            return Ok(());
        }
        if self.file.is_none() {
            self.file = Some(unnamed_file(&limits.folder)?);
        }
        let mut file = self.file.as_ref().expect("it was made when there was none");
        file.write_all(&data)?;
        self.written += data.len() as u64;
        Ok(())
    }
}

/// With `proxy_ignore_client_abort` the peer finishes what it says, though nobody listens.
impl Drop for Relay {
    fn drop(&mut self) {
        if !self.ignore_client_abort || self.store.end.is_some() {
            return;
        }
        let Some(peer) = self.peer.take() else { return };
        let mut rest = Relay {
            client: Rc::clone(&self.client),
            peer: Some(peer),
            framing: std::mem::replace(&mut self.framing, Framing::Length(0)),
            keep: self.keep,
            unsent: self.unsent.take(),
            read_timeout: self.read_timeout,
            ignore_client_abort: false,
            buffering: Arc::clone(&self.buffering),
            progress: Rc::clone(&self.progress),
            begun: self.begun,
            pace: None,
            held: Bytes::new(),
            store: Store::default(),
            scribe: self.scribe.take(),
        };
        tokio::task::spawn_local(async move {
            let more = |context: &mut Context<'_>| rest.poll_receive(context);
            let mut more = more;
            while let Received::Data(_) = std::future::poll_fn(&mut more).await {}
        });
    }
}
