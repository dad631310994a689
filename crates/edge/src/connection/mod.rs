//! One client connection, from accept to close. With `body/` and `upstream/`, all that touches a
//! socket; everything else sees an [`Exchange`] and makes a [`Response`](crate::response::Response).
//!
//! The codec is our own, over `http1`: nginx answers a malformed request with a page and a log
//! line, and forwards the spelling of a header; a server that refuses before it asks can do neither.

mod client; // the socket, its buffer and its deadlines
mod request; // bytes to a request, or to a refusal
mod respond; // a response to bytes
mod linger; // how to close without losing what was sent

use std::{rc::Rc, sync::Arc};

pub use client::{Client, ClientError, Io, Peer, PeerAddress};

use crate::{
    body::RequestBody,
    engine,
    exchange::Exchange,
    load::Http,
    log::Level,
    process::Drain,
    uri::{self, Slashes},
};
use request::{Head, Refusal};
use respond::Connection;

/// Serves one connection. `address` is its place in `http.addresses`.
pub async fn serve(http: Arc<Http>, address: usize, client: Rc<Client>, drain: Drain) {
    let mut served = 0;
    loop {
        let defaults = &http.addresses[address].default.outer.core;
        let limit = if served == 0 {
            defaults.client_header_timeout()
        } else {
            defaults.keepalive_timeout()
        };
        if !client.wait_for_request(limit, &drain).await {
            return;
        }
        served += 1;
        client.peer.requests.set(served);
        let head = request::read(&http.addresses[address], &client).await;
        let Some(head) = head else { return };
        match answer(&http, address, &client, head, &drain).await {
            Connection::Keep => (),
            Connection::Close => return,
            Connection::Linger => return linger::close(&client, &http.addresses[address]).await,
        }
    }
}

async fn answer(
    http: &Arc<Http>,
    address: usize,
    client: &Rc<Client>,
    head: Head,
    drain: &Drain,
) -> Connection {
    let Head { request, framing, refusal } = head;
    let server = http.addresses[address].server(request.host.as_ref());
    let body = RequestBody::new(client, &request, framing);
    let mut exchange = Exchange::new(http, client, server, request, body);
    let refusal = refusal.or_else(|| locate(&mut exchange, address).err());
    let response = match refusal {
        None => engine::answer(&mut exchange).await,
        Some(refusal) => {
            exchange.request.keep_alive = false;
            exchange.log(Level::Info, refusal.message);
            engine::refuse(&mut exchange, refusal.status).await
        }
    };
    let connection = match response {
        Some(response) => respond::send(&mut exchange, response, drain).await,
        None => Connection::Close,
    };
    engine::finish(&mut exchange);
    connection
}

/// The path that locations are compared with, and what the server's name has captured.
fn locate(exchange: &mut Exchange, address: usize) -> Result<(), Refusal> {
    let core = Arc::clone(&exchange.server.outer.core);
    let slashes = if core.merge_slashes() { Slashes::Merge } else { Slashes::Keep };
    let path = exchange.request.path();
    let uri = uri::normalise(&path, slashes)
        .map_err(|_| Refusal { status: 400, message: "client sent invalid request" })?;
    exchange.quoted_uri = path.iter().take_while(|byte| **byte != b'?').any(|b| b"%+".contains(b));
    exchange.uri = uri.path;
    exchange.args = uri.args.unwrap_or_default();
    if let Some(host) = exchange.request.host.clone() {
        let http = Arc::clone(&exchange.http);
        http.addresses[address].names.capture(exchange, &host);
    }
    Ok(())
}
