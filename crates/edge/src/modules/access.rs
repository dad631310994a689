//! `allow`, `deny`: who may ask, by address. The first rule that fits decides.

use std::sync::Arc;

use super::core::Satisfy;
use crate::{
    conf::ConfError,
    connection::{PeerAddress, Who},
    engine::plan::{self, Plan, Verdict, Work},
    exchange::Exchange,
    load::{Args, Arity::Exactly, Block, Directive, List, Module, Site, directive},
    log::Level,
};

#[derive(Clone, Default)]
pub struct Access {
    rules: List<Rule>,
}

#[derive(Clone)]
struct Rule {
    who: Who,
    verdict: Verdict,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location, Block::LimitExcept];

impl Module for Access {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("allow", BLOCKS, Exactly(1), |access, args| access.add(Verdict::Allow, args)),
        directive("deny", BLOCKS, Exactly(1), |access, args| access.add(Verdict::Deny(403), args)),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.rules.inherit(&outer.rules);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        if !self.rules.is_empty() {
            plan.access.push(self);
        }
        Ok(())
    }
}

impl Access {
    fn add(&mut self, verdict: Verdict, args: &mut Args<'_>) -> Result<(), ConfError> {
        let word = args.word(0).to_owned();
        let who = if word == "all" { Some(Who::All) } else { Who::parse(&word) };
        let (who, trimmed) = who.ok_or_else(|| args.invalid_parameter(0))?.trimmed();
        if trimmed {
            let message = format!("low address bits of {word} are meaningless");
            let warning = args.complain(message);
            args.loader.warnings.push(warning);
        }
        self.rules.push(Rule { who, verdict });
        Ok(())
    }

    fn verdict(&self, peer: &PeerAddress) -> Verdict {
        let rule = self.rules.iter().find(|rule| rule.who.fits(peer));
        rule.map_or(Verdict::Abstain, |rule| rule.verdict)
    }
}

impl plan::Access for Access {
    fn check<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Verdict> {
        let verdict = self.verdict(&exchange.remote().address);
        // With `satisfy any` another check may still let the client in.
        if verdict == Verdict::Deny(403) && exchange.location.core.satisfy() == Satisfy::All {
            exchange.log(Level::Error, "access forbidden by rule");
        }
        Work::Now(verdict)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rule = |word: &str, verdict| {
            let who = if word == "all" { Who::All } else { Who::parse(word).unwrap() };
            Rule { who, verdict }
        };
        let mut access = Access::default();
        access.rules.push(rule("10.1.0.0/16", Verdict::Deny(403)));
        access.rules.push(rule("10.0.0.0/8", Verdict::Allow));
        access.rules.push(rule("unix:", Verdict::Allow));
        let ip = |text: &str| PeerAddress::Ip(text.parse().unwrap());
        assert_eq!(access.verdict(&ip("10.1.2.3:1")), Verdict::Deny(403));
        assert_eq!(access.verdict(&ip("10.2.2.3:1")), Verdict::Allow);
        assert_eq!(access.verdict(&ip("[::ffff:10.2.2.3]:1")), Verdict::Allow);
        assert_eq!(access.verdict(&ip("[::1]:1")), Verdict::Abstain);
        assert_eq!(access.verdict(&PeerAddress::Unix(None)), Verdict::Allow);
        access.rules.push(rule("all", Verdict::Deny(403)));
        assert_eq!(access.verdict(&ip("[::1]:1")), Verdict::Deny(403));
    }
}
