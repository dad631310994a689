//! `proxy_next_upstream`: after which failures another peer is asked.

/// What makes another peer worth asking: a set of nginx's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NextUpstream(u16);

impl NextUpstream {
    pub const OFF: NextUpstream = NextUpstream(0);
    pub const ERROR: NextUpstream = NextUpstream(1);
    pub const TIMEOUT: NextUpstream = NextUpstream(1 << 1);
    pub const INVALID_HEADER: NextUpstream = NextUpstream(1 << 2);
    pub const NON_IDEMPOTENT: NextUpstream = NextUpstream(1 << 3);
    const STATUSES: [(u16, NextUpstream); 7] = [
        (500, NextUpstream(1 << 4)),
        (502, NextUpstream(1 << 5)),
        (503, NextUpstream(1 << 6)),
        (504, NextUpstream(1 << 7)),
        (403, NextUpstream(1 << 8)),
        (404, NextUpstream(1 << 9)),
        (429, NextUpstream(1 << 10)),
    ];

    pub fn parse(word: &str) -> Option<NextUpstream> {
        Some(match word {
            "error" => NextUpstream::ERROR,
            "timeout" => NextUpstream::TIMEOUT,
            "invalid_header" => NextUpstream::INVALID_HEADER,
            "non_idempotent" => NextUpstream::NON_IDEMPOTENT,
            "off" => NextUpstream::OFF,
            _ => NextUpstream::of_status(word.strip_prefix("http_")?.parse().ok()?)?,
        })
    }

    pub(super) fn of_status(status: u16) -> Option<NextUpstream> {
        let known = NextUpstream::STATUSES.iter().find(|(known, _)| *known == status);
        known.map(|(_, word)| *word)
    }

    pub fn with(self, other: NextUpstream) -> NextUpstream {
        NextUpstream(self.0 | other.0)
    }

    pub(super) fn has(self, other: NextUpstream) -> bool {
        self.0 & other.0 == other.0
    }
}
