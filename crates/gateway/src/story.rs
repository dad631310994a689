//! What happened to one request, and when. The access line, `Server-Timing` and every line about its
//! failure are written from here, so that they can not contradict each other.

use std::{
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use crate::front::Introduction;
use trace::{TraceContext, write_server_timing};

/// Who sent it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Unix,
    Tcp(SocketAddr),
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Unix => f.write_str("unix:"),
            Peer::Tcp(address) => write!(f, "{}", address.ip()),
        }
    }
}

pub(crate) struct Story {
    /// The client: behind a PROXY protocol, not who connected.
    pub(crate) peer: Peer,
    pub(crate) introduction: Option<Introduction>,
    /// The head was complete.
    pub(crate) arrived: Instant,
    /// The body too: from here on it may wait for a worker.
    pub(crate) admitted: Option<Instant>,
    pub(crate) leased: Option<Instant>,
    /// The response's head was ready to be sent.
    pub(crate) answered: Option<Instant>,
    /// Process id of the worker that has or had it.
    pub(crate) worker: Option<u32>,
    pub(crate) trace: Option<TraceContext>,
    pub(crate) status: u16,
    /// Bytes of the response's body.
    pub(crate) sent: u64,
    /// The response's fields, if the access log asks for any.
    pub(crate) response_fields: Vec<u8>,
}

impl Story {
    pub(crate) fn begin(peer: Peer) -> Story {
        Story {
            peer,
            introduction: None,
            arrived: Instant::now(),
            admitted: None,
            leased: None,
            answered: None,
            worker: None,
            trace: None,
            status: 0,
            sent: 0,
            response_fields: Vec::new(),
        }
    }

    pub(crate) fn age(&self) -> Duration {
        self.arrived.elapsed()
    }

    /// Appends this hop's entries.
    pub(crate) fn server_timing(&self, value: &mut Vec<u8>) {
        if let (Some(admitted), Some(leased)) = (self.admitted, self.leased) {
            write_server_timing(value, "queue", leased - admitted);
        }
        write_server_timing(
            value,
            "gateway",
            self.answered.unwrap_or_else(Instant::now) - self.arrived,
        );
    }

    /// ` trace=ID`, or nothing.
    pub(crate) fn trace_suffix(&self) -> impl fmt::Display + use<> {
        TraceSuffix(self.trace)
    }
}

struct TraceSuffix(Option<TraceContext>);

impl fmt::Display for TraceSuffix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |context| write!(f, " trace={}", context.trace_id()))
    }
}

/// `1.2s`, for lines that say how old something is.
pub(crate) struct Age(pub(crate) Duration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1}s", self.0.as_secs_f64())
    }
}
