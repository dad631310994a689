//! `limit_req`: how often a key may ask. A leaky bucket, counted in thousandths of a request and in
//! milliseconds: it runs out at the zone's rate, what is above the burst is refused, and what is
//! above `delay` waits until the bucket has run down to it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{
    Keyed, Refusal,
    bucket::{Count, Rated},
    missing,
};
use crate::{
    clock,
    conf::{ConfError, Span},
    engine::plan::{Answer, Passed, Plan, Preaccess, Work},
    exchange::Exchange,
    load::{
        Args,
        Arity::{Between, Exactly},
        Block, Directive, List, Module, Site, directive,
    },
    log::Level,
    vars::{Variable, volatile},
};

#[derive(Clone, Default)]
pub struct LimitReq {
    /// Only those of `http` are ever written.
    zones: Vec<Arc<Rated>>,
    limits: List<Limit>,
    refusal: Refusal,
}

/// One `limit_req`, in thousandths of a request.
#[derive(Clone)]
struct Limit {
    zone: String,
    span: Span,
    burst: i64,
    delay: i64,
}

const HTTP: &[Block] = &[Block::Http];
const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for LimitReq {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("limit_req_zone", HTTP, Exactly(3), LimitReq::add_zone),
        directive("limit_req", BLOCKS, Between(1, 3), LimitReq::add),
        directive("limit_req_log_level", BLOCKS, Exactly(1), |limit, args| {
            limit.refusal.set_log_level(args)
        }),
        directive("limit_req_status", BLOCKS, Exactly(1), |limit, args| {
            limit.refusal.set_status(args)
        }),
        directive("limit_req_dry_run", BLOCKS, Exactly(1), |limit, args| {
            limit.refusal.set_dry_run(args)
        }),
    ];

    const VARIABLES: &'static [Variable] = &[volatile("limit_req_status", |exchange, _| {
        exchange.limited.req.map(|said| Bytes::from_static(said.as_bytes()))
    })];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.limits.inherit(&outer.limits);
        self.refusal.inherit(&outer.refusal);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, site: &Site<'_>) -> Result<(), ConfError> {
        if self.limits.is_empty() {
            return Ok(());
        }
        let zones = &site.http::<LimitReq>().zones;
        let rule = |limit: &Limit| {
            let named = zones.iter().find(|zone| zone.keyed.zone.name() == limit.zone);
            let zone = named.ok_or_else(|| missing(&limit.zone, &limit.span))?;
            Ok(Rule { zone: Arc::clone(zone), burst: limit.burst, delay: limit.delay })
        };
        let rules = self.limits.iter().map(rule).collect::<Result<_, ConfError>>()?;
        let log_level = self.refusal.log_level();
        plan.preaccess.push(Arc::new(Limiter {
            rules,
            status: self.refusal.status(),
            dry_run: self.refusal.is_dry_run(),
            log_level,
            delay_log_level: match log_level {
                Level::Error => Level::Warn,
                Level::Warn => Level::Notice,
                _ => Level::Info,
            },
        }));
        Ok(())
    }
}

impl LimitReq {
    fn add_zone(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let mut rate = 1000;
        let known = self.zones.iter().map(|zone| &zone.keyed);
        let keyed = Keyed::read("limit_req", 65535, args, known, |args, place| {
            let word = args.word(place);
            let said = word.strip_prefix("rate=").ok_or_else(|| args.invalid_parameter(place))?;
            let invalid = || args.complain(format!("invalid rate \"{word}\""));
            rate = parse_rate(said).ok_or_else(invalid)?;
            Ok(())
        })?;
        self.zones.push(Arc::new(Rated { keyed, rate }));
        Ok(())
    }

    fn add(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let (mut zone, mut burst, mut delay) = (None, 0, 0);
        for place in 0..args.len() {
            let word = args.word(place);
            let requests = |what: &str, number: &str| {
                let invalid = || args.complain(format!("invalid {what} value \"{word}\""));
                parse_requests(number).ok_or_else(invalid)
            };
            match word.split_once('=') {
                Some(("zone", name)) => zone = Some(name.to_owned()),
                Some(("burst", number)) => burst = requests("burst", number)?,
                Some(("delay", number)) => delay = requests("delay", number)?,
                None if word == "nodelay" => delay = i64::MAX,
                _ => return Err(args.invalid_parameter(place)),
            }
        }
        let Some(zone) = zone else {
            return Err(args.complain("\"limit_req\" must have \"zone\" parameter"));
        };
        if self.limits.iter().any(|limit| limit.zone == zone) {
            return Err(args.refuse("is duplicate"));
        }
        self.limits.push(Limit { zone, span: args.node.name.span.clone(), burst, delay });
        Ok(())
    }
}

/// `10r/s`, `30r/m`, or a bare number a second; in thousandths.
fn parse_rate(text: &str) -> Option<i64> {
    let (digits, seconds) = match text.strip_suffix("r/m") {
        Some(digits) => (digits, 60),
        None => (text.strip_suffix("r/s").unwrap_or(text), 1),
    };
    parse_requests(digits).map(|rate| rate / seconds)
}

/// A number of requests, in thousandths.
fn parse_requests(digits: &str) -> Option<i64> {
    let all_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
    let number: i64 = digits.parse().ok().filter(|number| all_digits && *number > 0)?;
    number.checked_mul(1000)
}

/// One limit as requests meet it.
struct Rule {
    zone: Arc<Rated>,
    burst: i64,
    delay: i64,
}

struct Limiter {
    rules: Vec<Rule>,
    status: u16,
    log_level: Level,
    delay_log_level: Level,
    dry_run: bool,
}

/// A decision, before anybody has heard of it.
enum Verdict<'l> {
    /// No key had a value.
    Uncounted,
    Passed,
    Delayed {
        by: Duration,
        excess: i64,
        rule: &'l Rule,
    },
    Refused {
        excess: i64,
        rule: &'l Rule,
    },
}

impl Preaccess for Limiter {
    fn check<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Passed> {
        if exchange.limited.req.is_some() {
            return Work::Now(Passed::Next);
        }
        let (said, passed) = match self.decide(exchange) {
            Verdict::Uncounted => return Work::Now(Passed::Next),
            Verdict::Passed => ("PASSED", Work::Now(Passed::Next)),
            Verdict::Delayed { by, excess, rule } => {
                self.tell(exchange, self.delay_log_level, "delaying request", excess, rule);
                if !self.dry_run {
                    exchange.limited.req = Some("DELAYED");
                    return Work::later(delay(exchange, by));
                }
                ("DELAYED_DRY_RUN", Work::Now(Passed::Next))
            }
            Verdict::Refused { excess, rule } => {
                self.tell(exchange, self.log_level, "limiting requests", excess, rule);
                if self.dry_run {
                    ("REJECTED_DRY_RUN", Work::Now(Passed::Next))
                } else {
                    ("REJECTED", Work::Now(Passed::Answer(Answer::Status(self.status))))
                }
            }
        };
        exchange.limited.req = Some(said);
        passed
    }
}

impl Limiter {
    /// A request counts in all of its zones or in none: the last one counts as it is asked, and the
    /// others once nobody has refused.
    fn decide(&self, exchange: &Exchange) -> Verdict<'_> {
        let now = clock::milliseconds();
        let mut verdict = Verdict::Uncounted;
        let mut uncounted: Vec<(&Rule, u64)> = Vec::new();
        for (place, rule) in self.rules.iter().enumerate() {
            let Some(hash) = rule.zone.keyed.hash(exchange) else { continue };
            let count = if place + 1 == self.rules.len() { Count::Now } else { Count::Later };
            match rule.zone.ask(hash, rule.burst, now, count) {
                Err(excess) => return Verdict::Refused { excess, rule },
                Ok(excess) if count == Count::Now => verdict = rule.verdict(excess),
                Ok(_) => {
                    uncounted.push((rule, hash));
                    verdict = Verdict::Passed;
                }
            }
        }
        for (rule, hash) in uncounted.into_iter().rev() {
            let other = rule.verdict(rule.zone.count(hash, now));
            if other.delay() > verdict.delay() {
                verdict = other;
            }
        }
        verdict
    }

    fn tell(&self, exchange: &Exchange, level: Level, what: &str, excess: i64, rule: &Rule) {
        let comma = if what == "delaying request" { "," } else { "" };
        let dry = if self.dry_run { ", dry run" } else { "" };
        let zone = rule.zone.keyed.zone.name();
        let (whole, thousandths) = (excess / 1000, excess % 1000);
        let line =
            format!("{what}{dry}, excess: {whole}.{thousandths:03}{comma} by zone \"{zone}\"");
        exchange.log(level, &line);
    }
}

impl Rule {
    /// Of a request that is not refused.
    fn verdict(&self, excess: i64) -> Verdict<'_> {
        let above = excess.saturating_sub(self.delay).max(0);
        match u64::try_from(above.saturating_mul(1000) / self.zone.rate.max(1)).unwrap_or(0) {
            0 => Verdict::Passed,
            delay => Verdict::Delayed { by: Duration::from_millis(delay), excess, rule: self },
        }
    }
}

impl Verdict<'_> {
    fn delay(&self) -> Duration {
        match self {
            Verdict::Delayed { by, .. } => *by,
            _ => Duration::ZERO,
        }
    }
}

/// Lets the request wait, for as long as the client does.
async fn delay(exchange: &Exchange, by: Duration) -> Passed {
    match exchange.client.pause(Instant::now() + by).await {
        Ok(()) => Passed::Next,
        Err(error) => {
            exchange.log(Level::Info, &error.to_string());
            Passed::Answer(Answer::Gone)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{vars::Template, zone::Zone};

    #[test]
    fn rates() {
        let check = |text: &str, expected| assert_eq!(parse_rate(text), expected, "{text}");
        check("2r/s", Some(2000));
        check("30r/m", Some(500));
        check("1r/m", Some(16));
        check("5", Some(5000));
        for bad in ["", "0r/s", "-1r/s", "+1", "r/s", "1r/h", "1.5r/s", "9999999999999999999r/s"] {
            check(bad, None);
        }
    }

    #[test]
    fn delays() {
        let zone = Zone::open("limit_req", "delays", Zone::SMALLEST, "$x").unwrap();
        let keyed = Keyed { key: Template::default(), longest: 65535, zone };
        let zone = Arc::new(Rated { keyed, rate: 500 });
        let check = |delay, excess, expected| {
            let rule = Rule { zone: Arc::clone(&zone), burst: i64::MAX, delay };
            assert_eq!(rule.verdict(excess).delay(), Duration::from_millis(expected));
        };
        check(0, 0, 0);
        check(0, 1000, 2000);
        check(1000, 1000, 0);
        check(1000, 1500, 1000);
        check(i64::MAX, i64::MAX - 1, 0);
    }
}
