//! `limit_conn`: how many requests of a key are answered at once.
//!
//! An entry of the zone belongs to a worker and says how many it has, so that those of a worker that
//! was killed are not counted for ever.

use std::sync::Arc;

use bytes::Bytes;

use super::{Keyed, Refusal, missing};
use crate::{
    conf::{ConfError, Span},
    engine::plan::{Answer, Passed, Plan, Preaccess, Work},
    exchange::Exchange,
    load::{Args, Arity::Exactly, Block, Directive, List, Module, Site, directive},
    vars::{Variable, volatile},
    zone::{Page, Zone, is_alive, own_id},
};

#[derive(Clone, Default)]
pub struct LimitConn {
    /// Only those of `http` are ever written.
    zones: Vec<Keyed>,
    limits: List<Limit>,
    refusal: Refusal,
}

/// One `limit_conn`.
#[derive(Clone)]
struct Limit {
    zone: String,
    span: Span,
    most: u64,
}

const HTTP: &[Block] = &[Block::Http];
const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for LimitConn {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("limit_conn_zone", HTTP, Exactly(2), |limit, args| {
            let other = |args: &Args<'_>, place| Err(args.invalid_parameter(place));
            let known = limit.zones.iter();
            let keyed = Keyed::read("limit_conn_zone", 255, args, known, other)?;
            limit.zones.push(keyed);
            Ok(())
        }),
        directive("limit_conn", BLOCKS, Exactly(2), LimitConn::add),
        directive("limit_conn_log_level", BLOCKS, Exactly(1), |limit, args| {
            limit.refusal.set_log_level(args)
        }),
        directive("limit_conn_status", BLOCKS, Exactly(1), |limit, args| {
            limit.refusal.set_status(args)
        }),
        directive("limit_conn_dry_run", BLOCKS, Exactly(1), |limit, args| {
            limit.refusal.set_dry_run(args)
        }),
    ];

    const VARIABLES: &'static [Variable] = &[volatile("limit_conn_status", |exchange, _| {
        exchange.limited.conn.map(|said| Bytes::from_static(said.as_bytes()))
    })];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.limits.inherit(&outer.limits);
        self.refusal.inherit(&outer.refusal);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        if self.limits.is_empty() {
            return Ok(());
        }
        let zones = &site.http::<LimitConn>().zones;
        let rule = |limit: &Limit| {
            let named = zones.iter().find(|zone| zone.zone.name() == limit.zone);
            let zone = named.ok_or_else(|| missing(&limit.zone, &limit.span))?;
            Ok((zone.clone(), limit.most))
        };
        let rules = self.limits.iter().map(rule).collect::<Result<_, ConfError>>()?;
        plan.preaccess.push(Arc::new(Limiter { rules, refusal: self.refusal.clone() }));
        Ok(())
    }
}

impl LimitConn {
    fn add(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let (zone, word) = (args.word(0).to_owned(), args.word(1));
        if self.limits.iter().any(|limit| limit.zone == zone) {
            return Err(args.refuse("is duplicate"));
        }
        let digits = word.bytes().all(|byte| byte.is_ascii_digit());
        let most = word.parse().ok().filter(|most| digits && *most > 0);
        let invalid = || args.complain(format!("invalid number of connections \"{word}\""));
        let most = most.ok_or_else(invalid)?;
        if most > 65535 {
            return Err(args.complain("connection limit must be less 65536"));
        }
        self.limits.push(Limit { zone, span: args.node.name.span.clone(), most });
        Ok(())
    }
}

struct Limiter {
    rules: Vec<(Keyed, u64)>,
    refusal: Refusal,
}

/// What a request has of the zones, until it ends.
type Held = Vec<Slot>;

impl Preaccess for Limiter {
    fn check<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Passed> {
        if exchange.limited.conn.is_some() {
            return Work::Now(Passed::Next);
        }
        for (keyed, most) in &self.rules {
            let Some(hash) = keyed.hash(exchange) else { continue };
            match Slot::take(&keyed.zone, hash, *most) {
                Ok(slot) => {
                    exchange.limited.conn = Some("PASSED");
                    exchange.keep::<Held>().push(slot);
                }
                Err(why) => {
                    // One too many in one zone is none in all of them.
                    exchange.keep::<Held>().clear();
                    return Work::Now(self.refuse(exchange, keyed, why));
                }
            }
        }
        Work::Now(Passed::Next)
    }
}

impl Limiter {
    fn refuse(&self, exchange: &mut Exchange, keyed: &Keyed, why: Full) -> Passed {
        let dry_run = self.refusal.is_dry_run();
        let zone = keyed.zone.name();
        let line = match why {
            Full::Key => {
                let dry = if dry_run { ", dry run," } else { "" };
                format!("limiting connections{dry} by zone \"{zone}\"")
            }
            Full::Zone => format!("could not allocate node in limit_conn_zone \"{zone}\""),
        };
        exchange.log(self.refusal.log_level(), &line);
        if dry_run {
            exchange.limited.conn = Some("REJECTED_DRY_RUN");
            return Passed::Next;
        }
        exchange.limited.conn = Some("REJECTED");
        Passed::Answer(Answer::Status(self.refusal.status()))
    }
}

/// One request, counted until this is dropped.
struct Slot {
    zone: Arc<Zone>,
    hash: u64,
}

/// Why a request is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Full {
    Key,
    Zone,
}

/// An entry's values: the worker it belongs to, and how many requests it answers.
fn is_own(entry: [u64; 2]) -> bool {
    entry[0] == u64::from(own_id())
}

impl Slot {
    fn take(zone: &Arc<Zone>, hash: u64, most: u64) -> Result<Slot, Full> {
        let mut page = zone.page(hash);
        forget_the_dead(&mut page);
        let places = page.places().filter(|place| page.is_of_key(*place));
        if places.map(|place| page.get(place)[1]).sum::<u64>() >= most {
            return Err(Full::Key);
        }
        match page.find(is_own) {
            Some(place) => {
                let [owner, count] = page.get(place);
                page.set(place, [owner, count + 1]);
            }
            None if page.insert([u64::from(own_id()), 1]) => (),
            None => return Err(Full::Zone),
        }
        Ok(Slot { zone: Arc::clone(zone), hash })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut page = self.zone.page(self.hash);
        let Some(place) = page.find(is_own) else { return };
        match page.get(place) {
            [owner, count] if count > 1 => page.set(place, [owner, count - 1]),
            _ => page.remove(place),
        }
    }
}

/// What workers have left behind that were killed. The others are asked for only where there are
/// some, which is while one drains.
fn forget_the_dead(page: &mut Page<'_>) {
    for place in page.places().rev() {
        let entry = page.get(place);
        if !is_own(entry) && !is_alive(entry[0] as u32) {
            page.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(name: &str) -> Arc<Zone> {
        Zone::open("limit_conn_zone", name, Zone::SMALLEST, "$x").unwrap()
    }

    #[test]
    fn a_slot_is_given_back() {
        let zone = zone("slots");
        let take = |hash| Slot::take(&zone, hash, 2);
        let (first, _second) = (take(1).ok().unwrap(), take(1).ok().unwrap());
        assert_eq!(take(1).err(), Some(Full::Key));
        let _other = take(2).ok().unwrap();
        drop(first);
        assert!(take(1).is_ok());
        assert!(take(1).is_ok());
    }

    #[test]
    fn a_full_zone_refuses_new_keys() {
        let zone = zone("full");
        let slots: Vec<_> = (0..1000).map(|hash| Slot::take(&zone, hash, 1)).collect();
        assert!(slots.iter().any(|slot| slot.as_ref().err() == Some(&Full::Zone)));
        drop(slots);
        assert_eq!(zone.page(0).places().count(), 0);
    }

    #[test]
    fn who_was_killed_holds_nothing() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        let zone = zone("dead");
        assert!(zone.page(1).insert([u64::from(child.id()), 9]));
        assert!(Slot::take(&zone, 1, 1).is_ok());
        // One that lives does.
        let parent = u64::from(std::os::unix::process::parent_id());
        assert!(zone.page(1).insert([parent, 1]));
        assert_eq!(Slot::take(&zone, 1, 1).err(), Some(Full::Key));
    }
}
