//! The common directives of one location to what its requests need, with nginx's defaults.

use std::{path::PathBuf, sync::Arc, time::Duration};

use super::{
    Passing,
    cookie::CookieRewrites,
    outbound::BodyRules,
    response::{Ignored, ResponseRules},
    rewrite::Rewrites,
};
use crate::{
    modules::client_body::ClientBody,
    upstream::{Buffering, Limits, NextUpstream, SocketRules},
};

/// Fields that are meant for the server in front: no family passes them on unless it is told to.
const ACCEL: [&str; 5] = [
    "x-accel-expires",
    "x-accel-redirect",
    "x-accel-limit-rate",
    "x-accel-buffering",
    "x-accel-charset",
];

const MINUTE: Duration = Duration::from_mins(1);

impl Passing {
    pub fn limits(&self, body: &ClientBody) -> Limits {
        Limits {
            connect: self.connect_timeout.or(MINUTE),
            send: self.send_timeout.or(MINUTE),
            read: self.read_timeout.or(MINUTE),
            client_body: body.timeout(),
            head_size: self.buffer_size.or(4 << 10),
            next: self.next_upstream.or(NextUpstream::ERROR.with(NextUpstream::TIMEOUT)),
            tries: self.next_upstream_tries.or(0),
            next_timeout: self.next_upstream_timeout.or(Duration::ZERO),
            ignore_client_abort: self.ignore_client_abort.or(false),
            rate: self.limit_rate.said().cloned(),
            socket: SocketRules {
                bind: self.bind.or(None),
                keepalive: self.socket_keepalive.or(false),
                receive_buffer: self.socket_rcvbuf.said().copied(),
                send_buffer: self.socket_sndbuf.said().copied(),
            },
            owner: std::ptr::from_ref(self).addr(),
        }
    }

    /// `hidden` are the fields this family hides by itself; `temp` is its `NAME_temp_path`.
    pub fn response_rules(&self, hidden: &[&str], temp: PathBuf) -> ResponseRules {
        let own = hidden.iter().chain(&ACCEL).copied();
        let said = self.hide_header.iter().map(String::as_str);
        let passed = |name: &str| self.pass_header.iter().any(|passed| passed == name);
        let hidden = own.chain(said).filter(|name| !passed(name)).collect();
        let (number, size) = self.buffers.or((8, 4 << 10));
        let buffering = Buffering {
            enabled: self.buffering.or(true),
            memory: number * size,
            file: self.max_temp_file_size.or(1 << 30),
            folder: self.temp_path.or(temp),
        };
        ResponseRules {
            hidden,
            ignored: self.ignore_headers.or(Ignored::default()),
            intercept_errors: self.intercept_errors.or(false),
            location: Rewrites::default(),
            cookies: CookieRewrites::default(),
            force_ranges: self.force_ranges.or(false),
            buffering: Arc::new(buffering),
        }
    }

    pub fn body_rules(&self) -> BodyRules {
        BodyRules {
            passed: self.pass_request_body.or(true),
            buffered: self.request_buffering.or(true),
        }
    }

    pub fn passes_headers(&self) -> bool {
        self.pass_request_headers.or(true)
    }
}
