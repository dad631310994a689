//! `limit_rate`: how fast an answer leaves, once `limit_rate_after` has. How an answer is held back
//! is the connection's business (`connection/pace.rs`).

use std::sync::Arc;

use crate::{
    conf::ConfError,
    engine::plan::Plan,
    exchange::Exchange,
    load::{Args, Arity::Exactly, Block, Directive, Module, Setting, Site, directive, parse_size},
    log::Level,
    vars::{Template, Variable, volatile},
};

#[derive(Clone, Default)]
pub struct LimitRate {
    rate: Setting<Size>,
    after: Setting<Size>,
}

/// A size that may hang on the request.
#[derive(Clone)]
enum Size {
    Known(u64),
    Asked(Template),
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location, Block::If];

impl Module for LimitRate {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("limit_rate", BLOCKS, Exactly(1), |limit, args| {
            limit.rate.set(Size::read(args)?, args)
        }),
        directive("limit_rate_after", BLOCKS, Exactly(1), |limit, args| {
            limit.after.set(Size::read(args)?, args)
        }),
    ];

    const VARIABLES: &'static [Variable] = &[volatile("limit_rate", |exchange, _| {
        Some(exchange.limit_rate.unwrap_or(0).to_string().into())
    })];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.rate.inherit(&outer.rate);
        self.after.inherit(&outer.after);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        if self.rate.said().is_some() || self.after.said().is_some() {
            plan.limit_rate = Some(self);
        }
        Ok(())
    }
}

impl LimitRate {
    /// Bytes a second; 0 is as fast as it goes.
    pub fn rate(&self, exchange: &Exchange) -> u64 {
        self.rate.said().map_or(0, |size| size.of(exchange))
    }

    /// What leaves before it is held back.
    pub fn after(&self, exchange: &Exchange) -> u64 {
        self.after.said().map_or(0, |size| size.of(exchange))
    }
}

impl Size {
    fn read(args: &mut Args<'_>) -> Result<Size, ConfError> {
        let template = args.template(0)?;
        if template.as_literal().is_some() {
            args.size(0).map(Size::Known)
        } else {
            Ok(Size::Asked(template))
        }
    }

    fn of(&self, exchange: &Exchange) -> u64 {
        let template = match self {
            Size::Known(size) => return *size,
            Size::Asked(template) => template,
        };
        let text = template.render(exchange);
        let text = String::from_utf8_lossy(&text);
        parse_size(&text).unwrap_or_else(|| {
            exchange.log(Level::Error, &format!("invalid size \"{text}\""));
            0
        })
    }
}

/// `set $limit_rate`: this request's own rate, whatever its location says.
pub fn set(exchange: &mut Exchange, value: &[u8]) {
    let text = String::from_utf8_lossy(value);
    match parse_size(&text) {
        Some(rate) => exchange.limit_rate = Some(rate),
        None => exchange.log(Level::Error, &format!("invalid $limit_rate \"{text}\"")),
    }
}
