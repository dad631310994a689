//! The requests of one connection that have no answer yet, oldest first. A response does not say what
//! it answers, nor, after HEAD, whether it has a body: it is the request that says so.

use std::collections::VecDeque;

use bytes::Bytes;

/// More requests than this ahead of their answers, and the connection is no longer followed.
const MOST: usize = 1000;

#[derive(Debug, Default)]
pub(crate) struct Exchanges {
    waiting: VecDeque<Exchange>,
    /// The two streams can no longer be followed.
    pub(crate) lost: bool,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Exchange {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) own: Option<Own>,
}

/// An answer that no server has given.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) bytes: Bytes,
    pub(crate) then_close: bool,
    /// The request has been read to its end.
    pub(crate) ready: bool,
}

impl Exchange {
    /// For a line in the journal: what a client sends can not break it.
    pub(crate) fn request(&self) -> String {
        if self.method.is_empty() {
            return "an answer that nobody asked for".to_owned();
        }
        format!("{} {}", self.method, self.target.escape_debug())
    }
}

impl Exchanges {
    pub(crate) fn push(&mut self, exchange: Exchange) {
        self.waiting.push_back(exchange);
        self.lost |= self.waiting.len() > MOST;
    }

    /// The exchange that the server answers now. None: it speaks without having been asked.
    pub(crate) fn answered(&self) -> Exchange {
        let asked = self.waiting.iter().find(|exchange| exchange.own.is_none());
        asked.cloned().unwrap_or_default()
    }

    /// The server's answer is complete.
    pub(crate) fn finish(&mut self) {
        if let Some(at) = self.waiting.iter().position(|exchange| exchange.own.is_none()) {
            self.waiting.remove(at);
        }
    }

    /// The request that was read last is complete.
    pub(crate) fn request_is_complete(&mut self) {
        if let Some(Exchange { own: Some(own), .. }) = self.waiting.back_mut() {
            own.ready = true;
        }
    }

    /// An answer of our own whose turn it is.
    pub(crate) fn own_answer(&mut self) -> Option<Own> {
        self.waiting.front()?.own.as_ref().filter(|own| own.ready)?;
        self.waiting.pop_front()?.own
    }
}
