//! The client of one file: its cookies, and the connections it keeps from one request to the next,
//! as hurl keeps them.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use cookie_store::CookieStore;
use rustls::pki_types::ServerName;
use tokio::net::{TcpStream, lookup_host};
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use url::Url;

use super::answer::Answer;
use super::connection::{Connection, Idle};
use super::exchange::{Broken, Cause, Connected, Ending, Exchange, Framing, Request, field_values};

/// What one exchange may take.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub time: Duration,
    pub connect: Duration,
    pub max_body: usize,
}

pub struct Client {
    jar: CookieStore,
    idle: HashMap<String, Connection>,
    tls: Option<TlsConnector>,
    /// Where the target's name is looked for, instead of by name.
    elsewhere: Option<(String, SocketAddr)>,
}

impl Client {
    pub fn new(tls: Option<TlsConnector>, elsewhere: Option<(String, SocketAddr)>) -> Self {
        Client { jar: CookieStore::default(), idle: HashMap::new(), tls, elsewhere }
    }

    /// The cookies that go with a request there.
    pub fn cookies(&self, url: &Url) -> Vec<(String, String)> {
        let values = self.jar.get_request_values(url);
        let mut cookies: Vec<(String, String)> =
            values.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        // The jar has no order; two runs are to send the same.
        cookies.sort();
        cookies
    }

    pub async fn send(
        &mut self,
        request: Request,
        limits: Limits,
    ) -> Result<Exchange, Box<Broken>> {
        let start = Instant::now();
        let mut answer = Answer::default();
        let mut attempt = Attempt {
            connected: Connected::New,
            addresses: None,
            sent_whole: false,
            answered: None,
        };
        let whole = self.attempt(&request, &mut answer, &mut attempt, limits);
        let result = match timeout(limits.time, whole).await {
            Ok(result) => result,
            Err(_) => Err(Cause::Timeout { limit: limits.time }),
        };
        let (peer, local) = attempt.addresses.unzip();
        match (result, answer.head) {
            (Ok(ending), Some(head)) => {
                for field in field_values(&head.fields, "set-cookie") {
                    // A cookie that a browser would not keep is not kept; the answer still shows it.
                    let _ = self.jar.parse(&field.text(), &request.url);
                }
                Ok(Exchange {
                    request,
                    interim: answer.interim,
                    head,
                    framing: answer.framing.unwrap_or(Framing::None),
                    body: answer.body.freeze(),
                    trailers: answer.trailers,
                    sent_whole: attempt.sent_whole,
                    connected: attempt.connected,
                    ending,
                    peer: peer.expect("an answer came over a connection"),
                    local: local.expect("an answer came over a connection"),
                    duration: attempt.answered.unwrap_or_else(Instant::now) - start,
                })
            }
            (result, head) => Err(Box::new(Broken {
                request,
                interim: answer.interim,
                head,
                body: answer.body.freeze(),
                cause: result.err().unwrap_or(Cause::NoAnswer),
                connected: attempt.connected,
                peer,
                local,
                duration: start.elapsed(),
            })),
        }
    }

    async fn attempt(
        &mut self,
        request: &Request,
        answer: &mut Answer,
        attempt: &mut Attempt,
        limits: Limits,
    ) -> Result<Ending, Cause> {
        let place = request.url.origin().ascii_serialization();
        let mut connection = None;
        if let Some(mut kept) = self.idle.remove(&place) {
            match kept.idle() {
                Idle::Open => {
                    attempt.connected = Connected::Reused;
                    connection = Some(kept);
                }
                Idle::Closed => attempt.connected = Connected::Again,
                Idle::Surplus(bytes) => return Err(Cause::Surplus { bytes }),
            }
        }
        loop {
            let mut link = match connection.take() {
                Some(link) => link,
                None => self.connect(&request.url, limits.connect).await?,
            };
            attempt.addresses = Some((link.peer, link.local));
            match link.exchange(request, answer, limits.max_body).await {
                Ok(sent_whole) => {
                    attempt.sent_whole = sent_whole;
                    attempt.answered = Some(Instant::now());
                    let ending = link.ending(request, answer, sent_whole).await?;
                    if ending == Ending::Kept {
                        self.idle.insert(place, link);
                    }
                    return Ok(ending);
                }
                // It closed while the request was on its way, as a server may at any time. What it may
                // have acted on is sent again only if that changes nothing.
                Err(cause)
                    if attempt.connected == Connected::Reused
                        && answer.interim.is_empty()
                        && (link.was_left_unread(&cause)
                            || matches!(cause, Cause::NoAnswer)
                                && is_idempotent(&request.method)) =>
                {
                    attempt.connected = Connected::Again;
                }
                Err(cause) => return Err(cause),
            }
        }
    }

    async fn connect(&self, url: &Url, patience: Duration) -> Result<Connection, Cause> {
        let tls = match url.scheme() {
            "https" => Some(self.tls.as_ref().ok_or_else(|| Cause::NoCa { url: url.clone() })?),
            _ => None,
        };
        let name = url.host_str().unwrap_or_default();
        let port = url.port_or_known_default().unwrap_or(80);
        let bare = name.trim_matches(['[', ']']);
        let address = match &self.elsewhere {
            Some((known, address)) if known == &url.origin().ascii_serialization() => *address,
            _ => {
                let resolve = |error| Cause::Resolve { name: name.to_owned(), error };
                let mut found = lookup_host((bare, port)).await.map_err(resolve)?;
                found.next().ok_or_else(|| resolve(std::io::ErrorKind::NotFound.into()))?
            }
        };
        let refuse = |error| Cause::Connect { address, error };
        let stream = timeout(patience, TcpStream::connect(address)).await;
        let stream = stream.map_err(|late| refuse(late.into()))?.map_err(refuse)?;
        stream.set_nodelay(true).map_err(refuse)?;
        let peer = stream.peer_addr().map_err(refuse)?;
        let local = stream.local_addr().map_err(refuse)?;
        let Some(tls) = tls else { return Ok(Connection::new(stream, peer, local)) };
        let refuse = |error| Cause::Tls { address, error };
        let server = ServerName::try_from(bare.to_owned())
            .map_err(|error| refuse(std::io::Error::other(error)))?;
        let stream = tls.connect(server, stream).await.map_err(refuse)?;
        Ok(Connection::new(stream, peer, local))
    }
}

/// What is known of an exchange even when it breaks.
struct Attempt {
    connected: Connected,
    addresses: Option<(SocketAddr, SocketAddr)>,
    sent_whole: bool,
    /// When the answer was whole.
    answered: Option<Instant>,
}

/// RFC 9110 §9.2.2.
fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}
