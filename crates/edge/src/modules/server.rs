//! `listen` and `server_name`: where a server is reached, and by which names.

use std::sync::Arc;

use crate::{
    conf::ConfError,
    engine::plan::Plan,
    listen::Listen,
    load::{Args, Arity::AtLeast, Block, Directive, Module, ServerName, Site, directive},
    regex::Case,
};

#[derive(Clone, Default)]
pub struct VirtualServer {
    listens: Vec<Listen>,
    names: Vec<(String, ServerName)>,
}

const BLOCKS: &[Block] = &[Block::Server];

impl Module for VirtualServer {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("listen", BLOCKS, AtLeast(1), |server, args| {
            let words: Vec<&str> = args.words().iter().map(|word| word.text.as_str()).collect();
            for listen in Listen::read(&words).map_err(|message| args.complain(message))? {
                if server.listens.iter().any(|known| known.address == listen.address) {
                    return Err(args.complain(format!("a duplicate listen {}", words[0])));
                }
                server.listens.push(listen);
            }
            if server.listens.last().is_some_and(|listen| listen.http2) {
                let warning = args.complain(
                    "the \"listen ... http2\" directive is deprecated, use the \"http2\" directive \
                     instead",
                );
                args.loader.warnings.push(warning);
            }
            Ok(())
        }),
        directive("server_name", BLOCKS, AtLeast(1), VirtualServer::add_names),
    ];

    fn inherit(&mut self, outer: &Self, into: Block) {
        // Everything inside a server belongs to that server.
        if into != Block::Server {
            self.names.clone_from(&outer.names);
        }
    }

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl VirtualServer {
    fn add_names(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        for place in 0..args.len() {
            let word = match args.word(place) {
                word if word.eq_ignore_ascii_case("$hostname") => crate::vars::hostname(),
                word => word.to_owned(),
            };
            if word.contains('/') && !word.starts_with('~') {
                let message = format!("server name \"{word}\" has suspicious symbols");
                args.loader.warnings.push(args.complain(message));
            }
            let lower = word.to_ascii_lowercase();
            let wildcard = |rest: &str| {
                let good = !rest.is_empty() && !rest.contains('*') && !rest.contains("..");
                let message = format!("invalid server name or wildcard \"{word}\"");
                if good { Ok(()) } else { Err(args.complain(message)) }
            };
            let name = if let Some(pattern) = word.strip_prefix('~') {
                ServerName::Pattern(args.regex(pattern, Case::Insensitive)?)
            } else if let Some(end) = lower.strip_prefix("*.") {
                wildcard(end)?;
                ServerName::Leading(format!(".{end}"))
            } else if let Some(start) = lower.strip_suffix(".*") {
                wildcard(start)?;
                ServerName::Trailing(format!("{start}."))
            } else if let Some(domain) = lower.strip_prefix('.') {
                // `.example.org` is the domain and everything below it.
                wildcard(domain)?;
                self.names.push((word.clone(), ServerName::Exact(domain.to_owned())));
                ServerName::Leading(lower)
            } else {
                if !lower.is_empty() {
                    wildcard(&lower)?;
                }
                ServerName::Exact(lower)
            };
            self.names.push((word, name));
        }
        Ok(())
    }

    /// Where the server listens; without a `listen`, where nginx does.
    pub fn listens(&self) -> Vec<Listen> {
        if self.listens.is_empty() { vec![Listen::default()] } else { self.listens.clone() }
    }

    pub fn names(&self) -> impl Iterator<Item = &ServerName> {
        self.names.iter().map(|(_, name)| name)
    }

    /// `$server_name`; `.example.org` goes by `example.org`.
    pub fn first_name(&self) -> String {
        let first = self.names.first().map_or("", |(name, _)| name);
        first.strip_prefix('.').unwrap_or(first).to_owned()
    }
}
