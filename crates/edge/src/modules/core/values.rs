//! The settings as they are asked for: what is said, or else what nginx does unasked.

use std::time::Duration;

use super::{Browser, Core, HeaderBuffers, LingeringClose, Satisfy};

impl Core {
    pub fn internal(&self) -> bool {
        self.internal
    }

    pub fn satisfy(&self) -> Satisfy {
        self.satisfy.or(Satisfy::All)
    }

    pub fn client_header_timeout(&self) -> Duration {
        self.client_header_timeout.or(MINUTE)
    }

    pub fn send_timeout(&self) -> Duration {
        self.send_timeout.or(MINUTE)
    }

    pub fn keepalive_timeout(&self) -> Duration {
        self.keepalive_timeout.or((Duration::from_secs(75), None)).0
    }

    /// What the `Keep-Alive` field says, if it is sent.
    pub fn keepalive_header(&self) -> Option<Duration> {
        self.keepalive_timeout.said().and_then(|(_, header)| *header)
    }

    pub fn keepalive_requests(&self) -> u64 {
        self.keepalive_requests.or(1000)
    }

    pub fn large_client_header_buffers(&self) -> HeaderBuffers {
        self.large_client_header_buffers.or(HeaderBuffers { number: 4, size: 8 << 10 })
    }

    pub fn max_headers(&self) -> usize {
        self.max_headers.or(1000)
    }

    pub fn lingering_close(&self) -> LingeringClose {
        self.lingering_close.or(LingeringClose::On)
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
        match self.keepalive_disable.said() {
            None => disabled(&Browser::Msie6),
            Some(browsers) => browsers.iter().any(disabled),
        }
    }

    /// Whether a client that is not waited for any more is told so with a reset.
    pub fn reset_timedout_connection(&self) -> bool {
        self.reset_timedout_connection.or(false)
    }

    pub fn lingering_time(&self) -> Duration {
        self.lingering_time.or(Duration::from_secs(30))
    }

    pub fn lingering_timeout(&self) -> Duration {
        self.lingering_timeout.or(Duration::from_secs(5))
    }

    pub fn sendfile(&self) -> bool {
        self.sendfile.or(false)
    }

    pub fn tcp_nopush(&self) -> bool {
        self.tcp_nopush.or(false)
    }

    pub fn tcp_nodelay(&self) -> bool {
        self.tcp_nodelay.or(true)
    }

    pub fn log_not_found(&self) -> bool {
        self.log_not_found.or(true)
    }

    /// What the `Server` field and the built-in pages say.
    pub fn server_token(&self) -> &'static str {
        if self.server_tokens.or(true) { crate::SERVER_TOKEN } else { crate::SERVER_NAME }
    }

    pub fn merge_slashes(&self) -> bool {
        self.merge_slashes.or(true)
    }

    pub fn underscores_in_headers(&self) -> bool {
        self.underscores_in_headers.or(false)
    }

    pub fn ignore_invalid_headers(&self) -> bool {
        self.ignore_invalid_headers.or(true)
    }

    pub fn absolute_redirect(&self) -> bool {
        self.absolute_redirect.or(true)
    }

    pub fn server_name_in_redirect(&self) -> bool {
        self.server_name_in_redirect.or(false)
    }

    pub fn port_in_redirect(&self) -> bool {
        self.port_in_redirect.or(true)
    }

    pub fn chunked_transfer_encoding(&self) -> bool {
        self.chunked_transfer_encoding.or(true)
    }
}

const MINUTE: Duration = Duration::from_mins(1);
