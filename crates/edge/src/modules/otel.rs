//! Tracing: `otel_trace` and `otel_trace_context`, by the names of nginx's own OpenTelemetry module.
//! They may stand outside of `http` as well, so that a chain can switch them on with `-g` and leave
//! the file as nginx takes it.
//!
//! Without an exporter: the trace is in the log lines and in the header that the next hop gets.

use std::sync::Arc;

use trace::{TRACEPARENT, TraceContext};

use crate::{
    conf::ConfError,
    engine::plan::{self, Plan, Rewritten},
    exchange::Exchange,
    load::{Arity::Exactly, Block, Directive, Module, Setting, Site, directive},
    vars::{Template, Variable, variable},
};

#[derive(Clone, Default)]
pub struct Otel {
    trace: Setting<Template>,
    context: Setting<Context>,
}

/// What is done with the context a request comes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Context {
    /// The client's trace is continued; the next hop is told what the client said.
    Extract,
    /// A trace is begun, and the next hop is told of it.
    Inject,
    /// The client's trace is continued, and the next hop is told of this step.
    Propagate,
    Ignore,
}

const BLOCKS: &[Block] = &[Block::Main, Block::Http, Block::Server, Block::Location];

impl Module for Otel {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("otel_trace", BLOCKS, Exactly(1), |otel, args| {
            let trace = args.template(0)?;
            let is_switch = matches!(trace.as_literal().as_deref(), Some(b"on" | b"off") | None);
            if !is_switch {
                let word = args.word(0);
                return Err(args.complain(format!("invalid value \"{word}\"")));
            }
            otel.trace.set(trace, args)
        }),
        directive("otel_trace_context", BLOCKS, Exactly(1), |otel, args| {
            let context = match args.word(0) {
                "extract" => Context::Extract,
                "inject" => Context::Inject,
                "propagate" => Context::Propagate,
                "ignore" => Context::Ignore,
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            };
            otel.context.set(context, args)
        }),
    ];

    const VARIABLES: &'static [Variable] = &[
        variable("otel_trace_id", |exchange, _| {
            exchange.story.trace_span.map(|span| span.trace_id().to_string().into())
        }),
        variable("otel_span_id", |exchange, _| {
            exchange.story.trace_span.map(|span| span.span_id().to_string().into())
        }),
        variable("otel_parent_id", |exchange, _| {
            exchange.story.trace_parent.map(|parent| parent.span_id().to_string().into())
        }),
        variable("otel_parent_sampled", |exchange, _| {
            let sampled = exchange.story.trace_parent.is_some_and(|parent| parent.sampled());
            Some(if sampled { "1".into() } else { "0".into() })
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.trace.inherit(&outer.trace);
        self.context.inherit(&outer.context);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        let off = self
            .trace
            .said()
            .is_none_or(|trace| trace.as_literal().is_some_and(|switch| switch == "off"));
        // The location around an `if` has begun the trace already.
        if !off && !site.block.is_unnamed() {
            plan.rewrite.push(self);
        }
        Ok(())
    }
}

/// As early as a block is known. The server's own block begins the trace, unless only a location
/// has it on.
impl plan::Rewrite for Otel {
    fn rewrite(&self, exchange: &mut Exchange) -> Rewritten {
        if exchange.story.trace_span.is_some() {
            return Rewritten::Unchanged;
        }
        let trace = self.trace.said().map(|trace| trace.render(exchange)).unwrap_or_default();
        if !matches!(&trace[..], b"on" | b"1") {
            return Rewritten::Unchanged;
        }
        // nginx's default is `ignore`, which would leave every hop with a trace of its own.
        let context = self.context.or(Context::Propagate);
        let continues = matches!(context, Context::Extract | Context::Propagate);
        let sent = exchange.header(TRACEPARENT).filter(|_| continues);
        let parent = sent.and_then(|value| TraceContext::parse(value));
        let span = parent.map_or_else(TraceContext::start, TraceContext::child);
        let story = &mut exchange.story;
        story.trace_parent = parent;
        story.trace_span = Some(span);
        story.trace = Some(span);
        if matches!(context, Context::Inject | Context::Propagate) {
            story.trace_forward = Some(span);
        }
        Rewritten::Unchanged
    }
}
