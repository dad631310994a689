//! The beginning of a connection to a port that speaks TLS: who is asked for, what is agreed on.
//!
//! The name in the ClientHello chooses the server before anything else is decided, so that its
//! protocols and ciphers hold, and not only its certificate. What begins otherwise than TLS does is
//! left as it came: it is plain HTTP, and is told so in HTTP.

use std::{
    io::{self, IoSlice, Read},
    sync::Arc,
    time::Duration,
};

use bytes::{Buf, Bytes};
use rustls::{
    CipherSuite, HandshakeKind, NamedGroup, ProtocolVersion, ServerConnection,
    crypto::SupportedKxGroup,
    pki_types::CertificateDer,
    server::{Accepted, AcceptedAlert, Acceptor, ClientHello},
};

use super::{Client, ClientError, Deadline};
use crate::{
    conf::errno,
    load::{Address, Server},
    log::Level,
    process::Drain,
    tls::{Inside, Verified},
};

/// What a handshake has agreed on.
pub struct Secured {
    /// The server whose name was asked for, or the address's default.
    pub server: Arc<Server>,
    pub offer: Offer,
    pub protocol: ProtocolVersion,
    pub cipher: CipherSuite,
    /// The group of the key exchange; none where TLS 1.2 goes on with an earlier session.
    pub group: Option<NamedGroup>,
    /// What is spoken inside, if the client has asked for something: `h2` or `http/1.1`.
    pub alpn: Option<Bytes>,
    pub resumed: bool,
    pub session_id: Bytes,
    /// The client's certificate, and those it brought with it.
    pub certificates: Box<[CertificateDer<'static>]>,
    /// What is to be thought of it.
    pub verified: Verified,
}

/// What the client has said before anything was agreed on.
pub struct Offer {
    /// The name it asked for, in lower case.
    pub name: Option<Bytes>,
    /// Whether it is the name of a server here.
    pub name_is_known: bool,
    pub ciphers: Box<[CipherSuite]>,
    pub groups: Box<[NamedGroup]>,
}

/// Why there is no connection: a line of the log.
struct Failed(String);

/// The first byte of a record that belongs to a handshake; of a hello as SSL 2 had it, a bit.
const HANDSHAKE: u8 = 22;
const SSL2: u8 = 0x80;

/// `unrecognized_name`, fatal, in a record of its own.
const UNRECOGNIZED_NAME: &[u8] = &[21, 3, 3, 0, 2, 2, 112];

/// The client, over TLS if that is what it speaks. `None`: there is nobody to talk to.
pub(super) async fn greet(client: Client, address: &Address, drain: &Drain) -> Option<Client> {
    let core = &address.default.outer.core;
    let limit = core.client_header_timeout();
    let mut first_byte = Deadline::after(limit);
    if !client.wait_for_request(&mut first_byte, core.keepalive_min_timeout(), drain).await {
        return None;
    }
    let mut greeting =
        Greeting { client: &client, address, limit, deadline: Deadline::after(limit) };
    match greeting.begin().await {
        Ok(None) => Some(client),
        Ok(Some((session, secured))) => {
            client.peer.secure(secured);
            Some(client.over_tls(session))
        }
        Err(failed) => {
            log(&client, address, &failed);
            None
        }
    }
}

/// What fails in a handshake is the client's doing: level info.
fn log(client: &Client, address: &Address, Failed(why): &Failed) {
    let log = &address.default.outer.error_log;
    if log.wants(Level::Info) {
        let peer = String::from_utf8_lossy(client.peer.remote.text());
        let at = &address.listen.address;
        let message = format!("{why} while SSL handshaking, client: {peer}, server: {at}");
        log.write(Level::Info, Some(client.peer.number), &message);
    }
}

struct Greeting<'a> {
    client: &'a Client,
    address: &'a Address,
    /// `client_header_timeout`, for each write; for all that is read, the deadline.
    limit: Duration,
    deadline: Deadline,
}

impl Greeting<'_> {
    /// `None`: the client does not speak TLS.
    async fn begin(&mut self) -> Result<Option<(ServerConnection, Secured)>, Failed> {
        if self.client.buffer.borrow().is_empty() {
            self.receive().await?;
        }
        let first = self.client.buffer.borrow()[0];
        if first != HANDSHAKE && first & SSL2 == 0 {
            return Ok(None);
        }
        let accepted = self.hello().await?;
        self.shake_hands(accepted).await.map(Some)
    }

    /// Everything up to the end of the ClientHello; rustls limits its size.
    async fn hello(&mut self) -> Result<Accepted, Failed> {
        let mut acceptor = Acceptor::default();
        loop {
            self.feed(|received| acceptor.read_tls(received)).map_err(|error| refused(&error))?;
            match acceptor.accept() {
                Ok(Some(accepted)) => return Ok(accepted),
                Ok(None) if self.is_dry() => self.receive().await?,
                Ok(None) => (),
                Err(rejected) => return Err(self.reject(rejected).await),
            }
        }
    }

    async fn shake_hands(
        &mut self,
        accepted: Accepted,
    ) -> Result<(ServerConnection, Secured), Failed> {
        let (offer, server) = offer(&accepted.client_hello(), self.address);
        // A server without certificates of its own shows the default's.
        let terms = server.tls.as_ref().or(self.address.default.tls.as_ref());
        let Some(terms) = terms.filter(|_| !server.ssl.rejects_handshake()).cloned() else {
            self.send(UNRECOGNIZED_NAME).await;
            return Err(Failed("handshake rejected".to_owned()));
        };
        let inside = inside(&server, self.address);
        let mut session = match accepted.into_connection(terms.config(inside)) {
            Ok(session) => session,
            Err(rejected) => return Err(self.reject(rejected).await),
        };
        let mut session_id = Bytes::new();
        loop {
            let mut read = Ok(());
            while read.is_ok() && !self.is_dry() {
                let fed = self.feed(|received| session.read_tls(received));
                read = fed.and_then(|()| session.process_new_packets().map(drop));
            }
            let done = read.map(|()| !session.is_handshaking());
            // In TLS 1.3, what is left at the end are tickets, which go along with the first answer.
            if done != Ok(true) || session.protocol_version() != Some(ProtocolVersion::TLSv1_3) {
                let mut flight = Vec::new();
                while session.wants_write() {
                    session.write_tls(&mut flight).expect("memory takes everything");
                }
                if session_id.is_empty() {
                    session_id = session_id_of(&flight);
                }
                self.send(&flight).await;
            }
            match done {
                Ok(true) => break,
                Ok(false) => self.receive().await?,
                Err(error) => return Err(refused(&error)),
            }
        }
        let certificates: Box<[_]> = session.peer_certificates().unwrap_or_default().into();
        let secured = Secured {
            server,
            offer,
            protocol: session.protocol_version().expect(AGREED),
            cipher: session.negotiated_cipher_suite().expect(AGREED).suite(),
            group: session.negotiated_key_exchange_group().map(SupportedKxGroup::name),
            alpn: session.alpn_protocol().map(Bytes::copy_from_slice),
            resumed: session.handshake_kind() == Some(HandshakeKind::Resumed),
            session_id,
            verified: terms.verify(&certificates),
            certificates,
        };
        Ok((session, secured))
    }

    async fn receive(&mut self) -> Result<(), Failed> {
        let filled = self.client.fill_head(&mut self.deadline).await;
        filled.map_err(|error| {
            Failed(match error {
                ClientError::Gone => "peer closed connection in SSL handshake".to_owned(),
                ClientError::Timeout => error.to_string(),
                ClientError::Io(error) => format!("recv() failed ({})", errno(&error)),
            })
        })
    }

    fn is_dry(&self) -> bool {
        self.client.buffer.borrow().is_empty()
    }

    /// Gives on of what was received as much as is taken at once.
    fn feed(
        &self,
        take: impl FnOnce(&mut dyn Read) -> io::Result<usize>,
    ) -> Result<(), rustls::Error> {
        let mut received = self.client.buffer.borrow_mut();
        let taken = take(&mut &received[..]);
        let taken = taken.map_err(|error| rustls::Error::General(error.to_string()))?;
        received.advance(taken);
        Ok(())
    }

    /// A client that does not take this is noticed by the next read.
    async fn send(&self, flight: &[u8]) {
        let _gone = self.client.write_all(&mut [IoSlice::new(flight)], self.limit).await;
    }

    async fn reject(&self, (error, mut alert): (rustls::Error, AcceptedAlert)) -> Failed {
        let mut flight = Vec::new();
        alert.write_all(&mut flight).expect("memory takes everything");
        self.send(&flight).await;
        refused(&error)
    }
}

const AGREED: &str = "a handshake that is over has agreed on it";

fn refused(error: &rustls::Error) -> Failed {
    Failed(format!("SSL_do_handshake() failed (SSL: {error})"))
}

/// What is said inside, as far as it is the configuration's to say.
fn inside(server: &Server, address: &Address) -> Inside {
    if server.outer.http2.on() || address.listen.http2 { Inside::Http2 } else { Inside::Http1 }
}

/// What the client wants, and the server that it means.
fn offer(hello: &ClientHello<'_>, address: &Address) -> (Offer, Arc<Server>) {
    let name = hello.server_name().map(|name| {
        let name = name.strip_suffix('.').unwrap_or(name);
        Bytes::from(name.to_ascii_lowercase())
    });
    let known = name.as_ref().and_then(|name| address.names.find(name));
    let offer = Offer {
        name_is_known: known.is_some(),
        name,
        ciphers: hello.cipher_suites().into(),
        groups: hello.named_groups().unwrap_or_default().into(),
    };
    (offer, Arc::clone(known.unwrap_or(&address.default)))
}

/// The session's name, from the ServerHello at the beginning of the server's first flight: rustls does
/// not tell it. In TLS 1.3 it is the client's own, and only there for show.
fn session_id_of(flight: &[u8]) -> Bytes {
    const RECORD: usize = 5;
    const SERVER_HELLO: u8 = 2;
    // Type and length, version, random.
    const BEFORE: usize = RECORD + 4 + 2 + 32;
    if flight.first() != Some(&HANDSHAKE) || flight.get(RECORD) != Some(&SERVER_HELLO) {
        return Bytes::new();
    }
    let length = flight.get(BEFORE).copied().unwrap_or_default();
    let id = flight.get(BEFORE + 1..BEFORE + 1 + usize::from(length));
    Bytes::copy_from_slice(id.unwrap_or_default())
}
