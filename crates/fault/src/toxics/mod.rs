//! The types of toxics. Those of bytes (Toxiproxy's) are each a `Behaviour`: a queue in, at most one
//! item out, and when to ask again; no sockets and no timers of their own, so that each can be read on
//! its own screen. Those of HTTP only say here what they are; `http/` applies them, because they
//! need to know where a message begins.

use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

mod queue; // what a stage holds
mod latency;
mod bandwidth;
mod slow_close;
mod timeout;
mod reset_peer;
mod slicer;
mod limit_data;
mod http; // what can be ordered of those that know HTTP
pub(crate) mod pace; // not a toxic: the pauses that those of HTTP ask for

pub(crate) use queue::Queue;

pub use bandwidth::Bandwidth;
pub use http::{
    HttpBadChunk, HttpDrop, HttpDuplicateHeader, HttpHugeHeader, HttpSlowHead, HttpStall,
    HttpStatus, HttpTruncate, HttpWrongLength,
};
pub use latency::Latency;
pub use limit_data::LimitData;
pub use reset_peer::ResetPeer;
pub use slicer::Slicer;
pub use slow_close::SlowClose;
pub use timeout::Timeout;

/// A type and its attributes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "attributes", rename_all = "snake_case")]
pub enum Kind {
    Latency(Latency),
    Bandwidth(Bandwidth),
    SlowClose(SlowClose),
    Timeout(Timeout),
    ResetPeer(ResetPeer),
    Slicer(Slicer),
    LimitData(LimitData),
    HttpDrop(HttpDrop),
    HttpStatus(HttpStatus),
    HttpTruncate(HttpTruncate),
    HttpWrongLength(HttpWrongLength),
    HttpBadChunk(HttpBadChunk),
    HttpHugeHeader(HttpHugeHeader),
    HttpStall(HttpStall),
    HttpDuplicateHeader(HttpDuplicateHeader),
    HttpSlowHead(HttpSlowHead),
}

impl Kind {
    pub const TYPES: [&str; 16] = [
        "latency",
        "bandwidth",
        "slow_close",
        "timeout",
        "reset_peer",
        "slicer",
        "limit_data",
        "http_drop",
        "http_status",
        "http_truncate",
        "http_wrong_length",
        "http_bad_chunk",
        "http_huge_header",
        "http_stall",
        "http_duplicate_header",
        "http_slow_head",
    ];

    pub fn type_name(&self) -> &'static str {
        match self {
            Kind::Latency(_) => "latency",
            Kind::Bandwidth(_) => "bandwidth",
            Kind::SlowClose(_) => "slow_close",
            Kind::Timeout(_) => "timeout",
            Kind::ResetPeer(_) => "reset_peer",
            Kind::Slicer(_) => "slicer",
            Kind::LimitData(_) => "limit_data",
            Kind::HttpDrop(_) => "http_drop",
            Kind::HttpStatus(_) => "http_status",
            Kind::HttpTruncate(_) => "http_truncate",
            Kind::HttpWrongLength(_) => "http_wrong_length",
            Kind::HttpBadChunk(_) => "http_bad_chunk",
            Kind::HttpHugeHeader(_) => "http_huge_header",
            Kind::HttpStall(_) => "http_stall",
            Kind::HttpDuplicateHeader(_) => "http_duplicate_header",
            Kind::HttpSlowHead(_) => "http_slow_head",
        }
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        match self {
            Kind::Slicer(slicer) => slicer.check(),
            Kind::HttpStatus(status) => status.check(),
            Kind::HttpWrongLength(length) => length.check(),
            Kind::HttpHugeHeader(header) => header.check(),
            Kind::HttpDuplicateHeader(header) => header.check(),
            _ => Ok(()),
        }
    }

    /// Which requests are taken: so many, whose target begins so. `None`: a toxic of bytes.
    pub(crate) fn requests(&self) -> Option<(u64, &str)> {
        match self {
            Kind::HttpDrop(HttpDrop { first, path })
            | Kind::HttpStatus(HttpStatus { first, path, .. })
            | Kind::HttpTruncate(HttpTruncate { first, path, .. })
            | Kind::HttpWrongLength(HttpWrongLength { first, path, .. })
            | Kind::HttpBadChunk(HttpBadChunk { first, path })
            | Kind::HttpHugeHeader(HttpHugeHeader { first, path, .. })
            | Kind::HttpStall(HttpStall { first, path, .. })
            | Kind::HttpDuplicateHeader(HttpDuplicateHeader { first, path, .. })
            | Kind::HttpSlowHead(HttpSlowHead { first, path, .. }) => Some((*first, path)),
            _ => None,
        }
    }

    /// `None`: a toxic of HTTP.
    pub(crate) fn behaviour(&self) -> Option<Box<dyn Behaviour>> {
        Some(match self {
            Kind::Latency(latency) => Box::new(latency.behaviour()),
            Kind::Bandwidth(bandwidth) => Box::new(bandwidth.behaviour()),
            Kind::SlowClose(slow_close) => Box::new(slow_close.behaviour()),
            Kind::Timeout(timeout) => Box::new(timeout.clone()),
            Kind::ResetPeer(reset_peer) => Box::new(reset_peer.behaviour()),
            Kind::Slicer(slicer) => Box::new(slicer.behaviour()),
            Kind::LimitData(limit_data) => Box::new(limit_data.clone()),
            _ => return None,
        })
    }
}

/// What goes through a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Data(Bytes),
    /// What follows waits so long, or, without a time, until the toxic with this number is gone.
    Hold {
        toxic: u64,
        time: Option<Duration>,
    },
    End(Ending),
}

/// How a stream ends. What stood before it in the stream has been handed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// This stream only: its sender has nothing more to say.
    Eof,
    /// The connection, in good order.
    Close,
    /// The connection, at once and with RST.
    Reset,
}

/// What the stage does now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Emit(Item),
    /// Nothing before this moment, or before something new arrives.
    Wait(Option<Instant>),
}

/// When a stage is asked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) now: Instant,
    /// When the toxic came upon this connection.
    pub(crate) since: Instant,
    /// Bytes the stage has emitted until now.
    pub(crate) passed: u64,
}

pub(crate) trait Behaviour: Send + Sync {
    fn pull(&mut self, queue: &mut Queue, moment: &Moment) -> Step;

    /// Bytes the stage may hold before its sender is left waiting.
    fn room(&self) -> usize {
        ROOM
    }

    /// Whether the sender's bytes stay where they are, in the socket.
    fn leaves_unread(&self) -> bool {
        false
    }

    /// The sender has sent something that was left unread.
    fn unread_data(&mut self, _now: Instant) {}

    /// How the connection has to end when the toxic is removed, if it can not go on.
    fn ending_when_removed(&self) -> Option<Ending> {
        None
    }
}

pub(crate) const ROOM: usize = 64 * 1024;

/// A duration as the API has it. A year is for ever, and can be added to any moment.
pub(crate) fn milliseconds(count: u64) -> Duration {
    const YEAR: Duration = Duration::from_hours(365 * 24);
    Duration::from_millis(count).min(YEAR)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Toxic;

    #[test]
    fn every_type_is_known_by_its_name_and_has_defaults() {
        for name in Kind::TYPES {
            let attributes = if name == "slicer" { json!({"average_size": 1}) } else { json!({}) };
            let toxic: Toxic =
                serde_json::from_value(json!({"type": name, "attributes": attributes})).unwrap();
            assert_eq!(toxic.kind.type_name(), name);
            assert_eq!(toxic.name, format!("{name}_downstream"));
            assert_eq!(serde_json::to_value(&toxic).unwrap()["type"], name);
        }
    }
}
