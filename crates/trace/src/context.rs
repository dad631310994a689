//! `traceparent`, W3C Trace Context level 1, §3.2: `00-TRACEID-PARENTID-FLAGS`, lower-case hex.

use std::fmt;

/// The header's name, as it is written.
pub const TRACEPARENT: &str = "traceparent";

/// `00-` + 32 + `-` + 16 + `-` + 2.
const LENGTH: usize = 55;

const SAMPLED: u8 = 1;

/// Which journey a request belongs to, and which step of it sent the request here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    trace_id: [u8; 16],
    span_id: [u8; 8],
    flags: u8,
}

impl TraceContext {
    /// Begins a journey, for a request that came without one.
    pub fn start() -> TraceContext {
        let trace_id = loop {
            let id = fastrand::u128(..);
            if id != 0 {
                break id.to_be_bytes();
            }
        };
        TraceContext { trace_id, span_id: span(), flags: SAMPLED }
    }

    /// Reads a header's value. `None` where the standard says to start over: wrong shape, version
    /// `ff`, an id of zeros. Versions above 00 may be longer, and are read by their first four parts.
    pub fn parse(value: &[u8]) -> Option<TraceContext> {
        if value.len() < LENGTH || [2, 35, 52].iter().any(|&at| value[at] != b'-') {
            return None;
        }
        let [version] = hex::<1>(&value[..2])?;
        let longer_is_well_formed = version != 0 && value.get(LENGTH) == Some(&b'-');
        if version == 0xff || (value.len() > LENGTH && !longer_is_well_formed) {
            return None;
        }
        let trace_id = hex::<16>(&value[3..35])?;
        let span_id = hex::<8>(&value[36..52])?;
        let [flags] = hex::<1>(&value[53..55])?;
        if trace_id == [0; 16] || span_id == [0; 8] {
            return None;
        }
        Some(TraceContext { trace_id, span_id, flags })
    }

    /// Continues the journey a request came with, or begins one.
    pub fn continued(value: Option<&[u8]>) -> TraceContext {
        value.and_then(TraceContext::parse).map_or_else(TraceContext::start, TraceContext::child)
    }

    /// The next step of the same journey.
    pub fn child(self) -> TraceContext {
        TraceContext { span_id: span(), ..self }
    }

    /// The id by which every hop's log lines can be found: 32 hex digits.
    pub fn trace_id(&self) -> impl fmt::Display + use<> {
        Hex(self.trace_id)
    }

    /// This step's own id: 16 hex digits.
    pub fn span_id(&self) -> impl fmt::Display + use<> {
        Hex(self.span_id)
    }

    pub fn sampled(&self) -> bool {
        self.flags & SAMPLED != 0
    }
}

/// The header's value.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{}-{}-{:02x}", self.trace_id(), self.span_id(), self.flags & SAMPLED)
    }
}

struct Hex<const N: usize>([u8; N]);

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn span() -> [u8; 8] {
    fastrand::u64(1..).to_be_bytes()
}

/// Lower-case only: the standard has no other form.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_good_header_is_written_as_it_was_read() {
        assert_eq!(TraceContext::parse(GOOD.as_bytes()).unwrap().to_string(), GOOD);
    }

    #[test]
    fn a_child_keeps_the_trace_and_changes_the_span() {
        let parent = TraceContext::parse(GOOD.as_bytes()).unwrap();
        let child = parent.child();
        assert_eq!(child.trace_id().to_string(), "0af7651916cd43dd8448eb211c80319c");
        assert_ne!(child.span_id, parent.span_id);
    }

    #[test]
    fn what_the_standard_calls_invalid_starts_over() {
        let zero_trace = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let zero_span = "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01";
        let upper = GOOD.to_uppercase();
        let forbidden = GOOD.replacen("00", "ff", 1);
        let longer = format!("{GOOD}-x");
        for bad in ["", "00-", zero_trace, zero_span, &upper, &forbidden, &longer, &GOOD[..54]] {
            assert_eq!(TraceContext::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn a_later_version_may_be_longer() {
        let later = format!("{}-more", GOOD.replacen("00", "01", 1));
        assert!(TraceContext::parse(later.as_bytes()).is_some());
    }

    #[test]
    fn a_new_journey_is_well_formed_and_sampled() {
        let context = TraceContext::start();
        assert_eq!(TraceContext::parse(context.to_string().as_bytes()), Some(context));
        assert!(context.sampled());
    }
}
