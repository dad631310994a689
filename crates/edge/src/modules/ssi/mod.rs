//! `ssi`: commands inside of a page, `<!--#include virtual="/head.html" -->`, obeyed on its way out.
//!
//! A page is read as a stream and never held whole: what comes before an include is on its way to
//! the client while the include is still being fetched. Includes are fetched one after the other, in
//! the order of the page.

mod reader; // a page to text and commands
mod commands; // what there is to be said
mod text; // strings with `$names` in them
mod condition; // `expr` of `if`
mod knowledge; // what the pages of a request know together
mod page; // the page, obeyed
mod include; // another place's answer in this one
mod date; // $date_local, $date_gmt

use std::sync::Arc;

use super::charset;
use crate::{
    conf::ConfError,
    engine::plan::{Filter, Plan},
    exchange::Exchange,
    load::{
        Arity::{AtLeast, Exactly},
        Block, Directive, HTML, Module, Setting, Site, TypeList, directive,
    },
    response::{Body, Response, Stream},
    vars::Variable,
};
use page::Page;

#[derive(Clone, Default)]
pub struct Ssi {
    on: Setting<bool>,
    types: TypeList,
    silent_errors: Setting<bool>,
    last_modified: Setting<bool>,
    value_length: Setting<usize>,
    output_buffer_size: Setting<u64>,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];
const WITH_IF: &[Block] = &[Block::Http, Block::Server, Block::Location, Block::If];

impl Module for Ssi {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("ssi", WITH_IF, Exactly(1), |ssi, args| ssi.on.set(args.flag()?, args)),
        directive("ssi_types", BLOCKS, AtLeast(1), |ssi, args| {
            ssi.types.add(args);
            Ok(())
        }),
        directive("ssi_silent_errors", BLOCKS, Exactly(1), |ssi, args| {
            ssi.silent_errors.set(args.flag()?, args)
        }),
        directive("ssi_last_modified", BLOCKS, Exactly(1), |ssi, args| {
            ssi.last_modified.set(args.flag()?, args)
        }),
        directive("ssi_value_length", BLOCKS, Exactly(1), |ssi, args| {
            ssi.value_length.set(args.number(0)?, args)
        }),
        directive("subrequest_output_buffer_size", BLOCKS, Exactly(1), |ssi, args| {
            ssi.output_buffer_size.set(args.size(0)?, args)
        }),
    ];

    const VARIABLES: &'static [Variable] = date::VARIABLES;

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.on.inherit(&outer.on);
        self.types.inherit(&outer.types);
        self.silent_errors.inherit(&outer.silent_errors);
        self.last_modified.inherit(&outer.last_modified);
        self.value_length.inherit(&outer.value_length);
        self.output_buffer_size.inherit(&outer.output_buffer_size);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        if self.on.or(false) {
            let rules = Rules {
                silent_errors: self.silent_errors.or(false),
                value_length: self.value_length.or(255),
                set_length: self.output_buffer_size.or(4 << 10),
            };
            plan.filters.push(Arc::new(Handler { settings: self, rules }));
        }
        Ok(())
    }
}

/// How a location's pages are read.
#[derive(Clone, Copy)]
struct Rules {
    silent_errors: bool,
    /// A parameter's value may not be longer.
    value_length: usize,
    /// Nor what an include brings that becomes a variable.
    set_length: u64,
}

struct Handler {
    settings: Arc<Ssi>,
    rules: Rules,
}

impl Filter for Handler {
    fn apply(&self, exchange: &mut Exchange, mut response: Response) -> Response {
        let kind = response.content_type.as_deref().unwrap_or_default();
        if response.body.length() == Some(0) || !self.settings.types.has(kind, HTML) {
            return response;
        }
        if exchange.depth == 0 {
            exchange.sent.charset = charset::of(&response);
        }
        response.ranges = false;
        response.headers.remove("Accept-Ranges");
        if self.settings.last_modified.or(false) {
            response.weaken_etag();
        } else {
            response.last_modified = None;
            response.headers.remove("Last-Modified");
            response.headers.remove("ETag");
        }
        let body = std::mem::replace(&mut response.body, Body::Empty);
        response.body = match body {
            Body::Tunnel(tunnel) => Body::Tunnel(tunnel),
            Body::Absent(_) => Body::Absent(None),
            body if exchange.is_head() => {
                drop(body);
                Body::Absent(None)
            }
            body => match body.into_source() {
                None => Body::Empty,
                Some(source) => {
                    let source = Box::new(Page::new(exchange, source, self.rules));
                    Body::Stream(Stream { length: None, source })
                }
            },
        };
        response
    }

    fn reaches_inside(&self) -> bool {
        true
    }
}
