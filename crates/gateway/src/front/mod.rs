//! One client connection: requests in, each complete before anybody is asked to answer it.
//!
//! The loop of `serve` is the whole life of a connection: a head, its body, an answer, and again. A
//! client may take its time over any of them, and may leave at any moment; none of that costs a
//! worker anything. Must not know what a worker is.

mod body; // a body gathered, in memory or in a file
mod complaints; // what is wrong with a head and no reason to refuse it
mod connections; // all of them, with their deadlines
mod head; // strict RFC 9112
mod pages; // small pages of our own
pub(crate) mod proxy_protocol; // whose connection it is, as a proxy says
mod socket; // TCP or unix, with a deadline
pub(crate) mod tls; // and with TLS over it
mod http2; // and with many requests at once over that

use std::{rc::Rc, time::Duration};

use bytes::{Buf, BytesMut};

pub(crate) use body::{Body, BodyReader, Place};
pub(crate) use complaints::Complaints;
pub(crate) use connections::{Connections, Phase, Watch};
pub(crate) use head::{Head, HeadReader, Limits, Refusal, Scheme};
pub(crate) use pages::{Persistence, SERVER, page, reason};
use proxy_protocol::Beginning;
pub(crate) use proxy_protocol::Introduction;
pub(crate) use socket::{Gone, Socket, Stream};

use crate::{
    dispatch,
    gateway::Gateway,
    listen::Local,
    settings::{ProxyProtocol, Settings},
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
    /// Who connected.
    pub(crate) peer: Peer,
    /// On whose behalf, if that was said.
    pub(crate) introduction: Option<Introduction>,
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

/// `watch` is from the moment it was accepted: from then on it counts.
pub(crate) async fn serve(
    gateway: Rc<Gateway>,
    watch: Rc<Watch>,
    stream: Stream,
    peer: Peer,
    local: Rc<Local>,
) {
    let socket = Socket::new(stream, watch);
    let buffer = BytesMut::new();
    let mut connection =
        Connection { socket, buffer, peer, introduction: None, local, is_last: false };
    let settings = gateway.settings();
    match connection.introduce(&gateway, &settings).await {
        Ok(Some(())) => (),
        Ok(None) => return,
        Err(refusal) => return connection.refuse(&gateway, refusal).await,
    }
    let mut scheme = Scheme::Http;
    if let Some(config) = gateway.tls.now() {
        scheme = Scheme::Https;
        let begun = std::mem::take(&mut connection.buffer);
        // In a box: connections without TLS are not to carry the room for it.
        let greeted = tls::greet(&gateway, connection.socket, peer, config, begun);
        connection.socket = match Box::pin(greeted).await {
            Some(secured) => secured,
            None => return,
        };
        // gunicorn looks for an introduction inside alone. Proxies send it before: they have no key.
        match connection.introduce(&gateway, &settings).await {
            Ok(Some(())) => (),
            Ok(None) => return,
            Err(refusal) => return connection.refuse(&gateway, refusal).await,
        }
    }
    let limits = Limits::new(&settings, connection.is_trusted(&settings), scheme);
    if connection.socket.alpn() == Some(http2::NAME) {
        return Box::pin(http2::serve(gateway, connection, limits)).await;
    }
    let mut phase = Phase::Fresh;
    loop {
        let head = match connection.head(&gateway, &limits, phase).await {
            Ok(Some(head)) => head,
            Ok(None) => break,
            Err(refusal) => return connection.refuse(&gateway, refusal).await,
        };
        match connection.exchange(&gateway, &head).await {
            Some(Persistence::KeepAlive) => phase = Phase::Idle,
            Some(Persistence::Close) => {
                connection.socket.linger(&mut connection.buffer).await;
                break;
            }
            None => break,
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
    fn is_trusted(&self, settings: &Settings) -> bool {
        match self.peer {
            Peer::Unix => true,
            Peer::Tcp(address) => settings.forwarded_allow_ips.includes(address.ip()),
        }
    }

    /// Whose requests these are.
    fn client(&self) -> Peer {
        match self.introduction {
            Some(Introduction::Client { client, .. }) => Peer::Tcp(client),
            Some(Introduction::Local | Introduction::Unknown) | None => self.peer,
        }
    }

    /// One request whose head is here: its body, its answer, its line in the access log. `None`: the
    /// client is gone, or was told nothing.
    async fn exchange(&mut self, gateway: &Rc<Gateway>, head: &Head) -> Option<Persistence> {
        let mut story = Story::begin(self.client());
        story.introduction = self.introduction;
        let body = match self.body(gateway, head).await {
            Ok(body) => body,
            Err(BodyError::Refused(refusal)) => {
                return self.tell(gateway, Some((head, &mut story)), refusal).await;
            }
            Err(BodyError::Gone) => {
                gateway.log.debug(format_args!(
                    "{} {} from {}: the client left before its body was complete",
                    head.method_text(),
                    head.target_text(),
                    self.client()
                ));
                return None;
            }
        };
        if gateway.log.says_debug() && !gateway.settings().hooks.contains(&"pre_request") {
            // What gunicorn's own hook of that name does.
            let path = head.path().escape_ascii();
            gateway.log.debug(format_args!("{} {path}", head.method_text()));
        }
        let answered = dispatch::answer(gateway, self, &mut story, head, body).await;
        gateway.log.request(gateway, &self.local, head, &story);
        Some(answered)
    }

    /// Reads what a proxy says of its client before anything else, if it does and has not. `None`: the
    /// connection is over.
    async fn introduce(
        &mut self,
        gateway: &Gateway,
        settings: &Settings,
    ) -> Result<Option<()>, Refusal> {
        if settings.proxy_protocol == ProxyProtocol::Off || self.introduction.is_some() {
            return Ok(Some(()));
        }
        gateway.connections.wait(&mut self.socket, Phase::Fresh, HEAD_PATIENCE);
        loop {
            match proxy_protocol::begins(&self.buffer, settings.proxy_protocol) {
                Beginning::Open => (),
                Beginning::Request => return Ok(Some(())),
                Beginning::Header(version) => {
                    self.may_introduce(settings)?;
                    if let Some((said, length)) = proxy_protocol::read(&self.buffer, version)? {
                        self.buffer.advance(length);
                        self.introduction = Some(said);
                        return Ok(Some(()));
                    }
                }
            }
            self.buffer.reserve(HEAD_CAPACITY);
            match self.socket.read(&mut self.buffer).await {
                Ok(_) => (),
                Err(Gone::Silent) if !self.buffer.is_empty() => {
                    return Err(Refusal::request_timeout());
                }
                Err(Gone::Silent | Gone::Closed) => return Ok(None),
            }
        }
    }

    fn may_introduce(&self, settings: &Settings) -> Result<(), Refusal> {
        match self.peer {
            Peer::Tcp(address) if !settings.proxy_allow_ips.includes(address.ip()) => {
                Err(Refusal::proxy_forbidden(address.ip()))
            }
            Peer::Tcp(_) | Peer::Unix => Ok(()),
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
                gateway.complaints.borrow_mut().hear(&head, self.peer, &gateway.log);
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
                Err(Gone::Closed) if reader.is_open_ended() && self.socket.has_ended() => {
                    return Ok(reader.finish());
                }
                Err(Gone::Closed) => return Err(BodyError::Gone),
            }
        }
    }

    /// Answers what is no request, and closes: where the next one would begin can not be said.
    async fn refuse(mut self, gateway: &Gateway, refusal: Refusal) {
        if self.tell(gateway, None, refusal).await.is_some() {
            self.socket.linger(&mut self.buffer).await;
        }
    }

    /// Says why there is no other answer. `None`: nobody has heard it.
    async fn tell(
        &mut self,
        gateway: &Gateway,
        about: Option<(&Head, &mut Story)>,
        refusal: Refusal,
    ) -> Option<Persistence> {
        gateway.log.warning(format_args!("Invalid request from ip={}: {refusal}", self.client()));
        let page = page(refusal.status(), refusal.message(), Persistence::Close, &[]);
        if let Some((head, story)) = about {
            story.status = refusal.status();
            story.sent = page.body_length;
            gateway.log.request(gateway, &self.local, head, story);
        }
        self.socket.expect_within(BODY_PATIENCE);
        let told = self.socket.write_all(page.bytes.chunk()).await;
        told.is_ok().then_some(Persistence::Close)
    }
}
