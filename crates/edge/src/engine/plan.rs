//! The phases. nginx's `NGX_OK`, `NGX_DECLINED`, `NGX_DONE` and status codes share one integer
//! there; here each phase has a trait and each trait an answer that can say only what that phase
//! may say.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;

use crate::{
    exchange::Exchange,
    modules::{fastcgi::Script, limit_rate::LimitRate},
    response::Response,
};

/// What one block of the configuration does to a request. Built once, when the file is read; the
/// order inside each phase is the order of the registry.
#[derive(Default)]
pub struct Plan {
    pub post_read: Vec<Arc<dyn PostRead>>,
    pub rewrite: Vec<Arc<dyn Rewrite>>,
    pub preaccess: Vec<Arc<dyn Preaccess>>,
    pub access: Vec<Arc<dyn Access>>,
    pub precontent: Vec<Arc<dyn Content>>,
    /// The location's own handler: `proxy_pass`. Where there is one, the list below is not asked.
    pub handler: Option<Arc<dyn Content>>,
    pub content: Vec<Arc<dyn Content>>,
    pub filters: Vec<Arc<dyn Filter>>,
    pub log: Vec<Arc<dyn Log>>,
    /// How long a 401 waits before it is told.
    pub auth_delay: Duration,
    /// How fast the answer leaves; `None`: as fast as it goes.
    pub limit_rate: Option<Arc<LimitRate>>,
    /// The handler answers below its location's name, which ends in a slash: a request for the
    /// name without it is redirected.
    pub wants_slash: bool,
    /// How `$fastcgi_script_name` is cut from the path, where the location says so.
    pub fastcgi_script: Option<Arc<Script>>,
    /// `uninitialized_variable_warn off`: a variable that no `set` has reached is no log line.
    pub quiet_about_unset: bool,
}

/// How a request ends, or starts over.
pub enum Answer {
    /// A response of the family's own making.
    Response(Box<Response>),
    /// A bare status: `error_page` and the built-in pages decide the rest.
    Status(u16),
    /// Start over inside the server, at another URI; `None` keeps the arguments.
    Redirect { uri: Bytes, args: Option<Bytes> },
    /// Go on in a location that only has a name.
    Named(String),
    /// Close the connection without a word (`return 444`).
    Close,
    /// The client has left: there is nobody to answer, and the log says 499.
    Gone,
}

impl Answer {
    pub fn response(response: Response) -> Answer {
        Answer::Response(Box::new(response))
    }
}

/// Post read: before anything can answer, and once for each request.
pub trait PostRead: Send + Sync {
    fn read(&self, exchange: &mut Exchange);
}

/// Server rewrite and rewrite.
pub trait Rewrite: Send + Sync {
    fn rewrite(&self, exchange: &mut Exchange) -> Rewritten;
}

pub enum Rewritten {
    Unchanged,
    /// The URI changed: search for the location again.
    Relocate,
    Answer(Answer),
}

/// Before access: who asks, as this location sees it, and limits.
pub trait Preaccess: Send + Sync {
    fn check<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Passed>;
}

pub enum Passed {
    Next,
    /// The rest of this phase is skipped.
    Leave,
    Answer(Answer),
}

/// Access. Verdicts are combined by `satisfy`, in one place, in the engine.
pub trait Access: Send + Sync {
    fn check<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Verdict>;
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Abstain,
    Allow,
    Deny(u16),
}

/// Content: the first that does not decline answers.
pub trait Content: Send + Sync {
    fn answer<'x>(&'x self, exchange: &'x mut Exchange) -> Work<'x, Option<Answer>>;
}

/// The response's way out. Header and body filter in one: edit the head, and wrap the body if
/// its bytes must change.
pub trait Filter: Send + Sync {
    fn apply(&self, exchange: &mut Exchange, response: Response) -> Response;

    /// Whether an answer is changed, too, that becomes a part of another. What is about a head, or
    /// about the client, has no business there.
    fn reaches_inside(&self) -> bool {
        false
    }
}

/// After the last byte, or after the client has gone.
pub trait Log: Send + Sync {
    fn log(&self, exchange: &Exchange);
}

/// A result that is here now, or one that must be waited for. Only waiting costs an allocation.
/// An exchange stays on the thread that accepted it, so the future need not be `Send`.
pub enum Work<'x, T> {
    Now(T),
    Later(Pin<Box<dyn Future<Output = T> + 'x>>),
}

impl<'x, T> Work<'x, T> {
    pub fn later(future: impl Future<Output = T> + 'x) -> Work<'x, T> {
        Work::Later(Box::pin(future))
    }

    pub async fn done(self) -> T {
        match self {
            Work::Now(value) => value,
            Work::Later(future) => future.await,
        }
    }
}
