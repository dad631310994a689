//! `add_header`, `add_trailer` and `expires`: fields of the configuration's own, before the body and
//! after it.

mod expires; // until when an answer is good

use std::sync::Arc;

use bytes::Bytes;

use super::not_modified::parse_date;
use crate::{
    conf::ConfError,
    engine::plan::{Filter, Plan},
    exchange::Exchange,
    headers::one_line,
    load::{
        Args,
        Arity::{Between, Exactly},
        Block, Directive, Module, Setting, Site, directive,
    },
    response::{Response, Trailers},
    vars::Template,
};
use expires::Expires;

#[derive(Clone, Default)]
pub struct Headers {
    before: Fields,
    after: Fields,
    expires: Setting<Expires>,
}

/// `add_header` or `add_trailer`, and what becomes of those around.
#[derive(Clone, Default)]
struct Fields {
    added: Vec<Added>,
    inherit: Setting<Inherit>,
}

#[derive(Clone)]
struct Added {
    name: Bytes,
    value: Template,
    /// With any status, not only those that bring what was asked for.
    always: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Inherit {
    Off,
    /// Where none is said here.
    On,
    /// Also then, after those that are.
    Merge,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location, Block::If];

impl Module for Headers {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("add_header", BLOCKS, Between(2, 3), |headers, args| headers.before.add(args)),
        directive("add_trailer", BLOCKS, Between(2, 3), |headers, args| headers.after.add(args)),
        directive("add_header_inherit", BLOCKS, Exactly(1), |headers, args| {
            headers.before.inherit.set(Inherit::read(args)?, args)
        }),
        directive("add_trailer_inherit", BLOCKS, Exactly(1), |headers, args| {
            headers.after.inherit.set(Inherit::read(args)?, args)
        }),
        directive("expires", BLOCKS, Between(1, 2), |headers, args| {
            let expires = Expires::read(args)?;
            headers.expires.set(expires, args)
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.before.hear(&outer.before);
        self.after.hear(&outer.after);
        self.expires.inherit(&outer.expires);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        let expires = self.expires.said().filter(|expires| !matches!(expires, Expires::Off));
        let (headers, trailers) = (self.before.added.clone(), self.after.added.clone());
        if expires.is_some() || !headers.is_empty() || !trailers.is_empty() {
            plan.filters.push(Arc::new(Settled {
                expires: expires.cloned(),
                asks: headers.iter().any(|added| added.value.as_literal().is_none()),
                headers,
                trailers: Arc::new(After(trailers)),
            }));
        }
        Ok(())
    }
}

impl Inherit {
    fn read(args: &Args<'_>) -> Result<Inherit, ConfError> {
        match args.word(0) {
            "off" => Ok(Inherit::Off),
            "on" => Ok(Inherit::On),
            "merge" => Ok(Inherit::Merge),
            word => Err(args.complain(format!("invalid value \"{word}\""))),
        }
    }
}

impl Fields {
    fn add(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let always = match args.get(2) {
            None => false,
            Some("always") => true,
            Some(_) => return Err(args.invalid_parameter(2)),
        };
        let name = Bytes::copy_from_slice(args.word(0).as_bytes());
        self.added.push(Added { name, value: args.template(1)?, always });
        Ok(())
    }

    fn hear(&mut self, outer: &Fields) {
        self.inherit.inherit(&outer.inherit);
        let heard = match self.inherit.or(Inherit::On) {
            Inherit::Off => false,
            Inherit::On => self.added.is_empty(),
            Inherit::Merge => true,
        };
        if heard {
            self.added.extend_from_slice(&outer.added);
        }
    }
}

/// What a block sends along.
struct Settled {
    expires: Option<Expires>,
    headers: Vec<Added>,
    /// Some value is made for each request, and may ask for what is about to be sent.
    asks: bool,
    trailers: Arc<After>,
}

/// What follows the body.
struct After(Vec<Added>);

/// Statuses that bring what was asked for, or say where it is.
fn is_good(status: u16) -> bool {
    matches!(status, 200 | 201 | 204 | 206 | 301..=304 | 307 | 308)
}

impl Filter for Settled {
    fn apply(&self, exchange: &mut Exchange, mut response: Response) -> Response {
        let good = is_good(response.status);
        if let Some(expires) = self.expires.as_ref().filter(|_| good) {
            expires.apply(exchange, &mut response);
        }
        let added = self.headers.iter().filter(|added| good || added.always);
        if self.asks {
            exchange.pending = Some(Box::new(response));
            for added in added {
                let value = added.value.render(exchange);
                let response = exchange.pending.as_mut().expect("put there above");
                added.put(value, response);
            }
            response = *exchange.pending.take().expect("put there above");
        } else {
            added.for_each(|added| added.put(added.value.render(exchange), &mut response));
        }
        if self.trailers.0.iter().any(|added| good || added.always) {
            response.trailers.push(Arc::clone(&self.trailers) as Arc<dyn Trailers>);
        }
        response
    }
}

impl Added {
    fn put(&self, value: Bytes, response: &mut Response) {
        let value = one_line(value);
        if self.name.eq_ignore_ascii_case(b"last-modified") {
            response.last_modified = parse_date(&value);
            response.headers.remove("Last-Modified");
            if response.last_modified.is_none() && !value.is_empty() {
                response.headers.push("Last-Modified", value);
            }
        } else if self.name.eq_ignore_ascii_case(b"etag") {
            let value = Some(value).filter(|value| !value.is_empty());
            response.headers.replace("ETag", value);
        } else if !value.is_empty() {
            response.headers.push(self.name.clone(), value);
        }
    }
}

impl Trailers for After {
    fn write(&self, exchange: &mut Exchange) {
        let good = is_good(exchange.sent.status);
        for added in self.0.iter().filter(|added| good || added.always) {
            let value = one_line(added.value.render(exchange));
            if !value.is_empty() {
                exchange.sent.trailers.push(added.name.clone(), value);
            }
        }
    }
}
