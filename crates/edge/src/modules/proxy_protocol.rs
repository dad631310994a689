//! `$proxy_protocol_*`: what was said before the first request of a connection. There is nothing to
//! configure but `listen ... proxy_protocol`; whether it is believed is realip's business.

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;

use crate::{
    conf::ConfError,
    connection::ProxyHeader,
    engine::plan::Plan,
    exchange::Exchange,
    load::{Block, Directive, Module, Site},
    vars::{Variable, variable},
};

#[derive(Default)]
pub struct ProxyProtocol;

impl Module for ProxyProtocol {
    const DIRECTIVES: &'static [Directive<Self>] = &[];

    const VARIABLES: &'static [Variable] = &[
        variable("proxy_protocol_addr", |exchange, _| ip(said(exchange)?.source)),
        variable("proxy_protocol_port", |exchange, _| port(said(exchange)?.source)),
        variable("proxy_protocol_server_addr", |exchange, _| ip(said(exchange)?.destination)),
        variable("proxy_protocol_server_port", |exchange, _| port(said(exchange)?.destination)),
        variable("proxy_protocol_tlv_", |exchange, name| said(exchange)?.value(name)),
    ];

    fn inherit(&mut self, _outer: &Self, _into: Block) {}

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

fn said(exchange: &Exchange) -> Option<&ProxyHeader> {
    exchange.client.peer.proxied.get()
}

#[expect(clippy::unnecessary_wraps, reason = "a variable's value may be missing")]
fn ip(address: SocketAddr) -> Option<Bytes> {
    Some(address.ip().to_string().into())
}

/// A port of 0 is written as none.
fn port(address: SocketAddr) -> Option<Bytes> {
    Some(address.port()).map(|port| if port == 0 { Bytes::new() } else { port.to_string().into() })
}
