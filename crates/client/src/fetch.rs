//! One request and its answer: headers on, cookies in and out, cache, clocks, the story written down.
//!
//! The library's own conveniences are switched off where they would hide facts: redirects are
//! followed by [`crate::visit`], so that each is a row; gzip is undone here, so that the size on the
//! wire is known; no proxy of the environment is used, so that the hops seen are the hops there are.

use std::collections::HashMap;
use std::io::Read as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime};

use flate2::read::MultiGzDecoder;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, COOKIE, HeaderMap, HeaderValue, LOCATION};
use reqwest::{Client, Response, Version, redirect::Policy};
use tokio::sync::Semaphore;
use trace::{TRACEPARENT, TraceContext};
use url::{Origin, Url};

use crate::answered::{Answered, Certainty, Hop, judge};
use crate::cache::{Cache, Entry, Found};
use crate::cookies::Cookies;
use crate::failure::sentence;
use crate::options::Options;
use crate::profile::{self, CONNECTIONS_PER_HOST};
use crate::story::{Cause, Headers, Role, Source, Story, Timing, without_credentials};
use crate::timing;

/// More of a page or a stylesheet than this is not read for what it names.
const READ_LIMIT: usize = 16 << 20;

/// Everything a browser keeps from one request to the next.
pub struct Browser {
    client: Client,
    cookies: Cookies,
    cache: Mutex<Cache>,
    connections: Mutex<HashMap<Origin, Arc<Semaphore>>>,
    /// Given on the command line, for the origin given there and no other.
    own_headers: HeaderMap,
    own_origin: Origin,
    timeout: std::time::Duration,
}

/// One request to make.
#[derive(Clone)]
pub struct Ask {
    pub role: Role,
    pub url: Url,
    pub cause: Cause,
    /// The page it belongs to, which decides about cookies; a navigation has none.
    pub page: Option<Url>,
    /// The page or stylesheet that names it, which is told to the server.
    pub named_in: Option<Url>,
    pub visit_began: Instant,
}

/// What came of it.
pub struct Answer {
    pub story: Story,
    pub location: Option<Vec<u8>>,
    /// The text of a page or a stylesheet.
    pub body: Option<Vec<u8>>,
}

impl Browser {
    pub fn new(options: &Options) -> Result<Browser, reqwest::Error> {
        let client = Client::builder()
            .redirect(Policy::none())
            .no_gzip()
            .no_proxy()
            .referer(false)
            .retry(reqwest::retry::never())
            .timeout(options.timeout)
            .pool_max_idle_per_host(CONNECTIONS_PER_HOST)
            .http1_title_case_headers()
            .tls_danger_accept_invalid_certs(options.insecure)
            .build()?;
        let mut own_headers = HeaderMap::new();
        for (name, value) in &options.headers {
            own_headers.append(name, value.clone());
        }
        Ok(Browser {
            client,
            cookies: Cookies::default(),
            cache: Mutex::default(),
            connections: Mutex::default(),
            own_headers,
            own_origin: options.url.origin(),
            timeout: options.timeout,
        })
    }

    pub async fn fetch(&self, ask: &Ask) -> Answer {
        let mut request = self.request_headers(ask);
        let url = profile::shown(&ask.url);
        let kept = match self.cache().find(&url, &request, SystemTime::now()) {
            Found::Fresh(entry) => return from_cache(ask, *entry),
            Found::Stale(entry) => {
                entry.make_conditional(&mut request);
                Some(*entry)
            }
            Found::Nothing => None,
        };
        let trace = trace_of(&mut request);
        let asked = Instant::now();
        // Held until the last byte: this is what keeps a browser at six requests to a host at a time.
        let permits = self.permits(ask.url.origin());
        let permit = permits.acquire().await;
        let sent = Instant::now();
        let mut story = Story {
            role: ask.role,
            cause: ask.cause.clone(),
            method: "GET",
            url,
            source: Source::Network,
            trace_id: trace.map(|trace| trace.trace_id().to_string()),
            protocol: None,
            status: None,
            answered: Answered::unknown("no answer"),
            request_headers: written_down(&request),
            response_headers: Headers::new(),
            server_timing: Vec::new(),
            body_bytes: 0,
            content_bytes: None,
            timing: Timing {
                started: milliseconds(ask.visit_began, asked),
                blocked: milliseconds(asked, sent),
                ..Timing::default()
            },
            error: None,
            flow: None,
        };
        let result = self.client.get(ask.url.clone()).headers(request.clone()).send().await;
        story.timing.head = milliseconds(sent, Instant::now());
        let answer = match result {
            Ok(response) => self.read(ask, story, &request, kept, response, sent).await,
            Err(error) => {
                story.timing.total = story.timing.head;
                story.error = Some(sentence(&error, self.timeout));
                Answer { story, location: None, body: None }
            }
        };
        drop(permit);
        answer
    }

    async fn read(
        &self,
        ask: &Ask,
        mut story: Story,
        request: &HeaderMap,
        kept: Option<Entry>,
        mut response: Response,
        sent: Instant,
    ) -> Answer {
        let status = response.status().as_u16();
        let headers = std::mem::take(response.headers_mut());
        self.cookies.keep(&ask.url, ask.page.as_ref(), &headers);
        story.status = Some(status);
        story.protocol = Some(protocol(response.version()).to_owned());
        story.response_headers = written_down(&headers);
        story.server_timing = timing::read(&story.response_headers);
        story.answered = judge(status, &story.response_headers, &story.server_timing);

        let wanted = is_read(ask.role, &headers);
        let mut body = Vec::new();
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => {
                    story.body_bytes += chunk.len() as u64;
                    if wanted && body.len() <= READ_LIMIT {
                        body.extend_from_slice(&chunk);
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    let why = sentence(&error, self.timeout);
                    story.error =
                        Some(format!("broke off after {} bytes: {why}", story.body_bytes));
                    break;
                }
            }
        }
        story.timing.total = milliseconds(sent, Instant::now());

        let location = headers.get(LOCATION).map(|value| value.as_bytes().to_vec());
        if let (304, Some(entry)) = (status, kept) {
            story.source = Source::Revalidated;
            story.content_bytes = entry.story.content_bytes;
            self.cache().renew(&story.url, &headers, SystemTime::now());
            return Answer { story, location, body: entry.body };
        }
        let mut text = None;
        if wanted && story.error.is_none() {
            match decoded(body, headers.get(CONTENT_ENCODING)) {
                Ok(decoded) => {
                    story.content_bytes = Some(decoded.len() as u64);
                    text = Some(decoded);
                }
                Err(why) => story.error = Some(why),
            }
        }
        if status == 200 && story.error.is_none() {
            let now = SystemTime::now();
            self.cache().store(request, &headers, &story, text.as_deref(), now);
        }
        Answer { story, location, body: text }
    }

    fn request_headers(&self, ask: &Ask) -> HeaderMap {
        let mut headers =
            profile::headers(ask.role, &ask.url, ask.page.as_ref(), ask.named_in.as_ref());
        let cookies = self.cookies.header(&ask.url, ask.page.as_ref());
        if let Some(cookies) = cookies {
            headers.insert(COOKIE, cookies);
        }
        // A header given by hand may be a credential: it stays with the origin it was given for.
        if ask.url.origin() == self.own_origin {
            for name in self.own_headers.keys() {
                let from_jar = headers.remove(name).filter(|_| name == COOKIE);
                for value in self.own_headers.get_all(name) {
                    headers.append(name, value.clone());
                }
                if let Some(joined) = from_jar.and_then(|jar| joined(&headers[COOKIE], &jar)) {
                    headers.insert(COOKIE, joined);
                }
            }
        }
        headers
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permits(&self, origin: Origin) -> Arc<Semaphore> {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || Arc::new(Semaphore::new(CONNECTIONS_PER_HOST));
        Arc::clone(connections.entry(origin).or_insert_with(fresh))
    }
}

/// Two `Cookie` values as one: HTTP/1.1 allows a single `Cookie` header.
fn joined(first: &HeaderValue, second: &HeaderValue) -> Option<HeaderValue> {
    HeaderValue::from_bytes(&[first.as_bytes(), second.as_bytes()].join(&b"; "[..])).ok()
}

/// Every request begins a journey of its own, unless the visitor names one.
fn trace_of(request: &mut HeaderMap) -> Option<TraceContext> {
    if let Some(given) = request.get(TRACEPARENT) {
        return TraceContext::parse(given.as_bytes());
    }
    let trace = TraceContext::start();
    let value = HeaderValue::try_from(trace.to_string()).expect("a traceparent is hex and dashes");
    request.insert(TRACEPARENT, value);
    Some(trace)
}

/// Uses the copy of an earlier visit; nothing goes over the wire.
fn from_cache(ask: &Ask, entry: Entry) -> Answer {
    let answered = Answered {
        by: Some(Hop::Browser.name().to_owned()),
        certainty: Certainty::Reported,
        evidence: "fresh in the browser's cache, so no request was made".to_owned(),
        ..entry.story.answered.clone()
    };
    let story = Story {
        cause: ask.cause.clone(),
        source: Source::Cache,
        trace_id: None,
        answered,
        request_headers: Headers::new(),
        server_timing: Vec::new(),
        body_bytes: 0,
        timing: Timing {
            started: milliseconds(ask.visit_began, Instant::now()),
            ..Timing::default()
        },
        ..entry.story
    };
    Answer { story, location: None, body: entry.body }
}

/// Whether the body may name further resources.
fn is_read(role: Role, headers: &HeaderMap) -> bool {
    let is_html = || {
        let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        kind.eq_ignore_ascii_case("text/html") || kind.eq_ignore_ascii_case("application/xhtml+xml")
    };
    role == Role::Stylesheet || (role == Role::Document && is_html())
}

fn decoded(body: Vec<u8>, encoding: Option<&HeaderValue>) -> Result<Vec<u8>, String> {
    let too_long = || format!("longer than {} MiB, which is not read through", READ_LIMIT >> 20);
    let text = match encoding.map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => body,
        Some(b"gzip" | b"x-gzip") => {
            let mut text = Vec::new();
            // One byte more than is allowed tells too long from just long enough.
            let mut reader = MultiGzDecoder::new(body.as_slice()).take(READ_LIMIT as u64 + 1);
            reader
                .read_to_end(&mut text)
                .map_err(|error| format!("its gzip encoding is broken: {error}"))?;
            text
        }
        Some(other) => {
            let other = String::from_utf8_lossy(other);
            return Err(format!("it is encoded as \"{other}\", which was not asked for"));
        }
    };
    if text.len() > READ_LIMIT { Err(too_long()) } else { Ok(text) }
}

fn written_down(headers: &HeaderMap) -> Headers {
    let pair = |(name, value): (&reqwest::header::HeaderName, &HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.as_str().to_owned(), without_credentials(name.as_str(), &value))
    };
    headers.iter().map(pair).collect()
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_09 => "HTTP/0.9",
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2",
        Version::HTTP_3 => "HTTP/3",
        _ => "HTTP/1.1",
    }
}

/// To the microsecond, which is as fine as the hops report.
fn milliseconds(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_micros() as f64 / 1000.0
}
