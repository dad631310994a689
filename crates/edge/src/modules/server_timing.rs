//! `server_timing on`: the edge's share of the time, appended to what the hops behind it wrote. Ours,
//! not nginx's; it may stand outside of `http`, so that a chain can switch it on with `-g` and leave
//! the file as nginx takes it.

use std::sync::Arc;

use trace::{SERVER_TIMING, write_server_timing};

use crate::{
    conf::ConfError,
    engine::plan::{self, Plan},
    exchange::Exchange,
    load::{Arity::Exactly, Block, Directive, Module, Setting, Site, directive},
    response::Response,
};

#[derive(Clone, Default)]
pub struct ServerTiming {
    on: Setting<bool>,
}

const BLOCKS: &[Block] = &[Block::Main, Block::Http, Block::Server, Block::Location];

impl Module for ServerTiming {
    const DIRECTIVES: &'static [Directive<Self>] =
        &[directive("server_timing", BLOCKS, Exactly(1), |timing, args| {
            timing.on.set(args.flag()?, args)
        })];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.on.inherit(&outer.on);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        if self.on.or(false) {
            plan.filters.push(self);
        }
        Ok(())
    }
}

/// The last filter, so that what the others took is in the figure.
impl plan::Filter for ServerTiming {
    fn apply(&self, exchange: &mut Exchange, mut response: Response) -> Response {
        let mut value = Vec::new();
        write_server_timing(&mut value, "edge", exchange.story.age());
        response.headers.push(SERVER_TIMING, value);
        response
    }
}
