//! One request's story: what is told of it, to the browser and in the log.
//!
//! The only place where it is recorded; `response` tells the timings in `Server-Timing`, `fault` and
//! everything else that writes a log line names the request and its trace by it.

use std::fmt;
use std::time::{Duration, Instant};

use fastcgi::Params;
use trace::{SERVER_TIMING, TraceContext, write_server_timing};

/// Whether the gateway wants this hop's share of the time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum ServerTiming {
    On,
    #[default]
    Off,
}

#[derive(Debug)]
pub(crate) struct Story {
    params: Params,
    /// The request's parameters were complete.
    received: Instant,
    /// The application was called. `None` while it has not been, or nobody asks for timings.
    called: Option<Instant>,
    /// What the browser was told, once the head was made.
    shares: Option<Shares>,
}

/// From then to the head: since the application was called, and since the request was complete.
#[derive(Clone, Copy, Debug)]
struct Shares {
    application: Duration,
    app_host: Duration,
}

impl Story {
    pub(crate) fn begin(params: Params) -> Story {
        Story { params, received: Instant::now(), called: None, shares: None }
    }

    pub(crate) fn params(&self) -> &Params {
        &self.params
    }

    pub(crate) fn call(&mut self, timing: ServerTiming) {
        if timing == ServerTiming::On {
            self.called = Some(Instant::now());
        }
    }

    /// The head is about to be sent: appends the field that says how long it took, if it is wanted.
    /// The application's own entries stand in its own fields.
    pub(crate) fn write_timings(&mut self, head: &mut Vec<u8>) {
        let Some(called) = self.called else { return };
        let now = Instant::now();
        let shares = Shares { application: now - called, app_host: now - self.received };
        self.shares = Some(shares);
        let mut value = Vec::with_capacity(64);
        write_server_timing(&mut value, "application", shares.application);
        write_server_timing(&mut value, "app-host", shares.app_host);
        head.extend_from_slice(SERVER_TIMING.as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(&value);
        head.extend_from_slice(b"\r\n");
    }

    /// The request's line in this hop's log, so that it can be followed through all logs. Only where
    /// timings are wanted: otherwise the hops before this one have their access logs, and this one
    /// speaks of failures alone.
    pub(crate) fn line(&self) -> Option<String> {
        let Shares { application, app_host } = self.shares?;
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        Some(format!(
            "{}: application {:.3} ms, app-host {:.3} ms{}",
            self.request(),
            milliseconds(application),
            milliseconds(app_host),
            self.trace()
        ))
    }

    /// For log lines: `GET /path`.
    pub(crate) fn request(&self) -> impl fmt::Display {
        let param = |name: &[u8]| self.params.get(name);
        let uri = param(b"RAW_URI").or_else(|| param(b"REQUEST_URI"));
        let uri = uri.or_else(|| param(b"PATH_INFO")).unwrap_or_default();
        let method = param(b"REQUEST_METHOD").unwrap_or_default();
        format!("{} {}", method.escape_ascii(), uri.escape_ascii())
    }

    /// For the end of log lines: ` trace=ID`, or nothing.
    pub(crate) fn trace(&self) -> impl fmt::Display {
        let context = self.params.get(b"HTTP_TRACEPARENT").and_then(TraceContext::parse);
        context.map(|context| format!(" trace={}", context.trace_id())).unwrap_or_default()
    }
}
