//! Which clients a word of the configuration means: `all`, `unix:`, an address or a net. `allow`,
//! `deny` and `set_real_ip_from` read the same words.

use std::net::IpAddr;

use ipnet::IpNet;

use super::PeerAddress;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    All,
    Unix,
    Net(IpNet),
}

impl Who {
    /// `unix:`, `10.0.0.1`, `10.0.0.0/8`, `2001:db8::/32`. Bits of an address below its net are left
    /// in it, for the caller to complain about.
    pub fn parse(word: &str) -> Option<Who> {
        match word {
            "unix:" => Some(Who::Unix),
            _ if word.contains('/') => word.parse().ok().map(Who::Net),
            _ => word.parse::<IpAddr>().ok().map(|address| Who::Net(address.into())),
        }
    }

    /// Without the bits that mean nothing; `true`: there were some.
    pub fn trimmed(self) -> (Who, bool) {
        match self {
            Who::Net(net) => (Who::Net(net.trunc()), net.addr() != net.network()),
            other => (other, false),
        }
    }

    pub fn fits(self, peer: &PeerAddress) -> bool {
        match (self, peer) {
            (Who::All, _) | (Who::Unix, PeerAddress::Unix(_)) => true,
            // A client that came by IPv4 to an IPv6 socket is held to the rules for IPv4.
            (Who::Net(net), PeerAddress::Ip(address)) => net.contains(&address.ip().to_canonical()),
            (Who::Unix, PeerAddress::Ip(_)) | (Who::Net(_), PeerAddress::Unix(_)) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let check = |word: &str, expected: Option<&str>| {
            let text = Who::parse(word).map(|who| match who {
                Who::Net(net) => net.to_string(),
                other => format!("{other:?}"),
            });
            assert_eq!(text.as_deref(), expected, "{word}");
        };
        check("10.0.0.1", Some("10.0.0.1/32"));
        check("10.0.0.0/8", Some("10.0.0.0/8"));
        check("10.0.0.0/255.0.0.0", None);
        check("::1", Some("::1/128"));
        check("2001:db8::/32", Some("2001:db8::/32"));
        check("10.0.0.0/33", None);
        check("localhost", None);
        check("10.0.0", None);
        check("unix:", Some("Unix"));
    }
}
