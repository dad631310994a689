//! Dates as text, made once a second: every response and every access line carries one.

use std::{
    cell::Cell,
    fmt,
    time::{SystemTime, UNIX_EPOCH},
};

use crate::sys::{LocalTime, local_time};

thread_local! {
    static HTTP_DATE: Cell<(u64, [u8; 29])> = const { Cell::new((0, [0; 29])) };
    static LOCAL: Cell<(u64, LocalTime)> = Cell::new((u64::MAX, LocalTime::default()));
}

fn unix_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `Date:`'s value.
pub(crate) fn http_date() -> [u8; 29] {
    let second = unix_seconds();
    let (of, text) = HTTP_DATE.get();
    if of == second {
        return text;
    }
    let now = UNIX_EPOCH + std::time::Duration::from_secs(second);
    let mut text = [b' '; 29];
    let formatted = httpdate::fmt_http_date(now);
    text.copy_from_slice(&formatted.as_bytes()[..29]);
    HTTP_DATE.set((second, text));
    text
}

fn local() -> LocalTime {
    let second = unix_seconds();
    let (of, time) = LOCAL.get();
    if of == second {
        return time;
    }
    let time = local_time(second as i64);
    LOCAL.set((second, time));
    time
}

/// `2026-11-22 17:00:00 +0000`, as the error log has it.
pub(crate) struct LogDate;

impl fmt::Display for LogDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let LocalTime { year, month, day, hour, minute, second, offset } = local();
        let zone = Zone(offset);
        write!(f, "{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} {zone}")
    }
}

/// `22/Nov/2026:17:00:00 +0000`, as the access log has it.
pub(crate) struct AccessDate;

impl fmt::Display for AccessDate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] =
            ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        let LocalTime { year, month, day, hour, minute, second, offset } = local();
        let month = MONTHS[usize::from(month.clamp(1, 12)) - 1];
        let zone = Zone(offset);
        write!(f, "{day:02}/{month}/{year:04}:{hour:02}:{minute:02}:{second:02} {zone}")
    }
}

struct Zone(i32);

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { '-' } else { '+' };
        let minutes = self.0.abs();
        write!(f, "{sign}{:02}{:02}", minutes / 60, minutes % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_http_date_reads_back() {
        let text = http_date();
        let text = std::str::from_utf8(&text).unwrap();
        let read = httpdate::parse_http_date(text).unwrap();
        assert!(SystemTime::now().duration_since(read).unwrap().as_secs() < 5);
    }

    #[test]
    fn zones_have_a_sign() {
        assert_eq!(Zone(0).to_string(), "+0000");
        assert_eq!(Zone(540).to_string(), "+0900");
        assert_eq!(Zone(-210).to_string(), "-0330");
    }
}
