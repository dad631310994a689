//! Idle connections, kept by the thread that opened them.
//!
//! The last one put back is the first one taken, so that the surplus ages and is closed. Once a
//! second, while there are any, those that are too old or that the peer has closed are let go.

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
    net::SocketAddr,
    time::Duration,
};

use super::{Connection, connection::Look};
use crate::{clock, tls::Called};

/// The `keepalive` directives of an upstream.
#[derive(Clone, Debug, Default)]
pub struct Keepalive {
    /// How many idle connections a thread keeps; 0 is none.
    pub connections: usize,
    /// Whether each location has connections of its own.
    pub local: bool,
    pub requests: u64,
    pub time: Duration,
    pub timeout: Duration,
}

impl Keepalive {
    /// What an `upstream` block has that says nothing (nginx 1.29.7 and later).
    pub fn of_a_block() -> Keepalive {
        Keepalive { connections: 32, local: true, ..Keepalive::said(32) }
    }

    pub fn said(connections: usize) -> Keepalive {
        Keepalive {
            connections,
            local: false,
            requests: 1000,
            time: Duration::from_hours(1),
            timeout: Duration::from_mins(1),
        }
    }
}

struct Idle {
    connection: Box<Connection>,
    peer: usize,
    /// Which location it belongs to, where that counts.
    owner: usize,
    since: Duration,
    timeout: Duration,
}

/// Upstreams have numbers of our own making: spreading them needs no secret.
#[derive(Default)]
struct Number(u64);

impl Hasher for Number {
    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only numbers are hashed")
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

type ByUpstream = HashMap<u64, Vec<Idle>, BuildHasherDefault<Number>>;

thread_local! {
    static IDLE: RefCell<ByUpstream> = RefCell::default();
    static SWEEPING: Cell<bool> = const { Cell::new(false) };
}

const SWEEP: Duration = Duration::from_secs(1);

/// An idle connection to this peer, if there is one that is still good.
pub(super) fn take(
    upstream: u64,
    peer: usize,
    owner: usize,
    local: Option<SocketAddr>,
    called: Option<&Called>,
    look: Look,
) -> Option<Box<Connection>> {
    IDLE.with_borrow_mut(|idle| {
        let idle = idle.get_mut(&upstream)?;
        loop {
            let same = |known: &Idle| {
                known.peer == peer
                    && known.owner == owner
                    && known.connection.local == local
                    && known.connection.called.as_ref() == called
            };
            let place = idle.iter().rposition(same)?;
            let mut known = idle.remove(place);
            if known.is_young() && known.connection.is_reusable(look) {
                return Some(known.connection);
            }
        }
    })
}

/// Keeps a connection whose last response has been read to its end.
pub(super) fn put(
    upstream: u64,
    peer: usize,
    owner: usize,
    rules: &Keepalive,
    mut connection: Box<Connection>,
) {
    connection.requests += 1;
    let worn = connection.requests >= rules.requests
        || clock::tick().saturating_sub(connection.opened) >= rules.time;
    if rules.connections == 0 || worn || !connection.buffer.is_empty() {
        return;
    }
    IDLE.with_borrow_mut(|idle| {
        let idle = idle.entry(upstream).or_default();
        if idle.len() >= rules.connections {
            idle.remove(0);
        }
        let (since, timeout) = (clock::tick(), rules.timeout);
        idle.push(Idle { connection, peer, owner, since, timeout });
    });
    if !SWEEPING.replace(true) {
        tokio::task::spawn_local(sweep());
    }
}

async fn sweep() {
    let stop = Stop;
    let mut clock = tokio::time::interval(SWEEP);
    loop {
        clock.tick().await;
        let good = |idle: &mut Idle| idle.is_young() && idle.connection.is_reusable(Look::Quick);
        let left = IDLE.with_borrow_mut(|upstreams| {
            upstreams.retain(|_, idle| {
                idle.retain_mut(good);
                !idle.is_empty()
            });
            upstreams.len()
        });
        if left == 0 {
            drop(stop);
            return;
        }
    }
}

/// However the sweep ends, the next connection begins another.
struct Stop;

impl Drop for Stop {
    fn drop(&mut self) {
        SWEEPING.set(false);
    }
}

impl Idle {
    fn is_young(&self) -> bool {
        clock::tick().saturating_sub(self.since) < self.timeout
    }
}
