//! `$date_local` and `$date_gmt`, in the form that the page has asked for by `config timefmt`.

use std::fmt::Write;

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};

use crate::{
    clock,
    exchange::Exchange,
    vars::{Variable, volatile},
};

/// A page's `timefmt`, where its variables can see it.
#[derive(Default)]
pub(super) struct TimeFormat(pub(super) Option<String>);

pub(super) const VARIABLES: &[Variable] = &[
    volatile("date_local", |exchange, _| date(exchange, Zone::Local)),
    volatile("date_gmt", |exchange, _| date(exchange, Zone::Gmt)),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Zone {
    Local,
    Gmt,
}

const UNSAID: &str = "%A, %d-%b-%Y %H:%M:%S %Z";

fn date(exchange: &Exchange, zone: Zone) -> Option<Bytes> {
    let format = exchange.kept::<TimeFormat>().and_then(|format| format.0.as_deref());
    let (second, _) = clock::now();
    let now = Timestamp::from_second(i64::try_from(second).ok()?).ok()?;
    let mut text = String::new();
    let format = format.unwrap_or(UNSAID);
    let written = match zone {
        Zone::Local => write!(text, "{}", now.to_zoned(TimeZone::system()).strftime(format)),
        Zone::Gmt => {
            // The zone's own name for itself is UTC.
            let format = format.replace("%Z", "GMT");
            write!(text, "{}", now.to_zoned(TimeZone::UTC).strftime(&format))
        }
    };
    // A format that is none is no date.
    written.ok().map(|()| text.into())
}
