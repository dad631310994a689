//! `allow`, `deny`: who may ask, by address. The first rule that fits decides.

use std::{net::IpAddr, sync::Arc};

use ipnet::IpNet;

use super::core::Satisfy;
use crate::{
    conf::ConfError,
    connection::PeerAddress,
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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    All,
    Unix,
    Net(IpNet),
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
        let who = match word.as_str() {
            "all" => Who::All,
            "unix:" => Who::Unix,
            _ => {
                let net = parse_net(&word).ok_or_else(|| args.invalid_parameter(0))?;
                if net.addr() != net.network() {
                    let message = format!("low address bits of {word} are meaningless");
                    let warning = args.complain(message);
                    args.loader.warnings.push(warning);
                }
                Who::Net(net.trunc())
            }
        };
        self.rules.push(Rule { who, verdict });
        Ok(())
    }

    fn verdict(&self, peer: &PeerAddress) -> Verdict {
        let address = match peer {
            // A client that came by IPv4 to an IPv6 socket is held to the rules for IPv4.
            PeerAddress::Ip(address) => Some(address.ip().to_canonical()),
            PeerAddress::Unix(_) => None,
        };
        let fits = |rule: &&Rule| match (rule.who, address) {
            (Who::All, _) | (Who::Unix, None) => true,
            (Who::Net(net), Some(address)) => net.contains(&address),
            (Who::Unix, Some(_)) | (Who::Net(_), None) => false,
        };
        self.rules.iter().find(fits).map_or(Verdict::Abstain, |rule| rule.verdict)
    }
}

impl plan::Access for Access {
    fn check<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Verdict> {
        let verdict = self.verdict(&exchange.client.peer.address);
        // With `satisfy any` another check may still let the client in.
        if verdict == Verdict::Deny(403) && exchange.location.core.satisfy() == Satisfy::All {
            exchange.log(Level::Error, "access forbidden by rule");
        }
        Work::Now(verdict)
    }
}

/// `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`.
fn parse_net(word: &str) -> Option<IpNet> {
    match word.split_once('/') {
        None => word.parse::<IpAddr>().ok().map(IpNet::from),
        Some(_) => word.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nets() {
        let check = |word: &str, expected: Option<&str>| {
            assert_eq!(parse_net(word).map(|net| net.to_string()).as_deref(), expected, "{word}");
        };
        check("10.0.0.1", Some("10.0.0.1/32"));
        check("10.0.0.0/8", Some("10.0.0.0/8"));
        check("10.0.0.0/255.0.0.0", None);
        check("::1", Some("::1/128"));
        check("2001:db8::/32", Some("2001:db8::/32"));
        check("10.0.0.0/33", None);
        check("localhost", None);
        check("10.0.0", None);
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rule = |word: &str, verdict| {
            let who = match word {
                "all" => Who::All,
                "unix:" => Who::Unix,
                net => Who::Net(parse_net(net).unwrap()),
            };
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
