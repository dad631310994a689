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

use std::{pin::pin, rc::Rc, sync::Arc};

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
    load::Http,
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
pub async fn serve(http: Arc<Http>, address: usize, mut client: Client, drain: Drain) {
    let asked = &http.addresses[address];
    if asked.listen.proxy_protocol && !proxy_protocol::read(&client, asked).await {
        return;
    }
    if asked.listen.ssl {
        match handshake::greet(client, asked, &drain).await {
            Some(greeted) => client = greeted,
            None => return,
        }
    }
    let client = Rc::new(client);
    match http2::detect(asked, &client, &drain).await {
        Begins::Http2 => return http2::serve(http, address, client, drain).await,
        Begins::Not => return,
        Begins::Otherwise => (),
    }
    // What the last answer's location says about waiting for another request, and about closing.
    let mut core = Arc::clone(&client.peer.reached(asked).default.outer.core);
    let mut served = 0;
    loop {
        let pipelined = served > 0 && !client.buffer.borrow().is_empty();
        let limit =
            if served == 0 { core.client_header_timeout() } else { core.keepalive_timeout() };
        let mut counted = Counted::one(Count::Waiting);
        if !client.wait_for_request(limit, core.keepalive_min_timeout(), &drain).await {
            return;
        }
        served += 1;
        client.peer.requests.set(served);
        let head = request::read(asked, &client, &mut counted).await;
        let Some(mut head) = head else { return };
        counted.turn_into(Count::Writing);
        head.request.pipelined = pipelined;
        let connection;
        (connection, core) = answer(&http, address, &client, head, &drain).await;
        match connection {
            Connection::Keep => (),
            Connection::Close | Connection::TimedOut => return,
            Connection::Linger => return linger::close(&client, &core).await,
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
