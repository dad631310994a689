//! `uwsgi_pass`: the request goes on by uWSGI's own protocol, to a uWSGI server.
//!
//! A packet is four bytes (a modifier, the length of the variables, another modifier), the
//! variables, and the body as it is. The answer is a head and a body, and the connection's end.

use std::sync::Arc;

use bytes::Bytes;

use super::passing::{Dialect, PLACES, Packet, Param, Params, Passing, To, passing_directives};
use crate::{
    conf::ConfError,
    engine::plan::Plan,
    exchange::Exchange,
    load::{
        Args,
        Arity::{Between, Exactly},
        Block, Directive, List, Module, Setting, Site, directive,
    },
    upstream::Protocol,
};

#[derive(Clone, Default)]
pub struct Uwsgi {
    passing: Passing,
    pass: Option<To>,
    params: List<Param>,
    modifier1: Setting<u8>,
    modifier2: Setting<u8>,
    string: Setting<Bytes>,
}

impl Module for Uwsgi {
    const DIRECTIVES: &'static [Directive<Self>] = passing_directives![
        "uwsgi",
        directive("uwsgi_pass", &[Block::Location, Block::If], Exactly(1), |family, args| {
            if family.pass.is_some() {
                return Err(args.refuse("is duplicate"));
            }
            family.pass = Some(To::read(args)?);
            Ok(())
        }),
        directive("uwsgi_param", PLACES, Between(2, 3), |family, args| {
            family.params.push(Param::read(args)?);
            Ok(())
        }),
        directive("uwsgi_modifier1", PLACES, Exactly(1), |family, args| {
            family.modifier1.set(modifier(args)?, args)
        }),
        directive("uwsgi_modifier2", PLACES, Exactly(1), |family, args| {
            family.modifier2.set(modifier(args)?, args)
        }),
        directive("uwsgi_string", PLACES, Exactly(1), |family, args| {
            family.string.set(Bytes::copy_from_slice(args.word(0).as_bytes()), args)
        }),
    ];

    fn inherit(&mut self, outer: &Self, into: Block) {
        To::inherit(&mut self.pass, &outer.pass, into);
        self.passing.inherit(&outer.passing);
        self.params.inherit(&outer.params);
        self.modifier1.inherit(&outer.modifier1);
        self.modifier2.inherit(&outer.modifier2);
        self.string.inherit(&outer.string);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        let Some(to) = &self.pass else { return Ok(()) };
        let dialect = Dialect {
            protocol: Protocol::Uwsgi,
            hidden: &[],
            folder: "uwsgi_temp",
            packet: Box::new(Frame {
                modifier1: self.modifier1.or(0),
                modifier2: self.modifier2.or(0),
                string: self.string.or(Bytes::new()),
            }),
        };
        to.install(&self.passing, &self.params, dialect, plan, site)
    }
}

fn modifier(args: &Args<'_>) -> Result<u8, ConfError> {
    let number: u64 = args.number(0)?;
    u8::try_from(number).map_err(|_| args.complain("value must be between 0 and 255"))
}

/// The packet without its variables.
struct Frame {
    modifier1: u8,
    modifier2: u8,
    string: Bytes,
}

const HEADER: usize = 4;

impl Packet for Frame {
    fn place<'a>(&self, url: &'a str) -> Result<&'a str, String> {
        let after = |scheme: &str| {
            let start = url.get(..scheme.len())?;
            start.eq_ignore_ascii_case(scheme).then(|| &url[scheme.len()..])
        };
        if after("suwsgi://").is_some() {
            let message = "\"suwsgi://\" in \"uwsgi_pass\": nginx has this; the edge does not yet";
            return Err(message.to_owned());
        }
        Ok(after("uwsgi://").unwrap_or(url))
    }

    fn pack(&self, params: &Params, exchange: &Exchange) -> Result<Bytes, String> {
        let mut packet = Vec::with_capacity(2 << 10);
        packet.extend_from_slice(&[self.modifier1, 0, 0, self.modifier2]);
        // A length that does not fit makes the packet too long as well, and is never sent.
        let part = |packet: &mut Vec<u8>, text: &[u8]| {
            packet.extend_from_slice(&(text.len() as u16).to_le_bytes());
            packet.extend_from_slice(text);
        };
        params.tell(exchange, |name, value| {
            part(&mut packet, name);
            part(&mut packet, value);
        });
        packet.extend_from_slice(&self.string);
        let length = packet.len() - HEADER;
        let fits = u16::try_from(length);
        let fits = fits.map_err(|_| format!("uwsgi request is too big: {length}"))?;
        packet[1..3].copy_from_slice(&fits.to_le_bytes());
        Ok(packet.into())
    }
}
