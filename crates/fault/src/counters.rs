//! What went through one proxy, counted. Only ever grows, but for the connections that are open.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::Stream;

#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub(crate) accepted: AtomicU64,
    pub(crate) open: AtomicU64,
    pub(crate) unreachable: AtomicU64,
    received: [AtomicU64; 2],
    sent: [AtomicU64; 2],
}

/// A proxy's counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections taken from clients.
    pub accepted: u64,
    /// Those of them that are open now.
    pub open: u64,
    /// Those of them for which the upstream could not be reached.
    pub unreachable: u64,
    pub upstream: Bytes,
    pub downstream: Bytes,
}

/// Bytes of one stream: what its sender gave us, and what we gave on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bytes {
    pub received: u64,
    pub sent: u64,
}

impl Counting {
    pub(crate) fn received(&self, stream: Stream, bytes: usize) {
        self.received[stream as usize].fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn sent(&self, stream: Stream, bytes: usize) {
        self.sent[stream as usize].fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn now(&self) -> Counters {
        let bytes = |stream: Stream| Bytes {
            received: self.received[stream as usize].load(Relaxed),
            sent: self.sent[stream as usize].load(Relaxed),
        };
        Counters {
            accepted: self.accepted.load(Relaxed),
            open: self.open.load(Relaxed),
            unreachable: self.unreachable.load(Relaxed),
            upstream: bytes(Stream::Upstream),
            downstream: bytes(Stream::Downstream),
        }
    }
}
