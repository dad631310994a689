//! The time as text, made once a second a thread: a date costs more than the line it stands in.
//!
//! The system's coarse clocks, which step every few milliseconds and cost next to nothing: nginx
//! looks at its clock no more often than that.

use std::{
    cell::RefCell,
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use nix::time::{ClockId, clock_gettime};

struct Texts {
    second: u64,
    http: Bytes,
    error_log: Bytes,
    combined: Bytes,
    iso: Bytes,
    syslog: Bytes,
}

thread_local! {
    static TEXTS: RefCell<Option<Texts>> = const { RefCell::new(None) };
    static DATES: RefCell<Vec<(u64, String)>> = const { RefCell::new(Vec::new()) };
}

/// Seconds since 1970, with milliseconds as the fraction.
pub fn now() -> (u64, u32) {
    let since = read(ClockId::CLOCK_REALTIME_COARSE);
    (since.as_secs(), since.subsec_millis())
}

/// Some moment, to be compared with a later one: for ages that are counted in seconds.
pub fn tick() -> Duration {
    read(ClockId::CLOCK_MONOTONIC_COARSE)
}

/// Milliseconds of a clock that all processes share and that never goes back.
pub fn milliseconds() -> u64 {
    read(ClockId::CLOCK_MONOTONIC).as_millis() as u64
}

fn read(clock: ClockId) -> Duration {
    // Every Linux has these clocks.
    clock_gettime(clock).map(Duration::from).unwrap_or_default()
}

/// The HTTP date of any second: files are asked for again and again, so the last few are kept.
pub fn http_date_of(second: u64, take: impl FnOnce(&str)) {
    DATES.with_borrow_mut(|dates| {
        if dates.is_empty() {
            dates.resize(DATES_KEPT as usize, (u64::MAX, String::new()));
        }
        let (known, text) = &mut dates[(second % DATES_KEPT) as usize];
        if *known != second {
            *known = second;
            *text = httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(second));
        }
        take(text);
    });
}

const DATES_KEPT: u64 = 64;

/// `Sun, 22 Nov 2026 17:00:00 GMT`.
pub fn http_date() -> Bytes {
    with(|texts| texts.http.clone())
}

/// `2026/11/22 17:00:00`, local.
pub fn error_log_time() -> Bytes {
    with(|texts| texts.error_log.clone())
}

/// `22/Nov/2026:17:00:00 +0000`, local.
pub fn combined_time() -> Bytes {
    with(|texts| texts.combined.clone())
}

/// `2026-11-22T17:00:00+00:00`, local.
pub fn iso_time() -> Bytes {
    with(|texts| texts.iso.clone())
}

/// `Nov 22 17:00:00`, local (RFC 3164).
pub fn syslog_time() -> Bytes {
    with(|texts| texts.syslog.clone())
}

fn with(take: impl FnOnce(&Texts) -> Bytes) -> Bytes {
    let (second, _) = now();
    TEXTS.with_borrow_mut(|texts| match texts {
        Some(known) if known.second == second => take(known),
        _ => take(texts.insert(Texts::at(second))),
    })
}

impl Texts {
    fn at(second: u64) -> Texts {
        let instant = UNIX_EPOCH + Duration::from_secs(second);
        let local = jiff::Timestamp::new(second as i64, 0).unwrap_or_default();
        let local = local.to_zoned(jiff::tz::TimeZone::system());
        let text = |format: &str| Bytes::from(local.strftime(format).to_string());
        Texts {
            second,
            http: httpdate::fmt_http_date(instant).into(),
            error_log: text("%Y/%m/%d %H:%M:%S"),
            combined: text("%d/%b/%Y:%H:%M:%S %z"),
            iso: text("%Y-%m-%dT%H:%M:%S%:z"),
            syslog: text("%b %e %H:%M:%S"),
        }
    }
}
