//! One request, complete, to one worker and its answer back: admit, lease, send, respond.

mod admit; // a worker, or a place in the bounded queue
pub(crate) mod params; // the request as CGI's variables, which are WSGI's environ
mod rescue; // what went wrong, as a status
mod respond; // the worker's answer, as HTTP
mod send; // the request, as FastCGI

use std::rc::Rc;

use trace::{TRACEPARENT, TraceContext};

pub(crate) use rescue::DispatchError;

use crate::{
    front::{Body, Connection, Head, Persistence},
    gateway::Gateway,
    story::Story,
};

/// A worker may die with a request it has not looked at. It is sent again, but not for ever: it may
/// be what kills them.
const MOST_TRIES: u32 = 4;
/// Where no worker can have looked at it: several may be about to leave.
const MOST_UNSEEN_TRIES: u32 = 32;

pub(crate) async fn answer(
    gateway: &Rc<Gateway>,
    connection: &mut Connection,
    story: &mut Story,
    head: &Head,
    body: Body,
) -> Persistence {
    begin_trace(gateway, story, head);
    match attempt(gateway, connection, story, head, body).await {
        Ok(persistence) => persistence,
        Err(error) => rescue::answer(gateway, connection, story, head, &error).await,
    }
}

async fn attempt(
    gateway: &Rc<Gateway>,
    connection: &mut Connection,
    story: &mut Story,
    head: &Head,
    mut body: Body,
) -> Result<Persistence, DispatchError> {
    let params = params::write(gateway, &connection.local, head, story)?;
    let mut tries = 1;
    loop {
        let lease = admit::lease(gateway, connection, story, head).await?;
        let answered = match send::begin(lease, params.clone(), &mut body) {
            Ok(exchange) => respond::respond(gateway, connection, story, head, exchange).await,
            Err(error) => Err(error),
        };
        match answered {
            Err(error) if may_be_sent_again(&error, head, tries) => {
                tries += 1;
                gateway.log.warning(format_args!(
                    "{} {} is sent again: {error}{}",
                    head.method_text(),
                    head.target_text(),
                    story.trace_suffix()
                ));
            }
            other => return other,
        }
    }
}

fn may_be_sent_again(error: &DispatchError, head: &Head, tries: u32) -> bool {
    // Then asking twice is asking once, whatever is asked.
    let is_unseen = error.may_be_sent_again(false);
    let most = if is_unseen { MOST_UNSEEN_TRIES } else { MOST_TRIES };
    error.may_be_sent_again(is_idempotent(head)) && tries < most
}

/// RFC 9110 §9.2.2: asking twice is asking once.
fn is_idempotent(head: &Head) -> bool {
    head.is_safe() || matches!(head.method(), b"PUT" | b"DELETE")
}

/// With timing on, every request is followed; without, those that already are.
fn begin_trace(gateway: &Gateway, story: &mut Story, head: &Head) {
    let came = head.field(TRACEPARENT.as_bytes());
    story.trace = if gateway.settings().server_timing {
        Some(TraceContext::continued(came))
    } else {
        came.and_then(TraceContext::parse)
    };
}
