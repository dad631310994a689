//! One stream of messages, with the toxics that touch it.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    exchange::{Exchange, Exchanges, Own},
    follow::{Follower, Part},
    head::{Framing, Head, Line, Side},
    treatment::{Treatment, answer},
};
use crate::{
    Stream,
    live::Live,
    told::Told,
    toxics::{Ending, Item},
};

pub(crate) struct Messages {
    side: Side,
    follower: Follower,
    pub(super) toxics: Vec<Arc<Live>>,
    /// Of the message that is passing.
    treatment: Treatment,
    /// The message that is passing is another's exchange: an interim response.
    is_interim: bool,
    /// Nothing passes any more: the connection is being closed.
    is_closed: bool,
    /// The toxics have been told to do nothing here, once.
    is_told: bool,
}

impl Messages {
    pub(super) fn new(side: Side) -> Messages {
        Messages {
            side,
            follower: Follower::new(side),
            toxics: Vec::new(),
            treatment: Treatment::default(),
            is_interim: false,
            is_closed: false,
            is_told: false,
        }
    }

    pub(super) fn stream(&self) -> Stream {
        match self.side {
            Side::Requests => Stream::Upstream,
            Side::Responses => Stream::Downstream,
        }
    }

    pub(super) fn is_between(&self) -> bool {
        self.follower.is_between()
    }

    pub(super) fn feed(
        &mut self,
        data: &[u8],
        exchanges: &mut Exchanges,
        told: &Told,
        items: &mut Vec<Item>,
    ) {
        if self.is_closed {
            return;
        }
        self.follower.feed(data);
        loop {
            if exchanges.lost && !self.follower.has_given_up() {
                self.follower.give_up();
            }
            exchanges.lost |= self.follower.has_given_up();
            match self.follower.next(!self.toxics.is_empty()) {
                None => return,
                Some(Part::Head(head, passed)) => self.head(*head, passed, exchanges, told, items),
                Some(Part::PieceOfHead(data)) => items.push(Item::Data(data)),
                Some(Part::Body(data)) => self.body(data, items),
                Some(Part::End) => self.end(exchanges, items),
                Some(Part::Unknown(data)) => {
                    self.unknown(told);
                    items.push(Item::Data(data));
                }
            }
            if self.is_closed {
                return;
            }
        }
    }

    fn head(
        &mut self,
        mut head: Head,
        passed: usize,
        exchanges: &mut Exchanges,
        told: &Told,
        items: &mut Vec<Item>,
    ) {
        let mut exchange = match &head.line {
            Line::Request { method, target } => {
                Exchange { method: method.clone(), target: target.clone(), own: None }
            }
            Line::Response { .. } => exchanges.answered(),
        };
        let framing = match &head.line {
            Line::Response { .. } if exchange.method == "HEAD" => Framing::Length(0),
            _ => head.framing(),
        };
        self.follower.begin_body(framing);
        self.is_interim = matches!(head.line, Line::Response { status: 100..200 });
        self.treatment = Treatment::default();
        if passed > 0 || self.is_interim {
            items.push(Item::Data(head.bytes().slice(passed..)));
        } else {
            self.treatment = Treatment::of(&mut head, framing, &self.toxics, &exchange, told);
            self.treat(&head, framing, &mut exchange, items);
        }
        match head.line {
            Line::Request { .. } => exchanges.push(exchange),
            // From here on the connection speaks something else.
            Line::Response { status: 101 } => exchanges.lost = true,
            Line::Response { status: 200..300 } if exchange.method == "CONNECT" => {
                exchanges.lost = true;
            }
            Line::Response { .. } => {}
        }
    }

    fn treat(
        &mut self,
        head: &Head,
        framing: Framing,
        exchange: &mut Exchange,
        items: &mut Vec<Item>,
    ) {
        if self.treatment.drop {
            return self.close(items);
        }
        let Some(status) = self.treatment.status else {
            self.treatment.head(head, items);
            items.append(&mut self.treatment.before_body);
            return;
        };
        match self.side {
            Side::Responses => {
                let then_close = head.closes() || framing == Framing::UntilClose;
                items.push(Item::Data(answer(status, &exchange.method, then_close)));
            }
            Side::Requests => {
                // Who waits for leave to send the body would wait for ever, and who gets another
                // answer may send it or not: only closing makes an end of that.
                let ready = head.expects_continue();
                let then_close = ready || head.closes();
                let bytes = answer(status, &exchange.method, then_close);
                exchange.own = Some(Own { bytes, then_close, ready });
            }
        }
    }

    fn body(&mut self, mut data: Bytes, items: &mut Vec<Item>) {
        if self.treatment.status.is_some() {
            return;
        }
        let Some(left) = &mut self.treatment.left else { return items.push(Item::Data(data)) };
        let here = usize::try_from(*left).unwrap_or(usize::MAX);
        *left = left.saturating_sub(data.len() as u64);
        if data.len() <= here {
            return items.push(Item::Data(data));
        }
        data.truncate(here);
        items.push(Item::Data(data));
        self.close(items);
    }

    fn end(&mut self, exchanges: &mut Exchanges, items: &mut Vec<Item>) {
        match self.side {
            Side::Requests => exchanges.request_is_complete(),
            Side::Responses if self.is_interim => {}
            Side::Responses => {
                exchanges.finish();
                self.own_answers(exchanges, items);
            }
        }
    }

    /// Between two of the server's answers: those of our own whose turn it is.
    pub(super) fn own_answers(&mut self, exchanges: &mut Exchanges, items: &mut Vec<Item>) {
        while let Some(Own { bytes, then_close, .. }) = exchanges.own_answer() {
            items.push(Item::Data(bytes));
            if then_close {
                return self.close(items);
            }
        }
    }

    fn close(&mut self, items: &mut Vec<Item>) {
        items.push(Item::End(Ending::Close));
        self.is_closed = true;
    }

    fn unknown(&mut self, told: &Told) {
        if !self.is_told {
            self.is_told = !self.toxics.is_empty();
            for live in &self.toxics {
                told.knows_nothing(&live.toxic);
            }
        }
    }

    /// What was kept back of a head that will never be complete.
    pub(super) fn held(&mut self) -> Option<Bytes> {
        if self.is_closed {
            return None;
        }
        let held = self.follower.rest();
        (!held.is_empty()).then_some(held)
    }
}
