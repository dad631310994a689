//! One client connection: requests in, each complete before anybody is asked to answer it.
//!
//! The loop of `serve` is the whole life of a connection: a head, its body, an answer, and again. A
//! client may take its time over any of them, and may leave at any moment; none of that costs a
//! worker anything. Must not know what a worker is.

mod body; // a body gathered, in memory or in a file
mod connections; // all of them, with their deadlines
mod head; // strict RFC 9112
mod pages; // small pages of our own
mod socket; // TCP or unix, with a deadline
pub(crate) mod tls; // and with TLS over it

use std::{rc::Rc, time::Duration};

use bytes::{Buf, BytesMut};

pub(crate) use body::{Body, BodyReader, Place};
pub(crate) use connections::{Connections, Phase};
pub(crate) use head::{Head, HeadReader, Limits, Refusal, Scheme};
pub(crate) use pages::{Persistence, SERVER, page, reason};
pub(crate) use socket::{Gone, Socket, Stream};

use crate::{
    dispatch,
    gateway::Gateway,
    listen::Local,
    story::{Peer, Story},
};

/// A connection before its first request, and a head that has begun: both cost a buffer, no more.
const HEAD_PATIENCE: Duration = Duration::from_mins(1);
/// Between two pieces of a body, and while a response is not taken.
pub(crate) const BODY_PATIENCE: Duration = Duration::from_mins(1);
const HEAD_CAPACITY: usize = 8 * 1024;

/// One client, and what it has sent that nobody has looked at.
pub(crate) struct Connection {
    pub(crate) socket: Socket,
    pub(crate) buffer: BytesMut,
    pub(crate) peer: Peer,
    pub(crate) local: Rc<Local>,
    /// Nothing can be read after the request in hand.
    pub(crate) is_last: bool,
}

/// How long a connection may be idle between two requests. On TCP gunicorn's 2 seconds. On a unix
/// socket the peer is a web server, which keeps its connections in a pool and expects them to be
/// there: nginx idles for 60 seconds, and whoever closes first loses the request in flight.
fn idle_limit(gateway: &Gateway, peer: Peer) -> Duration {
    gateway.settings().keep_alive.unwrap_or(match peer {
        Peer::Unix => Duration::from_secs(75),
        Peer::Tcp(_) => Duration::from_secs(2),
    })
}

pub(crate) async fn serve(gateway: Rc<Gateway>, stream: Stream, peer: Peer, local: Rc<Local>) {
    let mut socket = Socket::new(stream, gateway.connections.enter());
    let secured = gateway.tls.now();
    let scheme = if secured.is_some() { Scheme::Https } else { Scheme::Http };
    if let Some(config) = secured {
        // In a box: connections without TLS are not to carry the room for it.
        match Box::pin(tls::greet(&gateway, socket, peer, config)).await {
            Some(secured) => socket = secured,
            None => return,
        }
    }
    let buffer = BytesMut::with_capacity(HEAD_CAPACITY);
    let mut connection = Connection { socket, buffer, peer, local, is_last: false };
    let limits = Limits::new(&gateway.settings(), connection.is_trusted(&gateway), scheme);
    let mut phase = Phase::Fresh;
    loop {
        let head = match connection.head(&gateway, &limits, phase).await {
            Ok(Some(head)) => head,
            Ok(None) => break,
            Err(refusal) => return connection.refuse(&gateway, None, refusal).await,
        };
        let mut story = Story::begin(peer);
        let body = match connection.body(&gateway, &head).await {
            Ok(body) => body,
            Err(BodyError::Refused(refusal)) => {
                return connection.refuse(&gateway, Some((&head, &mut story)), refusal).await;
            }
            Err(BodyError::Gone) => {
                gateway.log.debug(format_args!(
                    "{} {} from {peer}: the client left before its body was complete",
                    head.method_text(),
                    head.target_text()
                ));
                break;
            }
        };
        let answered = dispatch::answer(&gateway, &mut connection, &mut story, &head, body).await;
        if let Some(access) = &gateway.access {
            access.record(&gateway, &connection.local, &head, &story);
        }
        match answered {
            Persistence::KeepAlive => phase = Phase::Idle,
            Persistence::Close => {
                connection.socket.linger(&mut connection.buffer).await;
                break;
            }
        }
    }
}

enum BodyError {
    Refused(Refusal),
    /// The client closed the connection in the middle.
    Gone,
}

impl Connection {
    /// As gunicorn decides: whoever can reach a unix socket is a proxy of ours.
    fn is_trusted(&self, gateway: &Gateway) -> bool {
        match self.peer {
            Peer::Unix => true,
            Peer::Tcp(address) => gateway.settings().forwarded_allow_ips.includes(address.ip()),
        }
    }

    /// The next head. `None`: there is none, and the connection is over.
    async fn head(
        &mut self,
        gateway: &Gateway,
        limits: &Limits,
        phase: Phase,
    ) -> Result<Option<Head>, Refusal> {
        let mut reader = HeadReader::new(limits);
        let patience = match phase {
            Phase::Idle => idle_limit(gateway, self.peer),
            Phase::Fresh | Phase::Busy => HEAD_PATIENCE,
        };
        if self.buffer.is_empty() {
            gateway.connections.wait(&mut self.socket, phase, patience);
        } else {
            // A request that came along with the one before it.
            gateway.connections.wait(&mut self.socket, Phase::Busy, HEAD_PATIENCE);
        }
        loop {
            if let Some(head) = reader.read(&mut self.buffer)? {
                self.socket.set_phase(Phase::Busy);
                self.complain_of_dropped(gateway, &head);
                return Ok(Some(head));
            }
            let was_empty = self.buffer.is_empty();
            self.buffer.reserve(HEAD_CAPACITY);
            match self.socket.read(&mut self.buffer).await {
                Ok(_) if was_empty => {
                    self.socket.expect_within(HEAD_PATIENCE);
                    self.socket.set_phase(Phase::Busy);
                }
                Ok(_) => (),
                Err(Gone::Silent) if was_empty => {
                    // A request may have been sent while we made up our mind to close.
                    if !self.socket.last_look(&mut self.buffer) {
                        return Ok(None);
                    }
                    self.is_last = true;
                    self.socket.expect_within(BODY_PATIENCE);
                }
                Err(Gone::Silent) => return Err(Refusal::request_timeout()),
                Err(Gone::Closed) => return Ok(None),
            }
        }
    }

    fn complain_of_dropped(&self, gateway: &Gateway, head: &Head) {
        /// Names come from clients: what is remembered of them has a bound.
        const MOST: usize = 256;
        for name in head.dropped() {
            let mut names = gateway.dropped_names.borrow_mut();
            if names.len() < MOST && names.insert(name.to_ascii_lowercase()) {
                gateway.log.warning(format_args!(
                    "header \"{}\" from {} is dropped: with its underscore it would pass for \"{}\"; \
                     said once for each name",
                    name.escape_ascii(),
                    self.peer,
                    String::from_utf8_lossy(name).replace('_', "-"),
                ));
            }
        }
    }

    async fn body(&mut self, gateway: &Gateway, head: &Head) -> Result<Body, BodyError> {
        let limit = gateway.settings().limit_request_body.unwrap_or(u64::MAX);
        let mut reader = BodyReader::new(head.framing(), limit, Rc::clone(&gateway.memory))
            .map_err(BodyError::Refused)?;
        let mut says_continue = head.expects_continue();
        loop {
            if reader.read(&mut self.buffer).map_err(BodyError::Refused)? {
                return Ok(reader.finish());
            }
            self.socket.expect_within(BODY_PATIENCE);
            if std::mem::take(&mut says_continue) {
                let go_on: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
                self.socket.write_all(go_on).await.map_err(|_| BodyError::Gone)?;
            }
            self.buffer.reserve(reader.appetite());
            match self.socket.read(&mut self.buffer).await {
                Ok(_) => (),
                Err(Gone::Silent) => return Err(BodyError::Refused(Refusal::request_timeout())),
                Err(Gone::Closed) => return Err(BodyError::Gone),
            }
        }
    }

    /// Answers what is no request, and closes: where the next one would begin can not be said.
    async fn refuse(
        mut self,
        gateway: &Gateway,
        about: Option<(&Head, &mut Story)>,
        refusal: Refusal,
    ) {
        gateway.log.warning(format_args!("Invalid request from ip={}: {refusal}", self.peer));
        let page = page(refusal.status(), &refusal.to_string(), Persistence::Close, &[]);
        if let (Some(access), Some((head, story))) = (&gateway.access, about) {
            story.status = refusal.status();
            story.sent = page.body_length;
            access.record(gateway, &self.local, head, story);
        }
        self.socket.expect_within(BODY_PATIENCE);
        if self.socket.write_all(page.bytes.chunk()).await.is_ok() {
            self.socket.linger(&mut self.buffer).await;
        }
    }
}
