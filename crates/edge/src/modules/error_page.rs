//! `error_page`: what a status becomes instead of the built-in page.

use std::sync::Arc;

use crate::{
    conf::ConfError,
    engine::plan::Plan,
    load::{
        Args,
        Arity::{AtLeast, Exactly},
        Block, Directive, List, Module, Setting, Site, directive,
    },
    vars::Template,
};

#[derive(Clone, Default)]
pub struct ErrorPages {
    rules: List<(u16, Instead)>,
    recursive: Setting<bool>,
}

/// Where to go instead, and under which status.
#[derive(Clone)]
pub struct Instead {
    /// `=404`; `Some(0)` is `=`: the status of whatever answers.
    pub status: Option<u16>,
    /// A URI, a named location, or another site's address.
    pub to: Template,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location, Block::If];
const NO_IF: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for ErrorPages {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("error_page", BLOCKS, AtLeast(2), ErrorPages::add),
        directive("recursive_error_pages", NO_IF, Exactly(1), |pages, args| {
            pages.recursive.set(args.flag()?, args)
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.rules.inherit(&outer.rules);
        self.recursive.inherit(&outer.recursive);
    }

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl ErrorPages {
    fn add(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let last = args.len() - 1;
        let (codes, status) = match args.word(last - 1).strip_prefix('=') {
            None => (last, None),
            Some(text) if last < 2 => {
                return Err(args.complain(format!("invalid value \"={text}\"")));
            }
            Some("") => (last - 1, Some(0)),
            Some(text) => match text.parse() {
                Ok(status) => (last - 1, Some(status)),
                Err(_) => return Err(args.complain(format!("invalid value \"={text}\""))),
            },
        };
        let to = args.template(last)?;
        for place in 0..codes {
            let word = args.word(place);
            let code: u16 = match word.parse() {
                Ok(code) if code != 499 => code,
                _ => return Err(args.complain(format!("invalid value \"{word}\""))),
            };
            if !(300..=599).contains(&code) {
                let message = format!("value \"{word}\" must be between 300 and 599");
                return Err(args.complain(message));
            }
            self.rules.push((code, Instead { status, to: to.clone() }));
        }
        Ok(())
    }

    pub fn find(&self, status: u16) -> Option<&Instead> {
        self.rules.iter().find(|(code, _)| *code == status).map(|(_, instead)| instead)
    }

    pub fn recursive(&self) -> bool {
        self.recursive.or(false)
    }
}
