//! `return`.

use std::sync::Arc;

use crate::{
    conf::ConfError,
    engine::plan::{self, Answer, Plan, Rewritten},
    exchange::Exchange,
    load::{Arity::Between, Block, Directive, Module, Site, directive},
    response::{Body, Response},
    vars::Template,
};

#[derive(Default)]
pub struct Rewrite {
    answer: Option<(u16, Option<Template>)>,
}

const BLOCKS: &[Block] = &[Block::Server, Block::ServerIf, Block::Location, Block::If];

impl Module for Rewrite {
    const DIRECTIVES: &'static [Directive<Self>] =
        &[directive("return", BLOCKS, Between(1, 2), |rewrite, args| {
            let text = args.get(1).is_some().then(|| args.template(1)).transpose()?;
            rewrite.answer = Some((args.number(0)?, text));
            Ok(())
        })];

    fn inherit(&mut self, _outer: &Self, _into: Block) {}

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        if self.answer.is_some() {
            plan.rewrite.push(self);
        }
        Ok(())
    }
}

impl plan::Rewrite for Rewrite {
    fn rewrite(&self, exchange: &mut Exchange) -> Rewritten {
        match &self.answer {
            None => Rewritten::Unchanged,
            Some((status, None)) => Rewritten::Answer(Answer::Status(*status)),
            Some((status, Some(text))) => {
                let mut response = Response::new(*status);
                response.body = Body::Bytes(text.render(exchange));
                Rewritten::Answer(Answer::response(response))
            }
        }
    }
}
