//! What `limit_req` and `limit_conn` have in common: keys that are counted in a zone, and what
//! becomes of a request that is one too many.

mod req; // how often a key may ask
mod bucket; // what is known of how often it has
mod conn; // how many requests of a key are answered at once

use std::sync::Arc;

use bytes::Bytes;

pub use conn::LimitConn;
pub use req::LimitReq;

use crate::{
    conf::{ConfError, Span},
    exchange::Exchange,
    load::{Args, Setting, parse_size},
    log::Level,
    vars::Template,
    zone::Zone,
};

/// What was decided about a request, in the words of `$limit_req_status` and `$limit_conn_status`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Limited {
    req: Option<&'static str>,
    conn: Option<&'static str>,
}

/// A zone, and by what a request is counted in it.
#[derive(Clone)]
struct Keyed {
    key: Template,
    /// What nobody can have meant as a key.
    longest: usize,
    zone: Arc<Zone>,
}

impl Keyed {
    /// `KEY zone=NAME:SIZE`; what else stands there is the family's own, and read by `other`.
    fn read<'z>(
        purpose: &'static str,
        longest: usize,
        args: &mut Args<'_>,
        mut known: impl Iterator<Item = &'z Keyed>,
        mut other: impl FnMut(&Args<'_>, usize) -> Result<(), ConfError>,
    ) -> Result<Keyed, ConfError> {
        let key = args.template(0)?;
        let mut said = None;
        for place in 1..args.len() {
            let word = args.word(place);
            let Some(zone) = word.strip_prefix("zone=") else {
                other(args, place)?;
                continue;
            };
            let parsed = zone.split_once(':');
            let parsed = parsed.and_then(|(name, size)| Some((name, parse_size(size)?)));
            let (name, size) =
                parsed.ok_or_else(|| args.complain(format!("invalid zone size \"{word}\"")))?;
            if size < Zone::SMALLEST {
                return Err(args.complain(format!("zone \"{word}\" is too small")));
            }
            said = Some((name, size)).filter(|(name, _)| !name.is_empty());
        }
        let directive = &args.node.name.text;
        let (name, size) = said.ok_or_else(|| {
            args.complain(format!("\"{directive}\" must have \"zone\" parameter"))
        })?;
        if let Some(bound) = known.find(|known| known.zone.name() == name) {
            let key = bound.zone.key();
            let message = format!("{directive} \"{name}\" is already bound to key \"{key}\"");
            return Err(args.complain(message));
        }
        let zone = Zone::open(purpose, name, size, args.word(0));
        let zone = zone.map_err(|error| args.complain(error.to_string()))?;
        Ok(Keyed { key, longest, zone })
    }

    /// The request's key as the zone knows it. `None`: the request is not counted here.
    fn hash(&self, exchange: &Exchange) -> Option<u64> {
        let key = self.key.render(exchange);
        if key.is_empty() {
            return None;
        }
        if key.len() > self.longest {
            let message = format!(
                "the value of the \"{}\" key is more than {} bytes: \"{}\"",
                self.zone.key(),
                self.longest,
                shown(&key)
            );
            exchange.log(Level::Error, &message);
            return None;
        }
        Some(self.zone.hash(&key))
    }
}

/// As much of a key as a log line can use.
fn shown(key: &Bytes) -> String {
    String::from_utf8_lossy(&key[..key.len().min(1024)]).into_owned()
}

/// nginx's words for a zone that is named and nowhere declared.
fn missing(name: &str, span: &Span) -> ConfError {
    span.error(format!("zero size shared memory zone \"{name}\""))
}

/// What becomes of a request that is one too many, as a block says it.
#[derive(Clone, Default)]
struct Refusal {
    status: Setting<u16>,
    log_level: Setting<Level>,
    dry_run: Setting<bool>,
}

impl Refusal {
    fn set_status(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let status = args.number(0)?;
        if !(400..=599).contains(&status) {
            return Err(args.complain("value must be between 400 and 599"));
        }
        self.status.set(status, args)
    }

    fn set_log_level(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let word = args.word(0);
        let level = Level::parse(word).filter(|level| (Level::Error..=Level::Info).contains(level));
        let level = level.ok_or_else(|| args.complain(format!("invalid value \"{word}\"")))?;
        self.log_level.set(level, args)
    }

    fn set_dry_run(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        self.dry_run.set(args.flag()?, args)
    }

    fn inherit(&mut self, outer: &Refusal) {
        self.status.inherit(&outer.status);
        self.log_level.inherit(&outer.log_level);
        self.dry_run.inherit(&outer.dry_run);
    }

    fn status(&self) -> u16 {
        self.status.or(503)
    }

    fn log_level(&self) -> Level {
        self.log_level.or(Level::Error)
    }

    fn is_dry_run(&self) -> bool {
        self.dry_run.or(false)
    }
}
