//! The peers of an upstream, and how they fare: weights, failures, connections.
//!
//! The numbers are atomics and shared by all threads. Two threads that choose at the same moment
//! may see each other's weights half updated; the sums stay right, so only the order of two
//! neighbouring choices can differ from what one thread would have done.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, AtomicU32, AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use super::{Address, Balance, Keepalive};
use crate::{clock, exchange::Exchange};

/// What `proxy_pass` can name: an `upstream` block, or an address that is one by itself.
pub struct Upstream {
    /// Unlike its name, never used again: idle connections are kept under it.
    pub id: u64,
    pub name: Arc<str>,
    /// Those to be asked first, then the backups.
    peers: Vec<Peer>,
    primaries: usize,
    balance: Balance,
    pub keepalive: Keepalive,
}

pub struct Peer {
    pub address: Address,
    /// As logs and `$upstream_addr` show it.
    pub name: Arc<str>,
    pub options: PeerOptions,
    current_weight: AtomicI64,
    /// How much less than its weight a peer that failed is trusted with, so that it is negative or 0.
    distrust: AtomicI64,
    fails: AtomicU32,
    /// Seconds since 1970: the last failure, and the last time it was tried after one.
    failed: AtomicU64,
    checked: AtomicU64,
    connections: AtomicUsize,
}

/// The parameters of `server`.
#[derive(Clone, Debug)]
pub struct PeerOptions {
    pub weight: i64,
    /// 0: failures are not counted.
    pub max_fails: u32,
    pub fail_timeout: Duration,
    /// 0: no limit.
    pub max_conns: usize,
    pub backup: bool,
    pub down: bool,
}

impl Default for PeerOptions {
    fn default() -> PeerOptions {
        let fail_timeout = Duration::from_secs(10);
        PeerOptions {
            weight: 1,
            max_fails: 1,
            fail_timeout,
            max_conns: 0,
            backup: false,
            down: false,
        }
    }
}

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

impl Upstream {
    pub fn new(
        name: &str,
        peers: Vec<(Address, PeerOptions)>,
        balance: Balance,
        keepalive: Keepalive,
    ) -> Upstream {
        let (backups, primaries): (Vec<_>, Vec<_>) =
            peers.into_iter().partition(|(_, options)| options.backup);
        let count = primaries.len();
        let peers = primaries.into_iter().chain(backups).map(|(address, options)| Peer {
            name: address.to_string().into(),
            address,
            options,
            current_weight: AtomicI64::new(0),
            distrust: AtomicI64::new(0),
            fails: AtomicU32::new(0),
            failed: AtomicU64::new(0),
            checked: AtomicU64::new(0),
            connections: AtomicUsize::new(0),
        });
        let id = NEXT_ID.fetch_add(1, Relaxed);
        let peers = peers.collect();
        Upstream { id, name: name.into(), peers, primaries: count, balance, keepalive }
    }

    /// An address that is an upstream by itself keeps no idle connections: nginx keeps them for
    /// `upstream` blocks only, and a server behind may well serve one connection at a time.
    pub fn implicit(name: &str, addresses: Vec<Address>) -> Upstream {
        let peers = addresses.into_iter().map(|address| (address, PeerOptions::default()));
        Upstream::new(name, peers.collect(), Balance::RoundRobin, Keepalive::default())
    }

    pub fn peer(&self, place: usize) -> &Peer {
        &self.peers[place]
    }

    /// How many peers may be asked for one request.
    pub fn tries(&self) -> usize {
        self.peers.iter().filter(|peer| !peer.options.down).count()
    }

    fn is_single(&self) -> bool {
        self.peers.len() == 1
    }

    /// The next peer to ask; `None`: no live upstreams.
    pub fn choose(&self, exchange: &Exchange, tried: &mut Tried) -> Option<usize> {
        let place = if self.is_single() {
            let peer = &self.peers[0];
            // A peer without an alternative is asked however often it has failed.
            (!peer.options.down && !peer.is_full()).then_some(0)?
        } else {
            let primaries = &self.peers[..self.primaries];
            let first = self.balance.choose(primaries, exchange, tried, 0);
            first.or_else(|| {
                let backups = &self.peers[self.primaries..];
                let backup_tried = |place: usize| tried.contains(self.primaries + place);
                let free =
                    |place: usize| !backup_tried(place) && backups[place].is_live(clock::now().0);
                Balance::round_robin(backups, free).map(|place| self.primaries + place)
            })?
        };
        tried.insert(place);
        Some(place)
    }

    /// Counts a failure, unless the peer is the only one. `true`: it is left alone from now on.
    pub fn failed(&self, place: usize) -> bool {
        let peer = &self.peers[place];
        if self.is_single() || peer.options.max_fails == 0 {
            return false;
        }
        let (now, _) = clock::now();
        let fails = peer.fails.fetch_add(1, Relaxed) + 1;
        peer.failed.store(now, Relaxed);
        peer.checked.store(now, Relaxed);
        let weight = peer.options.weight;
        let less = peer.distrust.load(Relaxed) - weight / i64::from(peer.options.max_fails);
        peer.distrust.store(less.max(-weight), Relaxed);
        fails >= peer.options.max_fails
    }

    /// A peer that answers after it was tried again is forgiven.
    pub fn succeeded(&self, place: usize) {
        let peer = &self.peers[place];
        if peer.fails.load(Relaxed) != 0 && peer.failed.load(Relaxed) < peer.checked.load(Relaxed) {
            peer.fails.store(0, Relaxed);
        }
    }

    /// Counts a connection in use, until the guard is dropped.
    pub fn occupy(self: &Arc<Upstream>, place: usize) -> Occupied {
        self.peers[place].connections.fetch_add(1, Relaxed);
        Occupied { upstream: Arc::clone(self), place }
    }
}

pub struct Occupied {
    upstream: Arc<Upstream>,
    place: usize,
}

impl Drop for Occupied {
    fn drop(&mut self) {
        self.upstream.peers[self.place].connections.fetch_sub(1, Relaxed);
    }
}

impl Peer {
    /// Whether it may be asked now: not switched off, not failed too often, not full.
    pub(super) fn is_live(&self, now: u64) -> bool {
        let options = &self.options;
        let resting = options.max_fails != 0
            && self.fails.load(Relaxed) >= options.max_fails
            && now.saturating_sub(self.checked.load(Relaxed)) <= options.fail_timeout.as_secs();
        !options.down && !resting && !self.is_full()
    }

    fn is_full(&self) -> bool {
        self.options.max_conns != 0 && self.connections() >= self.options.max_conns
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }

    /// One step of smooth weighted round robin: what the peer has saved up, and what it earns.
    pub(super) fn earn(&self) -> (i64, i64) {
        let distrust = self.distrust.load(Relaxed);
        let earned = self.options.weight + distrust;
        if distrust < 0 {
            self.distrust.store(distrust + 1, Relaxed);
        }
        (self.current_weight.fetch_add(earned, Relaxed) + earned, earned)
    }

    pub(super) fn spend(&self, total: i64) {
        self.current_weight.fetch_sub(total, Relaxed);
    }

    /// It is about to be asked: after its rest, this is the trial that decides.
    pub(super) fn note_chosen(&self, now: u64) {
        if now.saturating_sub(self.checked.load(Relaxed)) > self.options.fail_timeout.as_secs() {
            self.checked.store(now, Relaxed);
        }
    }
}

/// The peers one request has been to. Most requests go to one, and keep nothing.
#[derive(Default)]
pub struct Tried(Vec<usize>);

impl Tried {
    pub fn contains(&self, place: usize) -> bool {
        self.0.contains(&place)
    }

    fn insert(&mut self, place: usize) {
        if !self.contains(place) {
            self.0.push(place);
        }
    }

    /// The same peer may be asked again: its connection was stale, not the peer.
    pub fn remove(&mut self, place: usize) {
        self.0.retain(|tried| *tried != place);
    }
}

#[cfg(test)]
impl Upstream {
    pub(super) fn round_robin_for_test(&self) -> usize {
        Balance::round_robin(&self.peers, |_| true).expect("all are free")
    }
}
