//! `expires`: until when an answer is good, as `Expires` and `Cache-Control` tell it.

use std::time::Duration;

use bytes::Bytes;

use crate::{
    clock,
    conf::ConfError,
    exchange::Exchange,
    load::{Args, parse_time},
    modules::not_modified::parse_date,
    response::Response,
    vars::Template,
};

#[derive(Clone)]
pub(super) enum Expires {
    Off,
    Fixed(Moment),
    /// The moment is what a template says: `expires $by_type`.
    Computed {
        from: From,
        text: Template,
    },
}

/// When an answer goes stale.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Off,
    Epoch,
    Max,
    /// Seconds after `from`; before it, where negative.
    After {
        from: From,
        seconds: i64,
    },
    /// A time of the day, local.
    Daily {
        seconds: i64,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    Now,
    Modified,
}

impl Expires {
    pub(super) fn read(args: &mut Args<'_>) -> Result<Expires, ConfError> {
        let (from, place) = match (args.word(0), args.len()) {
            (_, 1) => (From::Now, 0),
            ("modified", _) => (From::Modified, 1),
            _ => return Err(args.refuse("invalid value")),
        };
        let word = args.word(place);
        if word.contains('$') {
            return Ok(Expires::Computed { from, text: args.template(place)? });
        }
        match Moment::parse(word, from) {
            Some(Moment::Off) => Ok(Expires::Off),
            Some(moment) => Ok(Expires::Fixed(moment)),
            None => Err(args.refuse("invalid value")),
        }
    }

    pub(super) fn apply(&self, exchange: &Exchange, response: &mut Response) {
        match self {
            Expires::Off => (),
            Expires::Fixed(moment) => moment.apply(response),
            Expires::Computed { from, text } => {
                let text = text.render(exchange);
                let moment = std::str::from_utf8(&text).ok();
                let moment = moment.and_then(|text| Moment::parse(text, *from));
                moment.unwrap_or(Moment::Off).apply(response);
            }
        }
    }
}

impl Moment {
    fn parse(text: &str, from: From) -> Option<Moment> {
        let seconds = |text: &str| parse_time(text).map(|time| time.as_secs() as i64);
        Some(match text {
            "" | "off" => Moment::Off,
            "epoch" if from == From::Now => Moment::Epoch,
            "max" if from == From::Now => Moment::Max,
            _ => match (text.strip_prefix('@'), text.strip_prefix('-'), from) {
                (Some(time), _, From::Now) => {
                    let seconds = seconds(time).filter(|seconds| *seconds <= DAY)?;
                    Moment::Daily { seconds }
                }
                (Some(_), _, From::Modified) => return None,
                (_, Some(time), _) => Moment::After { from, seconds: -seconds(time)? },
                _ => Moment::After { from, seconds: seconds(text.trim_start_matches('+'))? },
            },
        })
    }

    fn apply(self, response: &mut Response) {
        let now = clock::now().0 as i64;
        let (when, control) = match self {
            Moment::Off => return,
            Moment::Epoch => {
                (Bytes::from_static(b"Thu, 01 Jan 1970 00:00:01 GMT"), Bytes::from_static(NO_CACHE))
            }
            Moment::Max => (
                Bytes::from_static(b"Thu, 31 Dec 2037 23:55:55 GMT"),
                Bytes::from_static(b"max-age=315360000"),
            ),
            Moment::After { from, seconds } => {
                let modified = || {
                    // An upstream's own is a field among others.
                    let field = response.headers.get("last-modified");
                    response.last_modified.or_else(|| parse_date(field?))
                };
                let start = if from == From::Modified { modified() } else { None };
                let when = start.map_or(now, |second| second as i64) + seconds;
                (date(when), max_age(when - now, seconds))
            }
            Moment::Daily { seconds } => {
                let when = next_time(now, seconds);
                (date(when), max_age(when - now, 0))
            }
        };
        response.headers.remove("Expires");
        response.headers.remove("Cache-Control");
        response.headers.push(Bytes::from_static(b"Expires"), when);
        response.headers.push(Bytes::from_static(b"Cache-Control"), control);
    }
}

const NO_CACHE: &[u8] = b"no-cache";
const DAY: i64 = 86_400;

fn date(second: i64) -> Bytes {
    let second = u64::try_from(second).unwrap_or(0);
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + Duration::from_secs(second)).into()
}

fn max_age(age: i64, seconds: i64) -> Bytes {
    if seconds < 0 || age < 0 {
        return Bytes::from_static(NO_CACHE);
    }
    format!("max-age={age}").into()
}

/// The next moment at which the local clock shows `seconds` after midnight.
fn next_time(now: i64, seconds: i64) -> i64 {
    let local = jiff::Timestamp::new(now, 0).unwrap_or_default();
    let local = local.to_zoned(jiff::tz::TimeZone::system());
    let midnight = local.start_of_day().map_or(now, |midnight| midnight.timestamp().as_second());
    if midnight + seconds > now { midnight + seconds } else { midnight + seconds + DAY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let check = |text: &str, from, expected| {
            assert_eq!(Moment::parse(text, from), expected, "{text}");
        };
        let after = |from, seconds| Some(Moment::After { from, seconds });
        check("off", From::Now, Some(Moment::Off));
        check("max", From::Now, Some(Moment::Max));
        check("epoch", From::Now, Some(Moment::Epoch));
        check("30d", From::Now, after(From::Now, 30 * DAY));
        check("-1", From::Now, after(From::Now, -1));
        check("1h", From::Modified, after(From::Modified, 3600));
        check("@15h30m", From::Now, Some(Moment::Daily { seconds: 55_800 }));
        check("@25h", From::Now, None);
        check("@1h", From::Modified, None);
        check("max", From::Modified, None);
        check("soon", From::Now, None);
    }

    #[test]
    fn what_was_before_is_replaced() {
        let mut response = Response::new(200);
        response.headers.push("Cache-Control", "private");
        Moment::Epoch.apply(&mut response);
        assert_eq!(response.headers.all("cache-control").collect::<Vec<_>>(), ["no-cache"]);
    }

    #[test]
    fn the_next_time_is_ahead() {
        let now = 1_800_000_000;
        for seconds in [0, 1, 40_000, DAY - 1] {
            let next = next_time(now, seconds);
            assert!((now + 1..=now + DAY).contains(&next));
        }
    }
}
