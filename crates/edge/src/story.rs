//! The one place where a request's story is recorded: when it came, which upstreams were asked and
//! what they said. The logs, `$upstream_*`, `Server-Timing` and the trace are all told from here.

use std::{
    cell::OnceCell,
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
    /// `$request_id`, the same wherever it is asked for.
    pub request_id: OnceCell<Bytes>,
    /// Each upstream that was asked, in order.
    pub attempts: Vec<Attempt>,
}

/// One upstream, asked once.
#[derive(Clone, Debug, Default)]
pub struct Attempt {
    /// `127.0.0.1:8000` or `unix:/path`.
    pub address: String,
    /// What was asked for, as the error log shows it.
    pub url: String,
    pub connected: Option<Duration>,
    pub head: Option<Duration>,
    pub complete: Option<Duration>,
    pub status: Option<u16>,
    pub received: u64,
    pub sent: u64,
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
        }
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
