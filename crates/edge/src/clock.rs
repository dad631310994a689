//! The time as text, made once a second a thread: a date costs more than the line it stands in.

use std::{
    cell::RefCell,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;

struct Texts {
    second: u64,
    http: Bytes,
    error_log: Bytes,
    combined: Bytes,
    iso: Bytes,
}

thread_local! {
    static TEXTS: RefCell<Option<Texts>> = const { RefCell::new(None) };
}

/// Seconds since 1970, with milliseconds as the fraction.
pub fn now() -> (u64, u32) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    (since.as_secs(), since.subsec_millis())
}

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

fn with(take: impl FnOnce(&Texts) -> Bytes) -> Bytes {
    let (second, _) = now();
    TEXTS.with_borrow_mut(|texts| match texts {
        Some(known) if known.second == second => take(known),
        _ => take(texts.insert(Texts::at(second))),
    })
}

impl Texts {
    fn at(second: u64) -> Texts {
        let instant = UNIX_EPOCH + std::time::Duration::from_secs(second);
        let local = jiff::Timestamp::new(second as i64, 0).unwrap_or_default();
        let local = local.to_zoned(jiff::tz::TimeZone::system());
        let text = |format: &str| Bytes::from(local.strftime(format).to_string());
        Texts {
            second,
            http: httpdate::fmt_http_date(instant).into(),
            error_log: text("%Y/%m/%d %H:%M:%S"),
            combined: text("%d/%b/%Y:%H:%M:%S %z"),
            iso: text("%Y-%m-%dT%H:%M:%S%:z"),
        }
    }
}
