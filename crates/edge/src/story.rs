//! The one place where a request's story is recorded: when it came, which upstreams were asked and
//! what they said. The logs, `$upstream_*`, `Server-Timing` and the trace are all told from here.

use std::{
    cell::{Cell, OnceCell},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use trace::{TRACEPARENT, TraceContext};

use crate::exchange::Request;

pub struct Story {
    /// When the head was complete.
    pub arrived: Instant,
    /// The journey this request is a step of, if it came with one or one was begun.
    pub trace: Option<TraceContext>,
    /// The step before this one, where `otel_trace` has taken it over.
    pub trace_parent: Option<TraceContext>,
    /// This hop's own step: there only with `otel_trace on`.
    pub trace_span: Option<TraceContext>,
    /// What the next hop is told, instead of what the client sent. `None`: what the client sent.
    pub trace_forward: Option<TraceContext>,
    /// The same wherever it is asked for.
    request_id: OnceCell<Bytes>,
    /// Each upstream that was asked, in order.
    pub attempts: Vec<Attempt>,
    /// `$proxy_host` and `$proxy_port` of the last of them.
    pub proxied: Option<Proxied>,
}

/// Where a request was forwarded to, by the name the configuration has for it.
#[derive(Clone, Debug)]
pub struct Proxied {
    pub host: Bytes,
    pub port: u16,
}

/// One upstream, asked once.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// What was spoken: `http`, `fastcgi`, `uwsgi`.
    pub scheme: &'static str,
    /// `127.0.0.1:8000` or `unix:/path`; of an upstream nobody of which is alive, its name.
    pub address: Arc<str>,
    /// What was asked for.
    pub target: Bytes,
    /// Whether it was asked after the request had been redirected inside the server.
    pub after_redirect: bool,
    pub begun: Instant,
    pub connected: Option<Duration>,
    pub head: Option<Duration>,
    pub status: Option<u16>,
    /// The head's own lines, for `$upstream_http_*`.
    pub raw_head: Bytes,
    /// What goes on while the answer is on its way to the client.
    pub progress: Rc<Progress>,
}

/// Counted where the bytes are.
#[derive(Debug, Default)]
pub struct Progress {
    pub complete: Cell<Option<Duration>>,
    pub received: Cell<u64>,
    pub body: Cell<u64>,
    pub sent: Cell<u64>,
}

impl Attempt {
    pub fn new(scheme: &'static str, address: &Arc<str>, target: &Bytes) -> Attempt {
        Attempt {
            scheme,
            address: Arc::clone(address),
            target: target.clone(),
            after_redirect: false,
            begun: Instant::now(),
            connected: None,
            head: None,
            status: None,
            raw_head: Bytes::new(),
            progress: Rc::default(),
        }
    }

    /// As the error log shows it: `http://127.0.0.1:8000/path`.
    pub fn url(&self) -> String {
        let end = if self.address.starts_with("unix:") { ":" } else { "" };
        let target = String::from_utf8_lossy(&self.target);
        format!("{}://{}{end}{target}", self.scheme, self.address)
    }

    /// It is over, for good or bad.
    pub fn finish(&self) {
        self.progress.complete.set(Some(self.begun.elapsed()));
    }
}

impl Story {
    pub fn new(request: &Request) -> Story {
        let trace = request.headers.get(TRACEPARENT).and_then(|value| TraceContext::parse(value));
        Story {
            arrived: Instant::now(),
            trace,
            trace_parent: None,
            trace_span: None,
            trace_forward: None,
            request_id: OnceCell::new(),
            attempts: Vec::new(),
            proxied: None,
        }
    }

    /// Of a request that this one leads to: the same but for who was asked.
    pub fn twin(&self) -> Story {
        let request_id = OnceCell::from(self.request_id().clone());
        Story {
            arrived: self.arrived,
            trace: self.trace,
            trace_parent: self.trace_parent,
            trace_span: self.trace_span,
            trace_forward: self.trace_forward,
            request_id,
            attempts: Vec::new(),
            proxied: None,
        }
    }

    /// `$request_id`.
    pub fn request_id(&self) -> &Bytes {
        self.request_id.get_or_init(|| format!("{:032x}", fastrand::u128(..)).into())
    }

    /// The upstream being asked, or asked last.
    pub fn upstream(&self) -> Option<&Attempt> {
        self.attempts.last()
    }

    pub fn upstream_mut(&mut self) -> Option<&mut Attempt> {
        self.attempts.last_mut()
    }

    /// How long the request has been here.
    pub fn age(&self) -> Duration {
        self.arrived.elapsed()
    }
}
