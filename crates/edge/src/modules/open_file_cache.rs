//! `open_file_cache` and `disable_symlinks`: how the files of a location are opened. What is done
//! with these settings stands in [`crate::body::file`].

use std::{sync::Arc, time::Duration};

use crate::{
    body::{
        file::{Caching, Opening},
        symlinks::Symlinks,
    },
    conf::ConfError,
    engine::plan::Plan,
    load::{
        Args,
        Arity::{Between, Exactly},
        Block, Directive, Module, Setting, Site, directive, parse_time,
    },
};

#[derive(Clone, Default)]
pub struct OpenFileCache {
    /// `None` is `off`.
    cache: Setting<Option<(usize, Duration)>>,
    valid: Setting<Duration>,
    min_uses: Setting<u32>,
    errors: Setting<bool>,
    symlinks: Setting<Symlinks>,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for OpenFileCache {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("open_file_cache", BLOCKS, Between(1, 2), OpenFileCache::set_cache),
        directive("open_file_cache_valid", BLOCKS, Exactly(1), |files, args| {
            files.valid.set(args.time(0)?, args)
        }),
        directive("open_file_cache_min_uses", BLOCKS, Exactly(1), |files, args| {
            files.min_uses.set(args.number(0)?, args)
        }),
        directive("open_file_cache_errors", BLOCKS, Exactly(1), |files, args| {
            files.errors.set(args.flag()?, args)
        }),
        directive("disable_symlinks", BLOCKS, Between(1, 2), OpenFileCache::set_symlinks),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.cache.inherit(&outer.cache);
        self.valid.inherit(&outer.valid);
        self.min_uses.inherit(&outer.min_uses);
        self.errors.inherit(&outer.errors);
        self.symlinks.inherit(&outer.symlinks);
    }

    fn install(self: Arc<Self>, _plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        Ok(())
    }
}

impl OpenFileCache {
    fn set_cache(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let (mut max, mut inactive) = (None, Duration::from_mins(1));
        for place in 0..args.len() {
            let word = args.word(place);
            let bad = || {
                let message = format!("invalid \"open_file_cache\" parameter \"{word}\"");
                args.complain(message)
            };
            if word == "off" {
                return self.cache.set(None, args);
            } else if let Some(text) = word.strip_prefix("max=") {
                max = Some(text.parse().ok().filter(|max| *max > 0).ok_or_else(bad)?);
            } else if let Some(text) = word.strip_prefix("inactive=") {
                inactive = parse_time(text).ok_or_else(bad)?;
            } else {
                return Err(bad());
            }
        }
        let Some(max) = max else {
            let message = "\"open_file_cache\" must have the \"max\" parameter";
            return Err(args.complain(message));
        };
        self.cache.set(Some((max, inactive)), args)
    }

    fn set_symlinks(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let (mut kind, mut from) = (None, None);
        for place in 0..args.len() {
            match args.word(place) {
                word @ ("on" | "off" | "if_not_owner") => kind = Some(word.to_owned()),
                word if word.starts_with("from=") && word.contains('$') => {
                    let message = format!(
                        "\"disable_symlinks\" \"{word}\": nginx has variables here; the edge does not yet"
                    );
                    return Err(args.complain(message));
                }
                word => match word.strip_prefix("from=") {
                    Some(path) => from = Some(path.into()),
                    None => return Err(args.invalid_parameter(place)),
                },
            }
        }
        let symlinks = match kind.as_deref() {
            Some("on") => Symlinks::Refused { from },
            Some("if_not_owner") => Symlinks::SameOwner { from },
            Some(_) if from.is_none() => Symlinks::Followed,
            Some(_) => {
                return Err(args.complain("no \"on\" or \"if_not_owner\" parameter with \"from\""));
            }
            None => {
                let message =
                    "\"disable_symlinks\" must have \"off\", \"on\" or \"if_not_owner\" parameter";
                return Err(args.complain(message));
            }
        };
        self.symlinks.set(symlinks, args)
    }

    /// For the families that open files.
    pub fn opening(&self) -> Opening {
        let cache = self.cache.or(None).map(|(max, inactive)| Caching {
            max,
            inactive,
            valid: self.valid.or(Duration::from_mins(1)),
            min_uses: self.min_uses.or(1),
            errors: self.errors.or(false),
        });
        Opening { symlinks: self.symlinks.or(Symlinks::Followed), cache }
    }
}
