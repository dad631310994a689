//! What is kept from one visit to the next: RFC 9111, as far as a private cache of GETs needs it.
//!
//! An answer is fresh for as long as it says itself (`max-age`, `Expires`); after that it is asked
//! for again with its `ETag` and `Last-Modified`. A browser would also guess a lifetime for answers
//! that give none, and then make no request at all; here such an answer is revalidated, because the
//! request is what one wants to see. Bodies are kept only where something is read from them.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use reqwest::header::{
    AGE, CACHE_CONTROL, DATE, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, VARY,
};

use crate::story::Story;

/// Bodies beyond this are not kept, and their pages are fetched anew.
const BODIES_LIMIT: usize = 64 << 20;

/// One answer, and what it takes to use it again.
#[derive(Clone)]
pub struct Entry {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
    fresh_until: Option<SystemTime>,
    /// What the request had in the headers by which the answer varies.
    varies_by: Vec<(HeaderName, Option<HeaderValue>)>,
    pub story: Story,
    pub body: Option<Vec<u8>>,
}

pub enum Found {
    Nothing,
    /// Usable as it is.
    Fresh(Box<Entry>),
    /// Usable if the server answers 304.
    Stale(Box<Entry>),
}

#[derive(Default)]
pub struct Cache {
    entries: HashMap<String, Entry>,
    bodies: usize,
}

impl Cache {
    pub fn find(&self, url: &str, request: &HeaderMap, now: SystemTime) -> Found {
        let Some(entry) = self.entries.get(url) else { return Found::Nothing };
        if entry.varies_by.iter().any(|(name, value)| request.get(name) != value.as_ref()) {
            return Found::Nothing;
        }
        let entry = Box::new(entry.clone());
        match entry.fresh_until {
            Some(until) if now < until => Found::Fresh(entry),
            _ => Found::Stale(entry),
        }
    }

    /// Keeps a complete answer with status 200, if it may be kept and could be of use.
    pub fn store(
        &mut self,
        request: &HeaderMap,
        response: &HeaderMap,
        story: &Story,
        body: Option<&[u8]>,
        now: SystemTime,
    ) {
        let url = story.url.clone();
        self.forget(&url);
        let directives = Directives::read(response);
        let Some(varies_by) = varies_by(request, response) else { return };
        let entry = Entry {
            etag: response.get(ETAG).cloned(),
            last_modified: response.get(LAST_MODIFIED).cloned(),
            fresh_until: fresh_until(&directives, response, now),
            varies_by,
            story: story.clone(),
            body: body.map(<[u8]>::to_vec),
        };
        let size = body.map_or(0, <[u8]>::len);
        let useful =
            entry.fresh_until.is_some() || entry.etag.is_some() || entry.last_modified.is_some();
        if !directives.no_store && useful && self.bodies + size <= BODIES_LIMIT {
            self.bodies += size;
            self.entries.insert(url, entry);
        }
    }

    /// A 304 renews the answer it confirms.
    pub fn renew(&mut self, url: &str, response: &HeaderMap, now: SystemTime) {
        if let Some(entry) = self.entries.get_mut(url) {
            entry.fresh_until = fresh_until(&Directives::read(response), response, now);
        }
    }

    pub fn forget(&mut self, url: &str) {
        if let Some(entry) = self.entries.remove(url) {
            self.bodies -= entry.body.map_or(0, |body| body.len());
        }
    }
}

impl Entry {
    /// Asks for the answer only if it is no longer this one.
    pub fn make_conditional(&self, request: &mut HeaderMap) {
        if let Some(etag) = &self.etag {
            request.insert(IF_NONE_MATCH, etag.clone());
        }
        if let Some(date) = &self.last_modified {
            request.insert(IF_MODIFIED_SINCE, date.clone());
        }
    }
}

/// `None`: varies by everything, so no later request is known to get the same.
fn varies_by(
    request: &HeaderMap,
    response: &HeaderMap,
) -> Option<Vec<(HeaderName, Option<HeaderValue>)>> {
    let mut varies_by = Vec::new();
    for value in response.get_all(VARY) {
        for name in value.to_str().ok()?.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let name: HeaderName = name.parse().ok().filter(|_| name != "*")?;
            let value = request.get(&name).cloned();
            varies_by.push((name, value));
        }
    }
    Some(varies_by)
}

#[derive(Default)]
struct Directives {
    no_store: bool,
    no_cache: bool,
    max_age: Option<u64>,
}

impl Directives {
    fn read(response: &HeaderMap) -> Directives {
        let mut directives = Directives::default();
        let values = response.get_all(CACHE_CONTROL);
        let parts =
            values.iter().filter_map(|value| value.to_str().ok()).flat_map(|v| v.split(','));
        for part in parts {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name.trim().to_ascii_lowercase().as_str() {
                "no-store" => directives.no_store = true,
                "no-cache" => directives.no_cache = true,
                "max-age" => directives.max_age = value.trim().trim_matches('"').parse().ok(),
                _ => {}
            }
        }
        directives
    }
}

/// RFC 9111 §4.2.1, without the heuristic.
fn fresh_until(
    directives: &Directives,
    response: &HeaderMap,
    now: SystemTime,
) -> Option<SystemTime> {
    if directives.no_cache || directives.no_store {
        return None;
    }
    let text = |name: HeaderName| response.get(name)?.to_str().ok();
    let lifetime = if let Some(seconds) = directives.max_age {
        Duration::from_secs(seconds)
    } else {
        let expires = httpdate::parse_http_date(text(EXPIRES)?).ok()?;
        let sent = text(DATE).and_then(|date| httpdate::parse_http_date(date).ok()).unwrap_or(now);
        expires.duration_since(sent).ok()?
    };
    let age = Duration::from_secs(text(AGE).and_then(|age| age.parse().ok()).unwrap_or(0));
    let rest = lifetime.checked_sub(age).filter(|rest| !rest.is_zero())?;
    now.checked_add(rest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::story::Role;
    use crate::story::tests::story;

    const URL: &str = "http://h/a.css";

    fn headers(text: &str) -> HeaderMap {
        let lines = text.lines().filter_map(|line| line.split_once(": "));
        lines.map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    /// Stores an answer and looks for it again some seconds later.
    fn check(response: &str, later: u64, expected: &str) {
        let mut cache = Cache::default();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let request = headers("Accept: a");
        cache.store(&request, &headers(response), &story(Role::Image, URL), None, now);
        let found = cache.find(URL, &request, now + Duration::from_secs(later));
        let found = match found {
            Found::Nothing => "nothing",
            Found::Fresh(_) => "fresh",
            Found::Stale(_) => "stale",
        };
        assert_eq!(found, expected, "{response}");
    }

    #[test]
    fn an_answer_is_fresh_as_long_as_it_says() {
        check("Cache-Control: public, max-age=60", 59, "fresh");
        check("Cache-Control: max-age=60", 60, "stale");
        check("Cache-Control: max-age=60\nAge: 50", 11, "stale");
        check("Expires: Mon, 12 Jan 1970 13:47:40 GMT", 59, "fresh");
        check("Expires: Mon, 12 Jan 1970 13:47:40 GMT", 61, "stale");
        check(
            "Cache-Control: max-age=0\nExpires: Mon, 12 Jan 2070 13:47:40 GMT\nETag: x",
            1,
            "stale",
        );
    }

    #[test]
    fn what_can_be_confirmed_is_kept_and_what_may_not_is_not() {
        check("ETag: \"a\"", 0, "stale");
        check("Last-Modified: Mon, 12 Jan 1970 13:47:40 GMT", 0, "stale");
        check("Content-Length: 1", 0, "nothing");
        check("ETag: \"a\"\nCache-Control: no-store", 0, "nothing");
        check("ETag: \"a\"\nCache-Control: no-cache, max-age=60", 0, "stale");
        check("ETag: \"a\"\nVary: *", 0, "nothing");
    }

    #[test]
    fn an_answer_for_other_headers_is_another_answer() {
        let mut cache = Cache::default();
        let now = SystemTime::UNIX_EPOCH;
        let response = headers("Vary: Cookie\nCache-Control: max-age=60");
        let anonymous = headers("Accept: a");
        cache.store(&anonymous, &response, &story(Role::Document, URL), Some(b"x"), now);
        assert!(matches!(cache.find(URL, &headers("Accept: b"), now), Found::Fresh(_)));
        assert!(matches!(cache.find(URL, &headers("Cookie: a=b"), now), Found::Nothing));
    }

    #[test]
    fn a_stale_answer_is_asked_for_by_its_validators_and_renewed() {
        let mut cache = Cache::default();
        let now = SystemTime::UNIX_EPOCH;
        let request = headers("Accept: a");
        let response = headers("ETag: \"a\"\nLast-Modified: Mon, 12 Jan 1970 13:47:40 GMT");
        cache.store(&request, &response, &story(Role::Image, URL), None, now);
        let Found::Stale(entry) = cache.find(URL, &request, now) else { panic!("not stale") };
        let mut conditional = request.clone();
        entry.make_conditional(&mut conditional);
        assert_eq!(conditional[IF_NONE_MATCH], "\"a\"");
        assert_eq!(conditional[IF_MODIFIED_SINCE], "Mon, 12 Jan 1970 13:47:40 GMT");
        cache.renew(URL, &headers("Cache-Control: max-age=5"), now);
        assert!(matches!(cache.find(URL, &request, now), Found::Fresh(_)));
    }

    #[test]
    fn what_is_forgotten_makes_room() {
        let mut cache = Cache::default();
        let (request, response) = (HeaderMap::new(), headers("ETag: a"));
        let half = vec![0; BODIES_LIMIT / 2 + 1];
        for url in ["http://h/1", "http://h/2"] {
            let story = story(Role::Document, url);
            cache.store(&request, &response, &story, Some(&half), SystemTime::now());
        }
        assert!(!cache.entries.contains_key("http://h/2"));
        cache.forget("http://h/1");
        assert_eq!(cache.bodies, 0);
    }
}
