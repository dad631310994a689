//! `resolver`: names to addresses while requests come, for names that only a request knows.
//!
//! Nothing waits but the request that asked. A thread keeps what it was told for as long as the
//! answer says (or `valid`), and those who ask for a name that is being asked for already wait for
//! the same answer. How many names are kept and asked for at once is bounded, since a client can
//! choose them (`proxy_pass http://$host`). Knows nothing of upstreams.

mod message; // a question and its answer in bytes
mod query; // one question, asked of one server after another
mod names; // what a thread knows
pub mod fuzzing; // replies, for fuzz targets

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::modules::error_log::ErrorLog;

/// One `resolver` directive.
pub struct Resolver {
    servers: Vec<SocketAddr>,
    /// How long an answer is good, whatever it says itself.
    valid: Option<Duration>,
    families: Families,
    /// Each name begins with another server.
    next: AtomicUsize,
}

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Families {
    Both,
    Ipv4,
    Ipv6,
}

/// Why a name has no address, in nginx's numbers and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    #[error("1: Format error")]
    Format,
    #[error("2: Server failure")]
    Server,
    #[error("3: Host not found")]
    NotFound,
    #[error("4: Unimplemented")]
    NotImplemented,
    #[error("5: Operation refused")]
    Refused,
    #[error("110: Operation timed out")]
    Timeout,
    #[error("too many names are being resolved")]
    Busy,
}

impl Resolver {
    pub fn new(servers: Vec<SocketAddr>, valid: Option<Duration>, families: Families) -> Resolver {
        Resolver { servers, valid, families, next: AtomicUsize::new(0) }
    }

    /// The addresses of a name, of both families; at least one. Those that are known already come
    /// in another order each time.
    pub async fn resolve(
        self: &Arc<Resolver>,
        name: &str,
        timeout: Duration,
        log: &Arc<ErrorLog>,
    ) -> Result<Vec<IpAddr>, ResolveError> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        if name.is_empty() || name.split('.').any(str::is_empty) {
            return Err(ResolveError::NotFound);
        }
        names::addresses(self, &name, timeout, log).await
    }

    /// The servers, from another one each time.
    fn rotation(&self) -> impl Iterator<Item = SocketAddr> + Clone + '_ {
        let first = self.next.fetch_add(1, Relaxed) % self.servers.len();
        self.servers[first..].iter().chain(&self.servers[..first]).copied().cycle()
    }
}
