//! `ssi`: commands inside of a page, `<!--#include virtual="/head.html" -->`, obeyed on its way out.
//!
//! A page is read as a stream and never held whole: what comes before an include is on its way to
//! the client while the include is still being fetched. Includes are fetched one after the other, in
//! the order of the page.

mod reader; // a page to text and commands
mod commands; // what there is to be said
mod text; // strings with `$names` in them
mod condition; // `expr` of `if`
mod page; // the page, obeyed
mod include; // another place's answer in this one
mod date; // $date_local, $date_gmt

use std::{cell::RefCell, rc::Rc, sync::Arc};

use bytes::Bytes;

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
    min_file_chunk: Setting<u64>,
    output_buffer_size: Setting<u64>,
}

/// What the pages of one request know together: a page and all it includes.
#[derive(Default)]
struct Shared {
    /// By `set`, in lower case.
    variables: Vec<(String, Bytes)>,
    blocks: Vec<(Bytes, Vec<u8>)>,
    /// `$0` to `$9`, of the last `if` with a pattern.
    captures: Vec<Option<Bytes>>,
}

type Knowledge = Rc<RefCell<Shared>>;

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
        // A page goes by as a stream, so that no part of it is sent as a file; the number is read so
        // that a wrong one is named.
        directive("ssi_min_file_chunk", BLOCKS, Exactly(1), |ssi, args| {
            ssi.min_file_chunk.set(args.size(0)?, args)
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
        self.min_file_chunk.inherit(&outer.min_file_chunk);
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

impl Shared {
    fn variable(&self, name: &str) -> Option<Bytes> {
        if let [digit @ b'0'..=b'9'] = name.as_bytes()
            && let Some(capture) = self.captures.get(usize::from(digit - b'0'))
        {
            return Some(capture.clone().unwrap_or_default());
        }
        let found = self.variables.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.clone())
    }

    fn set(&mut self, name: String, value: Bytes) {
        match self.variables.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = value,
            None => self.variables.push((name, value)),
        }
    }

    fn block(&self, name: &[u8]) -> Option<Bytes> {
        let found = self.blocks.iter().find(|(known, _)| known == name);
        found.map(|(_, text)| Bytes::copy_from_slice(text))
    }
}
