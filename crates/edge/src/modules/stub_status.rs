//! `stub_status`: how many connections and requests there are and were. They are counted in
//! `connection/counts.rs`.

use std::sync::Arc;

use bytes::Bytes;

use crate::{
    conf::ConfError,
    connection::counts::{self, Count},
    engine::plan::{Answer, Content, Plan, Work},
    exchange::Exchange,
    load::{Arity::Between, Block, Directive, Module, Site, directive},
    response::{Body, Response},
    vars::{Variable, volatile},
};

#[derive(Clone, Default)]
pub struct StubStatus {
    on: bool,
}

const BLOCKS: &[Block] = &[Block::Server, Block::Location];

impl Module for StubStatus {
    const DIRECTIVES: &'static [Directive<Self>] =
        // Its word meant something once, and may still stand there.
        &[directive("stub_status", BLOCKS, Between(0, 1), |status, _| {
                status.on = true;
                Ok(())
            })];

    const VARIABLES: &'static [Variable] = &[
        volatile("connections_active", |_, _| number(Count::Active)),
        volatile("connections_reading", |_, _| number(Count::Reading)),
        volatile("connections_writing", |_, _| number(Count::Writing)),
        volatile("connections_waiting", |_, _| number(Count::Waiting)),
    ];

    fn inherit(&mut self, outer: &Self, into: Block) {
        // A location says for itself what it answers; an `if` is a part of one.
        self.on |= outer.on && into.is_unnamed();
    }

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        counts::prepare();
        if self.on {
            plan.handler = Some(self);
        }
        Ok(())
    }
}

#[expect(clippy::unnecessary_wraps, reason = "a variable's value may be missing")]
fn number(count: Count) -> Option<Bytes> {
    Some(counts::sum(count).to_string().into())
}

impl Content for StubStatus {
    fn answer<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Option<Answer>> {
        if !matches!(&exchange.request.method[..], b"GET" | b"HEAD") {
            return Work::Now(Some(Answer::Status(405)));
        }
        let [active, accepted, handled, requests, reading, writing, waiting] = [
            Count::Active,
            Count::Accepted,
            Count::Handled,
            Count::Requests,
            Count::Reading,
            Count::Writing,
            Count::Waiting,
        ]
        .map(counts::sum);
        let text = format!(
            "Active connections: {active} \nserver accepts handled requests\n \
             {accepted} {handled} {requests} \n\
             Reading: {reading} Writing: {writing} Waiting: {waiting} \n"
        );
        let mut response = Response::new(200);
        response.content_type = Some(Bytes::from_static(b"text/plain"));
        response.body = Body::Bytes(text.into());
        Work::Now(Some(Answer::response(response)))
    }
}
