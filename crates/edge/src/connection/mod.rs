//! One client connection, from accept to close. With `body/` and `upstream/`, all that touches a
//! socket; everything else sees an [`Exchange`] and makes a [`Response`](crate::response::Response).
//!
//! The codec is our own, over `http1`: nginx answers a malformed request with a page and a log
//! line, and forwards the spelling of a header; a server that refuses before it asks can do neither.

mod io; // the kinds of sockets
mod tls; // records over a socket
mod client; // the socket, its buffer and its deadlines
mod who; // which clients a word means
mod proxy_protocol; // for whom a connection is, as the one who made it says
mod handshake; // what is agreed on first, where TLS is spoken
mod request; // bytes to a request, or to a refusal
mod checks; // what a head must say, and may not
mod refusal; // why it is answered with nothing but a page
mod respond; // a response on its way
mod response_head; // its fields
mod writer; // its bytes
mod pace; // no faster than it may
mod host; // which host, on which port
mod head_space; // how large a head may be
mod framing; // where a body ends
pub mod counts; // how many there are
mod linger; // how to close without losing what was sent
mod http2; // many requests at once

use std::{pin::pin, rc::Rc, sync::Arc, time::Duration};

pub use client::{Client, ClientError, Deadline, Peer, PeerAddress, Remote};
pub use handshake::Secured;
pub use http2::{Stream, response::sent_fields};
pub use io::Io;
pub use proxy_protocol::ProxyHeader;
pub use tls::Tls;
pub use who::Who;

use crate::{
    body::RequestBody,
    engine,
    exchange::Exchange,
    load::{Address, Http},
    log::Level,
    modules::core::Core,
    process::{Drain, caught},
    uri::Uri,
};
use counts::{Count, Counted};
use http2::Begins;
use request::Head;
use respond::Connection;

/// Serves one connection. `address` is its place in `http.addresses`.
///
/// A connection is idle for most of its life, and then it should hold little: whatever needs room to
/// work is in a box of its own, and gone when the connection waits.
pub async fn serve(http: Arc<Http>, address: usize, client: Client, drain: Drain) {
    let asked = &http.addresses[address];
    let Some((client, begins)) = Box::pin(open(client, asked, &drain)).await else { return };
    match begins {
        Begins::Http2 => return Box::pin(http2::serve(http, address, client, drain)).await,
        Begins::Not => return,
        Begins::Otherwise => (),
    }
    let core = Arc::clone(&client.peer.reached(asked).default.outer.core);
    let deadline = Deadline::after(core.client_header_timeout());
    let mut idle = Idle { core, deadline, served: 0 };
    while idle.wait(&client, &drain).await {
        match Box::pin(answer_several(&http, address, &client, &drain, idle)).await {
            Some(rested) => idle = rested,
            None => return,
        }
    }
}

/// What comes before the first request, and the protocol it will come in. `None`: nothing will.
async fn open(client: Client, asked: &Address, drain: &Drain) -> Option<(Rc<Client>, Begins)> {
    if asked.listen.proxy_protocol && !proxy_protocol::read(&client, asked).await {
        return None;
    }
    let client =
        if asked.listen.ssl { handshake::greet(client, asked, drain).await? } else { client };
    let client = Rc::new(client);
    let begins = http2::detect(asked, &client, drain).await;
    Some((client, begins))
}

/// A connection between two requests.
struct Idle {
    /// What the last answer's location says about waiting for another, and about closing.
    core: Arc<Core>,
    deadline: Deadline,
    served: u64,
}

impl Idle {
    /// `false`: no request will come.
    async fn wait(&mut self, client: &Client, drain: &Drain) -> bool {
        let _counted = Counted::one(Count::Waiting);
        client.wait_for_request(&mut self.deadline, self.core.keepalive_min_timeout(), drain).await
    }

    /// `false`: none has come for a while.
    async fn wait_a_moment(&mut self, client: &Client, drain: &Drain) -> bool {
        let mut soon = self.deadline.split(MOMENT);
        let _counted = Counted::one(Count::Waiting);
        client.wait_for_request(&mut soon, self.core.keepalive_min_timeout(), drain).await
    }
}

/// Requests that follow one another more quickly than this share the room that the first was given.
const MOMENT: Duration = Duration::from_secs(1);

/// Answers requests until none has come for a moment. `None`: the connection is at its end.
async fn answer_several(
    http: &Arc<Http>,
    address: usize,
    client: &Rc<Client>,
    drain: &Drain,
    mut idle: Idle,
) -> Option<Idle> {
    let mut pipelined = false;
    loop {
        idle.served += 1;
        client.peer.requests.set(idle.served);
        let mut counted = Counted::one(Count::Waiting);
        let mut head = request::read(&http.addresses[address], client, &mut counted).await?;
        counted.turn_into(Count::Writing);
        head.request.pipelined = pipelined;
        let (connection, core) = answer(http, address, client, head, drain).await;
        drop(counted);
        match connection {
            Connection::Keep => (),
            Connection::Close | Connection::TimedOut => return None,
            Connection::Linger => {
                linger::close(client, &core).await;
                return None;
            }
        }
        idle.deadline = Deadline::after(core.keepalive_timeout());
        idle.core = core;
        pipelined = !client.buffer.borrow().is_empty();
        if !idle.wait_a_moment(client, drain).await {
            return Some(idle);
        }
    }
}

async fn answer(
    http: &Arc<Http>,
    address: usize,
    client: &Rc<Client>,
    head: Head,
    drain: &Drain,
) -> (Connection, Arc<Core>) {
    let Head { request, uri, framing, server, refusal } = head;
    let body = RequestBody::new(client, &request, framing);
    let mut exchange = Exchange::new(http, client, &server, request, body);
    let answered = caught(pin!(reply(&mut exchange, address, uri, refusal, drain))).await;
    let mut connection = answered.unwrap_or_else(|panic| {
        exchange.log(Level::Alert, &format!("panic while answering: {panic}"));
        Connection::Close
    });
    engine::finish(&mut exchange);
    if connection == Connection::Keep && !linger::discard(&mut exchange).await {
        connection = Connection::Close;
    }
    (connection, Arc::clone(&exchange.location.core))
}

/// Everything of a request that may go wrong without taking the connection's task with it.
async fn reply(
    exchange: &mut Exchange,
    address: usize,
    uri: Option<Uri>,
    refusal: Option<refusal::Refusal>,
    drain: &Drain,
) -> Connection {
    let mut response = match (uri, refusal) {
        (Some(uri), None) => {
            locate(exchange, address, uri);
            engine::answer(exchange).await
        }
        (_, refusal) => {
            let refusal = refusal.expect("a request without a path was refused");
            exchange.log(Level::Info, &refusal.to_string());
            engine::refuse(exchange, refusal.status).await
        }
    };
    if exchange.body.buffered_is_broken() && response.as_ref().is_some_and(|r| r.status < 400) {
        // What nobody read is only found out now, and is refused all the same.
        exchange.log(Level::Info, "client sent invalid chunked body");
        exchange.request.keep_alive = false;
        response = engine::refuse(exchange, 400).await;
    }
    if response.as_ref().is_some_and(|response| response.status < 400) {
        let timeout = exchange.location.core.send_timeout();
        // If it can not be told, the answer will not reach it either.
        let _gone = exchange.body.continue_to_discard(timeout).await;
    }
    match response {
        Some(response) => respond::send(exchange, response, drain).await,
        // Who took too long for it is told apart from who was not to get one.
        None if exchange.sent.status == 408 => Connection::TimedOut,
        None => Connection::Close,
    }
}

/// The path that locations are compared with, and what the server's name has captured.
fn locate(exchange: &mut Exchange, address: usize, uri: Uri) {
    let path = exchange.request.target.split(|byte| *byte == b'?').next().unwrap_or_default();
    exchange.quoted_uri = memchr::memchr2(b'%', b'+', path).is_some();
    exchange.uri = uri.path;
    exchange.args = uri.args.unwrap_or_default();
    if let Some(host) = exchange.request.host.clone() {
        let http = Arc::clone(&exchange.http);
        http.addresses[address].names.capture(exchange, &host);
    }
}
