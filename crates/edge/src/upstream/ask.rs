//! One request, asked of one peer after another until one of them answers.

use std::{io, net::SocketAddr, pin::pin, rc::Rc, sync::Arc, time::Duration};

use bytes::Bytes;
use rustls::CertificateError;

use super::{
    Connection, Head, NextUpstream, Outgoing, Protocol, SocketRules, Tried, Upstream,
    codec::Expectation,
    connection::{Address, Look},
    keepalive,
    peers::Occupied,
    talk::{Talk, gone, while_reading},
    wait::{Interruption, watch},
};
use crate::{
    body::Spool, conf::errno, exchange::Exchange, log::Level, story::Attempt, tls::Called,
    vars::Template,
};

/// What is asked, in bytes.
pub struct Question<'a> {
    pub upstream: &'a Arc<Upstream>,
    pub protocol: &'a Protocol,
    /// Who is to be met there, where TLS is spoken.
    pub called: Option<Called>,
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
    /// `proxy_limit_rate`, as the request says it: bytes a second of a body that is read ahead.
    pub rate: Option<Template>,
    pub socket: SocketRules,
    /// Whose idle connections may be used, where each location has its own.
    pub owner: usize,
}

/// A head, and the connection its body comes from.
pub struct Asked {
    pub head: Box<Head>,
    pub connection: Box<Connection>,
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
    pub fn keep(self, connection: Box<Connection>) {
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
pub(super) enum Trouble {
    Peer { why: NextUpstream, status: u16, sent: bool, stale: bool },
    Final(Failure),
}

pub async fn ask(
    exchange: &mut Exchange,
    question: &Question<'_>,
    limits: &Limits,
) -> Result<Asked, Failure> {
    let upstream = question.upstream;
    let mut begun = None;
    let mut tried = Tried::default();
    let mut tries = upstream.tries();
    if limits.tries != 0 {
        tries = tries.min(limits.tries);
    }
    let mut after_redirect = !exchange.story.attempts.is_empty();
    loop {
        let place = upstream.choose(exchange, &mut tried);
        let name = place.map_or(&upstream.name, |place| &upstream.peer(place).name);
        let scheme = match question.called {
            Some(_) => "https",
            None => question.protocol.scheme(),
        };
        let mut attempt = Attempt::new(scheme, name, &question.target);
        attempt.after_redirect = std::mem::take(&mut after_redirect);
        let begun = *begun.get_or_insert(attempt.begun);
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
    let owner = if rules.local { limits.owner } else { question.protocol.pool() };
    let ticket = Ticket {
        upstream: Arc::clone(upstream),
        peer: place,
        owner,
        _occupied: upstream.occupy(place),
    };
    let local = limits.socket.local(exchange);
    let look = if question.idempotent { Look::Quick } else { Look::Sure };
    let cached = if rules.connections == 0 {
        None
    } else {
        keepalive::take(upstream.id, place, owner, local, question.called.as_ref(), look)
    };
    let stale = cached.is_some();
    let mut connection = match cached {
        Some(connection) => connection,
        // Boxed, as below: what is seldom waited for should not make every wait large.
        None => {
            let called = question.called.as_ref();
            let address = &upstream.peer(place).address;
            Box::pin(connect(exchange, address, limits, local, called)).await?
        }
    };
    if let Some(attempt) = exchange.story.upstream_mut() {
        // One that was kept took no time.
        attempt.connected = Some(if stale { Duration::ZERO } else { attempt.begun.elapsed() });
    }
    let mut outgoing = match &question.body {
        RequestBytes::Whole(spool) => {
            Outgoing::new(question.head.clone(), spool.as_ref(), question.protocol.envelope(false))
        }
        RequestBytes::Streamed { chunked } => {
            Outgoing::begin(question.head.clone(), question.protocol.envelope(*chunked))
        }
    };
    let expected = Expectation {
        is_head: question.is_head,
        upgrade: question.upgrade,
        limit: limits.head_size,
    };
    let reader = question.protocol.reader();
    let mut talk =
        Talk { connection: &mut connection, outgoing: &mut outgoing, limits, expected, reader };
    let streamed = match question.body {
        RequestBytes::Streamed { .. } => Box::pin(talk.stream(exchange)).await,
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
                attempt.raw_head = head.fields.raw.clone();
                let received =
                    head.fields.raw.len() + head.framing.waiting() + connection.buffer.len();
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
    local: Option<SocketAddr>,
    called: Option<&Called>,
) -> Result<Box<Connection>, Trouble> {
    let mut opening = pin!(Connection::open(address, &limits.socket, local, called));
    let opened =
        watch(&exchange.client, limits, limits.connect, |context| opening.as_mut().poll(context));
    let unsent = |why, status| Trouble::Peer { why, status, sent: false, stale: false };
    match opened.await {
        Ok(Ok(connection)) => Ok(connection),
        Ok(Err(error)) if error.raw_os_error().is_none() => {
            exchange.log(Level::Error, &format!("{} to upstream", not_met(&error)));
            Err(unsent(NextUpstream::ERROR, 502))
        }
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

/// Why hands were not shaken, in nginx's words.
fn not_met(error: &io::Error) -> String {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match inner {
        Some(rustls::Error::InvalidCertificate(CertificateError::NotValidForName)) => {
            "upstream SSL certificate does not match the name while SSL handshaking".to_owned()
        }
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(fault))) => {
            format!("upstream SSL certificate verify error: {} while SSL handshaking", fault.0)
        }
        Some(other) => format!("SSL_do_handshake() failed (SSL: {other}) while SSL handshaking"),
        None => format!("{error} while SSL handshaking"),
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
