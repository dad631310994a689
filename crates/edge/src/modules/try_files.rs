//! `try_files`: the first name that exists; otherwise the last word, a URI, a status or a named
//! location. Belongs to the block that says it and is inherited by none.

use std::{os::unix::ffi::OsStrExt, sync::Arc};

use bytes::Bytes;

use super::{open_file_cache::OpenFileCache, static_files::failure};
use crate::{
    body::file::{self, Kind, Opening},
    conf::ConfError,
    engine::plan::{Answer, Content, Plan, Work},
    exchange::Exchange,
    load::{Args, Arity::AtLeast, Block, Directive, Module, Site, directive},
    log::Level,
    uri::split_args,
    vars::Template,
};

#[derive(Clone, Default)]
pub struct TryFiles {
    said: Option<Words>,
}

#[derive(Clone)]
struct Words {
    files: Vec<Candidate>,
    otherwise: Otherwise,
}

/// A name, and whether a folder or anything but a folder is meant.
#[derive(Clone)]
struct Candidate {
    name: Template,
    folder: bool,
}

#[derive(Clone)]
enum Otherwise {
    Status(u16),
    Named(String),
    Uri(Template),
}

struct Handler {
    words: Words,
    opening: Opening,
}

const BLOCKS: &[Block] = &[Block::Server, Block::Location];

impl Module for TryFiles {
    const DIRECTIVES: &'static [Directive<Self>] =
        &[directive("try_files", BLOCKS, AtLeast(2), TryFiles::read)];

    fn inherit(&mut self, _outer: &Self, _into: Block) {}

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        let Some(words) = self.said.clone() else { return Ok(()) };
        let opening = site.get::<OpenFileCache>().opening();
        plan.precontent.push(Arc::new(Handler { words, opening }));
        Ok(())
    }
}

impl TryFiles {
    fn read(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        if self.said.is_some() {
            return Err(args.refuse("is duplicate"));
        }
        let last = args.len() - 1;
        let mut files = Vec::with_capacity(last);
        for place in 0..last {
            let word = args.word(place).to_owned();
            let (name, folder) = match word.strip_suffix('/') {
                Some(name) => (name, true),
                None => (word.as_str(), false),
            };
            files.push(Candidate { name: args.template_of(name)?, folder });
        }
        let word = args.word(last);
        let otherwise = if let Some(code) = word.strip_prefix('=') {
            let code = code.parse().ok().filter(|code| *code <= 999);
            let bad = || args.complain(format!("invalid code \"{}\"", &word[1..]));
            Otherwise::Status(code.ok_or_else(bad)?)
        } else if word.starts_with('@') {
            Otherwise::Named(word.to_owned())
        } else {
            Otherwise::Uri(args.template(last)?)
        };
        self.said = Some(Words { files, otherwise });
        Ok(())
    }
}

impl Content for Handler {
    fn answer<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Option<Answer>> {
        Work::Now(self.answer_now(exchange))
    }
}

impl Handler {
    /// `None`: the URI now names what was found, and the content phase answers with it.
    fn answer_now(&self, exchange: &mut Exchange) -> Option<Answer> {
        let location = Arc::clone(&exchange.location);
        let alias = location.core.is_alias();
        let prefix = location.core.alias_prefix().filter(|_| alias);
        for candidate in &self.words.files {
            let name = candidate.name.render(exchange);
            let uri = match prefix {
                // Below an alias, names are relative to what it stands for.
                Some(prefix) if !name.starts_with(prefix.as_bytes()) => {
                    Bytes::from([prefix.as_bytes(), &name[..]].concat())
                }
                _ => name,
            };
            exchange.below_alias = alias && prefix.is_none();
            let Some(path) = location.core.map_uri(exchange, &uri) else { continue };
            if path.as_os_str().as_bytes().contains(&0) {
                continue;
            }
            match file::look(&path, &self.opening.of(exchange)) {
                Ok(seen) if (seen.kind == Kind::Directory) == candidate.folder => {
                    if !(exchange.below_alias && candidate.folder) {
                        exchange.uri = uri;
                    }
                    exchange.below_alias &= !candidate.folder;
                    return None;
                }
                Ok(_) => (),
                Err(error) if file::is_absent(&error) => (),
                Err(error) => exchange.log(Level::Crit, &failure(&path, &error)),
            }
        }
        exchange.below_alias = false;
        Some(match &self.words.otherwise {
            Otherwise::Status(code) => Answer::Status(*code),
            Otherwise::Named(name) => Answer::Named(name.clone()),
            Otherwise::Uri(uri) => {
                let uri = uri.render(exchange);
                if uri.first() == Some(&b'@') {
                    return Some(Answer::Named(String::from_utf8_lossy(&uri).into_owned()));
                }
                let (uri, args) = split_args(&uri);
                Answer::Redirect { uri, args: Some(args) }
            }
        })
    }
}
