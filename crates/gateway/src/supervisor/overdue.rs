//! Requests whose time is over: said at their time, each with its name, and where in the application
//! it is.
//!
//! The worker is asked for that over its lifeline, by the name of the connection the request came on,
//! and answers over its control pipe. One whose interpreter can not answer, as C code holds it, is
//! not waited for: SIGABRT makes it write down itself what it can.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{Children, Event, WorkerId};
use crate::{gateway::Gateway, settings::Level};

/// For an answer. The client has been told by then, and the replacement is on its way.
const MOMENT: Duration = Duration::from_secs(2);

/// Questions nobody has answered yet.
#[derive(Default)]
pub(super) struct Overdue {
    asked: Vec<Asked>,
}

struct Asked {
    worker: WorkerId,
    connection: Rc<str>,
    title: Bytes,
    since: Instant,
}

impl Overdue {
    pub(super) fn look(&mut self, gateway: &Gateway, children: &mut Children, now: Instant) {
        if let Some(timeout) = gateway.settings().timeout {
            for overdue in gateway.pool.overdue(timeout, now) {
                let worker = overdue.worker.id;
                let (pid, request) = (overdue.worker.pid, overdue.request);
                let seconds = timeout.as_secs();
                let message =
                    format!("WORKER TIMEOUT (pid:{pid}) {request}: silent over it for {seconds}s");
                gateway.log.say(Level::Critical, message);
                gateway.inbox.put(Event::Stuck(worker));
                let (connection, title) = (overdue.connection, overdue.title);
                if let Some(child) = children.get(&worker) {
                    child.order(&format!("stack {connection}"));
                }
                self.asked.push(Asked { worker, connection, title, since: now });
            }
        }
        for asked in self.asked.extract_if(.., |asked| now - asked.since >= MOMENT) {
            if let Some(child) = children.get_mut(&asked.worker) {
                child.is_deaf = true;
                gateway.log.say(
                    Level::Critical,
                    format!(
                        "Worker (pid:{}) does not say where it is over {}: something holds its \
                         interpreter; SIGABRT has it write down what it can",
                        child.pid.unwrap_or(0),
                        asked.title.escape_ascii()
                    ),
                );
            }
            gateway.pool.explained(asked.worker, &asked.connection);
        }
    }

    pub(super) fn heard(&mut self, gateway: &Gateway, id: WorkerId, connection: &str, stack: &str) {
        let is_it = |asked: &mut Asked| asked.worker == id && *asked.connection == *connection;
        for Asked { title, .. } in self.asked.extract_if(.., is_it) {
            let pid = gateway.pool.find(id).map_or(0, |worker| worker.pid);
            let message = format!(
                "Worker (pid:{pid}) is over {} in:\n{}",
                title.escape_ascii(),
                stack.trim_end()
            );
            gateway.log.say(Level::Critical, message);
        }
        gateway.pool.explained(id, connection);
    }

    /// It has gone: nobody is left to answer.
    pub(super) fn forget(&mut self, worker: WorkerId) {
        self.asked.retain(|asked| asked.worker != worker);
    }
}
