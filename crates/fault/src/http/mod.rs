//! The toxics that know HTTP/1: what is read from either side passes here before it goes through the
//! stages of the other toxics. Messages are followed from the first byte of a connection; what turns
//! out not to be HTTP/1 is passed on untouched.

mod head; // lines and fields of a message
mod follow; // where in a stream of messages we are
mod treatment; // what the toxics do to one message
mod messages; // one stream
mod exchange; // what the two streams know of each other

use std::sync::Arc;

pub(crate) use self::exchange::Exchange;
use self::{exchange::Exchanges, head::Side, messages::Messages};
use crate::{Stream, live::Live, told::Told, toxics::Item};

pub(crate) struct Conversation {
    requests: Messages,
    responses: Messages,
    exchanges: Exchanges,
}

/// What is to go on, and in which stream.
pub(crate) type Passed = Vec<(Stream, Item)>;

impl Conversation {
    pub(crate) fn new() -> Conversation {
        Conversation {
            requests: Messages::new(Side::Requests),
            responses: Messages::new(Side::Responses),
            exchanges: Exchanges::default(),
        }
    }

    /// Puts the list in force: `touching` are the toxics that touch this connection. What was held
    /// for one that is gone goes on.
    pub(crate) fn apply(&mut self, touching: &[Arc<Live>], told: &Told) -> Passed {
        for messages in [&mut self.requests, &mut self.responses] {
            let stream = messages.stream();
            let of_http = |live: &&Arc<Live>| {
                live.toxic.stream == stream && live.toxic.kind.requests().is_some()
            };
            messages.toxics = touching.iter().filter(of_http).cloned().collect();
        }
        let mut passed = self.feed(Stream::Upstream, &[], told);
        passed.extend(self.feed(Stream::Downstream, &[], told));
        passed
    }

    pub(crate) fn feed(&mut self, stream: Stream, data: &[u8], told: &Told) -> Passed {
        let messages = match stream {
            Stream::Upstream => &mut self.requests,
            Stream::Downstream => &mut self.responses,
        };
        let mut items = Vec::new();
        messages.feed(data, &mut self.exchanges, told, &mut items);
        let mut passed: Passed = items.drain(..).map(|item| (stream, item)).collect();
        if self.responses.is_between() {
            self.responses.own_answers(&mut self.exchanges, &mut items);
            passed.extend(items.into_iter().map(|item| (Stream::Downstream, item)));
        }
        passed
    }

    /// The sender has ended: what was held of it goes on as it is.
    pub(crate) fn end(&mut self, stream: Stream) -> Option<Item> {
        let messages = match stream {
            Stream::Upstream => &mut self.requests,
            Stream::Downstream => &mut self.responses,
        };
        messages.held().map(Item::Data)
    }
}
