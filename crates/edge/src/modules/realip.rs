//! `set_real_ip_from`: a proxy in front may say for whom it asks, if it is trusted. From then on that
//! address is the request's own; the connection keeps the one it came from.

use std::{
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    sync::Arc,
};

use crate::{
    conf::ConfError,
    connection::{PeerAddress, Remote, Who},
    engine::plan::{Passed, Plan, PostRead, Preaccess, Work},
    exchange::Exchange,
    load::{Args, Arity::Exactly, Block, Directive, List, Module, Setting, Site, directive},
    vars::{Variable, port, variable},
};

#[derive(Clone, Default)]
pub struct RealIp {
    from: List<Who>,
    header: Setting<Header>,
    recursive: Setting<bool>,
}

/// Where the address is said.
#[derive(Clone, Debug)]
enum Header {
    /// One address, or a list whose last is the nearest; of several fields the first.
    Field(String),
    /// The same list over all fields of the name.
    ForwardedFor,
    ProxyProtocol,
}

const BLOCKS: &[Block] = &[Block::Http, Block::Server, Block::Location];

impl Module for RealIp {
    const DIRECTIVES: &'static [Directive<Self>] = &[
        directive("set_real_ip_from", BLOCKS, Exactly(1), RealIp::trust),
        directive("real_ip_header", BLOCKS, Exactly(1), |realip, args| {
            let header = match args.word(0) {
                "X-Forwarded-For" => Header::ForwardedFor,
                "proxy_protocol" => Header::ProxyProtocol,
                name => Header::Field(name.to_owned()),
            };
            realip.header.set(header, args)
        }),
        directive("real_ip_recursive", BLOCKS, Exactly(1), |realip, args| {
            realip.recursive.set(args.flag()?, args)
        }),
    ];

    const VARIABLES: &'static [Variable] = &[
        variable("realip_remote_addr", |exchange, _| {
            Some(exchange.client.peer.remote.text().clone())
        }),
        variable("realip_remote_port", |exchange, _| {
            Some(port(&exchange.client.peer.remote.address).unwrap_or_default())
        }),
    ];

    fn inherit(&mut self, outer: &Self, _into: Block) {
        self.from.inherit(&outer.from);
        self.header.inherit(&outer.header);
        self.recursive.inherit(&outer.recursive);
    }

    fn install(self: Arc<Self>, plan: &mut Plan, _site: &Site<'_>) -> Result<(), ConfError> {
        if !self.from.is_empty() {
            plan.post_read.push(Arc::clone(&self) as Arc<dyn PostRead>);
            plan.preaccess.push(self);
        }
        Ok(())
    }
}

impl RealIp {
    fn trust(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let word = args.word(0).to_owned();
        if let Some(who) = Who::parse(&word) {
            let (who, trimmed) = who.trimmed();
            if trimmed {
                let warning = args.complain(format!("low address bits of {word} are meaningless"));
                args.loader.warnings.push(warning);
            }
            self.from.push(who);
            return Ok(());
        }
        // A name is looked up once, when the file is read.
        let found = (word.as_str(), 0).to_socket_addrs();
        let mut found = found.map(|found| found.map(|address| address.ip())).into_iter().flatten();
        let missing = || args.complain(format!("host not found in set_real_ip_from \"{word}\""));
        let first = found.next().ok_or_else(missing)?;
        [first].into_iter().chain(found).for_each(|ip| self.from.push(Who::Net(ip.into())));
        Ok(())
    }

    fn trusts(&self, address: &PeerAddress) -> bool {
        self.from.iter().any(|who| who.fits(address))
    }

    /// For whom the client speaks, if it may and does.
    fn find(&self, exchange: &Exchange) -> Option<PeerAddress> {
        let peer = &exchange.client.peer;
        let fields = &exchange.request.headers;
        match self.header.said() {
            None => self.walk(&peer.remote.address, fields.get("x-real-ip")),
            Some(Header::Field(name)) => self.walk(&peer.remote.address, fields.get(name)),
            Some(Header::ForwardedFor) => {
                let mut values: Vec<_> = fields.all("x-forwarded-for").collect();
                values.reverse();
                self.walk(&peer.remote.address, values)
            }
            Some(Header::ProxyProtocol) => {
                let said = peer.proxied.get().filter(|_| self.trusts(&peer.remote.address))?;
                Some(PeerAddress::Ip(said.source))
            }
        }
    }

    /// Backwards through lists of addresses, from one that is trusted to the one it speaks for;
    /// `real_ip_recursive` goes on for as long as that one is trusted, too.
    fn walk<'v>(
        &self,
        from: &PeerAddress,
        values: impl IntoIterator<Item = &'v bytes::Bytes>,
    ) -> Option<PeerAddress> {
        let mut found = None;
        for value in values {
            let words = value.rsplit(|byte| matches!(byte, b' ' | b','));
            for word in words.filter(|word| !word.is_empty()) {
                if !self.trusts(found.as_ref().unwrap_or(from)) {
                    return found;
                }
                let Some(address) = std::str::from_utf8(word).ok().and_then(parse) else {
                    return found;
                };
                found = Some(PeerAddress::Ip(address));
                if !self.recursive.or(false) {
                    return found;
                }
            }
            // An empty field says nothing, and hides what stands before it.
            found.as_ref()?;
        }
        found
    }

    fn apply(&self, exchange: &mut Exchange) {
        if exchange.forwarded.is_none() {
            exchange.forwarded = self.find(exchange).map(Remote::new);
        }
    }
}

/// `192.0.2.1`, `192.0.2.1:80`, `::1`, `[::1]`, `[::1]:80`.
fn parse(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Some((ip, 0).into());
    }
    text.parse().ok().filter(|address: &SocketAddr| address.port() != 0)
}

impl PostRead for RealIp {
    fn read(&self, exchange: &mut Exchange) {
        self.apply(exchange);
    }
}

impl Preaccess for RealIp {
    fn check<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Passed> {
        self.apply(exchange);
        Work::Now(Passed::Next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn realip(from: &[&str], recursive: bool) -> RealIp {
        let mut realip = RealIp::default();
        for word in from {
            realip.from.push(Who::parse(word).unwrap());
        }
        realip.recursive.replace(recursive);
        realip
    }

    #[test]
    fn addresses() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(parse(text).map(|found| found.to_string()).as_deref(), expected, "{text}");
        };
        check("192.0.2.1", Some("192.0.2.1:0"));
        check("192.0.2.1:80", Some("192.0.2.1:80"));
        check("::1", Some("[::1]:0"));
        check("[::1]", Some("[::1]:0"));
        check("[::1]:80", Some("[::1]:80"));
        for bad in ["", "unknown", "192.0.2.1:0", "192.0.2.1:x", "[::1", "1.2.3", "_hidden"] {
            check(bad, None);
        }
    }

    #[test]
    fn lists_are_read_backwards() {
        let client = PeerAddress::Ip("10.0.0.1:1".parse().unwrap());
        // The last field of the request first, as it is walked.
        let check = |recursive: bool, values: &[&str], expected: Option<&str>| {
            let values: Vec<bytes::Bytes> =
                values.iter().rev().map(|value| value.to_string().into()).collect();
            let found = realip(&["10.0.0.0/8"], recursive).walk(&client, &values);
            let found = found.map(|found| Remote::new(found).text().clone());
            assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{values:?}");
        };
        check(false, &["192.0.2.1, 10.0.0.2"], Some("10.0.0.2"));
        check(true, &["192.0.2.1, 10.0.0.2"], Some("192.0.2.1"));
        check(true, &["192.0.2.9, 192.0.2.1, 10.0.0.2"], Some("192.0.2.1"));
        check(true, &["192.0.2.1", "10.0.0.3", "10.0.0.2,"], Some("192.0.2.1"));
        check(true, &["10.0.0.3", "10.0.0.2"], Some("10.0.0.3"));
        check(true, &["spoofed, 10.0.0.2"], Some("10.0.0.2"));
        check(true, &["192.0.2.1", ""], None);
        check(false, &["unknown"], None);
        check(false, &[], None);
    }

    #[test]
    fn who_is_not_trusted_is_not_believed() {
        let value: bytes::Bytes = "192.0.2.1".into();
        let said = |from: &str, peer: PeerAddress| realip(&[from], false).walk(&peer, [&value]);
        let ip = |text: &str| PeerAddress::Ip(text.parse().unwrap());
        assert!(said("10.0.0.0/8", ip("11.0.0.1:1")).is_none());
        assert!(said("10.0.0.0/8", PeerAddress::Unix(None)).is_none());
        assert!(said("unix:", ip("10.0.0.1:1")).is_none());
        assert!(said("unix:", PeerAddress::Unix(None)).is_some());
    }
}
