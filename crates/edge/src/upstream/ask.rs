//! One request, asked of one peer after another until one of them answers.

use std::{
    future::poll_fn,
    io,
    pin::pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http1::chunk_head;

use super::{
    Connection, Head, Outgoing, Tried, Upstream,
    codec::{self, Expectation, HeadError},
    connection::{Address, Look},
    keepalive,
    peers::Occupied,
};
use crate::{
    body::Spool, conf::errno, connection::Client, exchange::Exchange, log::Level, story::Attempt,
};

/// What is asked, in bytes.
pub struct Question<'a> {
    pub upstream: &'a Arc<Upstream>,
    /// The target, for the logs.
    pub target: Bytes,
    pub head: Bytes,
    pub body: RequestBytes,
    /// Whether asking twice does no more than asking once.
    pub idempotent: bool,
    pub upgrade: bool,
    pub is_head: bool,
}

pub enum RequestBytes {
    /// Here already: it can be sent again.
    Whole(Option<Rc<Spool>>),
    /// As it comes from the client, once.
    Streamed { chunked: bool },
}

/// How long, how often, how large.
#[derive(Clone, Debug)]
pub struct Limits {
    pub connect: Duration,
    pub send: Duration,
    pub read: Duration,
    /// `client_body_timeout`, for a body that is sent as it comes.
    pub client_body: Duration,
    pub head_size: usize,
    pub next: NextUpstream,
    /// 0: as many as there are peers.
    pub tries: usize,
    /// 0: no limit.
    pub next_timeout: Duration,
    pub ignore_client_abort: bool,
    /// Whose idle connections may be used, where each location has its own.
    pub owner: usize,
}

/// What makes another peer worth asking: a set of nginx's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextUpstream(u16);

impl NextUpstream {
    pub const OFF: NextUpstream = NextUpstream(0);
    pub const ERROR: NextUpstream = NextUpstream(1);
    pub const TIMEOUT: NextUpstream = NextUpstream(1 << 1);
    pub const INVALID_HEADER: NextUpstream = NextUpstream(1 << 2);
    pub const NON_IDEMPOTENT: NextUpstream = NextUpstream(1 << 3);
    const STATUSES: [(u16, NextUpstream); 7] = [
        (500, NextUpstream(1 << 4)),
        (502, NextUpstream(1 << 5)),
        (503, NextUpstream(1 << 6)),
        (504, NextUpstream(1 << 7)),
        (403, NextUpstream(1 << 8)),
        (404, NextUpstream(1 << 9)),
        (429, NextUpstream(1 << 10)),
    ];

    pub fn parse(word: &str) -> Option<NextUpstream> {
        Some(match word {
            "error" => NextUpstream::ERROR,
            "timeout" => NextUpstream::TIMEOUT,
            "invalid_header" => NextUpstream::INVALID_HEADER,
            "non_idempotent" => NextUpstream::NON_IDEMPOTENT,
            "off" => NextUpstream::OFF,
            _ => NextUpstream::of_status(word.strip_prefix("http_")?.parse().ok()?)?,
        })
    }

    fn of_status(status: u16) -> Option<NextUpstream> {
        let known = NextUpstream::STATUSES.iter().find(|(known, _)| *known == status);
        known.map(|(_, word)| *word)
    }

    pub fn with(self, other: NextUpstream) -> NextUpstream {
        NextUpstream(self.0 | other.0)
    }

    fn has(self, other: NextUpstream) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A head, and the connection its body comes from.
pub struct Asked {
    pub head: Head,
    pub connection: Connection,
    /// What of the request is still to be sent: the peer answered before it had read it all.
    pub unsent: Option<Outgoing>,
    pub ticket: Ticket,
}

/// A peer's connection in use, and where it goes when it is no longer.
pub struct Ticket {
    upstream: Arc<Upstream>,
    peer: usize,
    owner: usize,
    _occupied: Occupied,
}

impl Ticket {
    /// The response has ended well: the connection can carry another.
    pub fn keep(self, connection: Connection) {
        let rules = &self.upstream.keepalive;
        keepalive::put(self.upstream.id, self.peer, self.owner, rules, connection);
    }
}

/// Why there is no answer.
pub enum Failure {
    Status(u16),
    /// The client has left, and nobody waits any more.
    Gone,
}

/// Why one peer gave no answer. It has been logged.
enum Trouble {
    Peer { why: NextUpstream, status: u16, sent: bool, stale: bool },
    Final(Failure),
}

pub async fn ask(
    exchange: &mut Exchange,
    question: &Question<'_>,
    limits: &Limits,
) -> Result<Asked, Failure> {
    let upstream = question.upstream;
    let begun = Instant::now();
    let mut tried = Tried::default();
    let mut tries = upstream.tries();
    if limits.tries != 0 {
        tries = tries.min(limits.tries);
    }
    let mut after_redirect = !exchange.story.attempts.is_empty();
    loop {
        let place = upstream.choose(exchange, &mut tried);
        let name = place.map_or(&upstream.name, |place| &upstream.peer(place).name);
        let mut attempt = Attempt::new(name, &question.target);
        attempt.after_redirect = std::mem::take(&mut after_redirect);
        exchange.story.attempts.push(attempt);
        let Some(place) = place else {
            exchange.log(Level::Error, "no live upstreams while connecting to upstream");
            finish(exchange, Some(502));
            return Err(Failure::Status(502));
        };
        tries = tries.saturating_sub(1);
        let again = |why: NextUpstream, sent: bool| {
            let safe = question.idempotent || !sent;
            let why = if safe { why } else { why.with(NextUpstream::NON_IDEMPOTENT) };
            let streamed = matches!(question.body, RequestBytes::Streamed { .. });
            let late = !limits.next_timeout.is_zero() && begun.elapsed() >= limits.next_timeout;
            limits.next.has(why) && !(sent && streamed) && !late
        };
        match attempt_one(exchange, question, limits, place).await {
            Ok(asked) => {
                let status = asked.head.status;
                match NextUpstream::of_status(status) {
                    Some(why) if tries > 0 && again(why, true) => {
                        if !matches!(status, 403 | 404) {
                            failed(exchange, upstream, place);
                        }
                        finish(exchange, Some(status));
                    }
                    _ => {
                        upstream.succeeded(place);
                        return Ok(asked);
                    }
                }
            }
            Err(Trouble::Final(failure)) => {
                let status = match failure {
                    Failure::Gone => 499,
                    Failure::Status(status) => status,
                };
                finish(exchange, Some(status));
                return Err(failure);
            }
            Err(Trouble::Peer { why, status, sent, stale }) => {
                finish(exchange, Some(status));
                if stale && again(why, sent) {
                    // The connection was old, not the peer ill: it may be asked again.
                    tried.remove(place);
                    tries += 1;
                    continue;
                }
                failed(exchange, upstream, place);
                if tries == 0 || !again(why, sent) {
                    return Err(Failure::Status(status));
                }
            }
        }
    }
}

fn failed(exchange: &Exchange, upstream: &Upstream, place: usize) {
    if upstream.failed(place) {
        exchange.log(Level::Warn, "upstream server temporarily disabled");
    }
}

fn finish(exchange: &mut Exchange, status: Option<u16>) {
    if let Some(attempt) = exchange.story.upstream_mut() {
        attempt.status = attempt.status.or(status);
        attempt.finish();
    }
}

/// Asks one peer, and waits for its head.
async fn attempt_one(
    exchange: &mut Exchange,
    question: &Question<'_>,
    limits: &Limits,
    place: usize,
) -> Result<Asked, Trouble> {
    let upstream = question.upstream;
    let rules = &upstream.keepalive;
    let owner = if rules.local { limits.owner } else { 0 };
    let ticket = Ticket {
        upstream: Arc::clone(upstream),
        peer: place,
        owner,
        _occupied: upstream.occupy(place),
    };
    let look = if question.idempotent { Look::Quick } else { Look::Sure };
    let cached = if rules.connections == 0 {
        None
    } else {
        keepalive::take(upstream.id, place, owner, look)
    };
    let stale = cached.is_some();
    let mut connection = match cached {
        Some(connection) => connection,
        // Boxed, as below: what is seldom waited for should not make every wait large.
        None => Box::pin(connect(exchange, &upstream.peer(place).address, limits)).await?,
    };
    if let Some(attempt) = exchange.story.upstream_mut() {
        // One that was kept took no time.
        attempt.connected = Some(if stale { Duration::ZERO } else { attempt.begun.elapsed() });
    }
    let spool = match &question.body {
        RequestBytes::Whole(spool) => spool.as_ref(),
        RequestBytes::Streamed { .. } => None,
    };
    let mut outgoing = Outgoing::new(question.head.clone(), spool);
    let expected = Expectation {
        is_head: question.is_head,
        upgrade: question.upgrade,
        limit: limits.head_size,
    };
    let mut talk = Talk { connection: &mut connection, outgoing: &mut outgoing, limits, expected };
    let streamed = match question.body {
        RequestBytes::Streamed { chunked } => Box::pin(talk.stream(exchange, chunked)).await,
        RequestBytes::Whole(_) => Ok(None),
    };
    let head = match streamed {
        Ok(None) => talk.head(exchange).await,
        early => early.map(|head| head.map(|head| (head, false))),
    };
    if let Some(attempt) = exchange.story.upstream_mut() {
        attempt.progress.sent.set(outgoing.sent);
    }
    match head {
        Ok(Some((head, complete))) => {
            if let Some(attempt) = exchange.story.upstream_mut() {
                attempt.head = Some(attempt.begun.elapsed());
                attempt.status = Some(head.status);
                attempt.raw_head = head.raw.clone();
                let received = head.raw.len() + connection.buffer.len();
                attempt.progress.received.set(received as u64);
            }
            if head.is_http09 {
                exchange
                    .log(Level::Error, &while_reading("upstream sent no valid HTTP/1.0 header"));
            }
            let streamed = matches!(question.body, RequestBytes::Streamed { .. });
            let mut head = head;
            head.keep &= complete || !streamed;
            let unsent = (!complete && !streamed).then_some(outgoing);
            Ok(Asked { head, connection, unsent, ticket })
        }
        Ok(None) => unreachable!("a head has been read, or why not is known"),
        Err(reading) => Err(reading.trouble(exchange, stale)),
    }
}

async fn connect(
    exchange: &Exchange,
    address: &Address,
    limits: &Limits,
) -> Result<Connection, Trouble> {
    let mut opening = pin!(Connection::open(address));
    let opened =
        watch(&exchange.client, limits, limits.connect, |context| opening.as_mut().poll(context));
    let unsent = |why, status| Trouble::Peer { why, status, sent: false, stale: false };
    match opened.await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) => {
            let subject = match address {
                Address::Unix(_) => format!("connect() to {address} failed"),
                Address::Ip(_) => "connect() failed".to_owned(),
            };
            let level = if is_usual(&error) { Level::Error } else { Level::Crit };
            let message = format!("{subject} ({}) while connecting to upstream", errno(&error));
            exchange.log(level, &message);
            Err(unsent(NextUpstream::ERROR, 502))
        }
        Err(Interruption::Timeout) => {
            exchange.log(
                Level::Error,
                "upstream timed out (110: Connection timed out) while connecting to upstream",
            );
            Err(unsent(NextUpstream::TIMEOUT, 504))
        }
        Err(Interruption::Gone) => Err(gone(exchange, "connecting to upstream")),
    }
}

/// That nobody listens, or nobody can be reached, happens; anything else is worth a look.
fn is_usual(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, NetworkDown, NetworkUnreachable,
        TimedOut, WouldBlock,
    };
    matches!(
        error.kind(),
        ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkDown
            | NetworkUnreachable
            | TimedOut
            | WouldBlock
    )
}

fn gone(exchange: &Exchange, stage: &str) -> Trouble {
    let message =
        "client prematurely closed connection, so upstream connection is closed too while";
    exchange.log(Level::Info, &format!("{message} {stage}"));
    Trouble::Final(Failure::Gone)
}

fn while_reading(message: &str) -> String {
    format!("{message} while reading response header from upstream")
}

/// Sending a request and reading the head of its response, which may come before all is sent.
struct Talk<'a> {
    connection: &'a mut Connection,
    outgoing: &'a mut Outgoing,
    limits: &'a Limits,
    expected: Expectation,
}

/// Why the talk ended without a head.
enum Broken {
    Send(io::Error),
    SendTimeout,
    Read(io::Error),
    ReadTimeout,
    /// The peer closed; whether it had said anything before.
    Closed {
        silent: bool,
    },
    Head(HeadError),
    Gone {
        sending: bool,
    },
    /// The client's body is at fault.
    Client(u16),
}

/// One wait's outcome.
enum Step {
    Sent,
    SendFailed(io::Error),
    Read(io::Result<usize>),
}

impl Talk<'_> {
    /// The head, and whether the whole request has been sent.
    async fn head(&mut self, exchange: &Exchange) -> Result<Option<(Head, bool)>, Broken> {
        let mut sent = false;
        let mut send_error = None;
        let mut read_any = false;
        loop {
            let limit = if sent { self.limits.read } else { self.limits.send };
            let step = watch(&exchange.client, self.limits, limit, |context| {
                self.poll_step(context, sent)
            });
            match step.await {
                Err(Interruption::Gone) => return Err(Broken::Gone { sending: !sent }),
                Err(Interruption::Timeout) if sent => return Err(Broken::ReadTimeout),
                Err(Interruption::Timeout) => return Err(Broken::SendTimeout),
                Ok(Step::Sent) => sent = true,
                Ok(Step::SendFailed(error)) => {
                    // The peer reads no more, but it may have said why before it closed.
                    send_error = Some(error);
                    sent = true;
                }
                Ok(Step::Read(Err(error))) => {
                    return Err(send_error.map_or(Broken::Read(error), Broken::Send));
                }
                Ok(Step::Read(Ok(0))) => {
                    return Err(match send_error {
                        Some(error) => Broken::Send(error),
                        None => Broken::Closed { silent: !read_any },
                    });
                }
                Ok(Step::Read(Ok(_))) => {
                    read_any = true;
                    let head = codec::head(&mut self.connection.buffer, self.expected);
                    if let Some(mut head) = head.map_err(Broken::Head)? {
                        head.keep &= send_error.is_none();
                        return Ok(Some((head, sent)));
                    }
                }
            }
        }
    }

    fn poll_step(&mut self, context: &mut Context<'_>, sent: bool) -> Poll<Step> {
        if !sent {
            match self.outgoing.poll_send(context, self.connection) {
                Poll::Ready(Ok(())) => return Poll::Ready(Step::Sent),
                Poll::Ready(Err(error)) => return Poll::Ready(Step::SendFailed(error)),
                Poll::Pending => (),
            }
        }
        self.connection.poll_read(context).map(Step::Read)
    }

    /// Sends the body as it comes from the client. A head that comes before the end ends it.
    async fn stream(
        &mut self,
        exchange: &mut Exchange,
        chunked: bool,
    ) -> Result<Option<Head>, Broken> {
        let client = Rc::clone(&exchange.client);
        let mut last = false;
        loop {
            // What is there is sent before more is read: that is the client's backpressure.
            loop {
                let step = watch(&client, self.limits, self.limits.send, |context| {
                    self.poll_step(context, false)
                });
                match step.await {
                    Err(Interruption::Gone) => return Err(Broken::Gone { sending: true }),
                    Err(Interruption::Timeout) => return Err(Broken::SendTimeout),
                    Ok(Step::Sent) => break,
                    // `head` reads what the peer has said before.
                    Ok(Step::SendFailed(_)) => return Ok(None),
                    Ok(Step::Read(Err(error))) => return Err(Broken::Read(error)),
                    Ok(Step::Read(Ok(0))) => return Err(Broken::Closed { silent: false }),
                    Ok(Step::Read(Ok(_))) => {
                        let head = codec::head(&mut self.connection.buffer, self.expected);
                        if let Some(head) = head.map_err(Broken::Head)? {
                            return Ok(Some(head));
                        }
                    }
                }
            }
            if last {
                return Ok(None);
            }
            let piece = match self.next_piece(exchange).await? {
                Next::Piece(piece) => piece,
                Next::Head(head) => return Ok(Some(*head)),
            };
            last = piece.is_none();
            match (piece, chunked) {
                (Some(piece), true) => {
                    let mut size = Vec::with_capacity(10);
                    chunk_head(piece.len(), &mut size);
                    self.outgoing.push(size.into());
                    self.outgoing.push(piece);
                    self.outgoing.push(Bytes::from_static(b"\r\n"));
                }
                (None, true) => self.outgoing.push(Bytes::from_static(b"0\r\n\r\n")),
                (Some(piece), false) => self.outgoing.push(piece),
                (None, false) => (),
            }
        }
    }

    /// More from the client, or an answer from the peer, whichever is first.
    async fn next_piece(&mut self, exchange: &mut Exchange) -> Result<Next, Broken> {
        let mut chunk = pin!(exchange.body.chunk(self.limits.client_body));
        poll_fn(|context| {
            if let Poll::Ready(piece) = chunk.as_mut().poll(context) {
                return Poll::Ready(match piece {
                    Ok(piece) => Ok(Next::Piece(piece)),
                    Err(error) => Err(Broken::Client(error.status())),
                });
            }
            loop {
                match self.connection.poll_read(context) {
                    Poll::Pending => return Poll::Pending,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(Broken::Read(error))),
                    Poll::Ready(Ok(0)) => {
                        return Poll::Ready(Err(Broken::Closed { silent: false }));
                    }
                    Poll::Ready(Ok(_)) => {
                        match codec::head(&mut self.connection.buffer, self.expected) {
                            Ok(None) => (),
                            Ok(Some(head)) => return Poll::Ready(Ok(Next::Head(Box::new(head)))),
                            Err(error) => return Poll::Ready(Err(Broken::Head(error))),
                        }
                    }
                }
            }
        })
        .await
    }
}

enum Next {
    /// `None`: that was the last.
    Piece(Option<Bytes>),
    Head(Box<Head>),
}

impl Broken {
    /// Says it in the log, and what follows from it.
    fn trouble(self, exchange: &Exchange, cached: bool) -> Trouble {
        let sending = |message: String| format!("{message} while sending request to upstream");
        let mut stale = false;
        let (why, status, level, message) = match self {
            Broken::Gone { sending: true } => {
                return gone(exchange, "sending request to upstream");
            }
            Broken::Gone { sending: false } => {
                return gone(exchange, "reading response header from upstream");
            }
            Broken::Client(status) => {
                let message = "client prematurely closed connection";
                exchange.log(Level::Info, &sending(message.to_owned()));
                return Trouble::Final(Failure::Status(status));
            }
            Broken::Send(error) => {
                stale = cached;
                let message = format!("writev() failed ({})", errno(&error));
                (NextUpstream::ERROR, 502, Level::Error, sending(message))
            }
            Broken::SendTimeout => {
                let message = "upstream timed out (110: Connection timed out)".to_owned();
                (NextUpstream::TIMEOUT, 504, Level::Error, sending(message))
            }
            Broken::ReadTimeout => {
                let message = "upstream timed out (110: Connection timed out)";
                (NextUpstream::TIMEOUT, 504, Level::Error, while_reading(message))
            }
            Broken::Read(error) => {
                stale = cached;
                let message = format!("recv() failed ({})", errno(&error));
                (NextUpstream::ERROR, 502, Level::Error, while_reading(&message))
            }
            Broken::Closed { silent } => {
                stale = cached && silent;
                let message = "upstream prematurely closed connection";
                (NextUpstream::ERROR, 502, Level::Error, while_reading(message))
            }
            Broken::Head(error) => {
                let message = while_reading(&error.to_string());
                (NextUpstream::INVALID_HEADER, 502, Level::Error, message)
            }
        };
        // That an idle connection is closed in the very moment it is used is nobody's fault.
        exchange.log(if stale { Level::Info } else { level }, &message);
        Trouble::Peer { why, status, sent: true, stale }
    }
}

/// Why a wait ended before what was waited for.
enum Interruption {
    Timeout,
    Gone,
}

/// Waits for `step`, no longer than `limit`, and no longer than the client does.
async fn watch<T>(
    client: &Client,
    limits: &Limits,
    limit: Duration,
    mut step: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Result<T, Interruption> {
    let mut deadline = None;
    poll_fn(|context| {
        if let Poll::Ready(done) = step(context) {
            return Poll::Ready(Ok(done));
        }
        if !limits.ignore_client_abort && client.poll_gone(context).is_ready() {
            return Poll::Ready(Err(Interruption::Gone));
        }
        let deadline = *deadline.get_or_insert_with(|| Instant::now() + limit);
        client.poll_deadline(context, deadline).map(|()| Err(Interruption::Timeout))
    })
    .await
}
