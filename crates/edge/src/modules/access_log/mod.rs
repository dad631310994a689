//! `access_log` and `log_format`: one line a request, after its last byte.
//!
//! A line is written with one call and no buffer unless the file asks for one, and before the
//! connection is closed: whoever saw the response can read its line.

mod format; // what a line says
mod destination; // where it goes

use std::{sync::Arc, time::Duration};

use destination::Destination;
use format::Format;

use crate::{
    conf::{ConfError, Span},
    engine::plan::{self, Plan},
    exchange::Exchange,
    load::{
        Args,
        Arity::{AtLeast, Between},
        Block, Directive, Module, Setting, Site, directive, parse_size, parse_time,
    },
    log::{Buffering, CacheRules, LogCache},
    vars::Template,
};

#[derive(Clone, Default)]
pub struct AccessLog {
    formats: Vec<(String, Format)>,
    /// `None`: nothing is said here. Empty: `off`.
    logs: Option<Vec<Target>>,
    /// Shared by all blocks that inherit it.
    cache: Setting<Option<Arc<LogCache>>>,
}

#[derive(Clone)]
struct Target {
    to: Destination,
    format: Named,
    condition: Option<Template>,
}

#[derive(Clone)]
struct Named {
    name: String,
    span: Span,
}

/// The logs of one block, with their formats found.
struct Logs {
    all: Vec<(Target, Format)>,
    cache: Option<Arc<LogCache>>,
}

const BLOCKS: &[Block] =
    &[Block::Http, Block::Server, Block::Location, Block::If, Block::LimitExcept];
const NO_IF: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for AccessLog {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("log_format", &[Block::Http], AtLeast(2), AccessLog::add_format),
        directive("access_log", BLOCKS, AtLeast(1), AccessLog::add),
        directive("open_log_file_cache", NO_IF, Between(1, 4), |log, args| {
            log.cache.set(cache(args)?, args)
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        if self.logs.is_none() {
            self.logs.clone_from(&outer.logs);
        }
        self.cache.inherit(&outer.cache);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        let http = site.http::<AccessLog>();
        let mut all = Vec::new();
        for target in self.logs.iter().flatten() {
            all.push((target.clone(), http.format(&target.format)?));
        }
        if !all.is_empty() {
            plan.log.push(Arc::new(Logs { all, cache: self.cache.or(None) }));
        }
        Ok(())
    }
}

impl AccessLog {
    fn add_format(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let name = args.word(0).to_owned();
        if name == "combined" || self.formats.iter().any(|(known, _)| *known == name) {
            return Err(args.complain(format!("duplicate \"log_format\" name \"{name}\"")));
        }
        let format = Format::read(args)?;
        self.formats.push((name, format));
        Ok(())
    }

    fn add(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let logs = self.logs.get_or_insert_default();
        let path = args.word(0).to_owned();
        if path == "off" {
            if 1 < args.len() {
                return Err(args.invalid_parameter(1));
            }
            logs.clear();
            return Ok(());
        }
        let mut name = "combined".to_owned();
        let (mut condition, mut buffer, mut flush, mut gzip) = (None, None, None, None);
        for place in 1..args.len() {
            let word = args.word(place).to_owned();
            match word.split_once('=') {
                Some(("buffer", size)) => {
                    let good = parse_size(size).filter(|size| *size > 0);
                    let invalid = || args.complain(format!("invalid buffer size \"{size}\""));
                    buffer = Some(good.ok_or_else(invalid)? as usize);
                }
                Some(("flush", time)) => {
                    let good = parse_time(time).filter(|time| !time.is_zero());
                    let invalid = || args.complain(format!("invalid flush time \"{time}\""));
                    flush = Some(good.ok_or_else(invalid)?);
                }
                Some(("if", text)) => condition = Some(args.template_of(text)?),
                Some(("gzip", level)) => {
                    let good = level.parse().ok().filter(|level| (1..=9).contains(level));
                    let invalid =
                        || args.complain(format!("invalid compression level \"{level}\""));
                    gzip = Some(good.ok_or_else(invalid)?);
                }
                None if place == 1 => name = word,
                None if word == "gzip" => gzip = Some(FAST),
                _ => return Err(args.invalid_parameter(place)),
            }
        }
        let buffer = buffer.or(gzip.map(|_| GZIP_BUFFER));
        if flush.is_some() && buffer.is_none() {
            let message = format!("no buffer is defined for access_log \"{path}\"");
            return Err(args.complain(message));
        }
        let buffering = buffer.map(|size| Buffering { size, flush, gzip });
        let to = Destination::read(args, buffering)?;
        let span = args.node.name.span.clone();
        logs.push(Target { to, format: Named { name, span }, condition });
        Ok(())
    }

    fn format(&self, wanted: &Named) -> Result<Format, ConfError> {
        if wanted.name == "combined" {
            return Ok(Format::Combined);
        }
        let found = self.formats.iter().find(|(name, _)| *name == wanted.name);
        let unknown = || wanted.span.error(format!("unknown log format \"{}\"", wanted.name));
        found.map(|(_, format)| format.clone()).ok_or_else(unknown)
    }
}

/// `gzip` without a level.
const FAST: u32 = 1;
/// And without `buffer=`.
const GZIP_BUFFER: usize = 64 << 10;

/// `off`, or `max=N` with what may follow it.
fn cache(args: &Args<'_>) -> Result<Option<Arc<LogCache>>, ConfError> {
    let mut rules = CacheRules {
        max: 0,
        inactive: Duration::from_secs(10),
        min_uses: 1,
        valid: Duration::from_mins(1),
    };
    for place in 0..args.len() {
        let word = args.word(place);
        let invalid =
            || args.complain(format!("invalid \"open_log_file_cache\" parameter \"{word}\""));
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        match name {
            "max" => rules.max = value.parse().map_err(|_| invalid())?,
            "min_uses" => rules.min_uses = value.parse().map_err(|_| invalid())?,
            "inactive" => rules.inactive = parse_time(value).ok_or_else(invalid)?,
            "valid" => rules.valid = parse_time(value).ok_or_else(invalid)?,
            "off" if word == "off" => return Ok(None),
            _ => return Err(invalid()),
        }
    }
    if rules.max == 0 {
        return Err(args.complain("\"open_log_file_cache\" must have \"max\" parameter"));
    }
    Ok(Some(Arc::new(LogCache::new(rules))))
}

impl plan::Log for Logs {
    fn log(&self, exchange: &Exchange) {
        let mut line = Vec::with_capacity(256);
        for (target, format) in &self.all {
            let unwanted = target
                .condition
                .as_ref()
                .is_some_and(|condition| matches!(&condition.render(exchange)[..], b"" | b"0"));
            if unwanted {
                continue;
            }
            line.clear();
            format.write(exchange, &mut line);
            line.push(b'\n');
            target.to.write(exchange, &line, self.cache.as_deref());
        }
    }
}
