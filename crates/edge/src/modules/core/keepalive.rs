//! `keepalive_timeout` and `keepalive_disable`: how long a connection waits for another request, and
//! whose never does.

use std::time::Duration;

use super::Core;
use crate::{
    conf::ConfError,
    load::{Args, Setting},
};

#[derive(Clone, Default)]
pub(super) struct KeepAlive {
    timeout: Setting<Timeout>,
    disable: Setting<Vec<Browser>>,
}

#[derive(Clone, Copy)]
struct Timeout {
    wait: Duration,
    /// What the `Keep-Alive` field says, where it is sent.
    told: Option<Duration>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Browser {
    /// Only their POSTs.
    Msie6,
    Safari,
}

impl KeepAlive {
    pub(super) fn inherit(&mut self, outer: &KeepAlive) {
        self.timeout.inherit(&outer.timeout);
        self.disable.inherit(&outer.disable);
    }
}

impl Core {
    pub(super) fn set_keepalive_timeout(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let told = args.get(1).map(|_| args.time(1)).transpose()?;
        self.keepalive.timeout.set(Timeout { wait: args.time(0)?, told }, args)
    }

    pub(super) fn set_keepalive_disable(&mut self, args: &mut Args<'_>) -> Result<(), ConfError> {
        let mut browsers = Vec::new();
        for word in args.words() {
            match word.text.as_str() {
                "none" => (),
                "msie6" => browsers.push(Browser::Msie6),
                "safari" => browsers.push(Browser::Safari),
                word => return Err(args.complain(format!("invalid value \"{word}\""))),
            }
        }
        self.keepalive.disable.set(browsers, args)
    }

    pub fn keepalive_timeout(&self) -> Duration {
        self.keepalive.timeout.said().map_or(Duration::from_secs(75), |timeout| timeout.wait)
    }

    /// What the `Keep-Alive` field says, if it is sent.
    pub fn keepalive_header(&self) -> Option<Duration> {
        self.keepalive.timeout.said().and_then(|timeout| timeout.told)
    }

    /// Whether the client is a browser whose connections must not be kept.
    pub fn keepalive_disabled(&self, agent: &[u8], method: &[u8]) -> bool {
        let contains = |text: &[u8]| memchr::memmem::find(agent, text).is_some();
        let disabled = |browser: &Browser| match browser {
            Browser::Msie6 => {
                method == b"POST"
                    && !contains(b"SV1")
                    && [b"MSIE 4.", b"MSIE 5.", b"MSIE 6."].iter().any(|name| contains(&name[..]))
            }
            Browser::Safari => contains(b"Safari/") && contains(b"Mac OS X"),
        };
        match self.keepalive.disable.said() {
            None => disabled(&Browser::Msie6),
            Some(browsers) => browsers.iter().any(disabled),
        }
    }
}
