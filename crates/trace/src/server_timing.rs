//! `Server-Timing` (W3C Server Timing): each hop's share of the time, for the browser's own tools.
//!
//! Every hop writes the time from the first byte it read to the head it sent on, so a hop's own part
//! is its figure less that of the hop behind it. The header may stand several times.

use std::time::Duration;

/// The header's name, as it is written.
pub const SERVER_TIMING: &str = "Server-Timing";

/// What one hop says of one request.
#[derive(Clone, Debug, PartialEq)]
pub struct Share {
    /// The hop, or a part of it: `edge`, `gateway`, `queue`, `app-host`, `application`.
    pub name: String,
    pub milliseconds: f64,
}

/// Appends `name;dur=MILLISECONDS`, three decimals, after a comma if something stands before it.
pub fn write_server_timing(value: &mut Vec<u8>, name: &str, spent: Duration) {
    if !value.is_empty() {
        value.extend_from_slice(b", ");
    }
    value.extend_from_slice(name.as_bytes());
    value.extend_from_slice(b";dur=");
    let micros = u64::try_from(spent.as_micros()).unwrap_or(u64::MAX);
    value.extend_from_slice(itoa::Buffer::new().format(micros / 1000).as_bytes());
    let thousandths = micros % 1000;
    let digit = |place: u64| b'0' + (thousandths / place % 10) as u8;
    value.extend_from_slice(&[b'.', digit(100), digit(10), digit(1)]);
}

/// Reads one header's value. What is not `name;dur=NUMBER` says nothing about time, and is passed over.
pub fn parse_server_timing(value: &str) -> Vec<Share> {
    value.split(',').filter_map(share).collect()
}

fn share(metric: &str) -> Option<Share> {
    let mut parts = metric.split(';').map(str::trim);
    let name = parts.next().filter(|name| !name.is_empty())?.to_owned();
    let duration = parts.find_map(|part| part.strip_prefix("dur="))?;
    let milliseconds = duration.trim_matches('"').parse().ok()?;
    Some(Share { name, milliseconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        let mut value = Vec::new();
        write_server_timing(&mut value, "gateway", Duration::from_micros(12_045));
        write_server_timing(&mut value, "app-host", Duration::from_micros(7));
        let value = String::from_utf8(value).unwrap();
        assert_eq!(value, "gateway;dur=12.045, app-host;dur=0.007");
        let shares = parse_server_timing(&value);
        assert_eq!(shares[0], Share { name: "gateway".into(), milliseconds: 12.045 });
        assert_eq!(shares[1].name, "app-host");
    }

    #[test]
    fn foreign_metrics_are_passed_over() {
        let shares = parse_server_timing("cache;desc=\"hit\", db;desc=x;dur=1.5, ;dur=2");
        assert_eq!(shares, [Share { name: "db".into(), milliseconds: 1.5 }]);
    }
}
