//! Which peer is next: smooth weighted round robin, and the methods that replace it.
//!
//! The hashes are nginx's own, so that a client or key that nginx sends to a peer goes to the same
//! peer here, and changing servers does not empty every cache behind them.

use std::net::SocketAddr;

use super::{Peer, Tried};
use crate::{clock, connection::PeerAddress, exchange::Exchange, vars::Template};

pub enum Balance {
    RoundRobin,
    LeastConnections,
    /// By the client's address: its first three bytes, of IPv6 all.
    IpHash,
    Hash(HashKey),
    /// Two at random, and of these the one with fewer connections (`two`), or simply one.
    Random {
        two: bool,
    },
}

pub struct HashKey {
    pub key: Template,
    /// Ketama points, by hash: (point, peer). Empty without `consistent`.
    pub points: Vec<(u32, usize)>,
}

/// After this many hashes that led nowhere, round robin decides, as in nginx.
const MAX_HASHES: u32 = 20;

impl Balance {
    /// `offset`: where these peers begin in the numbering of `tried`.
    pub(super) fn choose(
        &self,
        peers: &[Peer],
        exchange: &Exchange,
        tried: &Tried,
        offset: usize,
    ) -> Option<usize> {
        let (now, _) = clock::now();
        let free = |place: usize| !tried.contains(offset + place) && peers[place].is_live(now);
        let chosen = match self {
            Balance::RoundRobin => None,
            Balance::LeastConnections => return least_connections(peers, free),
            Balance::IpHash => by_address(peers, exchange, free),
            Balance::Hash(hash) if hash.points.is_empty() => hash.modulo(peers, exchange, free),
            Balance::Hash(hash) => hash.consistent(exchange, free),
            Balance::Random { two } => random(peers, *two, free),
        };
        match chosen {
            Some(place) => {
                peers[place].note_chosen(now);
                Some(place)
            }
            None => Balance::round_robin(peers, free),
        }
    }

    /// Every peer earns its weight, the richest is chosen and pays what all have earned.
    pub(super) fn round_robin(peers: &[Peer], free: impl Fn(usize) -> bool) -> Option<usize> {
        let mut total = 0;
        let mut best: Option<(usize, i64)> = None;
        for (place, peer) in peers.iter().enumerate().filter(|(place, _)| free(*place)) {
            let (saved, earned) = peer.earn();
            total += earned;
            if best.is_none_or(|(_, most)| saved > most) {
                best = Some((place, saved));
            }
        }
        let (place, _) = best?;
        peers[place].spend(total);
        peers[place].note_chosen(clock::now().0);
        Some(place)
    }
}

/// The fewest connections by weight; round robin among equals.
fn least_connections(peers: &[Peer], free: impl Fn(usize) -> bool) -> Option<usize> {
    // a / b < c / d without division.
    let fewer = |a: &Peer, b: &Peer| {
        let (left, right) = (a.connections() as i64, b.connections() as i64);
        (left * b.options.weight).cmp(&(right * a.options.weight))
    };
    let least = peers.iter().enumerate().filter(|(place, _)| free(*place)).map(|(_, peer)| peer);
    let least = least.min_by(|a, b| fewer(a, b))?;
    Balance::round_robin(peers, |place| free(place) && fewer(&peers[place], least).is_eq())
}

fn by_weight(peers: &[Peer], hash: u64) -> usize {
    let total: i64 = peers.iter().map(|peer| peer.options.weight).sum();
    let mut left = (hash % total.max(1) as u64) as i64;
    let place = peers.iter().position(|peer| {
        left -= peer.options.weight;
        left < 0
    });
    place.unwrap_or(0)
}

fn by_address(peers: &[Peer], exchange: &Exchange, free: impl Fn(usize) -> bool) -> Option<usize> {
    let bytes = match &exchange.remote().address {
        PeerAddress::Ip(SocketAddr::V4(v4)) => v4.ip().octets()[..3].to_vec(),
        PeerAddress::Ip(SocketAddr::V6(v6)) => v6.ip().octets().to_vec(),
        PeerAddress::Unix(_) => vec![0; 3],
    };
    let mut hash: u64 = 89;
    (0..MAX_HASHES).find_map(|_| {
        hash = bytes.iter().fold(hash, |hash, byte| (hash * 113 + u64::from(*byte)) % 6271);
        Some(by_weight(peers, hash)).filter(|place| free(*place))
    })
}

fn random(peers: &[Peer], two: bool, free: impl Fn(usize) -> bool) -> Option<usize> {
    let total: i64 = peers.iter().map(|peer| peer.options.weight).sum();
    let any = |other: Option<usize>| {
        let draw = || by_weight(peers, fastrand::u64(..total.max(1) as u64));
        (0..MAX_HASHES).map(|_| draw()).find(|place| Some(*place) != other && free(*place))
    };
    let first = any(None)?;
    let second = if two { any(Some(first)) } else { None };
    let busy = |place: usize| peers[place].connections() as i64 * 100 / peers[place].options.weight;
    Some(second.filter(|second| busy(*second) < busy(first)).unwrap_or(first))
}

impl HashKey {
    fn modulo(
        &self,
        peers: &[Peer],
        exchange: &Exchange,
        free: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let key = self.key.render(exchange);
        // Nothing to go by is no reason to go to one peer alone.
        if key.is_empty() {
            return None;
        }
        let mut sum: u64 = 0;
        (0..MAX_HASHES).find_map(|round| {
            let hash = if round == 0 {
                crc32(&[&key])
            } else {
                crc32(&[round.to_string().as_bytes(), &key])
            };
            sum += u64::from(hash >> 16 & 0x7fff);
            Some(by_weight(peers, sum)).filter(|place| free(*place))
        })
    }

    fn consistent(&self, exchange: &Exchange, free: impl Fn(usize) -> bool) -> Option<usize> {
        let key = self.key.render(exchange);
        if key.is_empty() {
            return None;
        }
        let hash = crc32(&[&key]);
        let start = self.points.partition_point(|(point, _)| *point < hash);
        let around = self.points[start..].iter().chain(&self.points[..start]);
        around.map(|(_, peer)| *peer).find(|place| free(*place))
    }

    /// 160 points for each unit of weight, as Ketama has it.
    pub fn points<'a>(servers: impl Iterator<Item = (&'a str, i64)>) -> Vec<(u32, usize)> {
        let mut points = Vec::new();
        for (place, (server, weight)) in servers.enumerate() {
            let (host, port) = match server.strip_prefix("unix:") {
                Some(path) => (path, ""),
                None => server.rsplit_once(':').unwrap_or((server, "")),
            };
            let mut previous: u32 = 0;
            for _ in 0..weight * 160 {
                let parts = [host.as_bytes(), b"\0", port.as_bytes(), &previous.to_le_bytes()];
                previous = crc32(&parts);
                points.push((previous, place));
            }
        }
        points.sort_by_key(|(point, _)| *point);
        points.dedup_by_key(|(point, _)| *point);
        points
    }
}

fn crc32(parts: &[&[u8]]) -> u32 {
    let mut crc = flate2::Crc::new();
    for part in parts {
        crc.update(part);
    }
    crc.sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Address, Keepalive, PeerOptions, Upstream};

    fn order(weights: &[i64], rounds: usize) -> String {
        let peers = weights.iter().map(|weight| {
            let address = Address::Unix("/x".into());
            (address, PeerOptions { weight: *weight, ..PeerOptions::default() })
        });
        let (balance, keepalive) = (Balance::RoundRobin, Keepalive::default());
        let upstream = Upstream::new("u", peers.collect(), balance, keepalive);
        let peers: Vec<&Peer> = (0..weights.len()).map(|place| upstream.peer(place)).collect();
        assert_eq!(peers.len(), weights.len());
        let choose = |_| upstream.round_robin_for_test();
        (0..rounds).map(choose).map(|place| char::from(b'a' + place as u8)).collect()
    }

    #[test]
    fn weights_are_smooth() {
        assert_eq!(order(&[1, 1], 4), "abab");
        assert_eq!(order(&[5, 1, 1], 7), "aabacaa");
        assert_eq!(order(&[3, 1], 8), "aabaaaba");
    }

    #[test]
    fn crc_is_the_usual_one() {
        assert_eq!(crc32(&[b"1234", b"56789"]), 0xcbf4_3926);
    }
}
