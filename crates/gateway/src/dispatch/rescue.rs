//! What can go wrong between a request and its answer, and the one place that turns it into a status.

use std::{fmt::Write as _, io};

use nix::sys::signal::Signal;

use super::send::Seen;
use crate::{
    front::{Connection, Head, Persistence, page},
    gateway::Gateway,
    pool::InHand,
    settings::Level,
    story::{Age, Story},
    supervisor::Ended,
};

#[derive(Debug, thiserror::Error)]
pub(crate) enum DispatchError {
    /// gunicorn answers this with 500 too: the web server and the gateway disagree about the mount.
    #[error("request path \"{path}\" does not start with SCRIPT_NAME \"{script_name}\"")]
    Mount { path: String, script_name: String },
    #[error("the queue is full, {waiting} requests wait; {}", held_by(in_hand))]
    Shed { waiting: usize, in_hand: InHand },
    #[error("no worker became free within {seconds} seconds; {}", held_by(in_hand))]
    Waited { seconds: u64, in_hand: InHand },
    #[error("no worker can answer: {reason}")]
    NoWorker { reason: String },
    #[error("worker (pid:{pid}) can not be reached: {error}")]
    Connect { pid: u32, error: io::Error },
    #[error("the request's body can not be read back: {error}")]
    Spool { error: io::Error },
    #[error("worker (pid:{pid}) was told to stop, and takes no more requests")]
    Leaving { pid: u32 },
    #[error("worker (pid:{pid}) {}", fate(*.ended))]
    WorkerGone { pid: u32, seen: Seen, ended: Option<Ended> },
    #[error("worker (pid:{pid}) was silent over it for longer than --timeout allows")]
    Timeout { pid: u32 },
    #[error("worker (pid:{pid}) sent what is no response: {what}")]
    Protocol { pid: u32, what: String },
    #[error("the client left")]
    ClientGone,
}

fn held_by(in_hand: &InHand) -> String {
    match in_hand.count() {
        0 => "no worker is ready".to_owned(),
        1 => format!("1 in workers' hands: {in_hand}"),
        busy => format!("{busy} in workers' hands, oldest first: {in_hand}"),
    }
}

fn fate(ended: Option<Ended>) -> String {
    match ended {
        None => "closed the connection".to_owned(),
        Some(Ended::Code(code)) => format!("exited with code {code}"),
        Some(Ended::Signal(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("was killed by {signal}"),
            Err(_) => format!("was killed by signal {number}"),
        },
    }
}

impl DispatchError {
    /// A request the application can not have seen may be sent to another worker. One it may have
    /// seen may not, unless asking twice is asking once and it most likely has not.
    pub(super) fn may_be_sent_again(&self, is_idempotent: bool) -> bool {
        match self {
            DispatchError::WorkerGone { seen: Seen::Never, .. }
            | DispatchError::Connect { .. }
            | DispatchError::Leaving { .. } => true,
            DispatchError::WorkerGone { seen: Seen::Unlikely, .. } => is_idempotent,
            _ => false,
        }
    }

    /// The application has said something before it went wrong, so it has seen the request.
    pub(super) fn after_a_sign_of_life(self) -> DispatchError {
        match self {
            DispatchError::WorkerGone { pid, ended, .. } => {
                DispatchError::WorkerGone { pid, seen: Seen::Perhaps, ended }
            }
            other => other,
        }
    }

    /// nginx's 499: nobody gets it, the access log says it.
    pub(super) fn status(&self) -> u16 {
        match self {
            DispatchError::Mount { .. } => 500,
            DispatchError::Shed { .. }
            | DispatchError::Waited { .. }
            | DispatchError::NoWorker { .. } => 503,
            DispatchError::Connect { .. }
            | DispatchError::Leaving { .. }
            | DispatchError::WorkerGone { .. }
            | DispatchError::Protocol { .. } => 502,
            DispatchError::Timeout { .. } => 504,
            DispatchError::Spool { .. } => 507,
            DispatchError::ClientGone => 499,
        }
    }

    /// For the client. What other clients are doing is not its business.
    fn public(&self) -> String {
        match self {
            DispatchError::Shed { waiting, .. } => {
                format!("All workers are busy, and {waiting} requests wait for one already.")
            }
            DispatchError::Waited { seconds, .. } => {
                format!("No worker became free within {seconds} seconds.")
            }
            DispatchError::NoWorker { .. } => {
                "The application can not be started. Its log says why.".to_owned()
            }
            DispatchError::Mount { .. } => {
                "The request is outside the application's mount.".to_owned()
            }
            other => {
                let mut text = other.to_string();
                text[..1].make_ascii_uppercase();
                text + "."
            }
        }
    }
}

pub(super) async fn answer(
    gateway: &Gateway,
    connection: &mut Connection,
    story: &mut Story,
    head: &Head,
    error: &DispatchError,
) -> Persistence {
    let status = error.status();
    story.status = status;
    let mut line = String::new();
    // Writing to a String does not fail.
    let _ = write!(
        line,
        "{status} for {} {} ({}, client {}): {error}{}",
        head.method_text(),
        head.target_text(),
        Age(story.age()),
        story.peer,
        story.trace_suffix()
    );
    let level = if status == 499 { Level::Info } else { Level::Error };
    gateway.log.say(level, line);
    if matches!(error, DispatchError::ClientGone) {
        return Persistence::Close;
    }
    let keep = head.wants_keep_alive() && !connection.is_last && !gateway.connections.is_stopping();
    let persistence = if keep { Persistence::KeepAlive } else { Persistence::Close };
    let more: &[&str] = if status == 503 { &["Retry-After: 1"] } else { &[] };
    let page = page(status, &error.public(), persistence, more);
    let mut bytes = &page.bytes[..];
    if head.is_head() {
        bytes = &bytes[..bytes.len() - page.body_length as usize];
    } else {
        story.sent = page.body_length;
    }
    connection.socket.expect_within(crate::front::BODY_PATIENCE);
    match connection.socket.write_all(bytes).await {
        Ok(()) => persistence,
        Err(_) => Persistence::Close,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gone(seen: Seen) -> DispatchError {
        DispatchError::WorkerGone { pid: 7, seen, ended: Some(Ended::Signal(9)) }
    }

    #[test]
    fn what_the_application_may_have_seen_is_not_repeated() {
        assert!(gone(Seen::Never).may_be_sent_again(false));
        assert!(gone(Seen::Unlikely).may_be_sent_again(true));
        assert!(!gone(Seen::Unlikely).may_be_sent_again(false));
        assert!(!gone(Seen::Perhaps).may_be_sent_again(true));
        assert!(!DispatchError::Timeout { pid: 7 }.may_be_sent_again(true));
        assert!(DispatchError::Leaving { pid: 7 }.may_be_sent_again(false));
    }

    #[test]
    fn each_says_why() {
        assert_eq!(gone(Seen::Perhaps).to_string(), "worker (pid:7) was killed by SIGKILL");
        assert_eq!(gone(Seen::Perhaps).public(), "Worker (pid:7) was killed by SIGKILL.");
        let shed = |in_hand| DispatchError::Shed { waiting: 3, in_hand };
        let one = shed(InHand::told(1, &["GET /x (1.0s, client a)"]));
        assert_eq!(
            one.to_string(),
            "the queue is full, 3 requests wait; 1 in workers' hands: GET /x (1.0s, client a)"
        );
        assert!(!one.public().contains("/x"));
        let many = shed(InHand::told(9, &["GET /x (2.0s, client a)", "GET /y (1.0s, client b)"]));
        assert_eq!(
            many.to_string(),
            "the queue is full, 3 requests wait; 9 in workers' hands, oldest first: \
             GET /x (2.0s, client a), GET /y (1.0s, client b), and 7 more"
        );
    }
}
