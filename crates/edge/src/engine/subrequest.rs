//! What the server asks itself: another of its places, whose answer becomes a part of an answer, or
//! decides about it.
//!
//! A subrequest is an exchange of its own that begins as a twin of the one it belongs to: the same
//! client, the same fields, the same variables. It goes through the phases from server rewrite on,
//! without the access phase, and its head is seen by whoever asked and by nobody else.

use std::{
    cell::Cell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll},
};

use bytes::Bytes;

use crate::{exchange::Exchange, log::Level, response::Response};

/// So deep may they ask one another, as in nginx.
const DEEPEST: u8 = 51;

/// So many may one request of a client lead to, all together: a page that includes itself twice
/// would come to two to the power of fifty.
const MOST: u32 = 10_000;

/// How many there have been; known to all that belong to one request of a client.
#[derive(Default)]
struct Count(Rc<Cell<u32>>);

/// On its way; ready when its head is known.
pub struct Subrequest(Pin<Box<dyn Future<Output = Answered>>>);

pub struct Answered {
    /// To be kept for as long as the body is read.
    pub exchange: Box<Exchange>,
    /// `None`: it ended without an answer.
    pub response: Option<Response>,
}

impl Subrequest {
    /// Asks for another place. `prepare` sees the new exchange before it goes its way. `None`: there
    /// were too many already, and the log says so.
    pub fn begin(
        parent: &mut Exchange,
        uri: Bytes,
        args: Bytes,
        prepare: impl FnOnce(&mut Exchange),
    ) -> Option<Subrequest> {
        let count = Rc::clone(&parent.keep::<Count>().0);
        if parent.depth == DEEPEST || count.get() == MOST {
            let uri = String::from_utf8_lossy(&uri);
            parent.log(Level::Error, &format!("subrequests cycle while processing \"{uri}\""));
            return None;
        }
        count.set(count.get() + 1);
        let mut exchange = Box::new(twin(parent));
        exchange.begin_again(uri, args);
        exchange.depth = parent.depth + 1;
        prepare(&mut exchange);
        Some(Subrequest(Box::pin(async move {
            let response = super::answer(&mut exchange).await;
            Answered { exchange, response }
        })))
    }
}

/// A twin whose subrequests are counted together with those of its original.
pub fn twin(original: &mut Exchange) -> Exchange {
    let count = Rc::clone(&original.keep::<Count>().0);
    let mut twin = original.twin();
    twin.keep::<Count>().0 = count;
    twin
}

impl Future for Subrequest {
    type Output = Answered;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answered> {
        self.0.as_mut().poll(context)
    }
}
